"""A model that the authors' own code trained, as a bundle.

The released code (github.com/shko0215/SePL at commit b9c7ffd) saves a state dict: torchvision's ConvNeXt-T without its
classifier, and so without the norm in it; a linear head for each of six factors; for each of nine more a gate and a
head; four experts. Here the same numbers become the weights of `SeplNetwork` with `final_norm=False`, whose outputs are
the same. Scales are RobustScaler's centre and scale of each column; docs/import_release.md tells how to export them.

    F feature · P prior · T target · E expert · H hidden
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from sepl.bundle.format import BundleContent
from sepl.bundle.manifest import Intervals, Provenance
from sepl.config import ModelConfig, TrainingConfig, TrialConfig
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.errors import ConfigError
from sepl.models.backbone.torchvision_names import convnext_from_torchvision
from sepl.models.backbone.weights import read_tensors
from sepl.models.build import build_network
from sepl.settings import Settings
from sepl.storage import sha256_of
from sepl.tasks import CARDIOMETABOLIC_TASKS, SEPL_RELEASE_COLUMNS, TaskSplit, TaskTable

TASKS = TaskTable.of(CARDIOMETABOLIC_TASKS)
IMAGE = ImageSpec(size=224, clahe=True)
"""Closest to the released preprocessing; what differs is in docs/import_release.md."""

_STEMS = {  # of each task's gate and head, where it is not the task's own name
    "sex": "gender",
    "total_cholesterol": "tchol",
    "triglycerides": "tg",
}
_COLUMNS = {task: column for task, column in SEPL_RELEASE_COLUMNS.items() if task != "sex"}
"""Of the released code's label table, the keys of its scalers; sex is not scaled."""
_BACKBONE = "feature_extractor.cnn."
_FIRST_EXPERT = "experts.0.img_fc.weight"


Take = Callable[[str], Tensor]
"""Gives a tensor of the checkpoint by its name; KeyError where there is none."""


class Scale(Settings):
    """Of one column: RobustScaler's `center_` (the median) and `scale_` (the interquartile range)."""

    center: float = Field(allow_inf_nan=False)
    scale: float = Field(gt=0.0, allow_inf_nan=False)


def release_content(weights: Path, label_scales: Path, name: str) -> BundleContent:
    """What a bundle of that checkpoint holds; it was neither calibrated nor evaluated here.

    Raises ConfigError for a file that cannot be read as tensors alone, or is not of that model, and for scales that are
    not of its 14 columns.
    """
    state = read_tensors(str(weights))
    config = _config(state, str(weights))
    provenance = Provenance(
        study=name,
        dataset_uri="not known: trained by the released code",
        fingerprint=sha256_of(weights.read_bytes()),
        dataset_name="the training data of an imported checkpoint; the fingerprint is the checkpoint's SHA-256",
        seed=config.training.seed,
    )
    return BundleContent(
        config=config,
        tasks=TASKS,
        image=IMAGE,
        quality=QualityThresholds(),
        scaler=read_label_scales(label_scales),
        intervals=Intervals(),
        provenance=provenance,
        state=_convert(state, config.model, str(weights)),
        evaluation=None,
    )


