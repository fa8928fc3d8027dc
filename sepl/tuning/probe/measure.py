"""A study's full trials held against what their heads come to on frozen features."""

from collections.abc import Callable

import numpy as np

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import SeplError
from sepl.training.probe.data import leading_directions
from sepl.training.probe.frozen import FrozenBackbone
from sepl.training.probe.heads import train_heads
from sepl.tuning.probe.agreement import LEAST_CORRELATION, LEAST_TRIALS, agreement_of
from sepl.tuning.probe.record import Agreement, ProbedBackbone, ProbeRecord, read_probe, write_probe
from sepl.tuning.probe.sampling import SampledHead, head_config
from sepl.tuning.probe.stage import NUM_DIRECTIONS, frozen_backbone
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import TrialRow, leaderboard

Tell = Callable[[str], object]


def measure_agreement(storage: str, study: str, tell: Tell = print) -> ProbeRecord | None:
    """The study's record with the agreement of every backbone that has full trials, as it is kept; a line each.

    None of a study that was not probed.
    """
    folder = StudyFolder.at(storage, study)
    record = read_probe(folder)
    if record is None:
        return None
    own = folder.read()
    dataset = PreparedDataset.open(own.dataset, fingerprint=own.fingerprint)
    rows = [row for row in leaderboard(folder.load_study()).root if row.state == "complete"]
    for found in record.backbones:
        of_it = [row for row in rows if SampledHead(row.params, row.config).source == found.source]
        if of_it:
            frozen = frozen_backbone(folder, dataset, found.source, record)
            agreement = _agreement(frozen, of_it, record)
            record = record.with_backbone(found.model_copy(update={"agreement": agreement}))
            tell(describe(found, agreement))
    write_probe(folder, record)
    return record


def describe(found: ProbedBackbone, agreement: Agreement) -> str:
    """One line."""
    said = f"probe against fine-tuning, {found.backbone}: rank correlation {agreement.correlation} over "
    said += f"{agreement.num_trials} full trials"
    if agreement.is_heard:
        few = agreement.num_trials < LEAST_TRIALS
        return f"{said}, too few to tell ({LEAST_TRIALS})" if few else said
    return f"{said}, below {LEAST_CORRELATION:g}: the probe's ranking is left out"


def _agreement(frozen: FrozenBackbone, rows: list[TrialRow], record: ProbeRecord) -> Agreement:
    able = [(row, config) for row in rows if (config := _head_of(row, record)) is not None]
    data = frozen.data()
    basis_FD = leading_directions(data.views[0], NUM_DIRECTIONS)
    narrow = data if basis_FD is None else data.along(basis_FD)
    probed = train_heads([config for _, config in able], narrow, seed=record.seed)
    tuned = [row.best_skill if row.unknown_skill is None else row.unknown_skill for row, _ in able]
    return agreement_of(np.array([head.skill for head in probed]), np.array(tuned, np.float64))


def _head_of(row: TrialRow, record: ProbeRecord) -> TrialConfig | None:
    try:
        return head_config(row.config, strength=record.strength)
    except SeplError:
        return None
