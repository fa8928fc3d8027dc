"""Bundles of several members: one folder that everything which scores takes, and older ones as they were."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import MODEL, TASKS, build_bundle, bundle_content, draw_fundus, planted_conditioning
from pydantic import ValidationError

from sepl.bundle.format import BundleContent, ModelBundle, compose_bundle, read_bundle, write_bundle
from sepl.bundle.manifest import CARD, FORMAT, FORMAT_OF_MEMBERS, MANIFEST, BundleManifest, Member
from sepl.bundle.members import joined_state, load_network
from sepl.config import ModelConfig, TrialConfig
from sepl.data.imaging.photograph import IMAGENET, Normalisation, read_photograph
from sepl.data.patients.index import index_patients
from sepl.errors import BundleError, ConfigError
from sepl.models.build import build_network
from sepl.models.predict import patient_outputs
from sepl.scoring.intervals import calibrated_values
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer

OTHER = ModelConfig(family="hard_sharing", backbone="test_convnext", fusion="mean")
TOLD = ModelConfig(backbone="test_resnet", task_split="demographic", num_experts=2, hidden_width=8, known_share=0.5)
OWN_PIXELS = Normalisation((0.5, 0.4, 0.3), (0.3, 0.2, 0.25))
PICTURES = [draw_fundus(seed) for seed in range(5)]
PATIENTS = ["a", "b", "a", "", "b"]


def member_of(model: ModelConfig = MODEL, votes: int = 1, pixels: Normalisation = IMAGENET) -> Member:
    return Member(model=model, mean=pixels.mean, std=pixels.std, votes=votes, trial="trial 3")


def state_of(model: ModelConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return build_network(model, TASKS, 32).state_dict()


def content_of(*members: Member, states: tuple[dict[str, torch.Tensor], ...]) -> BundleContent:
    first = TrialConfig(model=members[0].model)
    return bundle_content(config=first, members=members, state=joined_state(states))


def scores_of(bundle: ModelBundle) -> list[Score]:
    scorer = Scorer(bundle, device="cpu", batch_size=2)
    return scorer.score_bytes([(str(place), data) for place, data in enumerate(PICTURES)], PATIENTS)


def values_of(scores: list[Score]) -> np.ndarray:
    return np.array([[row.values[name].value for name in TASKS.names] for row in scores])


@pytest.mark.parametrize("num_equals", [1, 2, 3])
def test_equal_members_score_as_the_plain_bundle(tmp_path: Path, num_equals: int) -> None:
    plain = build_bundle(tmp_path / "plain")
    states = tuple(dict(plain.state) for _ in range(num_equals))
    write_bundle(tmp_path / "members", **content_of(*[member_of()] * num_equals, states=states))

    ensemble = read_bundle(tmp_path / "members")

    expected, found = scores_of(plain), scores_of(ensemble)
    np.testing.assert_allclose(values_of(found), values_of(expected), atol=1e-6, rtol=1e-6)
    assert [row.num_photographs for row in found] == [row.num_photographs for row in expected]
    if num_equals == 1:
        assert (values_of(found) == values_of(expected)).all()


def test_members_of_other_families_pixels_and_fusion_are_scored_online_as_offline() -> None:
    members = member_of(), member_of(OTHER, 2, OWN_PIXELS), member_of(TOLD)
    content = content_of(*members, states=(state_of(MODEL), state_of(OTHER, 1), state_of(TOLD, 2)))
    bundle, _ = compose_bundle(**{**content, "conditioning": planted_conditioning()})
    scorer = Scorer(bundle, device="cpu", batch_size=2)
    manifest = bundle.manifest
    pixels_NHWC = np.stack([read_photograph(data, manifest.image) for data in PICTURES])
    patient_N = index_patients([key or "alone" for key in PATIENTS])

    found = values_of(scores_of(bundle))
    outputs_PO = patient_outputs(scorer.outputs([pixels_NHWC], patient_N), patient_N, TASKS)
    expected = calibrated_values(outputs_PO, TASKS, manifest.scaler, manifest.intervals).values_NT

    np.testing.assert_allclose(found, expected[patient_N], rtol=1e-5, atol=1e-5)
    swapped = compose_bundle(
        **content_of(*members[::-1], states=(state_of(TOLD, 2), state_of(OTHER, 1), state_of(MODEL)))
    )[0]
    np.testing.assert_allclose(values_of(scores_of(swapped)), found, rtol=1e-5, atol=1e-6)


def test_what_is_known_reaches_the_member_that_takes_it() -> None:
    content = content_of(member_of(), member_of(TOLD), states=(state_of(MODEL), state_of(TOLD, 2)))
    conditioning = planted_conditioning().model_copy(update={"network_inputs": ("sex", "age"), "patterns": ()})
    bundle, _ = compose_bundle(**{**content, "conditioning": conditioning})
    scorer = Scorer(bundle, device="cpu")

    rows = scorer.score_bytes([("x", PICTURES[0])] * 2, ["a", "b"], [{"age": 61.0}, {}])

    assert scorer.network.takes_known
    assert rows[0].values["age"].value == 61.0
    assert rows[1].known == ()


def test_the_manifest_tells_members_and_another_format_and_a_single_network_none(tmp_path: Path) -> None:
    build_bundle(tmp_path / "plain")
    states = state_of(MODEL), state_of(OTHER, 1)
    write_bundle(tmp_path / "members", **content_of(member_of(votes=3), member_of(OTHER), states=states))

    plain, raw = (json.loads((tmp_path / name / MANIFEST).read_bytes()) for name in ("plain", "members"))

    assert (plain["format"], raw["format"]) == (FORMAT, FORMAT_OF_MEMBERS)
    assert "members" not in plain
    assert [member["votes"] for member in raw["members"]] == [3, 1]
    assert read_bundle(tmp_path / "members").manifest.models == (MODEL, OTHER)
    card = (tmp_path / "members" / CARD).read_text()
    assert "The weighted mean of 2 networks, 32 px" in card
    assert "| trial 3 | hard_sharing | test_convnext | mean | 0.25 |" in card


def test_weights_of_another_number_of_members_are_refused() -> None:
    content = content_of(member_of(), member_of(), states=(state_of(MODEL),))
    bundle, _ = compose_bundle(**content)

    with pytest.raises(BundleError, match="weights should fit the bundle's own config"):
        load_network(bundle)


def test_a_member_that_needs_true_labels_is_not_published() -> None:
    oracle = MODEL.model_copy(update={"propagation": "oracle"})

    with pytest.raises(ConfigError, match="propagation should be"):
        compose_bundle(**content_of(member_of(), member_of(oracle), states=(state_of(MODEL), state_of(MODEL))))


def test_a_member_has_a_vote_or_more() -> None:
    with pytest.raises(ValidationError):
        member_of(votes=0)
    assert BundleManifest.model_fields["members"].default == ()
