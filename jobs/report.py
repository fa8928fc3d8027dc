"""Writes the HTML report of a study, also of one that still runs.

python -m jobs.report --storage runs --study smoke --out report.html
"""

from jobs._command import run_command
from sepl.storage import resolve


def main(storage: str, study: str, out: str) -> None:
    """One self-contained file: history, learning curves, importance, skill per factor, how to reproduce.

    Args:
        storage: URI of the folder that holds studies.
        study: The study's name.
        out: URI of the file to write; one that is there is replaced.
    """
    from sepl.tuning.report.report import write_report

    place = resolve(out)
    write_report(storage, study, place)
    print(f"written: {place.uri}")


if __name__ == "__main__":
    run_command(main)
