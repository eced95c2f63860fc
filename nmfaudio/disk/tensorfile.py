"""Named arrays and texts in a safetensors file; all content is checked before it is used.

The format: eight bytes with the length of the header, the header, and the bytes of all arrays, little-endian
and without gaps. The header is a JSON object with the type, shape and position of each array, and texts by
name under `__metadata__`.

The package `safetensors` is not used, for two reasons. It writes the metadata in random order, so that equal
dictionaries give different files. And it maps files into memory, so that a file that another process makes
shorter ends the program with the signal SIGBUS. A test checks that both read each other's files.
"""

from __future__ import annotations

import json
import math
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nmfaudio.disk.atomic import write_atomically
from nmfaudio.errors import DictionaryError, InputError

LARGEST_HEADER = 1 << 19  # bytes: enough for the names and hashes of thousands of recordings
LARGEST_FILE = 1 << 26  # bytes: enough for the templates of hundreds of sources
_MOST_ARRAYS = 16
_LARGEST_SIZE = 1 << 40  # greatest length of an array and its greatest position in a file
_ALIGNMENT = 8
_NUMBERS_AT_A_TIME = 1 << 16  # numbers that are read and checked at a time: reading ends at the first bad one
_TYPE = "F32"  # the only type that is written and read
_METADATA = "__metadata__"


@dataclass(frozen=True)
class Kind:
    """What the files of some kind hold, for messages and limits.

    Attributes
    ----------
    name : str
        What the file is, such as ``a dictionary``.
    remedy : str
        What to do where a file is none, or is malformed.
    error : type
        Class of the errors.
    largest : int
        Largest size in bytes.
    """

    name: str
    remedy: str
    error: type[InputError]
    largest: int


DICTIONARY = Kind("a dictionary", "make one with `nmfaudio learn`", DictionaryError, LARGEST_FILE)

Arrays = dict[str, NDArray[np.float32]]
Position = tuple[tuple[int, ...], int, int]  # shape, start and end of an array


