"""A patient's photographs are judged together, in scoring as in evaluation.

The law: for any network, grouping, order and batch size, a photograph's row has the values that `evaluate_bundle` would
work out of its patient's photographs.
"""

import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bundles import TASKS, bundle_content, draw_fundus
from hypothesis import given, settings
from hypothesis import strategies as st

from sepl.bundle.format import compose_bundle
from sepl.config import ModelConfig, TrialConfig
from sepl.data.imaging.photograph import read_photograph
from sepl.data.patients.index import index_patients, mean_per_patient
from sepl.models.build import build_network
from sepl.models.parts.fusion import AttentionFusion
from sepl.scoring.intervals import calibrated_values
from sepl.scoring.readings import Photograph, Reading
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer
from sepl.scoring.sources import find_photographs

PICTURES = [draw_fundus(seed) for seed in range(7)]
BROKEN = b"no picture"
MODELS: dict[str, dict[str, Any]] = {
    "sepl": {"num_experts": 2, "task_split": "demographic", "hidden_width": 8},
    "hard_sharing": {},
    "single_task": {},  # features of each task's own
}
BATCH_SIZE = 3

every_network = pytest.mark.parametrize(
    ("family", "fusion"), [(family, fusion) for family in MODELS for fusion in ("none", "mean", "attention")]
)
cohorts = st.lists(st.tuples(st.integers(-1, len(PICTURES) - 1), st.sampled_from(["", "a", "b", "c"])), max_size=14)
"""Pictures, −1 one that cannot be read, and whose each is."""


@cache
def build_scorer(family: str, fusion: str) -> Scorer:
    model = ModelConfig.parse(
        {"family": family, "backbone": "test_convnext", "fusion": fusion, **MODELS[family]}, "test"
    )
    torch.manual_seed(1)
    network = build_network(model, TASKS, 32)
    if isinstance(network.fusion, AttentionFusion):
        torch.nn.init.normal_(network.fusion.score.weight, std=0.5)  # at the start it is the mean
    bundle, _ = compose_bundle(**bundle_content(config=TrialConfig(model=model), state=network.state_dict()))
    return Scorer(bundle, device="cpu", batch_size=BATCH_SIZE)


@every_network
@given(cohort=cohorts, data=st.data())
@settings(max_examples=8, deadline=None)
def test_a_row_has_the_values_that_evaluation_gives_its_patient(
    family: str, fusion: str, cohort: list[tuple[int, str]], data: st.DataObject
) -> None:
    scorer = build_scorer(family, fusion)
    scores = score(scorer, cohort)

    assert [score.image for score in scores] == [str(place) for place in range(len(cohort))]
    assert_as_evaluated(scorer, cohort, scores)
    order = data.draw(st.permutations(range(len(cohort))))
    for place, permuted in zip(order, score(scorer, [cohort[place] for place in order]), strict=True):
        assert_same_values(permuted, scores[place])


@every_network
def test_photographs_matter_to_their_patient_and_to_nobody_else(family: str, fusion: str) -> None:
    scorer = build_scorer(family, fusion)
    first, *_, last = score(scorer, [(0, "a"), (1, "b"), (-1, "a"), (2, "a")])
    alone = score(scorer, [(0, "a"), (1, "b")])
    other = score(scorer, [(0, "a"), (3, "b"), (4, "c"), (2, "a")])

    assert_same_values(first, last)
    assert_same_values(first, other[0])
    assert any(abs(first.values[name].value - alone[0].values[name].value) > 1e-4 for name in TASKS.names)
    assert [score.num_photographs for score in (first, *alone)] == [2, 1, 1]


def test_attention_is_not_the_mean_here() -> None:
    cohort = [(0, "a"), (1, "a")]
    [attended, _], [averaged, _] = (
        score(build_scorer("hard_sharing", fusion), cohort) for fusion in ("attention", "mean")
    )

    assert any(abs(attended.values[name].value - averaged.values[name].value) > 1e-4 for name in TASKS.names)


@every_network
def test_bytes_files_pixels_readings_and_tables_are_joined_alike(family: str, fusion: str, tmp_path: Path) -> None:
    scorer = build_scorer(family, fusion)
    cohort = [(place % 7, key) for place, key in enumerate(["a", "", "b", "a", "a", "c", "b", "a", "", "c", "a"])]
    paths = [tmp_path / str(place) for place in range(len(cohort))]
    for path, (picture, _) in zip(paths, cohort, strict=True):
        path.write_bytes(PICTURES[picture])
    keys = [key for _, key in cohort]
    expected = score(scorer, cohort)
    pixels_NHWC = np.stack([read_photograph(PICTURES[picture], scorer.bundle.manifest.image) for picture, _ in cohort])
    table = pa.table({"image": [path.name for path in paths], "who": keys})
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=2)
    source = find_photographs(str(tmp_path / "table.parquet"), patient_column="who")

    assert_same_rows(scorer.score_files(paths, keys), expected)
    assert_same_rows(scorer.score_pixels([path.name for path in paths], pixels_NHWC, keys), expected)
    assert_same_rows([row for rows in scorer.stream(source, source.order) for row in rows], expected)
    readings = [scorer.read(Photograph("x", path.read_bytes)) for path in paths]
    [joined, [alone]] = scorer.score_patients([[readings[place] for place in (0, 3, 4, 7, 10)], [readings[1]]])
    for row in joined:
        assert_same_values(row, expected[0])
    assert_same_values(alone, expected[1])


