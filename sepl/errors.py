"""The errors that a user can meet.

Each is a `SeplError` and a builtin kind as well, and takes a message as its only argument (an `ImageError` its two
parts), so that it survives pickling between Ray processes and `except ValueError` keeps working for code that does not
know sepl.
"""


class SeplError(Exception):
    """Base of everything that sepl raises on purpose; the message says what, what it should be, what it was."""


class ConfigError(SeplError, ValueError):
    """A setting, an option or a search space is wrong."""


class CohortError(SeplError, ValueError):
    """A cohort file or its table cannot be used; names file, column and row."""


class ImageError(SeplError, ValueError):
    """One photograph cannot be read; costs one row, never a run.

    Its message is "kind: detail", or the kind alone; `sepl.data.imaging.reasons` says what looks at kinds.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


class DatasetError(SeplError, ValueError):
    """A prepared dataset is absent, incomplete or not what it says it is."""


class BundleError(SeplError, ValueError):
    """A bundle is absent, incomplete, of another format, or its files are not those that were published."""


class StudyError(SeplError, RuntimeError):
    """A study cannot be started, resumed or selected from."""


class DivergedError(SeplError, ArithmeticError):
    """Training produced a number that is not finite; costs one trial."""


class StorageError(SeplError, OSError):
    """A URI cannot be resolved, read or written."""
