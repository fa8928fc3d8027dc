"""The name of a driver's folder in a study."""

import re

import optuna

from sepl.storage import Location

_NUM_RUNS = "num_runs"
"""Attribute of the Optuna study: drivers that have begun."""


def next_run(study: optuna.Study, folder: Location) -> str:
    """`run-000` and on, a name that was never used before, also when that folder is gone; from now on it is used."""
    numbers = [re.fullmatch(r"run-(\d+)", entry.name) for entry in folder.list_folder()]
    number = max([study.user_attrs.get(_NUM_RUNS, 0), *(int(match[1]) + 1 for match in numbers if match)])
    study.set_user_attr(_NUM_RUNS, number + 1)
    return f"run-{number:03d}"
