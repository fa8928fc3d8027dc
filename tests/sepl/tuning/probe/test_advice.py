"""What a search takes of its probe."""

from typing import Any

from sepl.metrics.bootstrap import Estimate
from sepl.tuning.probe.advice import NUM_POINTS, first_points, prior_trials
from sepl.tuning.probe.record import Agreement, ProbedBackbone, ProbedHead, ProbeRecord
from sepl.tuning.probe.sampling import head_config, sample_heads, sources_of
from sepl.tuning.space.space import load_space

SPACE = load_space("search_spaces/transfer.py")
SOURCES = sources_of(SPACE)


def backbone(place: int, best: float, **more: Any) -> ProbedBackbone:
    heads = []
    for number, sampled in enumerate(sample_heads(SPACE, 16)):
        head = sampled.on(SOURCES[place])
        config = head_config(head.config, strength=1.0).to_params()
        heads.append(ProbedHead(params=head.params, config=config, skill=best - 0.01 * number, best_epoch=3))
    return ProbedBackbone(
        backbone=SOURCES[place][0],
        weights="pretrained",
        final_norm=True,
        weights_sha256="",
        image_size=160,
        num_photographs=10,
        seconds_of_features=1.0,
        seconds_of_heads=1.0,
        closed_form=0.3,
        closed_form_skills={},
        heads=tuple(heads),
        best=None,
        **more,
    )


def record_of(*backbones: ProbedBackbone) -> ProbeRecord:
    return ProbeRecord(fingerprint="", num_heads=16, num_views=1, strength=1.0, seed=0, backbones=backbones)


LOW = Agreement(num_trials=12, correlation=Estimate(value=0.0, low=-0.2, high=0.2), is_heard=False)


def test_first_points_are_the_best_heads_of_the_best_backbones_each_a_point_of_the_space() -> None:
    points = first_points(record_of(backbone(0, 0.3), backbone(1, 0.5)), SPACE)

    assert len(points) == NUM_POINTS
    assert points[0]["backbone"] == SOURCES[1][0]
    assert points[1]["backbone"] == SOURCES[0][0]
    for point in points:
        trial, _ = SPACE.answer(point, "here")
        assert set(trial.distributions) == set(point)
        assert point not in SPACE.first_points


def test_how_a_head_is_fine_tuned_is_what_the_spaces_author_thought_good() -> None:
    points = first_points(record_of(backbone(0, 0.3)), SPACE)

    author = SPACE.first_points[-1]
    assert {(point["learning_rate"], point["frozen_stages"]) for point in points} == {
        (author["learning_rate"], author["frozen_stages"])
    }


def test_ranks_fall_from_one_within_each_backbone() -> None:
    trials = prior_trials(record_of(backbone(0, 0.3), backbone(1, 0.5)))

    ranks = [trial.rank for trial in trials]
    num_heads = len(ranks) // 2
    assert ranks[:num_heads] == ranks[num_heads:] == sorted(ranks[:num_heads], reverse=True)
    assert max(ranks) == 1
    assert min(ranks) > 0
    assert [trial.params["backbone"] for trial in trials[:num_heads]] == [SOURCES[1][0]] * num_heads


def test_a_backbone_that_fine_tuning_does_not_agree_with_has_no_say() -> None:
    record = record_of(backbone(0, 0.3), backbone(1, 0.5, agreement=LOW))

    assert {trial.params["backbone"] for trial in prior_trials(record)} == {SOURCES[0][0]}
    assert {point["backbone"] for point in first_points(record, SPACE)} == {SOURCES[0][0]}
    assert prior_trials(record_of(backbone(1, 0.5, agreement=LOW))) == ()
