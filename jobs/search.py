"""Searches for the best model of a prepared dataset, publishes it and writes the report.

python -m jobs.search --data DATASET --space search_spaces/smoke.py --storage runs --study smoke --num-trials 12
"""

import sys
from functools import partial
from typing import Annotated

import tyro
from rich.console import Console

from jobs._command import run_command
from sepl.storage import resolve
from sepl.tuning.settings import StudySettings


def main(settings: Annotated[StudySettings, tyro.conf.arg(name="")]) -> None:
    """Searches, then refits, calibrates and tests the winner once. Ctrl-C stops cleanly; --resume goes on."""
    from sepl.bundle.skills import evaluation_table
    from sepl.tuning.plan import plan_study
    from sepl.tuning.probe.ask import agreement_with_trials
    from sepl.tuning.probe.record import closed_form_skill
    from sepl.tuning.results.tables import leaderboard_table
    from sepl.tuning.study import run_study
    from sepl.tuning.trials.cluster import connect

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)  # a log has no width of its own
    plan = plan_study(settings)
    with connect(settings.address) as cluster:
        result = run_study(plan, cluster)
        console.print(leaderboard_table(result.board, closed_form=closed_form_skill(result.folder)))
        if result.ended is None:
            _stop()
        from sepl.tuning.record.record import REPORT
        from sepl.tuning.report.report import write_report  # these load torch, which the search itself does without
        from sepl.tuning.selection import SelectionRules, rerun_finalists, select_winner

        print(f"search over: {result.ended}")
        cluster.run(result.packing, agreement_with_trials(settings), "the probe against fine-tuning")
        study, rules = (settings.storage, settings.study), SelectionRules.of(settings)
        run_all = partial(cluster.run_all, result.packing, what="a re-run of the best")
        num_threads, again = result.packing.cpus, settings.test_again
        rerun_finalists(*study, rules, run_all, num_threads=num_threads, test_again=again)
        select = partial(select_winner, *study, rules=rules, num_threads=num_threads, test_again=again)
        winner = cluster.run(result.packing, select, "the refit")
    report = result.folder.location / REPORT
    write_report(settings.storage, settings.study, report)
    console.print(evaluation_table(winner.evaluation))
    print(f"bundle: {winner.bundle_uri} (also {resolve(settings.storage).uri}/registry#{settings.study})")
    print(f"report: {report.uri}")


def _stop() -> None:
    print("stopped; nothing is lost. Go on with the same command and --resume", file=sys.stderr)
    sys.exit(130)


if __name__ == "__main__":
    run_command(main)
