"""Simulated cohorts: factor rows as they occur together in people, and photographs that show them at known strength."""