def pack(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a file with these arrays and texts.

    Examples
    --------
    >>> len(pack({"a": np.zeros((2, 3), np.float32)}, {"answer": "42"})) % 8
    0
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    contents, position = [], 0
    for name, array in arrays.items():
        content = np.ascontiguousarray(array, "<f4").tobytes()
        end = position + len(content)
        header[name] = {"dtype": _TYPE, "shape": list(array.shape), "data_offsets": [position, end]}
        contents.append(content)
        position = end
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([struct.pack("<Q", len(text)), text, *contents])


def save(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write a file completely or not at all.

    Raises
    ------
    OutputError
        When the file cannot be written.
    DictionaryError
        When the file would be larger than `opened` accepts.
    """
    content = pack(arrays, metadata)
    header = struct.unpack("<Q", content[:8])[0]
    if header > LARGEST_HEADER or len(content) > LARGEST_FILE:
        raise DictionaryError(
            f"{path}: {len(content)} bytes with a header of {header} bytes exceed the limits of a dictionary "
            f"({LARGEST_FILE} and {LARGEST_HEADER}): use fewer sources or fewer recordings in each dictionary"
        )
    write_atomically(path, content)


@dataclass(frozen=True)
class Content:
    """Metadata and shapes of the arrays in an open file. The arrays are read only by `arrays`.

    Attributes
    ----------
    metadata : dict of str to str
        Texts by name.
    shapes : dict of str to tuple of int
        Shape of each array.
    """

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    _file: BinaryIO

    def arrays(self) -> Arrays:
        """Read the arrays in the order of the file."""
        return {name: _array(self._file, name, shape) for name, shape in self.shapes.items()}


@contextmanager
def opened(path: str | os.PathLike[str], kind: Kind = DICTIONARY) -> Iterator[Content]:
    """Open a file for a look at its metadata and shapes before any array is read.

    Sizes, types, shapes and positions are checked against each other and against the size of the file.

    Raises
    ------
    InputError
        When the file cannot be opened or is malformed; its class is that of the kind. The message says why,
        without the name of the file.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise kind.error("it is not an ordinary file: name a .safetensors file")
        with open(path, "rb") as file:
            yield _read(file, kind.largest)
    except OSError as error:
        raise kind.error(f"cannot be opened ({error.strerror or error})") from None
    except _Malformed as error:
        raise kind.error(f"not {kind.name} ({error}): {kind.remedy}") from None


class _Malformed(Exception):
    """A file is not a valid safetensors file of this kind; the message says why."""


def _read(file: BinaryIO, largest: int) -> Content:
    size = os.fstat(file.fileno()).st_size
    if size > largest:
        raise _Malformed(f"it has {size} bytes, more than the limit of {largest}")
    start = file.read(_ALIGNMENT)
    if len(start) < _ALIGNMENT:
        raise _Malformed(f"its {size} bytes are too few")
    (length,) = struct.unpack("<Q", start)
    if length > min(LARGEST_HEADER, size - _ALIGNMENT):
        if kind := _other_kind(start):
            raise _Malformed(f"it is {kind}")
        raise _Malformed(
            f"it declares a header of {length} bytes; the file has {size} bytes, and the limit of headers is "
            f"{LARGEST_HEADER}"
        )
    header = _parsed(file.read(length))
    metadata = _texts(header.pop(_METADATA, {}))
    positions = {name: _position(name, entry) for name, entry in header.items()}
    _check_positions(positions, size - _ALIGNMENT - length)
    return Content(metadata, {name: shape for name, (shape, _, _) in _in_order(positions)}, file)


def _other_kind(start: bytes) -> str | None:
    """Return the kind of a file of another format, in words."""
    kinds = {b"PK": "a zip archive", b"\x80": "a pickle, which is never loaded", b"\x93NUMPY": "an .npy file"}
    kinds |= {b"RIFF": "an audio file", b"fLaC": "an audio file", b"\x1f\x8b": "a gzip archive"}
    kinds |= {b"\x89PNG": "a picture", b"\x89HDF": "an HDF5 file"}
    return next((kind for magic, kind in kinds.items() if start.startswith(magic)), None)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(
            text.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_refuse
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise _Malformed(f"its header is not JSON: {error}") from None
    except RecursionError:
        raise _Malformed("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise _Malformed("its header is not a JSON object")
    if len(header) > _MOST_ARRAYS + 1:
        raise _Malformed(f"it declares {len(header)} arrays, more than {_MOST_ARRAYS}")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name comes twice")
    return entries


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _texts(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _Malformed("its metadata are not texts with names")
    return metadata


def _position(name: str, entry: object) -> Position:
    """Return shape, start and end of an array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Malformed(f"array {name[:40]!r} must have dtype, shape and data_offsets")
    if entry["dtype"] != _TYPE:
        raise _Malformed(f"array {name[:40]!r} has the type {str(entry['dtype'])[:20]!r}, not {_TYPE}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2 and len(shape) <= 3):
        raise _Malformed(f"array {name[:40]!r} has an invalid shape or position")
    start, end = offsets
    if end - start != 4 * math.prod(shape):
        raise _Malformed(f"array {name[:40]!r} of shape {shape} cannot lie in {end - start} bytes")
    return tuple(shape), start, end


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= _LARGEST_SIZE for n in value)


def _in_order(positions: dict[str, Position]) -> list[tuple[str, Position]]:
    return sorted(positions.items(), key=lambda item: item[1][1:])


def _check_positions(positions: dict[str, Position], size: int) -> None:
    position = 0
    for name, (_, start, end) in _in_order(positions):
        if start != position:
            raise _Malformed(f"array {name[:40]!r} begins at {start}, not at {position}")
        position = end
    if position != size:
        raise _Malformed(f"its arrays need {position} bytes, but it has {size}: it was cut short or changed")


def _array(file: BinaryIO, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = np.empty(shape, "<f4")
    flat = array.reshape(-1)
    for start in range(0, flat.size, _NUMBERS_AT_A_TIME):
        part = flat[start : start + _NUMBERS_AT_A_TIME]
        if file.readinto(part.data) != part.nbytes:  # type: ignore[attr-defined]
            raise _Malformed(f"it ends within array {name[:40]!r}")
        if not (part.min() > -np.inf and part.max() < np.inf):  # NaN fails both
            raise _Malformed(f"array {name[:40]!r} holds NaN or infinity")
    return array.astype(np.float32, copy=False)
