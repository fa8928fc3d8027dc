"""Scores photographs offline: `python -m jobs.score --bundle URI --input (table|folder) --out scores.parquet`.

One row a photograph, in the input's order; the values are those that the server gives. Photographs of one patient are
judged together when the table says whose they are. Memory does not grow with the number of photographs; with patients
it grows by their names, never by pixels.
"""

import time
from dataclasses import replace

import tyro

from jobs._command import run_command
from sepl.config import DeviceName
from sepl.execution.progress import track
from sepl.scoring.rows import STATUSES


def main(
    bundle: str,
    input: str,  # noqa: A002  the option's name is fixed
    out: str,
    image_column: str = "image",
    images: str | None = None,
    eye_column: str | None = None,
    patient_column: str | None = None,
    ignore_case: bool = False,
    ignore_zeros: bool = False,
    ignore_form: bool = False,
    sheet: str | int | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: int = 1,
    known_column: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    known_from_dicom: bool = False,
    device: DeviceName = "auto",
    batch_size: int = 64,
) -> None:
    """Score photographs to Parquet, one row a photograph in the input's order.

    Columns: image, patient, status, reason, num_photographs (of the patient, that the row's values rest on), known,
    given_ignored, per task value, _lo, _hi, and bundle_id; units in the metadata.

    Args:
        bundle: A bundle's folder, or REGISTRY#ALIAS.
        input: A folder (JPEG, PNG, TIFF, DICOM at any depth; of several frames, the first), or a table with a column of
            paths: .csv, .tsv, .txt, .parquet or .xlsx, read as the tables of a cohort are.
        out: The Parquet file to write; it appears when all photographs are scored.
        image_column: The table's column of paths.
        images: Where the table's paths begin; the table's own folder unless given.
        eye_column: The table's column that says left or right; models that see left eyes mirrored need it, except of
            DICOM files.
        patient_column: The table's column that says whose a photograph is: those of one patient, wherever they stand in
            the table, are judged together, as when the model was calibrated and tested. Each keeps its row; those that
            can be scored all have the patient's values. A row without a patient (empty, NA, NaN) is judged alone,
            as are all without this option.
        ignore_case: Ids of patients that differ by capitals are one, as with `[ids]` of the cohort file.
        ignore_zeros: Those that differ by leading zeros, or a final .0, are one.
        ignore_form: Those that differ by the form of a letter or by invisible characters are one.
        sheet: Of a workbook: its sheet's name, or its number from 1; needed when several have cells.
        encoding: Of a CSV, such as latin-1, where it is found wrongly.
        delimiter: Of a CSV, where it is found wrongly.
        header: The table's row that names the columns; what stands above is passed over.
        known_column: TASK=COLUMN, such as age=Alter, for each value that the table knows of its patients; COLUMN:UNIT
            where the column is in another unit, as in age=Alter:months. Known values stand as they are and sharpen the
            others; columns known and given_ignored tell which were taken, and which not and why.
        known_from_dicom: Take age and sex from the headers of DICOM files, where the table does not know them.
        device: auto is a GPU when there is one.
        batch_size: Photographs in one pass through the network.
    """
    from sepl.bundle.registry import open_bundle
    from sepl.data.cohort.known import parse_known_columns
    from sepl.data.patients.ids import IdOptions
    from sepl.data.tables.table import Reading
    from sepl.scoring.known import check_known
    from sepl.scoring.scorer import Scorer
    from sepl.scoring.sources import find_photographs
    from sepl.scoring.table import write_scores

    start = time.perf_counter()
    reading = Reading(sheet, encoding, delimiter, header)
    ids = IdOptions(ignore_case=ignore_case, ignore_zeros=ignore_zeros, ignore_form=ignore_form)
    opened = open_bundle(bundle)
    tasks = opened.manifest.tasks
    known = parse_known_columns(known_column, tasks) if known_column else None
    from_header = tuple(name for name in ("age", "sex") if known_from_dicom and name in tasks.names)
    check_known((*(known.tasks if known else ()), *from_header), opened.manifest)
    source = find_photographs(input, image_column, images, eye_column, patient_column, reading, ids, known)
    source = replace(source, from_header=from_header)
    scorer = Scorer(opened, device, batch_size)
    batches = scorer.stream(track(source, source.num_photographs, "score"), source.order)
    counts = write_scores(batches, scorer.bundle.manifest, out)
    seconds = time.perf_counter() - start
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
    print(f"{counts.total()} photographs in {seconds:.1f} s: {told}")
    print(f"scores of {scorer.bundle.bundle_id}: {out}")


if __name__ == "__main__":
    run_command(main)
