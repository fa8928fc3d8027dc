"""Bytes of a photograph to the pixels a network sees, and whether they can be graded."""