@pytest.mark.parametrize("fusion", ["none", "attention"])
def test_a_photograph_whose_output_is_not_finite_spoils_nothing(fusion: str) -> None:
    scorer = build_scorer("hard_sharing", fusion)
    good = [scorer.read(Photograph(str(seed), lambda seed=seed: PICTURES[seed], "", "a")) for seed in range(2)]
    expected = scorer.score_readings(good)
    [first, broken, second] = BlindScorer.of(scorer).score_readings(
        [good[0], Reading("dark", "ok", DARK, None, "a"), good[1]]
    )

    assert (broken.status, broken.reason) == ("failed", "the model's output is not finite")
    assert (broken.values, broken.num_photographs) == ({}, 0)
    assert_same_rows([first, second], expected)


def test_pixels_of_few_batches_are_in_memory_even_of_a_patient_with_very_many() -> None:
    scorer = WatchingScorer.of(build_scorer("hard_sharing", "attention"))
    num_photographs = 60

    rows = score(scorer, [(place % 7, "a") for place in range(num_photographs)])

    assert {row.num_photographs for row in rows} == {num_photographs}
    assert len(scorer.read_so_far) == num_photographs
    assert scorer.most_in_memory <= 3 * BATCH_SIZE


DARK = np.zeros((32, 32, 3), np.uint8)


class BlindScorer(Scorer):
    """One whose backbone divides by the light of a photograph: a real not-a-number from a real network."""

    @classmethod
    def of(cls, scorer: Scorer) -> "BlindScorer":
        blind = cls(scorer.bundle, device="cpu", batch_size=BATCH_SIZE)
        darkest = torch.tensor(scorer.bundle.manifest.image.mean).div(torch.tensor(scorer.bundle.manifest.image.std))

        def divide(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            light_B111 = (inputs[0] + darkest.view(-1, 1, 1)).abs().amax(dim=(1, 2, 3), keepdim=True)
            return (torch.where(light_B111 > 1e-3, inputs[0], torch.nan),)

        backbone = blind.network.backbone
        assert isinstance(backbone, torch.nn.Module)
        backbone.register_forward_pre_hook(divide)
        return blind


class WatchingScorer(Scorer):
    read_so_far: list[weakref.ref]
    most_in_memory: int

    @classmethod
    def of(cls, scorer: Scorer) -> "WatchingScorer":
        watching = cls(scorer.bundle, device="cpu", batch_size=BATCH_SIZE)
        watching.read_so_far, watching.most_in_memory = [], 0
        return watching

    def read(self, photograph: Photograph) -> Reading:
        reading = super().read(photograph)
        self.read_so_far.append(weakref.ref(reading.pixels))
        alive = sum(pixels() is not None for pixels in list(self.read_so_far))
        self.most_in_memory = max(self.most_in_memory, alive)
        return reading


def score(scorer: Scorer, cohort: Sequence[tuple[int, str]]) -> list[Score]:
    photographs = [(str(place), BROKEN if number < 0 else PICTURES[number]) for place, (number, _) in enumerate(cohort)]
    return scorer.score_bytes(photographs, [key for _, key in cohort])


def assert_as_evaluated(scorer: Scorer, cohort: Sequence[tuple[int, str]], scores: Sequence[Score]) -> None:
    """By `Scorer.outputs` with patients and the mean over a patient's photographs, as `evaluate_bundle` does."""
    manifest = scorer.bundle.manifest
    good = [place for place, (number, _) in enumerate(cohort) if number >= 0]
    for place in set(range(len(cohort))) - set(good):
        assert (scores[place].status, scores[place].values, scores[place].num_photographs) == ("failed", {}, 0)
        assert scores[place].patient == cohort[place][1]
    if not good:
        return
    pixels_NHWC = np.stack([read_photograph(PICTURES[cohort[place][0]], manifest.image) for place in good])
    patient_N = index_patients([cohort[place][1] or f"alone {place}" for place in good])
    outputs_PT = mean_per_patient(scorer.outputs([pixels_NHWC], patient_N), patient_N)
    found = calibrated_values(outputs_PT, manifest.tasks, manifest.scaler, manifest.intervals)
    for place, patient in zip(good, patient_N, strict=True):
        row = scores[place]
        assert (row.status, row.patient) == ("ok", cohort[place][1])
        assert row.num_photographs == (patient_N == patient).sum()
        for number, name in enumerate(manifest.tasks.names):
            assert row.values[name].value == pytest.approx(found.values_NT[patient, number], rel=1e-5, abs=1e-4)
            low = row.values[name].low
            assert low is None or low == pytest.approx(found.low_NT[patient, number], rel=1e-5, abs=1e-4)


def assert_same_rows(one: Sequence[Score], two: Sequence[Score]) -> None:
    for left, right in zip(one, two, strict=True):
        assert_same_values(left, right)


def assert_same_values(one: Score, two: Score) -> None:
    assert (one.status, one.reason, one.num_photographs) == (two.status, two.reason, two.num_photographs)
    assert one.values.keys() == two.values.keys()
    for name, prediction in one.values.items():
        assert prediction.value == pytest.approx(two.values[name].value, rel=1e-5, abs=1e-4)
