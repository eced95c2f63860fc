import numpy as np
import pytest
from test_learning import tone
from test_separators_dictionary import RATE, gain, mixture

from nmfaudio import Audio, Dictionary, learn, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.dictionary.hints import Hints, Span, parse_seconds, read_hints
from nmfaudio.separators.dictionary.separator import FromDictionary


@pytest.fixture(scope="module")
def pair():
    return Dictionary.join([learn(tone(f), n, rank=2) for n, f in (("low", 300), ("high", 1100))])


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("solo", "drums", "write it in the form"),
        ("solo", "=0:00-0:07", "write it in the form"),
        ("solo", "drums=0:07-0:02", "ends before it begins"),
        ("silent", "voice=x-y", "write times like"),
        ("silent", "voice=5", "write times like"),
        ("range", "piano=C4", "write notes like"),
        ("range", "piano=C6-C4", "lower note first"),
        ("pan", "guitar=left", "from -1"),
        ("pan", "guitar=3", "from -1"),
        ("pan", "guitar=nan", "from -1"),
        ("pan", "a/b=0", "label 'a/b'"),
    ],
)
def test_hints_that_cannot_be_read_are_refused(kind, text, message):
    with pytest.raises(OptionError, match=message):
        Hints.parse(**{kind: [text]})
    with pytest.raises(OptionError, match=kind):
        FromDictionary((), **{kind: (text,)})


def test_times_and_notes():
    assert [parse_seconds(text) for text in ("7.5", "1:02", "1:00:05")] == [7.5, 62, 3605]
    hints = Hints.parse(range=["piano=C4-Bb5"], pan=["piano=-0.5"], silent=["a=b=0-1"])
    assert hints.ranges["piano"] == pytest.approx((261.63, 932.33), abs=0.01)
    assert hints.silences == (Span("a=b", 0.0, 1.0),)
    assert hints.sources == ("a=b", "piano")


def test_a_file_gives_the_same_hints_as_options(tmp_path, pair):
    path = tmp_path / "hints.toml"
    path.write_text('[low]\nsolo = ["0-0.5"]\nrange = "C3-C5"\n["high"]\nsilent = "0-0.5"\npan = 0.5\n')
    flags = {"solo": ("low=0-0.5",), "silent": ("high=0-0.5",), "range": ("low=C3-C5",), "pan": ("high=0.5",)}
    by_file = FromDictionary(pair, hints=str(path)).all_hints()
    assert by_file == FromDictionary(pair, **flags).all_hints()
    for text, message in (
        ("[low", "not valid TOML"),
        ("a = 1", "must be a table"),
        ("[low]\nx = 1", "must be a tab"),
    ):
        path.write_text(text)
        with pytest.raises(OptionError, match=message):
            read_hints(path)
    with pytest.raises(OptionError, match="cannot be opened"):
        read_hints(tmp_path / "none.toml")


def test_solos_alone_are_enough():
    audio, parts = mixture()
    lead = [tone(300).samples[0], tone(1100).samples[0]]
    whole = Audio(np.concatenate([*lead, audio.samples[0]]), RATE)
    found = separate(whole, FromDictionary(solo=("low=0-1", "high=1-2")))
    low, start = found.stems["low"].samples[0], 2 * RATE
    assert gain(low[start:], parts[0], audio.samples[0]) > 8
    assert np.abs(low[int(1.2 * RATE) : int(1.8 * RATE)]).max() < 1e-6 * np.abs(low).max()
    assert "templates learned from 1.0 s alone" in found.result.messages[0]


def test_a_source_is_silent_where_it_is_said_to_be(pair):
    audio, _ = mixture()
    found = separate(audio, FromDictionary(pair, silent=("low=0.2-0.8",)))
    inside = slice(int(0.35 * RATE), int(0.65 * RATE))
    assert np.abs(found.stems["low"].samples[0, inside]).max() < 1e-6
    assert "low: silent for 0.6 s" in found.result.messages
    free = separate(audio, FromDictionary(pair, free=2, silent=("low=0.2-0.8",)))
    assert np.abs(free.stems["low"].samples[0, inside]).max() < 1e-6


