"""Evaluates a bundle: `python -m jobs.evaluate --bundle URI --data URI --cohort-split test --out evaluation.json`."""

from typing import TYPE_CHECKING, Literal

import tyro
from rich.console import Console

from jobs._command import run_command
from sepl.config import DeviceName
from sepl.storage import check_writable, resolve

if TYPE_CHECKING:
    from sepl.bundle.format import ModelBundle
    from sepl.data.dataset.dataset import PreparedDataset


def main(
    bundle: str,
    data: str,
    out: str,
    cohort_split: Literal["train", "validation", "calibration", "test"] = "test",
    known: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    device: DeviceName = "auto",
) -> None:
    """Evaluate a bundle on one cohort split of a prepared dataset, per patient, beside median predictor and floor.

    Args:
        bundle: A bundle's folder, or REGISTRY#ALIAS.
        data: The prepared dataset; its tasks, units and image size must be the bundle's.
        out: The JSON file to write.
        cohort_split: Whose patients. The test patients are sealed: choose no model by them.
        known: Values to be known, such as age,sex, and what they bring; once for each set. Left out: the sets that the
            bundle was calibrated for.
        device: auto is a GPU when there is one.
    """
    from sepl.bundle.conditioning import parse_pattern
    from sepl.bundle.format import read_bundle
    from sepl.bundle.registry import locate_bundle
    from sepl.bundle.skills import evaluation_table, known_table, subgroup_table
    from sepl.data.dataset.dataset import PreparedDataset
    from sepl.scoring.evaluation import check_fit, evaluate_bundle
    from sepl.scoring.known import check_known
    from sepl.scoring.scorer import Scorer

    check_writable(resolve(out))
    located = locate_bundle(bundle)
    opened = read_bundle(located)
    tasks = opened.manifest.tasks
    patterns = [parse_pattern(text, tasks, "--known") for text in known]
    scorer = Scorer(opened, device)
    dataset = PreparedDataset.open(data)
    readings = ""
    if cohort_split == "test":
        check_fit(opened, dataset)  # what is refused reads nothing
        check_known([name for names in patterns for name in names], opened.manifest)
        readings = _note_reading(located, opened, dataset, out)
    evaluation = evaluate_bundle(scorer, dataset, cohort_split, known=patterns or None)
    resolve(out).write_bytes((evaluation.model_dump_json(indent=2) + "\n").encode())
    console = Console()
    if not console.is_terminal:
        console.width = 240  # a log has no width to fit in; a figure should not be broken over lines
    console.print(evaluation_table(evaluation))
    for pattern in evaluation.known:
        console.print(known_table(pattern, tasks))
    if evaluation.subgroups:
        console.print(subgroup_table(evaluation))
    if readings:
        console.print(readings)
    console.print(f"evaluation of {scorer.bundle.bundle_id}: {out}")


def _note_reading(located: str, bundle: "ModelBundle", dataset: "PreparedDataset", out: str) -> str:
    """Keeps that the sealed patients are read now; in words, how often they have been."""
    from sepl.bundle.ledger import Ledger, SealedReading, SealedSet

    sealed, source = SealedSet.of(dataset), bundle.manifest.provenance
    ledger = Ledger.beside(located, bundle.bundle_id, resolve(out))
    ledger.note(
        SealedReading(
            sealed=sealed,
            study=source.study,
            bundle=bundle.bundle_id,
            model=source.trial,
            command="jobs.evaluate",
        )
    )
    return f"{ledger.count(sealed.fingerprint, sealed.patients).told()} ({ledger.place.uri}/readings)"


if __name__ == "__main__":
    run_command(main)
