"""What a bundle says about itself: `bundle.json`, written last, with the SHA-256 of every other file.

The bundle's id ends with a hash of the manifest's own content, so that an id names one content of all files.
"""

import json
import operator
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from sepl.bundle.conditioning import Conditioning
from sepl.config import ModelConfig, TrialConfig
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.imaging.photograph import ImageSpec, Normalisation
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.rules import RuleTexts, check_rules
from sepl.errors import BundleError
from sepl.settings import Settings
from sepl.storage import sha256_of
from sepl.tasks import TaskTable

FORMAT = 3
FORMAT_OF_MEMBERS = 4
"""Of a bundle of several members, which earlier versions could not score; a single network's is still 3."""
FORMATS_READ = (1, 2, 3, 4)
"""Format 1 had no limits of quality, format 2 no conditioning."""
MANIFEST = "bundle.json"
WEIGHTS = "weights.safetensors"
EVALUATION = "evaluation.json"
CARD = "model_card.md"

BundleFile = Literal["weights.safetensors", "evaluation.json", "model_card.md"]
"""The files that a manifest may list; a name that leads elsewhere is refused."""

HalfWidth = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Threshold = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Temperature = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


def utc_now() -> datetime:
    """Now, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


class Intervals(Settings):
    """What turns network outputs into calibrated values."""

    confidence: float = Field(default=0.9, gt=0.0, lt=1.0)
    half_widths: dict[str, HalfWidth | None] = Field(default_factory=dict)
    """By regression task, in its unit; None when the calibration patients were too few for this confidence."""
    temperatures: dict[str, Temperature] = Field(default_factory=dict)
    """By binary task: the probability is sigmoid(logit / temperature). By graded task: as `sepl.levels` has it."""
    set_thresholds: dict[str, Threshold | None] = Field(default_factory=dict)
    """By graded task: a level of at most this score is in the set of levels; None when the calibration patients were
    too few for this confidence."""


class Provenance(Settings):
    """Where a model comes from."""

    study: str
    dataset_uri: str
    fingerprint: str
    """Of the prepared dataset."""
    dataset_name: str = ""
    num_patients: dict[str, int] = Field(default_factory=dict)
    """Of that dataset, by cohort split."""
    trial: str = ""
    """Name of the trial whose setting was refitted."""
    num_trials: int = Field(default=0, ge=0)
    """Settings that the study tried before this one was chosen."""
    earlier_test_readings: int = Field(default=0, ge=0)
    """How often the study had read its sealed test patients before it tested this model; should be 0."""
    sealed_readings: int = Field(default=0, ge=0, exclude_if=operator.not_)
    """How often these patients had been read when this model was published, by all studies of the registry, this
    reading among them; 0: nobody counted."""
    sealed_studies: int = Field(default=0, ge=0, exclude_if=operator.not_)
    """By how many studies."""
    seed: int = 0
    best_epoch: int = Field(default=0, ge=0)
    created: AwareDatetime = Field(default_factory=utc_now)
    sepl_version: str = Field(default_factory=lambda: version("sepl"))


class Member(Settings):
    """One network of an ensemble (`sepl.models.ensemble`)."""

    model: ModelConfig
    mean: tuple[float, float, float]
    """Of red, green, blue: how its pixels are normalised, as `ImageSpec` has it."""
    std: tuple[float, float, float]
    votes: int = Field(ge=1)
    """Its weight is this share of all members' votes."""
    trial: str = ""
    """Whose weights these are."""

    @property
    def normalisation(self) -> Normalisation:
        return Normalisation(self.mean, self.std)


