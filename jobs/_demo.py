"""The parts of the demo: stages as commands, a server on a free port, and the comparison of its rows."""

import json
import math
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from sepl.errors import SeplError
from sepl.storage import resolve
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.leaderboard import leaderboard

_START_SECONDS = 120
_STOP_SECONDS = 40
_SHOWN_TASKS = ("sex", "age", "sbp", "hba1c")  # as many as a terminal of 80 columns holds
_TOLERANCE = 1e-5  # relative: float32 sums in another batch size


class DemoError(SeplError, RuntimeError):
    """A stage of the demo failed; its own output says why."""


def run_stage(console: Console, title: str, module: str, **options: object) -> None:
    """Prints a command as a user would type it, and runs it; DemoError when it fails."""
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    console.rule(f"[bold]{title}", align="left")
    console.print(f"$ python -m {module} {shlex.join(arguments)}", soft_wrap=True, markup=False)
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False)
    if done.returncode:
        raise DemoError(f"{title}: python -m {module} ended with exit code {done.returncode}")


class Server:
    """`serve run` of one bundle on a free port of this machine, for as long as the context lasts."""

    def __init__(self, console: Console, bundle: str, config: Path, log: Path) -> None:
        self._console, self._config, self._log = console, config, log
        self._port = _free_port()
        self._write_config(bundle)

    def __enter__(self) -> Self:
        self._console.rule("[bold]Served", align="left")
        self._console.print(f"$ serve run {self._config}", markup=False)
        environment = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "50", **os.environ}  # a busy machine needs more than 5
        environment |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        serve = Path(sys.executable).with_name("serve")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [serve, "run", str(self._config)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the demo, which then ends the server
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def score(self, photographs: Sequence[Path]) -> list[dict[str, Any]]:
        """The server's rows for these files, in their order."""
        files = [("files", (path.name, path.read_bytes())) for path in photographs]
        reply = httpx.post(f"{self._address}/v1/score", files=files, timeout=60)
        reply.raise_for_status()
        return reply.json()["scores"]

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _write_config(self, bundle: str) -> None:
        application = {
            "name": "sepl",
            "route_prefix": "/",
            "import_path": "serve.app:build_app",
            "args": {"bundle": resolve(bundle).uri},
        }
        options = {"host": "127.0.0.1", "port": self._port}
        config = {"http_options": options, "applications": [application]}
        self._config.write_text(json.dumps(config, indent=2))  # JSON is YAML too

    def _wait_until_healthy(self) -> None:
        start = time.monotonic()
        while time.monotonic() < start + _START_SECONDS:
            if self._process.poll() is not None:
                raise DemoError(f"the server ended with exit code {self._process.returncode}; see {self._log}")
            if _is_healthy(f"{self._address}/healthz"):
                took = time.monotonic() - start
                self._console.print(f"listening on {self._address} (docs: /docs) after {took:.0f} s")
                return
            time.sleep(0.5)
        raise DemoError(f"the server should answer within {_START_SECONDS} s, did not; see {self._log}")

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def compare_scores(console: Console, served: Sequence[Mapping[str, Any]], offline: str) -> None:
    """Prints the served rows; DemoError unless each equals the offline row of the same photograph."""
    with pq.ParquetFile(offline) as file:
        rows = {row["image"]: row for row in file.read().to_pylist()}
    table = Table(title="Rows from the running server [90 % interval]", title_justify="left", box=box.SIMPLE)
    tasks = [name for name in _SHOWN_TASKS if name in served[0]["values"]]
    for heading in ("image", *(_heading(name, served[0]["values"][name]) for name in tasks)):
        table.add_column(heading, no_wrap=True)
    for score in served:
        values = score["values"]
        table.add_row(Path(score["image"]).stem, *(_cell(values[name]) for name in tasks))
        _check_equal(score, rows[score["image"]])
    console.print(table)
    num_values = len(served) * len(served[0]["values"])
    console.print(f"equal to the offline scores: {len(served)} rows, {num_values} values with their intervals")


def summarise(console: Console, storage: str, study: str, bundle: str, seconds: float) -> None:
    """What the demo came to, and where it lies."""
    folder = StudyFolder.at(storage, study)
    rows = leaderboard(folder.load_study()).root
    num_pruned = sum(row.state == "pruned" for row in rows)
    console.rule("[bold]Done", align="left")
    console.print(f"trials:  {len(rows)}, {num_pruned} of them stopped early by ASHA")
    console.print(f"bundle:  {bundle}", soft_wrap=True)
    console.print(f"report:  {(folder.location / 'report.html').uri}", soft_wrap=True)
    console.print(f"seconds: {seconds:.0f}")


def _check_equal(score: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    if score["status"] != row["status"]:
        raise DemoError(f"{score['image']}: served {score['status']}, offline {row['status']}")
    for task, prediction in score["values"].items():
        for key, column in (("value", task), ("low", f"{task}_lo"), ("high", f"{task}_hi")):
            if not _close(prediction[key], row[column]):
                raise DemoError(f"{score['image']}: {column} served {prediction[key]}, offline {row[column]}")


def _close(served: float | None, offline: float | None) -> bool:
    if served is None or offline is None:
        return served is offline
    return math.isclose(served, offline, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _heading(task: str, prediction: Mapping[str, Any]) -> str:
    return task if prediction["low"] is None else f"{task}, {prediction['unit']}"


def _cell(prediction: Mapping[str, Any]) -> str:
    if prediction["low"] is None:
        return f"{prediction['value']:.2f}"
    digits = 0 if abs(prediction["value"]) >= 20 else 1
    return f"{prediction['value']:.1f} [{prediction['low']:.{digits}f}, {prediction['high']:.{digits}f}]"


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
