"""What a report says of a probe."""

from pathlib import Path
from typing import Any

import pytest
from unsearched import study_record

from sepl.metrics.bootstrap import Estimate
from sepl.tuning.probe.record import Agreement, ProbedBackbone, ProbeRecord, write_probe
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.report.probe import probe_section, verdict
from sepl.tuning.results.leaderboard import Leaderboard, TrialRow


def row(skill: float) -> TrialRow:
    return TrialRow(
        number=0,
        state="complete",
        best_skill=skill,
        num_epochs=1,
        best_epoch=1,
        seconds=1.0,
        params={},
        config={},
        curve={1: skill},
        skills={},
        failure=None,
    )


def probed_study(storage: Path, **more: Any) -> StudyFolder:
    """Whose regressions came to .4."""
    folder = StudyFolder.at(str(storage), "made")
    folder.write(study_record(dataset="", fingerprint="", space="", space_sha256="", num_epochs=1))
    found = ProbedBackbone(
        backbone="resnet50",
        weights="pretrained",
        final_norm=True,
        weights_sha256="",
        image_size=32,
        num_photographs=1,
        seconds_of_features=1.0,
        seconds_of_heads=1.0,
        closed_form=0.4,
        closed_form_skills={},
        heads=(),
        best=None,
        **more,
    )
    record = ProbeRecord(fingerprint="", num_heads=1, num_views=1, strength=1.0, seed=0, backbones=(found,))
    write_probe(folder, record)
    return folder


@pytest.mark.parametrize(("skill", "word"), [(0.5, "beats"), (0.3, "does not beat"), (0.4, "does not beat")])
def test_the_first_line_says_whether_the_best_model_beats_what_trains_nothing(
    tmp_path: Path, skill: float, word: str
) -> None:
    said = verdict(probed_study(tmp_path), Leaderboard(root=(row(skill),)))

    assert f"skill {skill:.3f}, {word} ridge and logistic regressions" in said
    assert "0.400" in said


def test_without_a_probe_or_a_model_there_is_nothing_to_say(tmp_path: Path) -> None:
    unprobed = StudyFolder.at(str(tmp_path), "other")

    assert verdict(unprobed, Leaderboard(root=(row(0.5),))) == ""
    assert verdict(probed_study(tmp_path), Leaderboard(root=())) == ""
    assert probe_section(unprobed) == ""


def test_every_backbone_stands_with_its_correlation_and_whether_its_ranking_is_heard(tmp_path: Path) -> None:
    agreement = Agreement(num_trials=12, correlation=Estimate(value=0.1, low=-0.2, high=0.4), is_heard=False)

    said = probe_section(probed_study(tmp_path, agreement=agreement))

    for text in ("resnet50", "0.400", "12", "0.100 [-0.200, 0.400]", "left out"):
        assert text in said
