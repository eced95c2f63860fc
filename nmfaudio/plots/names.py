"""Names of files and sources in figures: literal text, in fonts that have its characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

MOST_COLUMNS = 64  # of a name; Chinese and Japanese characters take two
UNKNOWN = "\N{WHITE SQUARE}"  # in place of characters that no font has
_BEGINNING = 0.7  # part of a shortened name before the ellipsis; the rest is its end
# Words in the names of fonts with many characters, which are tried first.
_LARGE_FONTS = ("CJK", "Unicode", "Gothic", "Hei", "Song", "Ming", "Hiragino", "Malgun", "Noto Sans")
_NORMAL_WEIGHTS = (400, "normal", "regular", "book")  # matplotlib logs a line when it finds no normal weight
_PLACEHOLDER_FONT = "Last Resort"  # its glyphs show only the Unicode block of a character


def drawable(names: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    r"""Return names as texts that matplotlib can draw, and the text properties to draw them with.

    The properties turn off mathematics (`$`) and TeX, and add installed fonts for characters that the usual
    font lacks. Characters that no installed font has, control characters and undecodable bytes become white
    squares. Long names are shortened in the middle.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    texts : list of str
    properties : dict
        Keyword arguments for the functions of matplotlib that draw text.

    Examples
    --------
    >>> drawable(["Ke$ha"])[0], drawable(["tab\t"])[0]
    (['Ke$ha'], ['tab□'])
    """
    from nmfaudio.plots.figures import load_matplotlib

    load_matplotlib()
    import matplotlib

    texts = [shortened(_without_formatting(name)) for name in names]
    needed = {c for text in texts for c in text if c.isprintable()}
    families = list(matplotlib.rcParams["font.family"])
    missing = needed - set().union(*map(_characters, families))
    for family in _other_families() if missing else ():
        if supplied := missing & _characters(family):
            families.append(family)
            missing -= supplied
        if not missing:
            break
    texts = ["".join(c if c in needed - missing else UNKNOWN for c in text) for text in texts]
    return texts, {"parse_math": False, "usetex": False, "family": families}


def shortened(name: str) -> str:
    """Return a name of at most `MOST_COLUMNS` columns; a longer one keeps its beginning and its end.

    Examples
    --------
    >>> len(shortened("x" * 300))
    64
    """
    if _columns(name) <= MOST_COLUMNS:
        return name
    beginning, end = "", ""
    for character in name:
        if _columns(beginning + character) > _BEGINNING * MOST_COLUMNS:
            break
        beginning += character
    for character in reversed(name):
        if _columns(beginning + end + character) >= MOST_COLUMNS:
            break
        end = character + end
    return f"{beginning}\N{HORIZONTAL ELLIPSIS}{end}"


def _without_formatting(name: str) -> str:
    """Return a name with composed accents and without invisible formatting characters."""
    return "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _other_families() -> Iterator[str]:
    """Yield the families of all installed fonts of normal weight, those with many characters first."""
    from matplotlib.font_manager import fontManager

    upright = [font for font in fontManager.ttflist if font.style == "normal"]
    normal = {font.name for font in upright if font.weight in _NORMAL_WEIGHTS}
    families = sorted(family for family in normal if not family.startswith(_PLACEHOLDER_FONT))
    yield from sorted(families, key=lambda family: not any(word in family for word in _LARGE_FONTS))


def _characters(family: str) -> set[str]:
    """Return the characters of the font that matplotlib uses for a family."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    try:
        path = findfont(FontProperties(family=[family]), fallback_to_default=False)
    except ValueError:  # a font that is listed but was removed
        return set()
    return {chr(code) for code in get_font(path).get_charmap()}
