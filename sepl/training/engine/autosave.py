"""A run that is saved now and then, so that one whose process dies goes on almost where it was."""

import shutil
import time
from pathlib import Path
from typing import Any

from sepl.errors import StorageError
from sepl.training.engine.checkpoint import PROGRESS_FILE
from sepl.training.engine.run import Engine


class Autosave:
    """Saves a run below a folder when called and due: as `after_step` of an epoch, and between epochs.

    Each save is a folder named by the steps done, and the one before goes only when it is whole, so that a process may
    be killed at any moment. A save is some hundred megabytes for a network of usual size, written while training waits.
    """

    def __init__(
        self, run: Engine[Any, Any, Any], folder: Path, *, every_steps: int = 0, every_seconds: float = 600.0
    ) -> None:
        """Due after `every_steps` steps (0: whatever their number) or `every_seconds`, whichever is first."""
        self._run, self._folder = run, folder
        self._every_steps, self._every_seconds = every_steps, every_seconds
        self._note()

    def resume(self) -> bool:
        """Takes the run to its newest whole save; False when there is none.

        Raises ConfigError, by what differs, when that is of another run.
        """
        saves = self._saves()
        if not saves:
            return False
        self._run.restore(saves[-1])
        self._note()
        return True

    def __call__(self) -> None:
        steps = self._run.steps_done - self._saved_steps
        if 0 < self._every_steps <= steps or time.monotonic() - self._saved_at >= self._every_seconds:
            self.save()

    def save(self) -> None:
        """Raises StorageError when the folder cannot be written."""
        try:
            self._run.save(self._folder / f"step-{self._run.steps_done:09d}")
            for old in self._saves()[:-1]:
                shutil.rmtree(old)
        except OSError as problem:
            raise StorageError(f"{self._folder} should take a checkpoint: {problem}") from problem
        self._note()

    def clear(self) -> None:
        """The run is over and published: removes its saves, and the folder unless something else is in it."""
        for save in self._saves():
            shutil.rmtree(save, ignore_errors=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _note(self) -> None:
        self._saved_steps, self._saved_at = self._run.steps_done, time.monotonic()

    def _saves(self) -> list[Path]:
        """Whole ones, oldest first; of what was cut short nothing is kept."""
        saves: list[Path] = []
        for folder in sorted(self._folder.glob("step-*")):
            if (folder / PROGRESS_FILE).is_file():
                saves.append(folder)
            else:
                shutil.rmtree(folder, ignore_errors=True)
        return saves
