"""Costs are measured once."""

from pathlib import Path

import pytest

from sepl.config import ModelConfig
from sepl.storage import resolve
from sepl.tuning.record.costs import Cost, CostBook, place_of

COST = Cost(num_parameters=12, ms_per_photograph=3.5)
MODEL = ModelConfig(backbone="test_resnet", hidden_width=16)


def book(folder: Path, image_size: int = 32, place: str = "cpu-1") -> CostBook:
    return CostBook(resolve(folder / "costs"), image_size, place)


def test_what_was_kept_is_found_by_another_process(tmp_path: Path) -> None:
    book(tmp_path).keep(MODEL, COST)

    assert book(tmp_path).find(MODEL) == COST


@pytest.mark.parametrize("changes", [{"weights": "pretrained"}, {"drop_path": 0.3}])
def test_what_matters_in_training_alone_is_not_measured_again(tmp_path: Path, changes: dict[str, object]) -> None:
    book(tmp_path).keep(MODEL, COST)

    assert book(tmp_path).find(MODEL.model_copy(update=changes)) == COST


def test_another_network_size_or_place_is_another_cost(tmp_path: Path) -> None:
    book(tmp_path).keep(MODEL, COST)

    assert book(tmp_path).find(MODEL.model_copy(update={"hidden_width": 32})) is None
    assert book(tmp_path, image_size=64).find(MODEL) is None
    assert book(tmp_path, place="cuda").find(MODEL) is None


def test_threads_count_on_a_cpu_alone() -> None:
    assert place_of("cpu", 2) == "cpu-2"
    assert place_of("cuda", 2) == place_of("cuda", 8) == "cuda"


def test_a_file_that_is_broken_or_a_folder_that_refuses_costs_a_measurement_alone(tmp_path: Path) -> None:
    kept = book(tmp_path)
    kept.keep(MODEL, COST)
    (tmp_path / "costs" / f"{kept.key(MODEL)}.json").write_text("{")
    (tmp_path / "file").write_text("")
    refusing = CostBook(resolve(tmp_path / "file" / "costs"), 32, "cpu-1")

    assert book(tmp_path).find(MODEL) is None
    refusing.keep(MODEL, COST)
    assert refusing.find(MODEL) == COST
