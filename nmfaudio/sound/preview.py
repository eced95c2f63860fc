"""The start of a recording as a small compressed file in memory, for players in notebooks."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from nmfaudio.sound.source import SampleSource

SECONDS = 10.0  # longest preview
MOST_BYTES = 300_000  # largest preview
# Sample rates of MP3, which every browser plays; other recordings become short WAV files.
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True)
class Preview:
    """A compressed passage.

    Attributes
    ----------
    content : bytes
        An audio file.
    kind : str
        Its media type, such as `audio/mpeg`.
    seconds : float
        Length of the passage, which begins at the start of the recording.
    """

    content: bytes
    kind: str
    seconds: float


def preview(source: SampleSource) -> Preview:
    """Return the start of a recording, at most `SECONDS` long and `MOST_BYTES` large, in mono or stereo."""
    rate = source.sample_rate
    channels = min(source.channels, 2)
    has_mp3 = rate in _MP3_RATES
    longest = SECONDS if has_mp3 else min(SECONDS, (MOST_BYTES - 1000) / (2 * channels * rate))
    length = min(source.length, max(1, int(longest * rate)))
    while True:
        samples = source.read(0, length)
        if source.channels > 2:
            samples = samples.mean(axis=0, keepdims=True)
        content = io.BytesIO()
        kind, subtype = ("MP3", "MPEG_LAYER_III") if has_mp3 else ("WAV", "PCM_16")
        soundfile.write(content, np.clip(samples, -1, 1).T, rate, format=kind, subtype=subtype)
        if content.tell() <= MOST_BYTES or length == 1:
            media = "audio/mpeg" if has_mp3 else "audio/wav"
            return Preview(content.getvalue(), media, length / rate)
        length = max(1, length // 2)
