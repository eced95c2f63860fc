"""The subject of a picture: a mixture, its stems and their components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nmfaudio.errors import OptionError
from nmfaudio.models.components import Components
from nmfaudio.pipeline.finished_run import FinishedRun
from nmfaudio.pipeline.fitting import Fitted
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.source import SampleSource
from nmfaudio.sound.sum_of_sources import SumOfSources

_LONGEST = 20 * 60.0  # seconds of a recording whose stems are held in memory

Stems = Mapping[str, SampleSource]


@dataclass(frozen=True)
class Scene:
    """A mixture, its stems and their components.

    Attributes
    ----------
    name : str
        Name of the recording.
    mixture : SampleSource
    components : Components
    find_stems : callable
        Returns the stems by name; called when a picture needs them.
    offset : float
        Time in seconds of the first sample.
    """

    name: str
    mixture: SampleSource
    components: Components
    find_stems: Callable[[], Stems] = field(repr=False)
    offset: float = 0.0

    @cached_property
    def stems(self) -> Stems:
        """The stems by name."""
        return self.find_stems()

    @classmethod
    def of_fitted(cls, fitted: Fitted) -> Scene:
        """Return the scene of a model of a mixture; its stems are made when they are needed."""
        source = fitted.mixture.source
        return cls(source.name, source, fitted.find_components(), lambda: _stems_in_memory(fitted))

    @classmethod
    def of_run(cls, run: FinishedRun, stems: Stems) -> Scene:
        """Return the scene of a finished run with its opened stems.

        Raises
        ------
        InputError
            When the run did not keep its components.
        """
        mixture = SumOfSources(list(stems.values()), run.track)
        return cls(run.track, mixture, run.components, lambda: stems)


def _stems_in_memory(fitted: Fitted) -> Stems:
    """Return the stems of a model, held in memory.

    Raises
    ------
    OptionError
        When the recording is too long for this.
    """
    from nmfaudio.pipeline.component_sounds import in_memory

    source = fitted.mixture.source
    if source.length > _LONGEST * source.sample_rate:
        raise OptionError(
            f"{source.name} is longer than {_LONGEST / 60:.0f} minutes: draw stems and masks of a passage, "
            "or of the folder of a finished run",
            option="view",
        )
    samples = in_memory(fitted.stems(), fitted.sources)
    return {name: Audio(values, source.sample_rate, name=name) for name, values in samples.items()}
