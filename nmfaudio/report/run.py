"""A finished run on disk as the subject of a report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nmfaudio.pipeline.finished_run import MANIFEST, FinishedRun
from nmfaudio.report.document import Scores, Subject


@contextmanager
def opened_run(run: FinishedRun, scores: Scores | None = None) -> Iterator[Subject]:
    """Open the stems of a run as the subject of a report; they are closed when the context is left.

    Parameters
    ----------
    run : FinishedRun
    scores : mapping of str to mapping of str to float, optional
        Measures in dB by stem.

    Raises
    ------
    InputError
        When the run kept no components, or they are damaged.
    AudioFileError
        When a stem cannot be read.
    """
    components = run.components
    name = str(run.folder if run.path.name == MANIFEST else run.path)
    with run.opened_stems() as stems:
        yield Subject(stems, components, run.document, name, scores or {})
