"""Scripts that derive the simulator's tables from public data; run by maintainers only."""
