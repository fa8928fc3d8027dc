"""The probe itself: features, regressions and heads of every backbone of a search space, kept as they are done.

Loads torch and no Ray of its own; a driver runs it in a Ray task. What a kill interrupts goes on with the same call:
features that are whole are used again, backbones that were done are not done again.
"""

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import safetensors.torch
from torch import Tensor

from sepl.config import ModelConfig, TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError
from sepl.models.backbone.depth import count_stages
from sepl.storage import Location
from sepl.tasks import TaskTable
from sepl.training.probe.data import ProbeData, leading_directions
from sepl.training.probe.frozen import FrozenBackbone
from sepl.training.probe.heads import HeadResult, train_heads
from sepl.training.probe.store import FeatureStore
from sepl.training.probe.widen import widen
from sepl.tuning.probe.record import (
    HEADS,
    BestHead,
    ProbedBackbone,
    ProbedHead,
    ProbeRecord,
    read_probe,
    write_probe,
)
from sepl.tuning.probe.sampling import SampledHead, head_config
from sepl.tuning.record.record import StudyFolder

Tell = Callable[[str], object]

NUM_DIRECTIONS = 128
"""Of features, that heads are ranked on: a tenth of the work of 1,280 features, and as good a ranking."""
_NUM_FINALISTS = 4
"""Of the heads, trained on all features too, for one of them to be published."""


@dataclass(frozen=True)
class ProbeOptions:
    """How much is probed."""

    num_heads: int = 64
    cache_gb: float = 4.0
    num_views: int = 1
    strength: float = 1.0


def run_probe(
    storage: str,
    study: str,
    heads: Sequence[SampledHead],
    sources: Sequence[tuple[str, str, bool]],
    options: ProbeOptions,
    tell: Tell = print,
) -> ProbeRecord:
    """Tries the heads on every backbone that the study's record has not; `sources` are backbone, weights, final norm.

    A backbone that cannot be built, or whose weights cannot be had, is told of and left out, as it costs its trials and
    no other. Raises DatasetError when the dataset is not what it was, StorageError when there is no room for features.
    """
    folder = StudyFolder.at(storage, study)
    own = folder.read()
    dataset = PreparedDataset.open(own.dataset, fingerprint=own.fingerprint)
    record = read_probe(folder) or ProbeRecord(
        fingerprint=own.fingerprint,
        num_heads=options.num_heads,
        num_views=options.num_views,
        strength=options.strength,
        seed=own.seed,
    )
    record = record.model_copy(update={"cache_gb": options.cache_gb})
    for source in sources:
        if record.of(source) is not None:
            continue
        try:
            frozen = frozen_backbone(folder, dataset, source, record)
            found = _probe(folder, frozen, source, heads, record, tell)
        except ConfigError as problem:
            tell(f"probe: {source[0]} is left out: {problem}")
            continue
        record = record.with_backbone(found)
        write_probe(folder, record)
    return record


def frozen_backbone(
    folder: StudyFolder,
    dataset: PreparedDataset,
    source: tuple[str, str, bool],
    record: ProbeRecord,
) -> FrozenBackbone:
    """A backbone of the study, with the features of its storage."""
    backbone, weights, final_norm = source
    model = ModelConfig(backbone=backbone, weights=weights, final_norm=final_norm)
    store = FeatureStore.of(_storage_of(folder), record.cache_gb)
    return FrozenBackbone(model, dataset, store, record.num_views, record.strength)


def _storage_of(folder: StudyFolder) -> Location:
    place, name = folder.registry, "/registry"
    address, question, query = place.uri.partition("?")
    return Location(place.filesystem, place.path.removesuffix(name), f"{address.removesuffix(name)}{question}{query}")


