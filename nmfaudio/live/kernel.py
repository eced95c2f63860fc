"""The real-time kernel, called from Python."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_size_t, c_void_p
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import DictionaryError
from nmfaudio.live.build import shared_object

MOST_SOURCES, LONGEST_MESSAGE = 32, 200
_FLOATS = POINTER(c_float)


class Controls(ctypes.Structure):
    """What may change while the kernel runs; see `source/kernel.h`."""

    _fields_ = (
        ("gains", c_float * MOST_SOURCES),
        ("bypass", c_int),
        ("iterations", c_int),
        ("sharpness", c_float),
    )


@cache
def library() -> Any:
    """Return the shared object with the types of its functions told."""
    library = ctypes.CDLL(str(shared_object()))
    library.nmfaudio_open.argtypes = [c_char_p, c_size_t, c_double, c_int, c_char_p, c_char_p]
    library.nmfaudio_open.restype = c_void_p
    library.nmfaudio_close.argtypes = [c_void_p]
    library.nmfaudio_latency.argtypes = [c_void_p]
    library.nmfaudio_variant.argtypes = [c_void_p]
    library.nmfaudio_variant.restype = c_char_p
    library.nmfaudio_controls.argtypes = [c_void_p]
    library.nmfaudio_controls.restype = POINTER(Controls)
    library.nmfaudio_meters.argtypes = [c_void_p, _FLOATS]
    library.nmfaudio_process.argtypes = [c_void_p, POINTER(_FLOATS), POINTER(_FLOATS), c_int]
    library.nmfaudio_templates.argtypes = [c_char_p, c_size_t, c_double, _FLOATS, c_size_t]
    return library


class Kernel:
    """One running separation.

    Parameters
    ----------
    exported : bytes
        As `nmfaudio.live.exported.exported_bytes` gives them.
    sample_rate : float
    channels : int
        1 or 2.
    variant : str
        Variant of the loops: "base", "avx2" or "avx512"; empty for the best one of this machine.

    Raises
    ------
    DictionaryError
        For bytes that the kernel refuses.
    """

    def __init__(self, exported: bytes, sample_rate: float, channels: int, *, variant: str = "") -> None:
        message = ctypes.create_string_buffer(LONGEST_MESSAGE)
        self._channels = channels
        self._handle = library().nmfaudio_open(
            exported, len(exported), sample_rate, channels, variant.encode(), message
        )
        if not self._handle:
            raise DictionaryError(f"the plugin refuses the dictionary: {message.value.decode()}")
        self.controls: Controls = library().nmfaudio_controls(self._handle).contents

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            library().nmfaudio_close(self._handle)

    @property
    def latency(self) -> int:
        """Samples by which the output is later than the input."""
        return int(library().nmfaudio_latency(self._handle))

    @property
    def variant(self) -> str:
        """Name of the loops in use."""
        return str(library().nmfaudio_variant(self._handle).decode())

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return as many samples as are given, shape (channels, samples), contiguous."""
        output = np.empty_like(samples)
        library().nmfaudio_process(self._handle, _rows(samples), _rows(output), samples.shape[1])
        return output

    def meters(self) -> NDArray[np.float32]:
        """Return the level of each source in the last frame, as a factor of full scale, roughly."""
        levels = np.zeros(MOST_SOURCES, np.float32)
        library().nmfaudio_meters(self._handle, levels.ctypes.data_as(_FLOATS))
        return levels


def _rows(samples: NDArray[np.float32]) -> Any:
    rows = [row.ctypes.data_as(_FLOATS) for row in samples]
    return (_FLOATS * len(rows))(*rows)


def converted_templates(exported: bytes, sample_rate: float, bins: int, most: int) -> NDArray[np.float32]:
    """Return the templates as the kernel uses them at a sample rate, shape (components, bins)."""
    values = np.zeros((most, bins), np.float32)
    count = library().nmfaudio_templates(
        exported, len(exported), sample_rate, values.ctypes.data_as(_FLOATS), values.size
    )
    return values[:count]
