"""What a manifest keeps only where there is something to keep."""

from pathlib import Path

import pytest
from bundles import build_bundle

from sepl.bundle.format import read_bundle
from sepl.bundle.manifest import MANIFEST


def test_rules_of_tasks_are_kept_and_without_any_a_manifest_is_as_it_was(tmp_path: Path) -> None:
    build_bundle(tmp_path / "without")
    build_bundle(tmp_path / "with", rules={"sex": "sbp >= 140 and age > 60"})

    assert '"rules"' not in (tmp_path / "without" / MANIFEST).read_text()
    assert read_bundle(tmp_path / "without").manifest.rules == {}
    assert read_bundle(tmp_path / "with").manifest.rules == {"sex": "sbp >= 140 and age > 60"}
    for wrong in ({"sex": "__import__('os')"}, {"sex": "waist > 90"}, {"age": "sbp > 1"}):
        with pytest.raises(ValueError, match="rule"):
            build_bundle(tmp_path / "wrong", rules=wrong)
