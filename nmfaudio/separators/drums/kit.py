"""Starting templates of drums: typical spectra of each kind of drum, or recordings of single drums."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import NmfaudioError, OptionError
from nmfaudio.sound.analysis import analysis_blocks
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.files import read
from nmfaudio.sound.stft import STFT

_SUFFIXES = {".wav", ".flac", ".aiff", ".aif", ".ogg", ".mp3", ".caf", ".w64", ".au", ".opus"}
_LEAST = 1e-3  # level in all bins relative to the highest peak: updates cannot raise a zero

_HIT = 0.3  # part of the strongest rise of the level that a hit has at least


class Peak(NamedTuple):
    """A peak of a drum's spectrum: centre in Hz, width in octaves, and height."""

    frequency: float
    octaves: float
    height: float


class Drum(NamedTuple):
    """A kind of drum: its typical spectrum, and the seconds in which it decays to 1/e."""

    peaks: tuple[Peak, ...]
    decay: float


KIT = {
    "kick": Drum((Peak(65, 0.5, 1.0),), 0.06),
    "snare": Drum((Peak(200, 0.4, 1.0), Peak(1500, 0.8, 0.5), Peak(5000, 0.8, 0.5)), 0.06),
    "hihat": Drum((Peak(9000, 0.6, 1.0),), 0.04),
    "tom": Drum((Peak(120, 0.4, 1.0),), 0.1),
    "cymbal": Drum((Peak(6000, 0.8, 1.0),), 0.5),
}


def drum_template(name: str, stft: STFT, sample_rate: int, lags: int) -> NDArray[np.float64]:
    """Return a typical short spectrogram of a kind of drum, shape (bins, lags).

    Examples
    --------
    >>> kick = drum_template("kick", STFT(2048), 44100, 10)
    >>> kick.shape, int(kick[:, 0].argmax())
    ((1025, 10), 3)
    """
    frequencies = stft.frequencies(sample_rate)
    frequencies[0] = frequencies[1] / 2
    spectrum = np.full(stft.bins, _LEAST)
    for peak in KIT[name].peaks:
        spectrum += peak.height * np.exp(-0.5 * (np.log2(frequencies / peak.frequency) / peak.octaves) ** 2)
    time = np.arange(lags) * stft.hop_length / sample_rate
    return np.outer(spectrum, np.exp(-time / KIT[name].decay))


def one_shot_templates(
    folder: Path, stft: STFT, sample_rate: int, lags: int
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the names of the recordings in a folder, and their mean hits, shape (drums, bins, lags).

    Raises
    ------
    OptionError
        When the folder has no recordings, or when a recording is silent or cannot be read.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    if not files:
        raise OptionError(
            f"oneshots={str(folder)!r} holds no audio file: put kick.wav, snare.wav, ... there",
            option="oneshots",
        )
    return tuple(p.stem for p in files), np.array([_mean_hit(p, stft, sample_rate, lags) for p in files])


def _mean_hit(path: Path, stft: STFT, sample_rate: int, lags: int) -> NDArray[np.float64]:
    """Return the mean of the hits in a recording of one drum, shape (bins, lags)."""
    try:
        audio = read(path)
    except NmfaudioError as error:
        raise OptionError(f"oneshots: {error}", option="oneshots") from None
    if audio.sample_rate != sample_rate:
        audio = _resampled(audio, sample_rate)
    V = analysis_blocks(audio, stft).whole().magnitude.mean(axis=0)
    V = np.pad(V, ((0, 0), (0, lags)))
    if not V.any():
        raise OptionError(f"oneshots: {path} is silent: use a recording of the drum", option="oneshots")
    hits = [V[:, frame : frame + lags] for frame in hit_frames(V, lags)]
    return np.asarray(np.mean([hit / hit.sum() for hit in hits], axis=0) + _LEAST * V.mean() / V.sum())


def hit_frames(V: NDArray[Any], lags: int) -> list[int]:
    """Return the frames in which hits begin, at least `lags` frames apart, in order of time."""
    rise = np.maximum(np.diff(V, axis=1, prepend=0), 0).sum(axis=0)[: V.shape[1] - lags]
    remaining, frames = rise.copy(), []
    while remaining.max() > _HIT * rise.max():
        frames.append(int(remaining.argmax()))
        remaining[max(0, frames[-1] - lags) : frames[-1] + lags] = 0
    return sorted(frames)


def _resampled(audio: Audio, sample_rate: int) -> Audio:
    """Return a recording at another sample rate."""
    import librosa

    samples = librosa.resample(
        audio.samples, orig_sr=audio.sample_rate, target_sr=sample_rate, res_type="soxr_hq"
    )
    return Audio(samples, sample_rate, audio.encoding, audio.name)
