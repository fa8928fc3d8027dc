"""What `python -m jobs.study` can do, one class a subcommand."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class _OfStorage:
    storage: str
    """The folder that holds studies: a local path, s3://… or gs://…."""


@dataclass(frozen=True, kw_only=True)
class _OfStudy(_OfStorage):
    study: str
    """The study's name."""


class List(_OfStorage):
    """Every study with its state, trials, cost, best validation skill, bundle and who searches it now."""

    def run(self) -> None:
        from rich.console import Console

        from sepl.tuning.studies.overview import list_studies
        from sepl.tuning.studies.table import studies_table

        console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
        console.print(studies_table(list_studies(self.storage)))


class Show(_OfStudy):
    """One study in words."""

    def run(self) -> None:
        from sepl.tuning.studies.overview import describe_study, show_study

        print("\n".join(describe_study(show_study(self.storage, self.study))))


class Verify(_OfStudy):
    """Compare database, Tune's folders, checkpoints, leaderboard.json and registry: a line a finding, exit code 1."""

    def run(self) -> None:
        from sepl.tuning.studies.verify import verify_study

        findings = verify_study(self.storage, self.study)
        print("\n".join(findings or [f"study {self.study} is whole"]))
        if findings:
            sys.exit(1)


@dataclass(frozen=True, kw_only=True)
class Export(_OfStudy):
    """The trials as Parquet or CSV, and a second file beside it with the value of every epoch."""

    out: str
    """The file of trials, ending in .parquet or .csv; the epochs' is NAME-epochs beside it."""

    def run(self) -> None:
        from sepl.storage import resolve
        from sepl.tuning.studies.export import export_trials

        for place in export_trials(self.storage, self.study, resolve(self.out)):
            print(f"written: {place.uri}")


@dataclass(frozen=True, kw_only=True)
class Delete(_OfStudy):
    """Delete a study from its database, and its folder; never a bundle. Refused while a driver holds it."""

    yes: bool = False
    """That it is meant."""

    def run(self) -> None:
        from sepl.tuning.studies.delete import delete_study

        delete_study(self.storage, self.study, yes=self.yes)
        print(f"deleted: study {self.study}")
