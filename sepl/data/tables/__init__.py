"""Cells of a hospital's table: what they say, in which unit."""
