"""Play samples on a sound device, through the optional package sounddevice."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from nmfaudio.errors import OutputError


def play(samples: NDArray[Any], sample_rate: int) -> None:
    """Play samples (channels, samples) on the default device, and return when they end.

    Raises
    ------
    OutputError
        When sounddevice is missing or no device can play the samples.
    """
    try:
        sounddevice = import_module("sounddevice")
    except ImportError:
        raise OutputError(
            "playing needs the package sounddevice: run `pip install 'nmfaudio[live]'`, or write a file"
        ) from None
    except OSError as error:
        raise OutputError(f"playing needs the library PortAudio ({error}): install it") from None
    try:
        sounddevice.play(samples.T, sample_rate, blocking=True)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OutputError(f"no sound device can play this ({error}): write a file instead") from None
