"""Scripts that derive the simulator's tables from public data; run by maintainers only."""

__all__: list[str] = []  # run, not imported
