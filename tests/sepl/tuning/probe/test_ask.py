"""Whether a study is probed, decided without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError
from sepl.tuning.probe.ask import wanted_probe
from sepl.tuning.settings import StudySettings
from sepl.tuning.space.space import SearchSpace, load_space

SETTINGS = StudySettings(data="", space="", storage="", study="a")


def asked(probe: str) -> StudySettings:
    return SETTINGS.model_copy(update={"probe": probe})


def test_auto_probes_a_space_with_initial_weights_and_off_none(space: SearchSpace, dataset: PreparedDataset) -> None:
    assert wanted_probe(asked("auto"), space, dataset) is not None
    assert wanted_probe(asked("only"), space, dataset) is not None
    assert wanted_probe(asked("off"), space, dataset) is None


def test_without_initial_weights_auto_is_off_and_only_is_refused_in_one_line(dataset: PreparedDataset) -> None:
    space = load_space("search_spaces/smoke.py")

    assert wanted_probe(asked("auto"), space, dataset) is None
    with pytest.raises(ConfigError, match="--probe should be only where the search space has initial weights"):
        wanted_probe(asked("only"), space, dataset)


def test_without_validation_patients_there_is_nothing_to_rank_by(space: SearchSpace, dataset: PreparedDataset) -> None:
    counts = {**dataset.manifest.num_photographs, "validation": 0}
    blind = PreparedDataset(
        dataset.uri, dataset.folder, dataset.manifest.model_copy(update={"num_photographs": counts})
    )

    assert wanted_probe(asked("auto"), space, blind) is None


def test_a_driver_that_asks_for_a_probe_loads_no_torch() -> None:
    code = (
        "import sys; from sepl.tuning.probe.ask import wanted_probe; from sepl.tuning.probe.sampling import "
        "sample_heads; from sepl.tuning.space.space import load_space; "
        "sample_heads(load_space('search_spaces/transfer.py'), 8); assert 'torch' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])
