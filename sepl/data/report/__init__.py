"""The HTML page of a preparation."""
