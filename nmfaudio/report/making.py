"""Make the report of a run and write it to a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nmfaudio.disk.atomic import check_absent, check_folder, write_atomically
from nmfaudio.errors import InputError
from nmfaudio.report.document import Subject, document
from nmfaudio.report.page import html_page
from nmfaudio.report.preview import Preview, choose_preview
from nmfaudio.sound.progress import Progress, ignore_progress


def report_path(manifest: Path) -> Path:
    """Return the path of the report beside a manifest.

    Examples
    --------
    >>> report_path(Path("separated/song/manifest.json")).name
    'report.html'
    """
    before, _, after = manifest.stem.rpartition("manifest")
    return manifest.with_name(f"{before}report{after}.html")


def write_report(
    subject: Subject,
    path: str | os.PathLike[str],
    *,
    start: float | None = None,
    end: float | None = None,
    overwrite: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> Preview:
    """Write the report of a run: one HTML file that needs no network and no other file.

    Parameters
    ----------
    subject : Subject
        Stems, components and manifest of the run.
    path : path-like
        File to write.
    start, end : float, optional
        Times in seconds of the passage that the page plays; negative times are counted from the end. By
        default the whole recording, or the loudest minute of a long one.
    overwrite : bool
        Whether the file may exist already.
    report : callable, optional
        Takes a `Progress` after each stem.

    Returns
    -------
    Preview
        The passage that the page plays.

    Raises
    ------
    InputError
        When the components do not fit the stems, or the passage lies outside of them.
    OutputError
        When the file exists already or cannot be written. It is never half-written.
    """
    target = Path(path)
    check_folder(target)
    if not overwrite:
        check_absent([target])
    _check(subject)
    preview = choose_preview(subject.stems, start, end)
    page = html_page(document(subject, preview, report or ignore_progress))
    write_atomically(target, page.encode("ascii"))
    return preview


def _check(subject: Subject) -> None:
    """Check that stems and components belong together."""
    shapes = {(stem.length, stem.channels, stem.sample_rate) for stem in subject.stems.values()}
    if len(shapes) != 1:
        raise InputError(f"{subject.folder}: its stems differ in length, channels or sample rate")
    length, channels, rate = shapes.pop()
    components = subject.components
    frames = components.stft.frames(length)
    if (components.frames, components.channels, components.sample_rate) != (frames, channels, rate):
        raise InputError(
            f"{subject.folder}: its components ({components.frames} frames, {components.channels} channels, "
            f"{components.sample_rate} Hz) do not fit its stems ({frames} frames, {channels} channels, "
            f"{rate} Hz): separate the recording again with --keep"
        )
    if missing := [name for name in subject.stems if name not in components.sources]:
        raise InputError(f"{subject.folder}: there are no components of the stem {missing[0]!r}")