def test_a_range_leaves_out_templates_and_says_so(pair):
    audio, _ = mixture()
    both = Dictionary.join([learn([tone(300), tone(740)], "low", rank=2), pair.pick("high")])
    found = separate(audio, FromDictionary(both, range=("low=C3-G4",)))
    assert "low: 1 of 2 templates lie within C3 to G4 or have no pitch" in found.result.messages
    with pytest.raises(OptionError, match="no template of 'low' lies within C7 to C8"):
        separate(audio, FromDictionary(both, range=("low=C7-C8",)))


def test_a_hint_about_an_unknown_source_is_refused(pair):
    audio, _ = mixture()
    with pytest.raises(OptionError, match="names 'voice', but the sources are low, high"):
        separate(audio, FromDictionary(pair, silent=("voice=0-1",)))
    with pytest.raises(OptionError, match="begins at 9 s"):
        separate(audio, FromDictionary(pair, solo=("low=9-10",)))
    with pytest.raises(OptionError, match="no source is known"):
        separate(audio, FromDictionary())


def panned(pan_low=-0.5, pan_high=0.6):
    generator = np.random.default_rng(5)
    gate = np.repeat(generator.random(40) > 0.4, RATE // 10)
    low, high = tone(300, 4).samples[0] * gate, tone(1100, 4).samples[0] * np.roll(gate, 999)
    angles = [np.pi / 4 * (pan + 1) for pan in (pan_low, pan_high)]
    images = [np.outer([np.cos(a), np.sin(a)], x) for a, x in zip(angles, (low, high), strict=True)]
    return Audio(sum(images), RATE), images


@pytest.mark.parametrize("options", [{}, {"free": 3}])
def test_panned_sources_come_apart_by_place_under_their_names(pair, options):
    audio, images = panned()
    known = pair.pick("high") if options else pair
    found = separate(audio, FromDictionary(known, **options))
    assert "separated by pan position" in found.result.messages[0]
    names = ("residual", "high") if options else ("low", "high")
    for name, image in zip(names, images, strict=True):
        assert gain(found.stems[name].samples, image, audio.samples) > 25


def test_a_pan_names_the_place(pair):
    audio, images = panned()
    found = separate(audio, FromDictionary(pair, pan=("low=0.6", "high=-0.5")))  # the other way round
    assert gain(found.stems["high"].samples, images[0], audio.samples) > 25


def test_a_dictionary_that_does_not_fit_gives_a_warning(pair):
    noise = Audio(np.random.default_rng(2).standard_normal(3 * RATE) / 9 + tone(300, 3).samples[0], RATE)
    warnings = separate(noise, FromDictionary(pair)).result.warnings
    assert any("explain only" in warning and "rest=True" in warning for warning in warnings)
    audio, _ = mixture()
    fitting = separate(audio, FromDictionary(pair))
    assert not fitting.result.warnings
    assert "the templates explain" in fitting.result.messages[0]


def test_sources_with_the_same_templates_give_a_warning(pair):
    audio, _ = mixture()
    twins = Dictionary.join([pair, pair.pick("low").renamed("copy")])
    (warning,) = separate(audio, FromDictionary(twins)).result.warnings
    assert "sounds like" in warning


@pytest.mark.parametrize("text", ["3000-7000", "3000Hz-7000 Hz", "3kHz-7k", "F#7-7000"])
def test_a_range_may_be_given_in_hertz(text):
    low, high = Hints.parse(range=[f"bird={text}"]).ranges["bird"]
    assert low == pytest.approx(3000, rel=0.02)
    assert high == pytest.approx(7000)


@pytest.mark.parametrize("text", ["0-7000", "3000-inf", "-5-7", "3000", "nan-3000"])
def test_a_range_that_is_no_range_names_both_forms(text):
    with pytest.raises(OptionError, match="notes like C4-C6, or frequencies in Hz like 3000-7000"):
        Hints.parse(range=[f"bird={text}"])
