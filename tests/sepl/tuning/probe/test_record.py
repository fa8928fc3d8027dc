"""What is kept of a probe."""

from typing import Any

import pytest

from sepl.errors import StudyError
from sepl.tuning.probe.record import PROBE, closed_form_skill, probe_candidate, read_probe
from sepl.tuning.record.record import StudyFolder

Probed = Any  # of conftest.py


def test_a_study_that_was_not_probed_has_neither_candidate_nor_rival(folder: StudyFolder) -> None:
    assert read_probe(folder) is None
    assert probe_candidate(folder) is None
    assert closed_form_skill(folder) is None


def test_heads_are_no_candidates_where_trials_are_judged_with_values_known(probed: Probed) -> None:
    probed.folder.write(probed.folder.read().model_copy(update={"known_pattern": "sex+age"}))

    assert probe_candidate(probed.folder) is None
    assert closed_form_skill(probed.folder) is not None


def test_a_record_of_another_format_is_refused_in_one_line(probed: Probed) -> None:
    record = read_probe(probed.folder)
    assert record is not None
    (probed.folder.location / PROBE).write_bytes(record.model_copy(update={"format": 9}).model_dump_json().encode())

    with pytest.raises(StudyError, match=r"probe\.json: format should be 1, was 9"):
        read_probe(probed.folder)


def test_a_backbone_takes_the_place_of_what_was_known_of_it(probed: Probed) -> None:
    record = read_probe(probed.folder)
    assert record is not None
    (found,) = record.backbones

    again = record.with_backbone(found.model_copy(update={"closed_form": 0.5}))

    assert [backbone.closed_form for backbone in again.backbones] == [0.5]
    assert again.of(found.source) == again.backbones[0]
    assert again.of(("another", "pretrained", True)) is None
