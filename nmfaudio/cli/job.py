"""What is done to each file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nmfaudio.cli.inputs import Task
from nmfaudio.cli.outcome import Outcome, failed, succeeded

if TYPE_CHECKING:
    from nmfaudio.pipeline.target import Written

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
    with_page : bool
        Whether the page of `nmfaudio report` is written beside each manifest.
    """

    separator: Any
    options: dict[str, Any] = field(default_factory=dict)
    with_page: bool = False

    def run(self, task: Task, report: Any = None) -> Outcome:
        """Separate one file; return the outcome, also where the separation failed."""
        file = task.file
        try:
            from nmfaudio.errors import NmfaudioError
            from nmfaudio.pipeline.separation import separate_file

            try:
                written = separate_file(file, task.output, self.separator, report=report, **self.options)
                page = self._page(written, report)
            except NmfaudioError as error:
                return failed(file, str(error))
            return succeeded(file, written) | page
        except MemoryError:
            return failed(file, NO_MEMORY)
        except Exception as error:  # one file must not end the others
            if means_no_memory(error):
                return failed(file, NO_MEMORY)
            return failed(file, f"{type(error).__name__}: {error} (a bug in nmfaudio: please report it)")

    def _page(self, written: Written, report: Any) -> Outcome:
        """Write the page of a run, if it is wanted; return what the outcome says of it."""
        if not self.with_page:
            return {}
        from nmfaudio.cli.report import write_page

        overwrite = bool(self.options.get("overwrite") or self.options.get("resume"))
        path, _ = write_page(written.manifest, None, overwrite=overwrite, progress=report)
        return {"report": str(path)}


def means_no_memory(error: BaseException) -> bool:
    """Whether an error of a library says that there was no memory for a thread or for a part of itself."""
    message = str(error).lower()
    return any(words in message for words in ("start new thread", "allocate memory", "failed to map segment"))
