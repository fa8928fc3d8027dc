"""What a manifest keeps only where there is something to keep: rules of tasks, and what there is of grades."""

import json
from pathlib import Path

import pytest
from bundles import build_bundle
from graded import GRADES, MIXED, graded_intervals

from sepl.bundle.format import read_bundle
from sepl.bundle.manifest import MANIFEST, Intervals


def test_rules_of_tasks_are_kept_and_without_any_a_manifest_is_as_it_was(tmp_path: Path) -> None:
    build_bundle(tmp_path / "without")
    build_bundle(tmp_path / "with", rules={"sex": "sbp >= 140 and age > 60"})

    assert '"rules"' not in (tmp_path / "without" / MANIFEST).read_text()
    assert read_bundle(tmp_path / "without").manifest.rules == {}
    assert read_bundle(tmp_path / "with").manifest.rules == {"sex": "sbp >= 140 and age > 60"}
    for wrong in ({"sex": "__import__('os')"}, {"sex": "waist > 90"}, {"age": "sbp > 1"}):
        with pytest.raises(ValueError, match="rule"):
            build_bundle(tmp_path / "wrong", rules=wrong)


def test_a_manifest_without_graded_tasks_is_written_as_before_there_were_any(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")
    data = (tmp_path / "bundle" / MANIFEST).read_bytes()

    raw = json.loads(data)

    assert raw["format"] == 3
    assert raw["intervals"].keys() == {"confidence", "half_widths", "temperatures"}
    assert raw["tasks"][0].keys() == {"name", "kind", "unit", "label", "low", "high", "derived_from"}
    assert read_bundle(tmp_path / "bundle").manifest.to_json() == data


def test_thresholds_of_sets_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = build_bundle(tmp_path / "bundle", tasks=MIXED, intervals=graded_intervals())

    read = read_bundle(tmp_path / "bundle").manifest

    assert read == written.manifest
    assert read.intervals.set_thresholds == {"retinopathy": 0.6, "camera": None}
    assert read.tasks["retinopathy"].levels == GRADES.levels


@pytest.mark.parametrize(
    ("thresholds", "problem"),
    [
        ({"shoe_size": None}, "intervals should be of the tasks"),
        ({"age": None}, "should be of ordinal and categorical"),
    ],
)
def test_thresholds_of_other_tasks_are_refused(
    tmp_path: Path, thresholds: dict[str, float | None], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        build_bundle(tmp_path / "bundle", tasks=MIXED, intervals=Intervals(set_thresholds=thresholds))
