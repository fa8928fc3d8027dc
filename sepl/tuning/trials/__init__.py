"""One trial in a warm process, and how many fit the cluster."""
