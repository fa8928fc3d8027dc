"""The finished trials: ranked, tabled, weighed."""
