"""The commands, thin: parse, build, run, save. `python -m jobs` lists them, `python -m jobs.NAME` runs one."""

__all__: list[str] = []  # run, not imported
