"""Insert bytes into a file while libsndfile writes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol


class WritableFile(Protocol):
    """A binary file that can be written, read and positioned."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""

    def write(self, content: bytes, /) -> int:
        """Write all bytes and return their number."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Change the position and return the new one."""

    def tell(self) -> int:
        """Return the position."""


@dataclass(frozen=True)
class Insertion:
    """Bytes to insert at a position of the file that libsndfile writes."""

    content: bytes = b""
    position: int = 0
    has_tags: bool = False  # whether the content includes the tags, so that libsndfile must not write them


class InsertingFile:
    """A file into which bytes are inserted; whoever writes it does not see them.

    Parameters
    ----------
    file : binary file
    insertion : Insertion

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> InsertingFile(file, Insertion(b"***", 2)).write(b"abcd"), file.getvalue()
    (4, b'ab***cd')
    """

    def __init__(self, file: WritableFile, insertion: Insertion) -> None:
        self._file, self._insertion = file, insertion
        self._position, self._inserted = 0, False

    def write(self, content: bytes) -> int:
        """Write all bytes and return their number."""
        content = bytes(content)
        before = content[: max(0, self._insertion.position - self._position)]
        written = self._write_at(self._position, before) if before else 0
        after = content[len(before) :]
        if after:
            shift = len(self._insertion.content)
            if not self._inserted:
                self._write_at(self._insertion.position, self._insertion.content)
                self._inserted = True
            written += self._write_at(self._position + len(before) + shift, after)
        self._position += written
        return written

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        before = max(0, min(size, self._insertion.position - self._position))
        content = self._read_at(self._position, before) if before else b""
        if len(content) == before and size > before:
            shift = len(self._insertion.content) if self._inserted else 0
            content += self._read_at(self._position + before + shift, size - before)
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Change the position and return the new one."""
        if whence == os.SEEK_END:
            size = self._file.seek(0, os.SEEK_END)
            self._position = size - (len(self._insertion.content) if self._inserted else 0) + offset
        else:
            self._position = offset + (self._position if whence == os.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def _write_at(self, position: int, content: bytes) -> int:
        self._file.seek(position)
        return self._file.write(content)

    def _read_at(self, position: int, size: int) -> bytes:
        self._file.seek(position)
        return self._file.read(size)
