"""Components of several random starts, grouped into the same sources."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.separators.blind.agreement import aligned
from nmfaudio.separators.blind.coherence import coherences
from nmfaudio.separators.blind.grouping import Grouping, counted, group_components
from nmfaudio.separators.blind.search import DEFAULT_COMPONENTS, ComponentSearch
from nmfaudio.separators.blind.single_sounds import factorize_single_sounds


@dataclass(frozen=True)
class GroupedStarts:
    """Components of several random starts, grouped into the same sources.

    Attributes
    ----------
    starts : tuple of LabelledFactorization
        Components of each random start; all label the sources alike.
    regroupings : tuple of LabelledFactorization
        The same components, grouped by another rule; none, or one for each start.
    messages : tuple of str
        How the number of sources was chosen.
    """

    starts: tuple[LabelledFactorization, ...]
    regroupings: tuple[LabelledFactorization, ...]
    messages: tuple[str, ...]


def grouped_starts(
    search: ComponentSearch, components: int, starts: int, sources: int | None
) -> GroupedStarts:
    """Find components, and group those of each start by timbre and channels, with and without envelopes.

    Which of the two groupings is better depends on the mixture: envelopes tell a piano from a flute, but not
    in a passage of few notes. Their masks are therefore averaged. Envelopes need the activations of
    successive frames: where the search holds only some frames of a long mixture, they are left out.

    Parameters
    ----------
    search : ComponentSearch
    components : int
        Number of components of each start.
    starts : int
        Number of random starts.
    sources : int, optional
        Number of sources; by default chosen from the components of the first start.
    """
    mixture = search.mixture
    frequencies = mixture.stft.frequencies(mixture.sample_rate)
    has_envelopes = search.learned_frames == mixture.frames
    frames_per_second = mixture.sample_rate / mixture.stft.hop_length if has_envelopes else None

    factorizations = search.factorizations(components, starts)
    coherence = coherences(search, factorizations)

    def group(number: int, sources: int | None, frames_per_second: float | None) -> Grouping:
        return group_components(
            factorizations[number].W,
            factorizations[number].H,
            frequencies,
            channels=mixture.channels,
            frames_per_second=frames_per_second,
            coherence=coherence[number],
            sources=sources,
        )

    def labelled(number: int, grouping: Grouping) -> LabelledFactorization:
        return LabelledFactorization(factorizations[number], mixture.channels, grouping.labels).ordered()

    def like_first(number: int, frames_per_second: float | None) -> LabelledFactorization:
        return aligned(labelled(number, group(number, first.sources, frames_per_second)), reference)

    first = group(0, sources, frames_per_second)
    reference = labelled(0, first)
    others = [like_first(number, frames_per_second) for number in range(1, starts)]
    regroupings = [like_first(number, None) for number in range(starts)] if has_envelopes else []
    guess = "" if sources else "; this is a guess: pass the number of sources if you know it"
    return GroupedStarts((reference, *others), tuple(regroupings), (f"{first.reason}{guess}",))


def single_sounds(search: ComponentSearch, sources: int, origin: str) -> GroupedStarts:
    """Make each component a source; the sources are numbered by falling energy.

    Parameters
    ----------
    search : ComponentSearch
    sources : int
        Number of sources and components.
    origin : str
        Where the number comes from, for the message: "found" or "requested".
    """
    factorization = factorize_single_sounds(search, sources)
    unordered = LabelledFactorization(factorization, search.mixture.channels, np.zeros(sources, np.intp))
    by_energy = replace(unordered.ordered(), labels=np.arange(sources))
    message = (
        f"{counted(sources, 'source')} {origin}; each source is taken for one repeated sound: sources with "
        f"several sounds, such as toms of several pitches, need components={DEFAULT_COMPONENTS}"
    )
    return GroupedStarts((by_energy,), (), (message,))
