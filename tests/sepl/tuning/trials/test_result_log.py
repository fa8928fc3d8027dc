"""What is written about a trial's epochs."""

import gc
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

from sepl.tuning.trials.result_log import ResultLog


def test_an_epoch_is_a_line_and_no_file_stays_open_when_a_study_is_cut_off(tmp_path: Path) -> None:
    log, trial = ResultLog(), SimpleNamespace(local_path=str(tmp_path / "trial-00000"))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for epoch in (1, 2):
            log.on_trial_result(1, [], trial, {"epoch": epoch, "best_skill": epoch / 10})
        lines = (tmp_path / "trial-00000" / "result.json").read_text().splitlines()
        del log
        gc.collect()

    assert [json.loads(line) for line in lines] == [
        {"epoch": 1, "best_skill": 0.1},
        {"epoch": 2, "best_skill": 0.2},
    ]
    assert not [warning for warning in caught if issubclass(warning.category, ResourceWarning)]
