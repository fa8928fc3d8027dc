"""Whose a photograph is: pseudonyms, cohort splits, seals, rows to patients."""