class BundleManifest(Settings):
    """The content of `bundle.json`."""

    format: int = FORMAT
    bundle_id: str
    config: TrialConfig
    tasks: TaskTable
    image: ImageSpec
    quality: QualityThresholds | None = None
    """The limits that the photographs of its dataset passed; what is beyond them is not scored. None where the dataset,
    or the bundle's format, kept none: the default ones apply."""
    scaler: LabelScaler
    intervals: Intervals
    conditioning: Conditioning | None = None
    """What known values of a patient do to the others; None: the bundle takes none."""
    rules: RuleTexts = Field(default_factory=dict, exclude_if=operator.not_)
    """By task that values of others decide, its rule."""
    members: tuple[Member, ...] = Field(default=(), exclude_if=operator.not_)
    """Of an ensemble; then `config` is that of the first, and `image` tells pixels as that one has them."""
    provenance: Provenance
    files: dict[BundleFile, str]
    """SHA-256 by file name."""

    @model_validator(mode="after")
    def _parts_fit_the_tasks(self) -> Self:
        num_scales = len(self.scaler.medians)
        if num_scales != len(self.tasks):
            raise ValueError(f"scaler should have a scale for each of {len(self.tasks)} tasks, had {num_scales}")
        intervals = self.intervals
        unknown = {*intervals.half_widths, *intervals.temperatures, *intervals.set_thresholds} - set(self.tasks.names)
        if unknown:
            raise ValueError(
                f"intervals should be of the tasks {', '.join(self.tasks.names)}, had {', '.join(sorted(unknown))}"
            )
        numbers = sorted(name for name in intervals.set_thresholds if not self.tasks[name].is_graded)
        if numbers:
            raise ValueError(f"set_thresholds should be of ordinal and categorical tasks, had {', '.join(numbers)}")
        if self.conditioning is not None:
            self.conditioning.check_of(self.tasks)
        check_rules(self.rules, self.tasks)
        return self

    @property
    def models(self) -> tuple[ModelConfig, ...]:
        """Of the network, or of every member."""
        return tuple(member.model for member in self.members) or (self.config.model,)

    @property
    def quality_limits(self) -> QualityThresholds:
        """The limits that apply: its own, or the default ones."""
        return QualityThresholds() if self.quality is None else self.quality

    def to_json(self) -> bytes:
        return (json.dumps(self.content(), indent=2, sort_keys=True) + "\n").encode()

    def content(self) -> dict[str, Any]:
        """As JSON has it; without thresholds of sets where no task is graded, as it was before there were any."""
        content = self.model_dump(mode="json")
        if not self.intervals.set_thresholds:
            del content["intervals"]["set_thresholds"]
        return content


def with_id(content: Mapping[str, Any]) -> BundleManifest:
    """The manifest of a content that has no id yet; its id is the study's name and 12 digits of the content's hash."""
    number = FORMAT_OF_MEMBERS if content.get("members") else FORMAT
    draft = BundleManifest.model_validate({**content, "format": number, "bundle_id": ""})
    return draft.model_copy(update={"bundle_id": _make_id(draft, draft.content())})


def parse_manifest(data: bytes, where: str) -> BundleManifest:
    """A checked manifest.

    Raises:
        BundleError: `where` is not JSON, of a format that this version does not read, has unknown or missing keys, or
            its id does not belong to its content.
    """
    raw = _parse_object(data, where)
    if raw.get("format") not in FORMATS_READ:
        known = f"{', '.join(map(str, FORMATS_READ[:-1]))} or {FORMATS_READ[-1]}"
        raise BundleError(
            f"{where}: format should be {known}, was {raw.get('format')!r}; read it with the sepl that wrote it"
        )
    manifest = BundleManifest.parse_json(data, where, BundleError)
    expected = _make_id(manifest, raw)
    if manifest.bundle_id != expected:
        raise BundleError(f"{where}: was changed after publication: id should be {expected}, was {manifest.bundle_id}")
    return manifest


def _parse_object(data: bytes, where: str) -> dict[str, Any]:
    try:
        raw = json.loads(data)
    except ValueError as problem:
        raise BundleError(f"{where}: should be JSON, was not ({problem})") from None
    if not isinstance(raw, dict):
        raise BundleError(f"{where}: should be a JSON object, was {type(raw).__name__}")
    return raw


def _make_id(manifest: BundleManifest, raw: Mapping[str, Any]) -> str:
    """Hashes the JSON as it stands in the file, so that a default added by a later version does not change the id."""
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", manifest.provenance.study).strip("-.") or "model"
    content = {key: value for key, value in raw.items() if key != "bundle_id"}
    return f"{name}-{sha256_of(json.dumps(content, sort_keys=True, separators=(',', ':')).encode())[:12]}"
