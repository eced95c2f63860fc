"""A separator in a package of its own: `pip install examples/low_high_plugin`."""

from dataclasses import dataclass, field

from nmfaudio import Blocks, FunctionModel


@dataclass(frozen=True)
class LowHigh:
    """Split at a frequency: what lies below, and what lies above."""

    frequency: float = field(default=500.0, metadata={"help": "where to split, in Hz"})

    def fit(self, mixture: Blocks) -> FunctionModel:
        """Weigh each bin by a smooth step around the frequency."""
        ratio = (mixture.stft.frequencies(mixture.sample_rate)[None, :, None] / self.frequency) ** 8
        return FunctionModel(
            mixture.stft,
            ("low", "high"),
            lambda block: {"low": block.magnitude, "high": block.magnitude * ratio},
        )
