"""Samples with their sample rate and their encoding."""

from __future__ import annotations

import copy
import numbers
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import AudioFileError
from nmfaudio.sound.metadata import Metadata
from nmfaudio.sound.playing import play
from nmfaudio.sound.source import Encoding, Samples, check_finite, check_passage
from nmfaudio.sound.writing import write_audio

# An array with more channels than samples, and more channels than this, is taken to be transposed. Microphone
# arrays and Ambisonics of order 7 have up to 64 channels.
_MOST_CHANNELS = 64


@dataclass(frozen=True)
class Audio:
    """Samples in memory.

    Parameters
    ----------
    samples : array_like, shape (channels, samples) or (samples,)
        Samples with full scale 1. They are stored as a read-only view; a vector becomes one channel.
    sample_rate : int
        Samples per second.
    encoding : Encoding
        Encoding of the file that the samples were read from; stems are written in it by default.
    name : str
        Name of the recording, which is the default name of the folder of its stems.
    warnings : tuple of str
        Defects of the file that the samples were read from.
    metadata : Metadata
        Tags, positions on a timeline, speakers and pictures, which stems inherit.

    Raises
    ------
    AudioFileError
        If the samples have another shape or type or are not finite, or the sample rate is not a whole number
        of at least 1.

    Examples
    --------
    >>> Audio([[0.0, 0.5], [0.0, -0.5]], 44100)
    Audio(2 channels, 2 samples, 44100 Hz, 0.000 s)
    """

    samples: NDArray[Any]
    sample_rate: int
    encoding: Encoding = field(default_factory=Encoding)
    name: str = "audio"
    warnings: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        samples = _checked_samples(self.samples)
        if samples.shape[0] > max(samples.shape[1], _MOST_CHANNELS):
            raise AudioFileError(
                f"samples have shape {samples.shape}, but it must be (channels, samples): transpose them, or "
                "use Audio.from_frames for the shape (samples, channels), in which soundfile returns samples"
            )
        self._set(samples, _checked_rate(self.sample_rate))

    @classmethod
    def from_frames(
        cls, frames: Any, sample_rate: int, encoding: Encoding | None = None, name: str = "audio"
    ) -> Self:
        """Create an `Audio` from samples of shape (samples, channels), as soundfile returns them.

        Parameters
        ----------
        frames : array_like, shape (samples, channels) or (samples,)
            Samples with full scale 1.
        sample_rate : int
            Samples per second.
        encoding : Encoding, optional
            Encoding of the file that the samples were read from.
        name : str
            Name of the recording.

        Examples
        --------
        >>> Audio.from_frames(np.zeros((100, 2)), 44100)
        Audio(2 channels, 100 samples, 44100 Hz, 0.002 s)
        """
        samples = _checked_samples(frames)
        channels_first = samples if np.ndim(frames) < 2 else samples.T
        audio = object.__new__(cls)
        object.__setattr__(audio, "encoding", encoding or Encoding())
        object.__setattr__(audio, "name", name)
        object.__setattr__(audio, "warnings", ())
        object.__setattr__(audio, "metadata", Metadata())
        audio._set(channels_first, _checked_rate(sample_rate))
        return audio

    def _set(self, samples: NDArray[Any], sample_rate: int) -> None:
        if samples.shape[0] == 0:
            raise AudioFileError(f"samples have shape {samples.shape}: there must be at least one channel")
        check_finite(samples, self.name, 0, sample_rate)
        samples = samples.view()
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "sample_rate", sample_rate)

    def with_description(self, **changes: Any) -> Audio:
        """Return a copy with other values of `warnings`, `metadata` or other attributes."""
        audio = copy.copy(self)
        for name, value in changes.items():
            object.__setattr__(audio, name, value)
        return audio

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags of the recording, such as `artist`."""
        return self.metadata.tags

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest absolute sample."""
        return float(np.abs(self.samples).max(initial=0.0))

    def read(self, start: int, stop: int) -> Samples:
        """Return a copy of samples `start` to `stop` as float64."""
        return self.samples[:, start:stop].astype(np.float64)

    def cut(self, start: int, stop: int) -> Audio:
        """Return samples `start` to `stop`; positions in the metadata are counted from the new start.

        Raises
        ------
        AudioFileError
            If the passage is empty or lies outside the recording.
        """
        check_passage(self, start, stop)
        metadata = self.metadata.of_passage(start, stop)
        return self.with_description(samples=self.samples[:, start:stop], metadata=metadata)

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        subtype: str | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write the samples to an audio file, which appears complete or not at all.

        Parameters
        ----------
        path : path-like
            Name of the file. Its ending decides the format where none is given.
        format, subtype : str, optional
            Format and sample type, as libsndfile names them. By default the sample type is that of the
            recording, where the format has it.
        overwrite : bool
            Whether an existing file may be replaced.

        Returns
        -------
        Path
            The path of the file.

        Raises
        ------
        OutputError
            When the file exists already or cannot be written.
        OptionError
            When the format cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Audio([0.0, 0.5], 8000).write(f"{folder}/click.wav").name
        'click.wav'
        """
        return write_audio(self, path, format=format, subtype=subtype, overwrite=overwrite)

    def play(self) -> None:
        """Play the recording on the default sound device, and return when it ends.

        Raises
        ------
        OutputError
            When the optional package sounddevice is missing or no device can play the recording.
        """
        play(self.samples, self.sample_rate)

    def _repr_html_(self) -> str:
        from nmfaudio.plots.notebook import audio_html

        return audio_html(self)

    def __repr__(self) -> str:
        size = f"{self.channels} channels, {self.length} samples"
        return f"Audio({size}, {self.sample_rate} Hz, {self.duration:.3f} s)"


def _checked_samples(values: Any) -> NDArray[Any]:
    """Return samples as a two-dimensional array of floats."""
    if np.ma.isMaskedArray(values):
        raise AudioFileError("samples are a masked array: fill the masked samples first, as with .filled(0)")
    try:
        samples = np.asarray(values)
    except ValueError:
        raise AudioFileError("samples have channels of different lengths: make the lengths equal") from None
    if samples.dtype not in (np.float32, np.float64):
        if not np.issubdtype(samples.dtype, np.floating):
            raise AudioFileError(f"samples are {samples.dtype}: convert them to floats with full scale 1")
        samples = samples.astype(np.float64)
    if samples.ndim == 0:
        raise AudioFileError("samples are a single number: pass the samples first, then the sample rate")
    if samples.ndim > 2:
        raise AudioFileError(f"samples have shape {samples.shape}: it must be (channels, samples)")
    return np.atleast_2d(samples)


def _checked_rate(sample_rate: Any) -> int:
    """Return the sample rate as an int; whole numbers of other types, such as 44100.0, are accepted."""
    if type(sample_rate) is not bool and isinstance(sample_rate, numbers.Real):
        rate = float(sample_rate)
        if rate.is_integer() and rate >= 1:
            return int(rate)
    if isinstance(sample_rate, (np.ndarray, list, tuple)) and np.size(sample_rate) > 1:
        raise AudioFileError("sample_rate is an array: pass the samples first, then the sample rate")
    raise AudioFileError(f"sample_rate={sample_rate!r}: it must be a whole number of at least 1")
