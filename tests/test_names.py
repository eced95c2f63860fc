import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nmfaudio.plots.names import MOST_COLUMNS, UNKNOWN, drawable, shortened

RARE = "\U00017000"  # a Tangut ideograph, which no usual font has


def draw(name):
    """Draw a name in a figure, where any warning is an error, and return the pixels."""
    (text,), properties = drawable([name])
    figure = Figure(figsize=(4, 1))
    figure.suptitle(text, **properties)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.fixture
def rare_font(tmp_path):
    """Install a font that has a square glyph for RARE, for one test."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyphs = {".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord(RARE): "square"})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (900, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Rare Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "rare.ttf")
    before = list(font_manager.fontManager.ttflist)
    font_manager.fontManager.addfont(tmp_path / "rare.ttf")
    yield "Rare Square"
    font_manager.fontManager.ttflist[:] = before


@pytest.mark.parametrize("name", ['Yelle - "Ba$$in"', "Ke$ha & A$AP", "a_b^{c}\\frac{1}", "100 % $x$", "--"])
def test_names_are_text_and_never_mathematics(name):
    (text,), properties = drawable([name])
    assert text == name
    assert properties["parse_math"] is properties["usetex"] is False
    assert not np.array_equal(draw(f"{name}$ $"), draw(name))


NAMES = ("夜に駆ける", "明日", "봄날", "\N{MICROPHONE}", "caf\udce9", "a\nb\tc\x7f", RARE, "e\u0301", "שלום")


@pytest.mark.parametrize("name", NAMES)
def test_characters_of_any_script_are_drawn_without_a_warning(name):
    assert draw(name).min() < 200


def test_a_font_that_has_the_characters_is_used(rare_font):
    (text,), properties = drawable([f"a {RARE}"])
    assert text == f"a {RARE}"
    assert properties["family"][-1] == rare_font
    assert draw(RARE).min() < 200


def test_characters_without_a_font_become_squares():
    texts, properties = drawable([f"a{RARE}", "b\udce9", "c\n", "d\u200be"])
    assert texts == [f"a{UNKNOWN}", f"b{UNKNOWN}", f"c{UNKNOWN}", "de"]
    assert "Last Resort" not in " ".join(properties["family"])


@given(st.text(max_size=200))
def test_shortened_names_fit_and_keep_both_ends(name):
    short = shortened(name)
    assert len(short) <= MOST_COLUMNS
    if short != name:
        beginning, _, end = short.partition("\N{HORIZONTAL ELLIPSIS}")
        assert name.startswith(beginning)
        assert name.endswith(short.rpartition("\N{HORIZONTAL ELLIPSIS}")[2])
        assert len(beginning) > 10


def test_wide_characters_count_twice():
    assert len(shortened("夜" * 100)) <= MOST_COLUMNS // 2 + 1
