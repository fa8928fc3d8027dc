"""What a report says of a study's probe."""

from markupsafe import Markup

from sepl.reports import page as html
from sepl.reports.numbers import figure
from sepl.tuning.probe.agreement import LEAST_CORRELATION, LEAST_TRIALS
from sepl.tuning.probe.record import Agreement, ProbedBackbone, closed_form_skill, probe_candidate, read_probe
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import Leaderboard


def verdict(folder: StudyFolder, board: Leaderboard) -> Markup:
    """The report's first line: whether the best model beats regressions on frozen features; nothing without a probe."""
    rival = closed_form_skill(folder)
    candidate, best = probe_candidate(folder), board.best()
    skills = [None if candidate is None else candidate.skill, None if best is None else best.best_skill]
    ours = max((skill for skill in skills if skill is not None), default=None)
    if rival is None or ours is None:
        return Markup()
    word = "beats" if ours > rival else "does not beat"
    return html.paragraph(
        f"On the validation patients the best model, skill {figure(ours)}, {word} ridge and logistic regressions on "
        f"features of a backbone that is never trained, skill {figure(rival)}."
    )


def probe_section(folder: StudyFolder) -> Markup:
    """Every backbone that was probed, and how far fine-tuning agrees; nothing without a probe."""
    record = read_probe(folder)
    if record is None:
        return Markup()
    note = (
        "Before the trials, heads were trained on features of each backbone with its initial weights, never trained "
        "itself. Closed form are ridge and logistic regressions on the same features, their penalties "
        "cross-validated. The rank correlation (Spearman) is that of full trials' skills with what their heads come "
        f"to on such features, with its 95 % interval over resamples of trials; below {LEAST_CORRELATION:g} over "
        f"{LEAST_TRIALS} trials or more, the probe's ranking is left out of what is proposed."
    )
    heading = ("backbone", "closed form", "heads", "best head", "full trials", "rank correlation", "ranking")
    rows = [_cells(found) for found in record.backbones]
    return html.section("Probe against fine-tuning", html.table(heading, rows, num_text_columns=1), note=note)


def _cells(found: ProbedBackbone) -> list[str]:
    best = None if found.best is None else found.best.skill
    cells = [found.backbone, figure(found.closed_form), str(len(found.heads)), figure(best)]
    return [*cells, *_of_agreement(found.agreement)]


def _of_agreement(agreement: Agreement | None) -> list[str]:
    if agreement is None:
        return ["0", "n/a", "heard"]
    return [str(agreement.num_trials), str(agreement.correlation), "heard" if agreement.is_heard else "left out"]
