"""Trials of a study that knows values of its patients: judged with nothing known and with these."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import build_dataset

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.predict import predict_told
from sepl.scoring.cross_fit import cross_condition
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train
from sepl.tuning.trials.known_pattern import judge_known
from sepl.tuning.trials.trainable import SeplTrainable

PARAMS: dict[str, Any] = {
    "backbone": "test_efficientnet",
    "task_split": "demographic",
    "num_experts": 2,
    "hidden_width": 16,
    "num_epochs": 3,
    "batch_size": 32,
    "learning_rate": 3e-3,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=130)


@pytest.fixture(scope="module")
def data(dataset: PreparedDataset) -> TrainingData:
    return TrainingData.load(dataset, device="cpu", known=judge_known("age+sex", dataset))


def _config(**changes: Any) -> TrialConfig:
    return TrialConfig.from_params({**PARAMS, **changes})


@pytest.mark.parametrize("options", [{}, {"known_share": 0.5}, {"family": "hard_sharing"}])
def test_the_skill_is_the_mean_of_that_with_nothing_known_and_that_with_the_pattern_known(
    options: dict[str, Any], dataset: PreparedDataset, data: TrainingData
) -> None:
    params = {**PARAMS, **options}
    if "family" in options:
        params = {name: value for name, value in params.items() if name not in ("num_experts", "hidden_width")}
    run = TrainingRun(TrialConfig.from_params({**params, "num_epochs": 1}), data)

    (result,) = list(train(run))

    unknown, known = result.best_unknown_skill, result.best_known_skill
    assert unknown is not None
    assert known is not None
    assert result.validation_skill == result.best_skill == pytest.approx((unknown + known) / 2)
    assert unknown == pytest.approx(sum(result.skill_per_task.values()) / len(result.skill_per_task))
    photographs = dataset.photographs("validation")
    assert data.validation is not None
    assert data.validation.known is not None
    tables = [None, data.validation.known.labels_NT] if run.network.takes_known else [None]
    outputs = predict_told(
        run.network, photographs.shards, tables, device=data.device, patients=photographs.patient_index
    )
    outputs_PT, *told = [photographs.per_patient(rows_NT) for rows_NT in outputs]
    labels_PT = photographs.per_patient(photographs.labels_NT)
    values_PT = cross_condition(
        outputs_PT, labels_PT, ("sex", "age"), dataset.tasks, dataset.scaler, told[0] if told else None
    )
    skills = [
        1 - np.nanmean(np.abs(values_PT - labels_PT)[:, index]) / np.nanmean(np.abs(median - labels_PT[:, index]))
        for index, (task, median) in enumerate(zip(dataset.tasks, dataset.scaler.medians, strict=True))
        if task.kind == "regression" and task.name != "age"
    ]
    run.supervised.validate(run.network, 2)
    found = [run.supervised._known_skills[name] for name in ("sbp", "hba1c")]
    assert found == pytest.approx(skills, abs=1e-6)
    assert set(run.supervised._known_skills) == {"sbp", "hba1c", "diabetes"}


def test_an_epochs_result_has_both_skills_where_values_are_known_and_neither_elsewhere(
    dataset: PreparedDataset,
) -> None:
    surroundings: dict[str, Any] = {
        "dataset": dataset.uri,
        "fingerprint": dataset.fingerprint,
        "storage": dataset.uri,
        "cpus": 1,
        "gpus": 0.0,
        "checkpoint_seconds": 3600.0,
    }
    params = {**PARAMS, "num_epochs": 1}
    results = [
        SeplTrainable(
            {
                "params": params,
                "number": 0,
                "earlier": [],
                "resume_from": None,
                "surroundings": {**surroundings, "known_pattern": pattern},
            }
        ).step()
        for pattern in ("sex+age", None)
    ]

    assert results[0]["best_skill"] == pytest.approx((results[0]["unknown_skill"] + results[0]["known_skill"]) / 2)
    assert results[0]["unknown_skill"] == pytest.approx(results[1]["best_skill"])
    assert "known_skill" not in results[1]


def test_weights_of_a_trial_do_not_depend_on_how_it_is_judged(dataset: PreparedDataset, data: TrainingData) -> None:
    plain = TrainingRun(_config(num_epochs=1), TrainingData.load(dataset, device="cpu"))
    judged = TrainingRun(_config(num_epochs=1), data)

    (result,) = list(train(plain))
    list(train(judged))

    assert (result.best_unknown_skill, result.best_known_skill) == (None, None)
    for name, value in plain.network.state_dict().items():
        assert value.equal(judged.network.state_dict()[name]), name
    assert "best_pair" not in plain.supervised.state_dict()


def test_a_resumed_trial_remembers_what_its_best_skill_was_the_mean_of(data: TrainingData, tmp_path: Path) -> None:
    config = _config(known_share=0.5)
    whole = TrainingRun(config, data)
    expected = list(train(whole))[-1]
    first, second = TrainingRun(config, data), TrainingRun(config, data)
    first.run_epoch()
    first.save(tmp_path)

    second.restore(tmp_path)
    found = list(train(second))[-1]

    assert (found.best_skill, found.best_unknown_skill, found.best_known_skill) == (
        expected.best_skill,
        expected.best_unknown_skill,
        expected.best_known_skill,
    )


def test_a_trials_save_is_read_where_nobody_judges(
    dataset: PreparedDataset, data: TrainingData, tmp_path: Path
) -> None:
    """As the selection of the winner does, for its weights alone."""
    judged, other = TrainingRun(_config(), data), TrainingRun(_config(), TrainingData.load(dataset, device="cpu"))
    judged.run_epoch()
    judged.save(tmp_path)

    other.restore(tmp_path)

    for name, value in judged.best_state().items():
        assert value.equal(other.best_state()[name]), name
