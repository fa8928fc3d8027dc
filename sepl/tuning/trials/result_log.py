"""`result.json` of each trial: a line an epoch, for people."""

import json
from pathlib import Path
from typing import Any

from ray.tune import Callback

_FILE = "result.json"


class ResultLog(Callback):
    """In place of Ray's JsonLoggerCallback, which keeps the files of trials open that a budget cuts off and writes the
    config beside them as a pickle. Here a file is open for one line.
    """

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        folder = Path(trial.local_path)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(result, default=str) + "\n")

    def __getstate__(self) -> dict[str, Any]:
        return {}
