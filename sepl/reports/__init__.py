"""What every HTML report is made of: a page that needs nothing else, plots of one style, numbers of one form."""
