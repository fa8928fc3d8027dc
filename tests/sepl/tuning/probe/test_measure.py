"""Trials of a study held against its probe."""

from typing import Any

import optuna
import pytest

from sepl.tuning.probe.measure import measure_agreement
from sepl.tuning.probe.record import read_probe
from sepl.tuning.record.record import StudyFolder

Probed = Any  # of conftest.py


def add_trials(folder: StudyFolder, num_trials: int, sign: int) -> None:
    """Full trials of the heads that were probed, whose skill rises or falls with theirs."""
    record = read_probe(folder)
    assert record is not None
    study = optuna.create_study(study_name="probed", storage=folder.open_optuna_storage(None), direction="maximize")
    for head in record.backbones[0].heads[:num_trials]:
        trial = study.ask()
        trial.set_user_attr("config", {**head.config, "frozen_stages": 1})
        assert head.skill is not None
        trial.report(sign * head.skill, 3)
        study.tell(trial, sign * head.skill)


@pytest.mark.parametrize(("sign", "word"), [(1, ""), (-1, "the probe's ranking is left out")])
def test_trials_that_come_to_what_their_heads_did_agree_and_others_silence_the_probe(
    probed: Probed, sign: int, word: str
) -> None:
    add_trials(probed.folder, 10, sign)
    said: list[str] = []

    record = measure_agreement(str(probed.folder.location.local_path().parent), "probed", said.append)

    assert record == read_probe(probed.folder)
    assert record is not None
    agreement = record.backbones[0].agreement
    assert agreement is not None
    assert agreement.num_trials == 10
    assert agreement.correlation.value == pytest.approx(sign, abs=0.05)
    assert agreement.is_heard is (sign == 1)
    assert word in said[0]
    assert "rank correlation" in said[0]


def test_a_study_that_was_not_probed_has_nothing_to_measure(folder: StudyFolder) -> None:
    assert measure_agreement(str(folder.location.local_path().parent), "probed") is None