def _probe(
    folder: StudyFolder,
    frozen: FrozenBackbone,
    source: tuple[str, str, bool],
    sampled: Sequence[SampledHead],
    record: ProbeRecord,
    tell: Tell,
) -> ProbedBackbone:
    name, begun = source[0], time.perf_counter()
    tell(f"probe: features of {name}")
    data = frozen.data()
    seconds_of_features = time.perf_counter() - begun
    closed_form = frozen.closed_form_skills()
    heads = [head.on(source) for head in sampled]
    begun = time.perf_counter()
    basis_FD = leading_directions(data.views[0], NUM_DIRECTIONS)
    narrow = data if basis_FD is None else data.along(basis_FD)
    configs = [head_config(head.config, strength=record.strength) for head in heads]
    results = train_heads(configs, narrow, seed=record.seed)
    ranked = sorted(zip(heads, results, strict=True), key=lambda pair: _rank(pair[1]))
    best, directions = _best(data, narrow, [result for _, result in ranked], record.seed)
    found = ProbedBackbone(
        backbone=source[0],
        weights=source[1],
        final_norm=source[2],
        weights_sha256=frozen.encoder.weights_sha256,
        image_size=frozen.dataset.image_spec.size,
        num_photographs=len(data.targets_NT) + len(data.judged_NF),
        seconds_of_features=seconds_of_features,
        seconds_of_heads=time.perf_counter() - begun,
        closed_form=_mean(list(closed_form.values())),
        closed_form_skills=closed_form,
        heads=tuple(_probed(head, result) for head, result in ranked),
        best=None if best is None else _keep(folder, frozen, best, directions, data),
    )
    tell(_line(found))
    return found


def _rank(result: HeadResult) -> tuple[bool, float]:
    return math.isnan(result.skill), -result.skill


def _best(
    data: ProbeData, narrow: ProbeData, results: Sequence[HeadResult], seed: int
) -> tuple[HeadResult | None, int | None]:
    """The best of all and, on all features, of the first few; with the number of directions that it was trained on."""
    able = [result for result in results if not math.isnan(result.skill)]
    if not able:
        return None, None
    if narrow is data:
        return able[0], None
    wide = sorted(train_heads([result.config for result in able[:_NUM_FINALISTS]], data, seed=seed), key=_rank)
    if wide[0].skill >= able[0].skill:
        return wide[0], None
    return able[0], narrow.num_features


def _keep(
    folder: StudyFolder, frozen: FrozenBackbone, best: HeadResult, directions: int | None, data: ProbeData
) -> BestHead | None:
    """Writes the head's weights; None where the backbone cannot be frozen as a whole."""
    try:
        num_stages = count_stages(frozen.encoder.backbone)
    except ConfigError:
        return None
    config = best.config.with_params(frozen_stages=num_stages)
    state = best.state
    if directions is not None:
        state = _on_all_features(state, data, directions, config, frozen.dataset.tasks)
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", config.model.backbone)
    file = f"{HEADS}/{name}-{frozen.encoder.weights_sha256[:12]}.safetensors"
    (folder.location / HEADS / file.rpartition("/")[2]).write_bytes(safetensors.torch.save(state))
    return BestHead(
        config=config.to_params(),
        skill=best.skill,
        skills=best.skills,
        best_epoch=best.best_epoch,
        directions=directions,
        file=file,
    )


def _on_all_features(
    state: dict[str, Tensor], data: ProbeData, directions: int, config: TrialConfig, tasks: TaskTable
) -> dict[str, Tensor]:
    basis_FD = leading_directions(data.views[0], directions)
    assert basis_FD is not None, "it was trained on fewer directions than features"
    return widen(state, basis_FD, config.model, tasks)


def _probed(head: SampledHead, result: HeadResult) -> ProbedHead:
    return ProbedHead(
        params=head.params,
        config=result.config.to_params(),
        skill=None if math.isnan(result.skill) else result.skill,
        best_epoch=result.best_epoch,
    )


def _line(found: ProbedBackbone) -> str:
    best = "none of them with a skill" if found.best is None else f"the best {found.best.skill:.3f}"
    closed = "–" if found.closed_form is None else f"{found.closed_form:.3f}"
    return (
        f"probe: {found.backbone}, {len(found.heads)} heads in {found.seconds_of_heads:.0f} s, {best}; "
        f"regressions on the same features {closed}"
    )


def _mean(skills: Sequence[float]) -> float | None:
    return sum(skills) / len(skills) if skills else None
