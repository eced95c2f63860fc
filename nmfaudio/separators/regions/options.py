"""Options of the separators that use regions."""

from __future__ import annotations

from dataclasses import dataclass

from nmfaudio.errors import OptionError
from nmfaudio.models.options import Options, option
from nmfaudio.separators.dictionary.hints import read_hints
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


@dataclass(frozen=True, kw_only=True)
class RegionFileOptions(RegionOptions):
    """Base of separators that take regions also from a file of hints, and no other hints.

    Parameters
    ----------
    hints : str, optional
        TOML file or label file with regions; see `nmfaudio.separators.dictionary.hints.read_hints`.
    """

    hints: str | None = option(None, "TOML file or label file with regions", metavar="FILE", reads=True)

    def regions(self) -> Regions:
        """Return the regions of the options and of the file.

        Raises
        ------
        OptionError
            When the file cannot be read, or holds other hints than regions.
        """
        texts = read_hints(self.hints) if self.hints else {}
        region, not_region = texts.pop("region", []), texts.pop("not_region", [])
        if others := [kind for kind, found in texts.items() if found]:
            raise OptionError(
                f"{self.hints}: holds hints of the kind {', '.join(others)}, which only the separator "
                "dictionary uses: remove them from the file, or choose that separator",
                option="hints",
            )
        return Regions.parse([*region, *self.region], [*not_region, *self.not_region])
