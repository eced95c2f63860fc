"""A recording as it is analysed: without offset, and scaled so that its peak lies between 1/2 and 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.offset import WithoutOffset, find_offset
from nmfaudio.sound.progress import Progress
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.stft import STFT


def analysis_blocks(
    source: SampleSource,
    stft: STFT,
    *,
    report: Callable[[Progress], None] | None = None,
    memory: int = 0,
) -> Blocks:
    """Return the blocks of a recording without constant offset and rumble, scaled by a power of two.

    Parameters
    ----------
    source : SampleSource
        The recording.
    stft : STFT
        Settings of the spectrograms.
    report : callable, optional
        Takes a `Progress`; may raise an exception to stop the work.
    memory : int
        Number of bytes that arrays as large as the whole spectrogram may take in memory together; 0 means a
        quarter of the memory of the machine.

    Returns
    -------
    Blocks
        Their `source` is a `WithoutOffset` where something was taken out.
    """
    offset = find_offset(source)
    cleaned = WithoutOffset(source, offset) if offset else source
    mixture = Blocks(cleaned, stft, scale_exponent=int(np.frexp(cleaned.peak)[1]), memory=memory)
    return replace(mixture, report=report) if report else mixture
