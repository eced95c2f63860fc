"""Separator for mixtures of which nothing is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from nmfaudio.errors import OptionError
from nmfaudio.models.contract import Model
from nmfaudio.models.options import option, window_option
from nmfaudio.nmf import Divergence
from nmfaudio.separators.blind.grouping import counted
from nmfaudio.separators.blind.model import BlindModel
from nmfaudio.separators.blind.naming import is_generated, source_names
from nmfaudio.separators.blind.region_names import regrouped_by_regions
from nmfaudio.separators.blind.search import DEFAULT_COMPONENTS, ComponentSearch
from nmfaudio.separators.blind.single_sounds import are_single_sounds, count_single_sounds
from nmfaudio.separators.blind.starts import GroupedStarts, grouped_starts, single_sounds
from nmfaudio.separators.regions.model import with_regions
from nmfaudio.separators.regions.options import RegionFileOptions
from nmfaudio.separators.regions.region import Regions
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.frames import LEARNED_VALUES, evenly_spaced_frames
from nmfaudio.sound.stft import STFT

_NO_REGIONS = Regions()
# Default exponent of the masks: where each source is one component, and where components are grouped.
SIMPLE_EXPONENT, GROUPED_EXPONENT = 1.5, 1.0
# Default exponent of the mean of the masks over several groupings, which is softer than the masks where
# these differ. With 1.5 instead of 1, 32 separations of two or three instruments gained 0.4 dB more in the
# mean, and at most 0.1 dB less; with 2 they gained 0.4 dB more, and at most 0.3 dB less.
MEAN_EXPONENT = 1.5


@dataclass(frozen=True)
class Blind(RegionFileOptions):
    """Separate without any knowledge of the sources: find components and group those that sound alike.

    Where each source is a single sound (drums, single notes), as many components as sources explain nearly
    all that more components would, and each component is a source. Elsewhere a source plays many sounds. The
    separator then finds more components, from several random starts. It groups the components of each start
    by the timbre of their templates and, in recordings of several channels, by the coherence of the channels
    and, where sources are panned far apart, by their panning. In recordings of up to about twelve minutes
    (six in stereo), it groups them once more, and then how the activations rise, fall and fluctuate counts
    too. The masks of all starts and of both groupings are averaged, source by source, and the means are
    sharpened. A start whose sources differ from those of most starts counts less.

    Parameters
    ----------
    sources : int, optional
        Number of stems; by default 2 to 6, chosen from the data.
    components : int, optional
        Number of components to group; by default 24, or fewer in a file of fewer frames.
    divergence : str or float
        `"kl"` on magnitudes, `"is"` on powers, `"euclidean"` or any beta in [-1, 3] on magnitudes.
    iterations : int
        Number of updates of each start in bands of a 24th of an octave; 0.3 times as many updates in all bins
        follow.
    starts : int
        Number of random starts.
    window : float
        Length of the analysis window in seconds; the nearest power of two samples is used.
    mask_exponent : float, optional
        Exponent of the masks; higher values separate more strongly. By default 1.5 where each source is one
        component. Where components are grouped, it is 1 for the masks of each grouping, because softer masks
        do less harm where the grouping is wrong, and 1.5 for their mean. A number that you pass applies to
        the masks of each grouping, and their mean is left as it is.
    seed : int
        Seed of the random starts.
    region, not_region : tuple of str
        Regions in which a source sounds, or does not sound, such as ``snare=1.20-1.32@150-9000``. A name such
        as ``low1`` stands for the stem that has this name without regions. Another name is given to the stem
        that sounds most in its regions, which also gets the components that sound there.

    References
    ----------
    P. Smaragdis and J. C. Brown, "Non-negative matrix factorization for polyphonic music transcription",
    WASPAA 2003. M. Spiertz and V. Gnann, "Source-filter based clustering for monaural blind source
    separation", DAFx 2009.
    """

    needs_whole: ClassVar[bool] = False

    sources: int | None = option(None, "number of stems; default: chosen from the data", at_least=1)
    components: int | None = option(None, "number of components to group; default: 24", at_least=1)
    divergence: str | float = option("kl", "divergence: kl, is, euclidean, or a beta in [-1, 3]")
    iterations: int = option(100, "number of updates of each start", at_least=1)
    starts: int = option(6, "number of random starts, whose masks are averaged", at_least=1)
    window: float = window_option(0.046)
    mask_exponent: float | None = option(
        None,
        "exponent of the masks; higher values separate more strongly; default: 1.5, or 1 for the masks of "
        "each grouping and 1.5 for their mean",
        above=0,
        former_name="exponent",
    )
    seed: int = option(0, "seed of the random starts", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        components = self.components or DEFAULT_COMPONENTS
        if self.sources is not None and self.sources > components:
            raise OptionError(
                f"sources={self.sources} exceeds components={components}: each source needs at least one "
                "component",
                option="sources",
            )
        Divergence.of(self.divergence)

    def fit(self, mixture: Blocks) -> Model:
        """Find components in the mixture, group them into sources, and apply the regions."""
        return self.fit_regions(mixture, self.regions())

    def fit_regions(self, mixture: Blocks, regions: Regions) -> Model:
        """Find components, and group and change them by these regions instead of those of the options.

        Raises
        ------
        OptionError
            When the regions name more sources than the number of sources.
        """
        named = regions.sources
        if self.sources is not None and len(named) > self.sources:
            raise OptionError(
                f"the regions name {counted(len(named), 'source')} ({', '.join(named)}), but sources="
                f"{self.sources}: use at least {len(named)}",
                option="sources",
            )
        new = [name for name in named if not is_generated(name)]
        sources = self.sources if self.sources or not new else max(2, len(named))
        model = replace(self, sources=sources).grouped(mixture, regions)
        return with_regions(model, mixture, regions, self.seed)

    def grouped(self, mixture: Blocks, regions: Regions = _NO_REGIONS) -> BlindModel:
        """Return a model of the components; regions only decide how these are grouped and named."""
        search = self.search(mixture)
        return self._model(search, self._starts(search, self._component_count(search)), regions)

    def search(self, mixture: Blocks) -> ComponentSearch:
        """Return a search for components of a mixture, with the window and the updates of these options."""
        mixture = mixture.with_stft(STFT.lasting(self.window, mixture.sample_rate))
        return ComponentSearch(
            mixture, divergence=self.divergence, iterations=self.iterations, seed=self.seed
        )

    def model_of_single_sounds(self, search: ComponentSearch, sources: int) -> BlindModel:
        """Make each component of a search a source."""
        return self._model(search, single_sounds(search, sources, "requested"), _NO_REGIONS)

    def model_of_groups(self, search: ComponentSearch) -> BlindModel:
        """Group the components of a search with these options, even if each source may be a single sound."""
        count = self._component_count(search)
        return self._model(search, grouped_starts(search, count, self.starts, self.sources), _NO_REGIONS)

    def _model(self, search: ComponentSearch, found: GroupedStarts, regions: Regions) -> BlindModel:
        """Return a model of grouped components, which regions may group and name anew."""
        mixture, messages = search.mixture, found.messages
        frequencies = mixture.stft.frequencies(mixture.sample_rate)
        groupings, first = [*found.starts, *found.regroupings], found.starts[0]
        names = source_names(first.templates, first.factorization.H, first.labels, frequencies)
        if regions:
            times = mixture.times[evenly_spaced_frames(mixture, LEARNED_VALUES)]
            groupings, names = regrouped_by_regions(groupings, names, regions, frequencies, times)
        single_sounds = first.factorization.rank == len(names)
        mask_exponent = self.mask_exponent or (SIMPLE_EXPONENT if single_sounds else GROUPED_EXPONENT)
        sharpened = self.mask_exponent is None and not single_sounds
        covers_all_frames = search.learned_frames == mixture.frames
        if not covers_all_frames:
            frames = f"{search.learned_frames} of {mixture.frames} frames"
            messages = (*messages, f"components learned from {frames}, evenly spaced")
        return BlindModel(
            mixture.stft,
            tuple(groupings[: len(found.starts)]),
            names,
            mask_exponent,
            messages,
            tuple(groupings[len(found.starts) :]),
            covers_all_frames,
            mean_exponent=MEAN_EXPONENT if sharpened else 1.0,
        )

    def _component_count(self, search: ComponentSearch) -> int:
        """Return the number of components to group."""
        frames = search.V.shape[1]
        if self.components is not None and self.components > frames:
            raise OptionError(
                f"components={self.components} exceeds the {counted(frames, 'frame')} of the spectrogram: "
                f"use at most {frames}",
                option="components",
            )
        return self.components or max(self.sources or 1, min(DEFAULT_COMPONENTS, frames))

    def _starts(self, search: ComponentSearch, components: int) -> GroupedStarts:
        """Return the components of each start, and messages about the number of sources."""
        if self.components is None:
            if self.sources is None:
                if count := count_single_sounds(search, components):
                    return single_sounds(search, count, "found")
            elif are_single_sounds(search, self.sources, components):
                return single_sounds(search, self.sources, "requested")
        return grouped_starts(search, components, self.starts, self.sources)
