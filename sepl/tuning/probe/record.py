"""What a probe found: `probe.json` beside the study, with the best head of each backbone as a file.

STORAGE/STUDY/probe.json                   this record; a backbone is added when all of its heads are trained
STORAGE/STUDY/probe/NAME.safetensors       the best head of a backbone, on all its features
STORAGE/features/KEY.arrow                 features, shared by all studies of the storage
"""

from dataclasses import dataclass
from typing import Any

from sepl.config import TrialConfig
from sepl.errors import StudyError
from sepl.metrics.bootstrap import Estimate
from sepl.settings import Settings
from sepl.storage import Location
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import TrialRow

FORMAT = 1
PROBE = "probe.json"
HEADS = "probe"
PROBE_NUMBER = -1
"""Of the row that stands for a probe's head among trials, which count from 0."""


class ProbedHead(Settings):
    """A head that was trained on features."""

    params: dict[str, Any]
    """What the search space was asked for."""
    config: dict[str, Any]
    """All that the head was trained with."""
    skill: float | None
    """Mean skill over tasks on the validation patients; None of a head that diverged."""
    best_epoch: int


class BestHead(Settings):
    """The best head of a backbone: a model, with that backbone frozen."""

    config: dict[str, Any]
    skill: float
    skills: dict[str, float]
    best_epoch: int
    directions: int | None
    """How many leading directions of the features it was trained on; None: the features themselves."""
    file: str
    """Below the study's folder."""


class Agreement(Settings):
    """How far the trials of a study agree with what their heads come to on frozen features."""

    num_trials: int
    """Full trials of this backbone."""
    correlation: Estimate
    """Spearman's, of best validation skills, with its interval over resamples of trials."""
    is_heard: bool
    """Whether the probe's ranking counts; until there are trials enough to tell, it does."""


class ProbedBackbone(Settings):
    """What was found on the features of one backbone with its initial weights."""

    backbone: str
    weights: str
    final_norm: bool
    weights_sha256: str
    image_size: int
    num_photographs: int
    """That features were made of, once and in each changed view."""
    seconds_of_features: float
    """0 or little where the storage had them."""
    seconds_of_heads: float
    closed_form: float | None
    """Mean skill of ridge and logistic regressions on the same features."""
    closed_form_skills: dict[str, float]
    heads: tuple[ProbedHead, ...]
    """Best first."""
    best: BestHead | None
    """None where no head could be trained, or the backbone cannot be frozen as a whole."""
    agreement: Agreement | None = None

    @property
    def source(self) -> tuple[str, str, bool]:
        return self.backbone, self.weights, self.final_norm


class ProbeRecord(Settings):
    """`probe.json`."""

    format: int = FORMAT
    fingerprint: str
    """Of the dataset."""
    num_heads: int
    """Asked for, a backbone."""
    num_views: int
    strength: float
    """Of augmentation in the changed views."""
    seed: int
    cache_gb: float = 4.0
    """Of features that the storage keeps."""
    backbones: tuple[ProbedBackbone, ...] = ()

    def of(self, source: tuple[str, str, bool]) -> ProbedBackbone | None:
        return next((found for found in self.backbones if found.source == source), None)

    def with_backbone(self, found: ProbedBackbone) -> "ProbeRecord":
        """The record with this backbone, in place of what it had of it."""
        others = tuple(other for other in self.backbones if other.source != found.source)
        return self.model_copy(update={"backbones": (*others, found)})


@dataclass(frozen=True)
class Candidate:
    """A probe's best head as what a study might publish."""

    config: TrialConfig
    skill: float
    """Mean skill over tasks on the validation patients."""
    skills: dict[str, float]
    best_epoch: int
    file: Location
    """Of the head's weights; `sepl.tuning.probe.publish` makes a network's of them."""
    directions: int | None

    def as_row(self) -> TrialRow:
        """Among the trials, with the number `PROBE_NUMBER`."""
        return TrialRow(
            number=PROBE_NUMBER,
            state="complete",
            best_skill=self.skill,
            num_epochs=self.config.training.num_epochs,
            best_epoch=self.best_epoch,
            seconds=0.0,
            params={},
            config=self.config.to_params(),
            curve={self.best_epoch: self.skill},
            skills=self.skills,
            failure=None,
        )


def read_probe(folder: StudyFolder) -> ProbeRecord | None:
    """None of a study that was not probed. Raises StudyError for a record of another format."""
    place = folder.location / PROBE
    if not place.exists():
        return None
    record = ProbeRecord.parse_json(place.read_bytes(), place.uri, error=StudyError)
    if record.format != FORMAT:
        raise StudyError(f"{place.uri}: format should be {FORMAT}, was {record.format}")
    return record


def write_probe(folder: StudyFolder, record: ProbeRecord) -> None:
    (folder.location / PROBE).write_bytes((record.model_dump_json(indent=2) + "\n").encode())


def probe_candidate(folder: StudyFolder) -> Candidate | None:
    """The best head of the study's probe; None without one.

    None also where the study's trials are judged with values known, which heads were not.
    """
    record = read_probe(folder)
    found = [backbone.best for backbone in record.backbones if backbone.best] if record else []
    if not found or folder.read().known_pattern is not None:
        return None
    best = max(found, key=lambda head: head.skill)
    place = folder.location
    for part in best.file.split("/"):
        place = place / part
    config = TrialConfig.from_params(best.config)
    return Candidate(config, best.skill, best.skills, best.best_epoch, place, best.directions)


def closed_form_skill(folder: StudyFolder) -> float | None:
    """Of the best backbone's regressions, mean over tasks on the validation patients; None without a probe."""
    record = read_probe(folder)
    skills = [found.closed_form for found in record.backbones if found.closed_form is not None] if record else []
    return max(skills, default=None)
