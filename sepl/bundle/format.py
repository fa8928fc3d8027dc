"""A bundle: a folder with everything needed to score, written whole or not at all and checked before use.

    weights.safetensors   the network's state
    evaluation.json       how good it is on the sealed patients, when that was measured
    model_card.md         the same for people
    bundle.json           the manifest, written last

Nothing is unpickled: weights are safetensors, the rest is JSON and text.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from sepl.bundle.card import model_card
from sepl.bundle.conditioning import Conditioning
from sepl.bundle.manifest import (
    CARD,
    EVALUATION,
    MANIFEST,
    WEIGHTS,
    BundleManifest,
    Intervals,
    Member,
    Provenance,
    parse_manifest,
    with_id,
)
from sepl.config import TrialConfig
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.errors import BundleError, StorageError
from sepl.metrics import Evaluation
from sepl.storage import Location, publish_folder, resolve, sha256_of
from sepl.tasks import TaskTable

__all__ = [
    "BundleContent",
    "BundleManifest",
    "Intervals",
    "ModelBundle",
    "Provenance",
    "compose_bundle",
    "publish_bundle",
    "read_bundle",
    "read_manifest",
    "verify_bundle",
    "write_bundle",
]


class BundleContent(TypedDict):
    """What is published; the arguments of `write_bundle` and `Registry.add`."""

    config: TrialConfig
    tasks: TaskTable
    image: ImageSpec
    quality: QualityThresholds | None
    scaler: LabelScaler
    intervals: Intervals
    conditioning: NotRequired[Conditioning | None]
    rules: NotRequired[Mapping[str, str]]
    members: NotRequired[tuple[Member, ...]]
    provenance: Provenance
    state: Mapping[str, Tensor]
    evaluation: Evaluation | None


@dataclass(frozen=True)
class ModelBundle:
    """A checked bundle in memory; `state` is on the CPU."""

    manifest: BundleManifest
    state: dict[str, Tensor]
    evaluation: Evaluation | None

    @property
    def bundle_id(self) -> str:
        return self.manifest.bundle_id


def write_bundle(target_uri: str | Path, **content: Unpack[BundleContent]) -> ModelBundle:
    """Publishes a bundle at exactly `target_uri` (`Registry.add` publishes below a registry, by id).

    Raises:
        StorageError: a bundle is there already, or the place cannot be written.
    """
    bundle, files = compose_bundle(**content)
    publish_bundle(bundle, files, resolve(target_uri))
    return bundle


def compose_bundle(**content: Unpack[BundleContent]) -> tuple[ModelBundle, dict[str, bytes]]:
    """The bundle and the bytes of its files, manifest included.

    Raises ConfigError for a network that is told true labels (propagation 'oracle' or 'shuffled'): it has nothing to
    say of a photograph alone.
    """
    for model in (content["config"].model, *(member.model for member in content.get("members", ()))):
        model.check_publishable()
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in content["state"].items()}
    evaluation = content["evaluation"]
    facts = {name: value for name, value in content.items() if name not in ("state", "evaluation")}
    files = {WEIGHTS: safetensors.torch.save(state)}
    if evaluation is not None:
        files[EVALUATION] = (evaluation.model_dump_json(indent=2) + "\n").encode()
    files[CARD] = model_card(
        config=content["config"],
        tasks=content["tasks"],
        image=content["image"],
        quality=content["quality"],
        intervals=content["intervals"],
        conditioning=content.get("conditioning"),
        provenance=content["provenance"],
        evaluation=evaluation,
        members=content.get("members", ()),
    ).encode()
    manifest = with_id({**facts, "files": {name: sha256_of(data) for name, data in files.items()}})
    files[MANIFEST] = manifest.to_json()
    return ModelBundle(manifest, state, evaluation), files


def publish_bundle(bundle: ModelBundle, files: Mapping[str, bytes], target: Location) -> None:
    """Writes the files below `target`, the manifest last; StorageError when a bundle is there already."""
    with tempfile.TemporaryDirectory(prefix=f"{bundle.bundle_id}-") as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        publish_folder(Path(folder), target, last=MANIFEST)


def read_bundle(uri: str | Path) -> ModelBundle:
    """A bundle whose every file is what was published.

    Raises:
        BundleError: a file is absent, was changed or cut short, or the format is another one; names the file.
        StorageError: the URI cannot be resolved or reached.
    """
    source = resolve(uri)
    manifest, files = verify_bundle(source)
    try:
        state = safetensors.torch.load(files[WEIGHTS])
    except SafetensorError as problem:
        raise BundleError(f"{(source / WEIGHTS).uri}: should be safetensors, was not ({problem})") from None
    evaluation = files.get(EVALUATION)
    return ModelBundle(
        manifest,
        state,
        None if evaluation is None else Evaluation.parse_json(evaluation, (source / EVALUATION).uri, BundleError),
    )


def read_manifest(source: Location) -> BundleManifest:
    """The checked manifest of the bundle at a place; BundleError when there is none."""
    return parse_manifest(_read(source / MANIFEST), (source / MANIFEST).uri)


def verify_bundle(source: Location) -> tuple[BundleManifest, dict[str, bytes]]:
    """The manifest and the bytes of every file it lists, each compared with its SHA-256; BundleError names the file."""
    manifest = read_manifest(source)
    missing = sorted({WEIGHTS, CARD} - set(manifest.files))
    if missing:
        raise BundleError(f"{(source / MANIFEST).uri}: files should name {', '.join(missing)}, did not")
    files = {}
    for name, expected in manifest.files.items():
        files[name] = _read(source / name)
        found = sha256_of(files[name])
        if found != expected:
            raise BundleError(
                f"{(source / name).uri}: SHA-256 should be {expected}, was {found}; the file was changed or cut short"
            )
    return manifest, files


def _read(location: Location) -> bytes:
    try:
        return location.read_bytes()
    except StorageError as problem:
        if location.exists():
            raise
        raise BundleError(f"{location.uri}: a bundle should have this file, it is absent") from problem
