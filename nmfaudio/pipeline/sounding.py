"""When each stem sounds: passages with their levels, as label files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import OptionError
from nmfaudio.sound.source import Samples

# Formats of label files, and the endings of their names.
LABEL_FORMATS = {"audacity": "txt", "csv": "csv"}

FRAME_SECONDS = 0.02  # the levels are measured in frames of this length
# A stem sounds in frames that are at most so far below its loudest frame and below the mixture, in dB. Below,
# most of what is heard comes from other sources.
BELOW_LOUDEST, BELOW_MIXTURE = 40.0, 20.0
LONGEST_GAP, SHORTEST = 0.1, 0.04  # seconds: shorter gaps are closed, and shorter passages are left out


@dataclass(frozen=True)
class Passage:
    """A passage in which a stem sounds.

    Attributes
    ----------
    source : str
    onset, end : float
        Times in seconds from the start of the stems.
    level : float
        Root mean square over samples and channels, in dB relative to full scale.
    """

    source: str
    onset: float
    end: float
    level: float


class LevelMeter:
    """Measures the power of a mixture and its stems, frame by frame, while they are written.

    Parameters
    ----------
    names : sequence of str
        Names of the stems.
    sample_rate : int
        Samples per second.
    """

    def __init__(self, names: Sequence[str], sample_rate: int) -> None:
        self._names, self._rate = tuple(names), sample_rate
        self._size = max(1, round(FRAME_SECONDS * sample_rate))
        self._sums: list[NDArray[np.float64]] = []
        self._rest: NDArray[np.float64] = np.zeros((len(self._names) + 1, 0))
        self._length = 0

    def watching(
        self, pieces: Iterable[tuple[Samples, Mapping[str, Samples]]]
    ) -> Iterator[tuple[Samples, Mapping[str, Samples]]]:
        """Yield the same pieces of the mixture and its stems, and measure them."""
        for mixture, stems in pieces:
            powers = [(part**2).mean(axis=0) for part in (mixture, *(stems[name] for name in self._names))]
            samples = np.concatenate([self._rest, np.stack(powers)], axis=1)
            whole = samples.shape[1] // self._size * self._size
            self._sums.append(samples[:, :whole].reshape(len(samples), -1, self._size).mean(axis=2))
            self._rest = samples[:, whole:]
            self._length += mixture.shape[1]
            yield mixture, stems

    def passages(self, gain: float = 1.0) -> list[Passage]:
        """Return the passages of all stems by rising onset.

        Parameters
        ----------
        gain : float
            Factor by which the stems were multiplied before they were written.
        """
        last = [self._rest.mean(axis=1, keepdims=True)] if self._rest.shape[1] else []
        mixture, *stems = np.concatenate([np.zeros((len(self._names) + 1, 0)), *self._sums, *last], axis=1)
        found = []
        for name, power in zip(self._names, stems, strict=True):
            for first, stop in sounding_frames(power, mixture):
                level = 10 * np.log10(power[first:stop].mean()) + 20 * np.log10(gain)
                onset, end = (min(n * self._size, self._length) / self._rate for n in (first, stop))
                found.append(Passage(name, onset, end, float(level)))
        return sorted(found, key=lambda passage: (passage.onset, passage.source))


def sounding_frames(power: NDArray[np.float64], mixture: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the first frame of each passage in which a stem sounds, and the frame after its last.

    Parameters
    ----------
    power, mixture : ndarray, shape (frames,)
        Mean power of the stem and of the mixture in each frame.

    Examples
    --------
    >>> sounding_frames(np.array([0, 1.0, 1, 1, 0, 0, 0, 0, 0, 0]), np.ones(10))
    [(1, 4)]
    """
    loudest = power.max(initial=0.0)
    sounds = (power > 0) & (power >= loudest * 10 ** (-BELOW_LOUDEST / 10))
    sounds &= power >= mixture * 10 ** (-BELOW_MIXTURE / 10)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sounds, [False]]).astype(np.int8)))
    joined: list[tuple[int, int]] = []
    for first, stop in edges.reshape(-1, 2).tolist():
        if joined and first - joined[-1][1] < LONGEST_GAP / FRAME_SECONDS:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((first, stop))
    return [(first, stop) for first, stop in joined if stop - first >= SHORTEST / FRAME_SECONDS]


def check_label_format(name: str | None) -> None:
    """Raise OptionError for an unknown format of label files."""
    if name is not None and name not in LABEL_FORMATS:
        raise OptionError(
            f"labels={name!r} is no format of label files: use {' or '.join(LABEL_FORMATS)}", option="labels"
        )


def label_file(passages: Iterable[Passage], format: str) -> bytes:
    r"""Return passages as a label track of Audacity or as a CSV file, in UTF-8.

    Examples
    --------
    >>> label_file([Passage("kick", 0.5, 0.75, -12.0)], "audacity")
    b'0.500000\t0.750000\tkick (-12.0 dB)\n'
    """
    if format == "audacity":
        lines = (f"{p.onset:.6f}\t{p.end:.6f}\t{p.source} ({p.level:.1f} dB)\n" for p in passages)
        return "".join(lines).encode()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("onset", "end", "source", "level_db"))
    writer.writerows((f"{p.onset:.6f}", f"{p.end:.6f}", p.source, f"{p.level:.1f}") for p in passages)
    return text.getvalue().encode()