def read_label_scales(path: Path) -> LabelScaler:
    """The scaler of a JSON file {column: {"center": …, "scale": …}}; columns by the released names or by ours."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path}: label scales should be a JSON file, were not ({problem})") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: label scales should be a JSON object, were {type(raw).__name__}")
    keys = {task: column if column in raw else task for task, column in _COLUMNS.items()}
    found = {task: raw[key] for task, key in keys.items() if key in raw}
    absent = [column for task, column in _COLUMNS.items() if task not in found]
    unknown = sorted(set(raw) - set(keys.values()))  # among them a column that is there by both of its names
    if absent or unknown:
        raise ConfigError(
            f"{path}: label scales should be of {', '.join(_COLUMNS.values())}; "
            f"absent: {', '.join(absent) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    scales = {task: Scale.parse(values, f"{path}: {_COLUMNS[task]}") for task, values in found.items()}
    identity = Scale(center=0.0, scale=1.0)  # sex is not scaled
    in_order = [scales.get(task.name, identity) for task in TASKS]
    return LabelScaler(medians=tuple(scale.center for scale in in_order), iqrs=tuple(scale.scale for scale in in_order))


def _config(state: Mapping[str, Tensor], where: str) -> TrialConfig:
    """The released defaults, with as many experts, as wide, as the checkpoint has."""
    if _FIRST_EXPERT not in state or state[_FIRST_EXPERT].ndim != 2:
        raise ConfigError(
            f"{where} should be a state dict saved by the released SePL code, has no matrix {_FIRST_EXPERT}"
        )
    num_experts = len({key.split(".")[1] for key in state if key.startswith("experts.")})
    hidden_width = len(state[_FIRST_EXPERT])
    model = ModelConfig.parse({"num_experts": num_experts, "hidden_width": hidden_width, "final_norm": False}, where)
    training = TrainingConfig(num_epochs=100, batch_size=64, learning_rate=1e-4, warmup_epochs=0.0, seed=7226)
    return TrialConfig(model=model, training=training)


def _convert(state: Mapping[str, Tensor], model: ModelConfig, where: str) -> dict[str, Tensor]:
    """Our names and shapes; every tensor of the checkpoint is used, and nothing else is."""
    network = build_network(model, TASKS, IMAGE.size, initialise=False)
    wanted = network.state_dict()
    used: set[str] = set()

    def take(key: str) -> Tensor:
        used.add(key)
        if not state[key].isfinite().all():
            raise ConfigError(f"{where} should hold numbers; not all of {key} are finite")
        return state[key].float()

    try:
        backbone = {key.removeprefix(_BACKBONE): take(key) for key in state if key.startswith(_BACKBONE)}
        converted = {f"backbone.{key}": tensor for key, tensor in convnext_from_torchvision(backbone).items()}
        converted |= {f"head.{key}": tensor for key, tensor in _head(take, model).items()}
    except KeyError as problem:
        raise ConfigError(f"{where} should hold {problem.args[0]}, does not") from None
    except RuntimeError as problem:  # layers that should be alike are not, and cannot be joined
        raise ConfigError(f"{where} should hold the released network: {problem}") from None
    unused = sorted(set(state) - used)
    misfits = sorted(
        {*wanted.keys() ^ converted.keys()}
        | {key for key in wanted.keys() & converted.keys() if wanted[key].shape != converted[key].shape}
    )
    if unused or misfits:
        shown = [*unused, *misfits][:4]
        raise ConfigError(f"{where} should hold the released network and nothing else; in question: {', '.join(shown)}")
    return converted


def _head(take: Take, model: ModelConfig) -> dict[str, Tensor]:
    split = TaskSplit.parse(model.task_split, TASKS)
    stems = {name: _STEMS.get(name, name) for name in TASKS.names}
    targets = [stems[name] for name in split.targets]
    experts = [f"experts.{index}" for index in range(model.num_experts)]
    return {
        **_stacked(take, "prior_heads", [f"{stems[name]}_head" for name in split.priors]),
        **_stacked(take, "gates", [f"gating_{stem}.fc" for stem in targets]),
        **_stacked(take, "target_heads", [f"{stem}_head" for stem in targets]),
        **_side_by_side(take, "experts.image", [f"{expert}.img_fc" for expert in experts]),
        **_stacked(take, "experts.attention", [f"{expert}.anthro_attn.fc" for expert in experts]),
        **_side_by_side(take, "experts.prior", [f"{expert}.anthro_fc" for expert in experts]),
        **_side_by_side(take, "experts.out", [f"{expert}.out_fc" for expert in experts]),
    }


def _stacked(take: Take, name: str, layers: list[str]) -> dict[str, Tensor]:
    """Linear layers of the same inputs as one."""
    return {f"{name}.{part}": torch.cat([take(f"{layer}.{part}") for layer in layers]) for part in ("weight", "bias")}


def _side_by_side(take: Take, name: str, layers: list[str]) -> dict[str, Tensor]:
    """Linear layers as one `BatchedLinear`: weights (E, in, out), biases (E, 1, out)."""
    return {
        f"{name}.weight": torch.stack([take(f"{layer}.weight").T for layer in layers]),
        f"{name}.bias": torch.stack([take(f"{layer}.bias")[None] for layer in layers]),
    }
