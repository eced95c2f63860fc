"""What is done to each file."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import dataclass, field
from typing import Any

from nmfaudio.cli.inputs import Task
from nmfaudio.cli.outcome import Outcome, failed, succeeded

NO_MEMORY = "there is not enough memory: lower --memory, separate a shorter part, or close other programs"
_EXISTING = (
    "--overwrite replaces the stems, --resume keeps those that are up to date, and -o FOLDER writes elsewhere"
)


@dataclass(frozen=True)
class Job:
    """What is done to each file.

    Parameters
    ----------
    separator : Separator
        The separator with its options.
    options : dict
        Other keyword arguments of `separate_file`.
    debug : bool
        Whether the outcome of a file that failed has the traceback of its error.
    """

    separator: Any
    options: dict[str, Any] = field(default_factory=dict)
    debug: bool = False

    def run(self, task: Task, report: Any = None) -> Outcome:
        """Separate one file; return the outcome, also where the separation failed."""
        try:
            return self._succeeded(task, report)
        except Exception as error:  # one file must not end the others
            trace = traceback.format_exc() if self.debug else ""
            return failed(task.file, _reason(error), trace)

    def _succeeded(self, task: Task, report: Any) -> Outcome:
        from nmfaudio.errors import NmfaudioWarning
        from nmfaudio.pipeline.separation import separate_file

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NmfaudioWarning)  # the outcome has them, and they are printed
            written = separate_file(task.file, task.output, self.separator, report=report, **self.options)
        return succeeded(task.file, written)


def _reason(error: Exception) -> str:
    """Return what the user should read about an error."""
    if isinstance(error, MemoryError) or means_no_memory(error):
        return NO_MEMORY
    from nmfaudio.errors import ExistingFileError, NmfaudioError

    if isinstance(error, ExistingFileError):
        return f"{str(error).partition(': pass')[0]}: {_EXISTING}"
    if isinstance(error, NmfaudioError):
        return str(error)
    report = "a bug in nmfaudio: please report it with what --debug prints"
    return f"{type(error).__name__}: {error} ({report})"


def means_no_memory(error: BaseException) -> bool:
    """Whether an error of a library says that there was no memory for a thread or for a part of itself."""
    message = str(error).lower()
    return any(words in message for words in ("start new thread", "allocate memory", "failed to map segment"))
