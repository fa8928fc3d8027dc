"""Coded samples: streams are checked, then decoded."""
