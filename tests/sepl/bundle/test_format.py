"""Laws of a bundle: what is read is what was written, and anything else is refused by the file's name."""

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles import TASKS, build_bundle, bundle_content, planted_evaluation

from sepl.bundle.conditioning import Conditioning, KnownPattern
from sepl.bundle.format import Intervals, read_bundle, write_bundle
from sepl.bundle.manifest import CARD, EVALUATION, MANIFEST, WEIGHTS
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.quality import Limits, QualityThresholds
from sepl.errors import BundleError, StorageError
from sepl.models.build import build_network

FILES = (WEIGHTS, CARD, MANIFEST)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = build_bundle(tmp_path / "bundle")

    read = read_bundle(tmp_path / "bundle")

    assert read.manifest == written.manifest
    assert read.evaluation == written.evaluation
    assert read.state.keys() == written.state.keys()
    assert all(torch.equal(read.state[name], written.state[name]) for name in read.state)


def test_an_evaluation_is_kept_checked_and_told_in_the_card(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels_PT = np.column_stack([rng.random(60) < 0.5, rng.normal([50, 120, 6], [10, 20, 1], (60, 3))]).astype(float)
    evaluation = planted_evaluation(labels_PT + rng.normal(0, 1, (60, 4)), labels_PT)
    build_bundle(tmp_path / "bundle", evaluation=evaluation)

    assert read_bundle(tmp_path / "bundle").evaluation == evaluation
    assert str(evaluation["sbp"].skill) in (tmp_path / "bundle" / CARD).read_text()
    (tmp_path / "bundle" / EVALUATION).unlink()
    with pytest.raises(BundleError, match=EVALUATION):
        read_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    "change",
    [
        {"scaler": LabelScaler(medians=(0.0,), iqrs=(1.0,))},
        {"intervals": Intervals(half_widths={"waist": 3.0})},
    ],
    ids=["scaler", "intervals"],
)
def test_parts_that_do_not_fit_the_tasks_are_refused(tmp_path: Path, change: dict) -> None:
    with pytest.raises(ValueError, match="should"):
        build_bundle(tmp_path / "bundle", **change)


