"""Named arrays in a safetensors file, whose reader believes nothing before it has checked it.

The format: eight bytes that give the length of a header, the header (a JSON object: for each array its
type, shape and place; under `__metadata__` texts by name), then the arrays' bytes, little-endian, one after
another.
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
from nmfaudio.errors import DictionaryError

LARGEST_HEADER = 1 << 19  # bytes: room for the names and hashes of some thousand training files
LARGEST_FILE = 1 << 26  # bytes: templates of some hundred sources
_MOST_ARRAYS = 16
_ALIGNMENT = 8
_PIECE = 1 << 16  # numbers that are read and checked at a time: a bad one ends the reading
_TYPE = "F32"  # the only one that is written, and read
_METADATA = "__metadata__"

Arrays = dict[str, NDArray[np.float32]]


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
        place = [position, position + len(content)]
        header[name] = {"dtype": _TYPE, "shape": list(array.shape), "data_offsets": place}
        contents.append(content)
        position = place[1]
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([struct.pack("<Q", len(text)), text, *contents])


def save(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write a file that appears whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    DictionaryError
        When it would be larger than `load` accepts.
    """
    content = pack(arrays, metadata)
    header = struct.unpack("<Q", content[:8])[0]
    if header > LARGEST_HEADER or len(content) > LARGEST_FILE:
        raise DictionaryError(
            f"{path}: {len(content)} bytes with a header of {header} are more than a dictionary may have "
            f"({LARGEST_FILE} and {LARGEST_HEADER}): keep fewer sources, or fewer training files, in each"
        )
    write_atomically(path, content)


@dataclass(frozen=True)
class Content:
    """What a file says of itself; its arrays are read when they are asked for.

    Attributes
    ----------
    metadata : dict of str to str
    shapes : dict of str to tuple of int
        Of the arrays.
    """

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    _file: BinaryIO

    def arrays(self) -> Arrays:
        """Read the arrays, in the order in which they lie in the file."""
        return {name: _array(self._file, name, shape) for name, shape in self.shapes.items()}


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Content]:
    """Open a file, so that what it says can be looked at before any array is read.

    Sizes, types, shapes and places are checked against each other and against the size of the file.

    Raises
    ------
    DictionaryError
        Saying what is wrong with the file, without its name.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DictionaryError("it is not an ordinary file: name a .safetensors file")
        with open(path, "rb") as file:
            yield _read(file)
    except OSError as error:
        raise DictionaryError(f"cannot be opened ({error.strerror or error})") from None
    except _Malformed as error:
        raise DictionaryError(f"not a dictionary ({error}): make one with `nmfaudio learn`") from None


class _Malformed(Exception):
    """What is wrong with a file."""


def _read(file: BinaryIO) -> Content:
    size = os.fstat(file.fileno()).st_size
    if size > LARGEST_FILE:
        raise _Malformed(f"{size} bytes, more than the {LARGEST_FILE} that one may have")
    start = file.read(_ALIGNMENT)
    if len(start) < _ALIGNMENT:
        raise _Malformed(f"{size} bytes are too few")
    (length,) = struct.unpack("<Q", start)
    if length > min(LARGEST_HEADER, size - _ALIGNMENT):
        if kind := _other_kind(start):
            raise _Malformed(f"it is {kind}")
        raise _Malformed(
            f"it declares a header of {length} bytes; the file has {size}, a header at most {LARGEST_HEADER}"
        )
    header = _parsed(file.read(length))
    metadata = _texts(header.pop(_METADATA, {}))
    places = {name: _place(name, entry) for name, entry in header.items()}
    _check_places(places, size - _ALIGNMENT - length)
    return Content(metadata, {name: shape for name, (shape, _, _) in _in_order(places)}, file)


def _other_kind(start: bytes) -> str | None:
    kinds = {b"PK": "a zip archive", b"\x80": "a pickle, which is never loaded", b"\x93NUMPY": "an .npy file"}
    kinds |= {b"RIFF": "an audio file", b"fLaC": "an audio file", b"\x1f\x8b": "a gzip archive"}
    kinds |= {b"\x89PNG": "a picture", b"\x89HDF": "an HDF5 file"}
    return next((kind for magic, kind in kinds.items() if start.startswith(magic)), None)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_twins, parse_constant=_refuse)
    except (UnicodeDecodeError, ValueError) as error:
        raise _Malformed(f"its header is not JSON: {error}") from None
    except RecursionError:
        raise _Malformed("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise _Malformed("its header is not a JSON object")
    if len(header) > _MOST_ARRAYS + 1:
        raise _Malformed(f"it declares {len(header)} arrays, more than {_MOST_ARRAYS}")
    return header


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _texts(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _Malformed("its metadata are not texts by name")
    return metadata


def _place(name: str, entry: object) -> tuple[tuple[int, ...], int, int]:
    """Return shape, start and end of an array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Malformed(f"array {name[:40]!r} must have dtype, shape and data_offsets")
    if entry["dtype"] != _TYPE:
        raise _Malformed(f"array {name[:40]!r} has the type {str(entry['dtype'])[:20]!r}, not {_TYPE}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2 and len(shape) <= 3):
        raise _Malformed(f"array {name[:40]!r} has a shape or place that is none")
    start, end = offsets
    if end - start != 4 * math.prod(shape):
        raise _Malformed(f"array {name[:40]!r} of shape {shape} cannot lie in {end - start} bytes")
    return tuple(shape), start, end


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= LARGEST_FILE for n in value)


def _in_order(places: dict[str, tuple[tuple[int, ...], int, int]]) -> list[Any]:
    return sorted(places.items(), key=lambda item: item[1][1:])


def _check_places(places: dict[str, tuple[tuple[int, ...], int, int]], size: int) -> None:
    position = 0
    for name, (_, start, end) in _in_order(places):
        if start != position:
            raise _Malformed(f"array {name[:40]!r} begins at {start}, not at {position}")
        position = end
    if position != size:
        raise _Malformed(
            f"its arrays take {position} bytes, but {size} are there: it was cut short or altered"
        )


def _array(file: BinaryIO, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = np.empty(shape, "<f4")
    flat = array.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        part = flat[start : start + _PIECE]
        if file.readinto(part.data) != part.nbytes:  # type: ignore[attr-defined]
            raise _Malformed(f"it ends within array {name[:40]!r}")
        if not (part.min() > -np.inf and part.max() < np.inf):  # NaN fails both
            raise _Malformed(f"array {name[:40]!r} holds NaN or infinity")
    return array.astype(np.float32, copy=False)
