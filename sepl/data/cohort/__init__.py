"""`cohort.toml` and its tables, headers and rules, to a checked Cohort."""
