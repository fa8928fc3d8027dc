"""From a Cohort to a published dataset, resumable."""
