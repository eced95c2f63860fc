"""A running separation with mutes and gains by name, and the counts that its user wants to see."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmfaudio import Dictionary
from nmfaudio.errors import OptionError
from nmfaudio.live.exported import PluginSettings, exported_bytes
from nmfaudio.live.kernel import Kernel


@dataclass
class Mixer:
    """One running separation; sound comes and goes through `process`, in another thread than the rest.

    Parameters
    ----------
    dictionary : Dictionary
    settings : PluginSettings
    sample_rate : float
    channels : int
        1 or 2.
    gains : mapping of str to float
        In dB, by source.
    muted : sequence of str

    Raises
    ------
    OptionError
        For a source that the dictionary does not have.
    """

    dictionary: Dictionary
    settings: PluginSettings
    sample_rate: float
    channels: int
    gains: Mapping[str, float] = field(default_factory=dict)
    muted: Sequence[str] = ()
    xruns: int = 0
    blocks: int = 0

    def __post_init__(self) -> None:
        for source in (*self.gains, *self.muted):
            if source not in self.dictionary.sources:
                known = ", ".join(self.dictionary.sources)
                raise OptionError(f"there is no source {source!r} in the dictionary: it has {known}")
        exported = exported_bytes(self.dictionary, self.settings)
        self._kernel = Kernel(exported, self.sample_rate, self.channels)
        self._muted, self._lock = set(self.muted), threading.Lock()
        self._apply()

    @property
    def latency(self) -> int:
        """Samples by which the output is later than the input, without those of the sound card."""
        return self._kernel.latency

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the next samples, shape (channels, samples)."""
        self.blocks += 1
        return self._kernel.process(samples)

    def toggle(self, number: int) -> None:
        """Mute the source of that number, counted from 1, or let it sound again."""
        if 1 <= number <= len(self.dictionary.sources):
            self._muted ^= {self.dictionary.sources[number - 1]}
            self._apply()

    def is_muted(self, source: str) -> bool:
        """Return whether a source is muted."""
        return source in self._muted

    def bypass(self, wanted: bool) -> None:
        """Give the delayed input, or the separated output again."""
        self._kernel.controls.bypass = int(wanted)

    def levels(self) -> dict[str, float]:
        """Return the level of each source in the last frame, in dB of full scale, roughly."""
        meters = self._kernel.meters()
        names = enumerate(self.dictionary.sources)
        return {source: float(20 * np.log10(max(float(meters[j]), 1e-6))) for j, source in names}

    def _apply(self) -> None:
        with self._lock:
            for number, source in enumerate(self.dictionary.sources):
                gain = 10 ** (self.gains.get(source, 0.0) / 20)
                self._kernel.controls.gains[number] = 0.0 if source in self._muted else gain