def test_a_bundle_holds_the_named_files_and_nothing_else(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")

    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == sorted(FILES)


def test_a_bundles_state_fits_the_network_of_its_own_config(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")

    bundle = read_bundle(tmp_path / "bundle")

    manifest = bundle.manifest
    network = build_network(manifest.config.model, manifest.tasks, manifest.image.size, initialise=False)
    fit = network.load_state_dict(bundle.state, strict=False)

    assert (fit.missing_keys, fit.unexpected_keys) == ([], [])


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_a_file_with_one_changed_bit_is_refused_by_name(tmp_path: Path, name: str) -> None:
    build_bundle(tmp_path / "bundle")
    path = tmp_path / "bundle" / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(BundleError, match=f"{name}: SHA-256 should be"):
        read_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_refused_by_name(tmp_path: Path, name: str) -> None:
    build_bundle(tmp_path / "bundle")
    path = tmp_path / "bundle" / name
    os.truncate(path, path.stat().st_size // 2)

    with pytest.raises(BundleError, match=name):
        read_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("name", FILES)
def test_an_absent_file_is_named(tmp_path: Path, name: str) -> None:
    build_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / name).unlink()

    with pytest.raises(BundleError, match=f"{name}: a bundle should have this file"):
        read_bundle(tmp_path / "bundle")


def test_a_changed_value_of_the_manifest_is_refused(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")
    _edit(tmp_path / "bundle", lambda raw: raw["intervals"]["half_widths"].update(age=0.1))

    with pytest.raises(BundleError, match="changed after publication"):
        read_bundle(tmp_path / "bundle")


def test_weights_swapped_together_with_their_sha256_are_refused_by_the_id(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle", seed=0)
    other = build_bundle(tmp_path / "other", seed=1)
    (tmp_path / "bundle" / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    _edit(tmp_path / "bundle", lambda raw: raw["files"].update({WEIGHTS: other.manifest.files[WEIGHTS]}))

    with pytest.raises(BundleError, match="changed after publication"):
        read_bundle(tmp_path / "bundle")


def test_a_changed_name_in_the_id_is_refused(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")
    _edit(tmp_path / "bundle", lambda raw: raw.update(bundle_id=f"better-{raw['bundle_id'].rpartition('-')[2]}"))

    with pytest.raises(BundleError, match="changed after publication"):
        read_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("number", [0, 5, "1", None])
def test_another_format_is_refused_before_its_keys_are_looked_at(tmp_path: Path, number: object) -> None:
    build_bundle(tmp_path / "bundle")
    _edit(tmp_path / "bundle", lambda raw: raw.update(format=number, from_the_future={}))

    with pytest.raises(BundleError, match="format should be 1, 2, 3 or 4, was"):
        read_bundle(tmp_path / "bundle")


def test_a_bundle_of_the_first_format_is_read_and_has_no_limits_of_quality(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")
    old = _as_first_format(tmp_path / "bundle")

    read = read_bundle(tmp_path / "bundle")

    assert read.bundle_id == old
    assert (read.manifest.format, read.manifest.quality) == (1, None)
    assert read.manifest.quality_limits == QualityThresholds()


def test_limits_of_quality_are_read_as_they_were_written_and_told_in_the_card(tmp_path: Path) -> None:
    limits = QualityThresholds(sharpness=Limits(low=1.25), colour=Limits())
    build_bundle(tmp_path / "own", quality=limits)
    build_bundle(tmp_path / "none", quality=None)

    own, none = ((tmp_path / name / CARD).read_text() for name in ("own", "none"))

    assert read_bundle(tmp_path / "own").manifest.quality == limits
    assert "| sharpness | at least 1.25 |" in own
    assert "| colour | none |" in own
    assert "default" not in own
    assert "the default limits" in none


@pytest.mark.parametrize("name", ["../outside.safetensors", "extra.pkl", "/etc/passwd"])
def test_a_manifest_cannot_lead_to_other_files(tmp_path: Path, name: str) -> None:
    build_bundle(tmp_path / "bundle")
    _edit(tmp_path / "bundle", lambda raw: raw["files"].update({name: "0" * 64}))

    with pytest.raises(BundleError, match="files"):
        read_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '"bundle"', "null"])
def test_a_manifest_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    build_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / MANIFEST).write_text(text)

    with pytest.raises(BundleError, match=MANIFEST):
        read_bundle(tmp_path / "bundle")


def test_pickled_weights_are_never_unpickled(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    poisoned = pickle.dumps(_Trap(str(trap)))
    content = bundle_content()
    build_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / WEIGHTS).write_bytes(poisoned)
    _republish(tmp_path / "bundle", content, poisoned)

    with pytest.raises(BundleError, match="should be safetensors"):
        read_bundle(tmp_path / "bundle")
    assert not trap.exists()


def test_a_published_bundle_is_never_overwritten(tmp_path: Path) -> None:
    first = build_bundle(tmp_path / "bundle", seed=0)

    with pytest.raises(StorageError, match="already holds"):
        build_bundle(tmp_path / "bundle", seed=1)
    assert read_bundle(tmp_path / "bundle").bundle_id == first.bundle_id


def test_another_content_has_another_id(tmp_path: Path) -> None:
    same = bundle_content()
    first = write_bundle(tmp_path / "first", **same)
    second = write_bundle(tmp_path / "second", **same)
    wider = write_bundle(tmp_path / "wider", **{**same, "intervals": Intervals(half_widths={"age": 9.0})})

    assert first.bundle_id == second.bundle_id
    assert first.bundle_id != wider.bundle_id


def test_the_id_begins_with_the_studys_name_in_plain_letters(tmp_path: Path) -> None:
    content = bundle_content()
    named = content["provenance"].model_copy(update={"study": "../Klinik Süd/2"})

    bundle = write_bundle(tmp_path / "bundle", **{**content, "provenance": named})

    assert bundle.bundle_id.rpartition("-")[0] == "Klinik-S-d-2"


def test_tied_and_strided_tensors_are_written_whole(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    state = {"one": shared, "two": shared, "three": shared.t()}

    write_bundle(tmp_path / "bundle", **bundle_content(state=state))

    read = read_bundle(tmp_path / "bundle").state
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


def test_the_card_tells_tasks_units_and_limits(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")

    card = (tmp_path / "bundle" / CARD).read_text()

    assert "Not a medical device" in card
    assert "± 5 mmHg" in card
    assert "f" * 64 in card
    assert all(task.label in card for task in TASKS)


class _Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def _edit(folder: Path, change) -> None:
    raw = json.loads((folder / MANIFEST).read_text())
    change(raw)
    (folder / MANIFEST).write_text(json.dumps(raw))


def test_a_bundle_of_the_second_format_is_read_and_takes_no_known_values(tmp_path: Path) -> None:
    build_bundle(tmp_path / "bundle")
    raw = json.loads((tmp_path / "bundle" / MANIFEST).read_text())
    del raw["conditioning"]
    _rewrite(tmp_path / "bundle", {**raw, "format": 2})

    assert read_bundle(tmp_path / "bundle").manifest.conditioning is None


def test_conditioning_is_read_as_it_was_written(tmp_path: Path) -> None:
    pattern = KnownPattern(known=("age",), guarded=("sex",), quantiles={"sbp": 1.7, "hba1c": None}, num_patients=40)
    conditioning = Conditioning(
        means=(0.0, 0.1, 0.2, -0.3),
        covariance=tuple(tuple(row) for row in (0.3 * np.eye(4)).tolist()),
        num_patients=40,
        binary_scale="logit",
        patterns=(pattern,),
    )

    build_bundle(tmp_path / "bundle", conditioning=conditioning)

    assert read_bundle(tmp_path / "bundle").manifest.conditioning == conditioning


@pytest.mark.parametrize(
    "conditioning",
    [
        Conditioning(means=(0.0,), covariance=((1.0,),), num_patients=40),
        Conditioning(
            means=(0.0,) * 4,
            covariance=((0.0,) * 4,) * 4,
            num_patients=40,
            patterns=(KnownPattern(known=("shoe_size",)),),
        ),
    ],
)
def test_conditioning_of_other_tasks_is_refused(tmp_path: Path, conditioning: Conditioning) -> None:
    with pytest.raises(ValueError, match="conditioning should be of"):
        build_bundle(tmp_path / "bundle", conditioning=conditioning)


def _as_first_format(folder: Path) -> str:
    """Rewrites the manifest as the first format had it; its id."""
    raw = json.loads((folder / MANIFEST).read_text())
    del raw["quality"], raw["conditioning"], raw["bundle_id"]
    return _rewrite(folder, {**raw, "format": 1})


def _rewrite(folder: Path, raw: dict[str, Any]) -> str:
    """Publishes the content under an id of its own; that id."""
    raw.pop("bundle_id", None)
    content = json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()
    raw["bundle_id"] = f"{raw['provenance']['study']}-{hashlib.sha256(content).hexdigest()[:12]}"
    (folder / MANIFEST).write_text(json.dumps(raw))
    return raw["bundle_id"]


def _republish(folder: Path, content, weights: bytes) -> None:
    """A manifest that is right about the poisoned weights, as an attacker with write access would make it."""
    from sepl.bundle.manifest import with_id
    from sepl.storage import sha256_of

    card = (folder / CARD).read_bytes()
    facts = {name: value for name, value in content.items() if name not in ("state", "evaluation")}
    manifest = with_id({**facts, "files": {WEIGHTS: sha256_of(weights), CARD: sha256_of(card)}})
    (folder / MANIFEST).write_bytes(manifest.to_json())
