"""One file a promise, each against a rival; `python -m benchmarks` lists them, `python -m benchmarks.NAME` runs one."""

__all__: list[str] = []  # run, not imported
