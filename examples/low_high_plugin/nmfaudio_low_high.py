from dataclasses import dataclass, field
from typing import Any

from nmfaudio import Blocks, FunctionModel, Spectrogram


@dataclass(frozen=True)
class LowHigh:
    """Separate the sound below a frequency from the sound above it."""

    frequency: float = field(default=500.0, metadata={"help": "frequency of the split in Hz"})

    def fit(self, mixture: Blocks) -> FunctionModel:
        return FunctionModel(mixture.stft, ("low", "high"), self.share)

    def share(self, block: Spectrogram) -> dict[str, Any]:
        ratio = (block.frequencies / self.frequency)[:, None] ** 8
        return {"low": block.magnitude, "high": block.magnitude * ratio}
