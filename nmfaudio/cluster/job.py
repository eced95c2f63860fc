"""What is done to each file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nmfaudio.cluster.outcome import Outcome, failed, succeeded
from nmfaudio.cluster.task import Task

NO_MEMORY = "there is not enough memory: lower --memory, separate a shorter part, or close other programs"


@dataclass(frozen=True)
class Job:
    """What is done to each file.

    Parameters
    ----------
    separator : Separator
        The separator with its options.
    options : dict
        Other keyword arguments of `separate_file`.
    """

    separator: Any
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, task: Task, report: Any = None) -> Outcome:
        """Separate one file; return the outcome, also where the separation failed."""
        file = task.file
        try:
            from nmfaudio.errors import NmfaudioError

            try:
                return self._separated(task, report)
            except NmfaudioError as error:
                return failed(file, str(error))
        except MemoryError:
            return failed(file, NO_MEMORY)
        except Exception as error:  # one file must not end the others
            if means_no_memory(error):
                return failed(file, NO_MEMORY)
            return failed(file, f"{type(error).__name__}: {error} (a bug in nmfaudio: please report it)")

    def _separated(self, task: Task, report: Any) -> Outcome:
        from nmfaudio.cluster.places import is_url
        from nmfaudio.pipeline.separation import separate_file

        if is_url(task.file) or is_url(task.output):
            from nmfaudio.cluster.remote import separate_remote

            return separate_remote(task.file, task.output, self.separator, report=report, **self.options)
        written = separate_file(task.file, task.output, self.separator, report=report, **self.options)
        return succeeded(task.file, written)


def means_no_memory(error: BaseException) -> bool:
    """Whether an error of a library says that there was no memory for a thread or for a part of itself."""
    message = str(error).lower()
    return any(words in message for words in ("start new thread", "allocate memory", "failed to map segment"))
