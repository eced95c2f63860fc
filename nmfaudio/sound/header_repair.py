"""Headers that libsndfile refuses or misreads although all samples are there, and their corrected form.

- WAV files whose sizes are 0, because the recorder stopped before it could write them, or whose sizes have
  wrapped around because the file is larger than 4 GB.
- BW64 (ITU-R BS.2088), which differs from RF64 only in its first four bytes.
- CAF and AU files of unknown length, which the formats permit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO

from nmfaudio.sound.riff import Chunk, chunk_list, ends_well, packed

_UNKNOWN_SIZE = 0xFFFFFFFF
_LARGEST_RIFF = _UNKNOWN_SIZE - 1
_LARGEST_HEADER = 16 << 20  # bytes before the samples; larger headers are left as they are
_CRASHED = "its header declares no samples, as after a crash of the recorder"
_WRAPPED = "its header declares fewer samples than it contains, because it is larger than 4 GB"


@dataclass(frozen=True)
class Repair:
    """Bytes that replace the first `replaced` bytes of a file; `warning` is empty if the file is valid."""

    header: bytes
    replaced: int
    warning: str = ""


class RepairedFile:
    """A file whose first bytes are replaced, as a file that libsndfile can read.

    Parameters
    ----------
    stream : binary file
        File to read. It is not closed.
    repair : Repair
        The new header.

    Examples
    --------
    >>> import io
    >>> RepairedFile(io.BytesIO(b"BW64 samples"), Repair(b"RF64", 4)).read(12)
    b'RF64 samples'
    """

    def __init__(self, stream: IO[bytes], repair: Repair) -> None:
        self._stream, self._header = stream, repair.header
        self._shift = repair.replaced - len(repair.header)
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; -1 stands for all."""
        end = self._size() if size < 0 else self._position + size
        content = self._header[self._position : end]
        if self._position + len(content) < end:
            self._stream.seek(self._position + len(content) + self._shift)
            content += self._stream.read(end - self._position - len(content)) or b""
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Change the position and return the new one."""
        origins = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size()}
        self._position = max(0, origins[whence] + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def _size(self) -> int:
        return self._stream.seek(0, os.SEEK_END) - self._shift


def find_repair(stream: IO[bytes]) -> Repair | None:
    """Return the corrected header of a file, or None if libsndfile reads the file as it is."""
    stream.seek(0)
    head = stream.read(32)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wave_repair(stream, head)
    if head[:4] == b".snd" and head[8:12] == bytes(4):
        return _au_repair(stream, head)
    return _caf_repair(stream) if head[:4] == b"caff" else None


def _wave_repair(stream: IO[bytes], head: bytes) -> Repair | None:
    chunks = chunk_list(stream)
    data = next((chunk for chunk in chunks if chunk.name == b"data"), None)
    end = stream.seek(0, os.SEEK_END)
    if data is None or data.offset > _LARGEST_HEADER or data.offset == end:
        return None
    available = end - data.offset
    if data.size == 0 and not ends_well(stream, data.offset, end):
        return _with_sizes(stream, chunks, data, available, _CRASHED)
    if head[:4] == b"RIFF" and available > _UNKNOWN_SIZE and data.size <= _UNKNOWN_SIZE:
        if data.size == _UNKNOWN_SIZE:  # a stream of unknown length
            return _with_sizes(stream, chunks, data, available, "")
        if (available - data.size) % (1 << 32) == 0:
            return _with_sizes(stream, chunks, data, available, _WRAPPED)
    return _with_sizes(stream, chunks, data, data.size, "") if head[:4] == b"BW64" else None


def _with_sizes(stream: IO[bytes], chunks: list[Chunk], data: Chunk, size: int, warning: str) -> Repair:
    """Return a header with the format chunk alone, for `size` bytes of samples; RF64 if beyond 4 GB."""
    form = b"".join(packed(c.name, c.read(stream)[: c.size]) for c in chunks if c.name == b"fmt ")
    riff_size = 4 + len(form) + 8 + size
    if riff_size <= _LARGEST_RIFF:
        header = b"RIFF" + riff_size.to_bytes(4, "little") + b"WAVE" + form + b"data"
        return Repair(header + size.to_bytes(4, "little"), data.offset, warning)
    riff_size += 36
    sizes = b"".join(number.to_bytes(8, "little") for number in (riff_size, size, 0)) + bytes(4)
    header = b"RF64" + b"\xff" * 4 + b"WAVE" + packed(b"ds64", sizes) + form + b"data" + b"\xff" * 4
    return Repair(header, data.offset, warning)


def minimal_header(stream: IO[bytes]) -> Repair | None:
    """Return the header of a WAV file without the chunks that libsndfile may fail to read, or None."""
    chunks = chunk_list(stream)
    data = next((chunk for chunk in chunks if chunk.name == b"data"), None)
    if data is None or data.size == 0 or not any(c.name == b"fmt " and c.size >= 16 for c in chunks):
        return None
    return _with_sizes(stream, chunks, data, data.size, "")


def _au_repair(stream: IO[bytes], head: bytes) -> Repair | None:
    start = int.from_bytes(head[4:8], "big")
    if not 24 <= start < stream.seek(0, os.SEEK_END):
        return None
    return Repair(head[:8] + b"\xff" * 4, 12, _CRASHED)


def _caf_repair(stream: IO[bytes]) -> Repair | None:
    end, offset = stream.seek(0, os.SEEK_END), 8
    while offset + 12 <= min(end, _LARGEST_HEADER):
        stream.seek(offset)
        header = stream.read(12)
        size = int.from_bytes(header[4:], "big", signed=True)
        if header[:4] == b"data":
            if size > 0 or end - offset <= 16:
                return None
            stream.seek(0)
            before = stream.read(offset + 4)
            true_size = (end - offset - 12).to_bytes(8, "big")
            return Repair(before + true_size, offset + 12, "" if size < 0 else _CRASHED)
        if size < 0:
            return None
        offset += 12 + size
    return None
