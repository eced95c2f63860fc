"""What is done to each file."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nmfaudio.cluster.outcome import Outcome, failed, succeeded
from nmfaudio.cluster.task import Task

if TYPE_CHECKING:
    from nmfaudio.pipeline.target import Written

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
    with_page : bool
        Whether the page of `nmfaudio report` is written beside each manifest.
    """

    separator: Any
    options: dict[str, Any] = field(default_factory=dict)
    debug: bool = False
    with_page: bool = False

    def run(self, task: Task, report: Any = None) -> Outcome:
        """Separate one file; return the outcome, also where the separation failed."""
        try:
            return self._succeeded(task, report)
        except Exception as error:  # one file must not end the others
            trace = traceback.format_exc() if self.debug else ""
            return failed(task.file, _reason(error), trace)

    def _succeeded(self, task: Task, report: Any) -> Outcome:
        from nmfaudio.cluster.places import is_url
        from nmfaudio.errors import NmfaudioWarning, OptionError
        from nmfaudio.pipeline.separation import separate_file

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NmfaudioWarning)  # the outcome has them, and they are printed
            if is_url(task.file) or is_url(task.output):
                from nmfaudio.cluster.remote import separate_remote

                if self.with_page:
                    raise OptionError("a page cannot be written behind a URL: leave out --report")
                return separate_remote(task.file, task.output, self.separator, report=report, **self.options)
            written = separate_file(task.file, task.output, self.separator, report=report, **self.options)
            page = self._page(written, report)
        return succeeded(task.file, written) | page

    def _page(self, written: Written, report: Any) -> Outcome:
        """Write the page of a run, if it is wanted; return what the outcome says of it."""
        if not self.with_page:
            return {}
        from nmfaudio.pipeline.finished_run import FinishedRun
        from nmfaudio.report.making import report_path, write_report
        from nmfaudio.report.run import opened_run

        run = FinishedRun.open(written.manifest)
        path = report_path(run.path)
        overwrite = bool(self.options.get("overwrite") or self.options.get("resume"))
        with opened_run(run, {}) as subject:
            write_report(subject, path, overwrite=overwrite, report=report)
        return {"report": str(path)}


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
