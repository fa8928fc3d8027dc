"""One question a file: `space(trial)` and the first points to try; `jobs.search --space search_spaces/NAME.py`."""

__all__: list[str] = []  # run, not imported
