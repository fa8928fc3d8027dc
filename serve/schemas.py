"""What the server takes and gives, as JSON. Every number stands beside its unit."""

from pydantic import Field

from sepl.bundle.format import BundleManifest, Intervals, ModelBundle, Provenance
from sepl.bundle.manifest import Member
from sepl.config import DeviceName, TrialConfig
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.metrics import Evaluation
from sepl.scoring.rows import Prediction, Score, Status
from sepl.settings import Settings
from sepl.tasks import Task, TaskKind, TaskRole, TaskSplit

MAX_FILES = 64
MEGABYTE = 1_000_000


class ServeSettings(Settings):
    """`serve run serve.app:build_app bundle=URI [name=value …]`."""

    bundle: str
    """A bundle's folder, or REGISTRY#ALIAS; what an alias names is decided when the application is built."""
    device: DeviceName = "auto"
    num_replicas: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=1.0, ge=0.0)
    """Of each replica."""
    num_gpus: float | None = Field(default=None, ge=0.0)
    """Of each replica; None: one when the cluster (before Ray is connected: this machine) has a GPU."""
    max_batch_size: int = Field(default=32, ge=1)
    """Photographs in one pass through the network, gathered over requests; as many patients are gathered at most, and
    take several passes where they have more photographs."""
    batch_wait_ms: float = Field(default=5.0, ge=0.0)
    """How long a photograph, or a patient's photographs, wait for others."""
    max_file_mb: float = Field(default=32.0, gt=0.0)
    """Largest photograph, in megabytes (10⁶ bytes)."""
    max_request_mb: float = Field(default=128.0, gt=0.0)
    """Largest request, in megabytes."""


class PredictionReply(Settings):
    """One task of one photograph."""

    value: float
    """In `unit`; a probability for a binary task."""
    low: float | None
    """Lower end of the prediction interval; null for a binary task and for one that is not calibrated."""
    high: float | None
    unit: str


class LevelReply(Settings):
    """An ordinal or categorical task of one photograph."""

    level: str
    """The median grade of an ordinal task, the likeliest class of a categorical one."""
    level_set: list[str] | None
    """Levels that hold the truth with the model's confidence; null where the task is not calibrated."""
    probabilities: dict[str, float]
    """By level."""


class ScoreReply(Settings):
    """One photograph, in the order of the request."""

    image: str
    """The file's name as sent."""
    patient: str | None
    """As sent, without the spaces around it; null: judged alone."""
    status: Status
    reason: str | None
    """Why it was rejected or failed."""
    num_photographs: int
    """How many photographs of the patient, in this request, the values rest on; 0 unless the status is ok."""
    known: list[str]
    """Tasks whose value was given, or follows from what was."""
    given_ignored: str | None
    """Which given values were not believed, and why."""
    values: dict[str, PredictionReply | LevelReply]
    """By task; empty unless the status is ok. The same for all photographs of a patient."""
    bundle_id: str


class ScoresReply(Settings):
    bundle_id: str
    scores: list[ScoreReply]


class TaskReply(Settings):
    name: str
    label: str
    kind: TaskKind
    unit: str
    role: TaskRole
    """Predicted first and propagated (prior), or predicted from image and priors (target)."""
    levels: list[str]
    """Grades of an ordinal task, the mildest first, or classes of a categorical one; else empty."""


class KnownReply(Settings):
    """A value that may be given beside the photographs."""

    name: str
    unit: str
    """Of the value: "0 or 1" of a binary one."""
    low: float | None
    """Lowest plausible value; what lies below is ignored."""
    high: float | None


class QualityReply(Settings):
    """Which photographs are rejected."""

    limits: QualityThresholds
    """Of each measure; `sepl.data.imaging.quality` says what they are."""
    is_own: bool
    """Whether they are those of the model's own dataset; false: the bundle has none, and the default ones apply."""


class ModelReply(Settings):
    """What is served."""

    bundle_id: str
    tasks: list[TaskReply]
    image: ImageSpec
    known: list[KnownReply]
    """What may be given in the field `known`; empty: this model is not calibrated for known values."""
    quality: QualityReply
    config: TrialConfig
    members: list[Member] = Field(default_factory=list)
    """Of an ensemble; `config` is then that of the first."""
    intervals: Intervals
    provenance: Provenance
    evaluation: Evaluation | None
    """On the sealed test patients."""


class HealthReply(Settings):
    status: str
    bundle_id: str


class Problem(Settings):
    """What went wrong with a request (RFC 9457)."""

    title: str
    status: int
    detail: str


def score_reply(score: Score, manifest: BundleManifest) -> ScoreReply:
    return ScoreReply(
        image=score.image,
        patient=score.patient or None,
        status=score.status,
        reason=score.reason,
        num_photographs=score.num_photographs,
        known=list(score.known),
        given_ignored=score.given_ignored,
        values={name: _value_reply(found, manifest.tasks[name]) for name, found in score.values.items()},
        bundle_id=score.bundle_id,
    )


def _value_reply(found: Prediction, task: Task) -> PredictionReply | LevelReply:
    if found.levels is None:
        return PredictionReply(value=found.value, low=found.low, high=found.high, unit=task.unit)
    level_set = None if found.levels.level_set is None else list(found.levels.level_set)
    return LevelReply(level=found.levels.level, level_set=level_set, probabilities=dict(found.levels.probabilities))


def model_reply(bundle: ModelBundle) -> ModelReply:
    manifest = bundle.manifest
    task_split = TaskSplit.parse(manifest.config.model.task_split, manifest.tasks)
    return ModelReply(
        bundle_id=manifest.bundle_id,
        tasks=[_task_reply(task, task_split) for task in manifest.tasks],
        image=manifest.image,
        known=[_known_reply(task) for task in manifest.tasks if manifest.conditioning and not task.is_graded],
        quality=QualityReply(limits=manifest.quality_limits, is_own=manifest.quality is not None),
        config=manifest.config,
        members=list(manifest.members),
        intervals=manifest.intervals,
        provenance=manifest.provenance,
        evaluation=bundle.evaluation,
    )


def _known_reply(task: Task) -> KnownReply:
    unit = "0 or 1" if task.kind == "binary" else task.unit
    return KnownReply(name=task.name, unit=unit, low=task.low, high=task.high)


def _task_reply(task: Task, task_split: TaskSplit) -> TaskReply:
    return TaskReply(
        name=task.name,
        label=task.label,
        kind=task.kind,
        unit=task.unit,
        role=task_split.role(task.name),
        levels=list(task.levels),
    )
