"""One file of many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """A file to separate, and the folder for its stems; both may be URLs, which are texts."""

    file: str
    output: Path | str
