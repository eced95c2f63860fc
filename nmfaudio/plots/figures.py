"""Figures of matplotlib: how they are made, checked, saved and shown as HTML, without any display."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nmfaudio.disk.atomic import check_folder, write_atomically
from nmfaudio.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "svg", "pdf", "jpg", "jpeg", "webp", "tif", "tiff", "eps", "svgz")
_HTML_DPI = 70


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which belongs to no window and no notebook."""
    load_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def load_matplotlib() -> None:
    """Import matplotlib, even when the environment variable MPLBACKEND names a backend that is not installed.

    Notebooks set MPLBACKEND for all programs that they start. matplotlib cannot be imported when the named
    backend is missing, although pictures in files need no backend. A valid backend stays in effect.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


def check_picture(picture: str | os.PathLike[str]) -> str:
    """Return the kind of a picture, which is the ending of its name.

    Raises
    ------
    OutputError
        When the kind is unknown, or when the folder does not exist or is not writable.
    """
    target = Path(picture)
    kind = target.suffix.lstrip(".").lower()
    if kind not in KINDS:
        raise OutputError(f"{target}: not a picture's name: end it in .png, .svg or .pdf")
    check_folder(target)
    return kind


def save_picture(figure: Figure, picture: str | os.PathLike[str]) -> None:
    """Write a figure to a file, completely or not at all. The ending of the name decides the kind.

    Raises
    ------
    OutputError
        When the kind is unknown or the file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format=check_picture(picture))
    write_atomically(Path(picture), content.getvalue())


def as_html(caption: str, figure: Figure) -> str:
    """Return a caption and a figure as HTML that contains the picture."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_HTML_DPI)
    picture = base64.b64encode(content.getvalue()).decode("ascii")
    return f'<p>{html.escape(caption)}</p><img src="data:image/png;base64,{picture}">'
