"""Scores photographs offline: `python -m jobs.score --bundle URI --input (table|folder) --out scores.parquet`.

One row a photograph, in the input's order; the values are those that the server gives. Photographs of one patient are
judged together when the table says whose they are. Memory does not grow with the number of photographs; with patients
it grows by their names, never by pixels.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

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
    given_ignored, per task value, _lo, _hi, and bundle_id; units in the metadata. Of an ordinal or categorical task:
    its level, _set (levels joined by |), _p_LEVEL.

    Args:
        bundle: A bundle's folder, or REGISTRY#ALIAS.
        input: A folder (JPEG, PNG, TIFF, DICOM at any depth; of several frames, the first), or a table with a column of
            paths: .csv, .tsv, .txt, .parquet or .xlsx, read as the tables of a cohort are.
        out: The Parquet file to write; it appears when all photographs are scored.
        image_column: The table's column of paths.
        images: Where the table's paths begin; the table's own folder unless given.
        eye_column: The table's column of left and right; models that see left eyes mirrored need it, except of DICOM.
        patient_column: The table's column of whose a photograph is: those of one patient are judged together, and each
            that can be scored has the patient's values. A row without a patient (empty, NA) is judged alone.
        ignore_case: Ids of patients that differ by capitals are one, as with `[ids]` of the cohort file.
        ignore_zeros: Those that differ by leading zeros, or a final .0, are one.
        ignore_form: Those that differ by the form of a letter or by invisible characters are one.
        sheet: Of a workbook: its sheet's name, or its number from 1; needed when several have cells.
        encoding: Of a CSV, such as latin-1, where it is found wrongly.
        delimiter: Of a CSV, where it is found wrongly.
        header: The table's row that names the columns; what stands above is passed over.
        known_column: TASK=COLUMN, such as age=Alter, or TASK=COLUMN:UNIT, of values that the table knows of patients
            (sex=COLUMN:CODE says what means male); they stand as they are and sharpen the others.
        known_from_dicom: Take age and sex from the headers of DICOM files, where the table does not know them.
        device: auto is a GPU when there is one.
        batch_size: Photographs in one pass through the network.
    """
    columns = {"image_column": image_column, "images": images, "eye_column": eye_column}
    ids = {"ignore_case": ignore_case, "ignore_zeros": ignore_zeros, "ignore_form": ignore_form}
    reading = {"sheet": sheet, "encoding": encoding, "delimiter": delimiter, "header": header}
    columns |= {"patient_column": patient_column}
    from_header = ("age", "sex") if known_from_dicom else ()
    _score(bundle, input, out, columns, ids, reading, known_column, from_header, device, batch_size)


def _score(
    bundle: str,
    input_uri: str,
    out: str,
    columns: Mapping[str, Any],
    ids: Mapping[str, bool],
    reading: Mapping[str, Any],
    known_columns: Sequence[str],
    from_header: Sequence[str],
    device: DeviceName,
    batch_size: int,
) -> None:
    from sepl.bundle.registry import open_bundle
    from sepl.data.cohort.known import parse_known_columns
    from sepl.data.patients.ids import IdOptions
    from sepl.data.tables.table import Reading
    from sepl.scoring.known import check_known
    from sepl.scoring.scorer import Scorer
    from sepl.scoring.sources import find_photographs
    from sepl.scoring.table import write_scores

    start = time.perf_counter()
    opened = open_bundle(bundle)
    tasks = opened.manifest.tasks
    reader = parse_known_columns(known_columns, tasks) if known_columns else None
    of_header = tuple(name for name in from_header if name in tasks.names and not tasks[name].is_graded)
    check_known((*(reader.tasks if reader else ()), *of_header), opened.manifest)
    source = find_photographs(
        input_uri, **columns, reading=Reading(**reading), ids=IdOptions.model_validate(ids), known=reader
    )
    source = replace(source, from_header=of_header)
    scorer = Scorer(opened, device, batch_size)
    batches = scorer.stream(track(source, source.num_photographs, "score"), source.order)
    counts = write_scores(batches, scorer.bundle.manifest, out)
    seconds = time.perf_counter() - start
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
    print(f"{counts.total()} photographs in {seconds:.1f} s: {told}")
    print(f"scores of {scorer.bundle.bundle_id}: {out}")


if __name__ == "__main__":
    run_command(main)
