"""Options of the separators that use regions."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.models.options import Options, option
from nmfaudio.separators.regions.region import Regions


@dataclass(frozen=True, kw_only=True)
class RegionOptions(Options):
    """Base of separators that take regions; the fields follow those of the separator.

    Parameters
    ----------
    region : tuple of str
        Regions in which a source sounds, such as ``snare=1.20-1.32@150-9000``: seconds, and Hz.
    not_region : tuple of str
        Regions in which a source does not sound.
    """

    region: tuple[str, ...] = option(
        (),
        "rectangle of time and frequency in which only this source sounds, such as snare=1.20-1.32@150-9000; "
        "with /0.5 at the end, at least half of the sound there is its own",
        flag="region",
        metavar="SOURCE=START-END@LOW-HIGH",
        whole=True,
    )
    not_region: tuple[str, ...] = option(
        (),
        "rectangle of time and frequency in which a source does not sound, such as voice=0-5@80-4000",
        flag="not-region",
        metavar="SOURCE=START-END@LOW-HIGH",
        whole=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        Regions.parse(self.region, self.not_region)

    def regions(self) -> Regions:
        """Return the regions of both options."""
        return Regions.parse(self.region, self.not_region)
