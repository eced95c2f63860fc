import numpy as np
import pytest
from test_learning import tone

from nmfaudio import STFT, Audio, Blocks, Dictionary, learn, make, separate
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.separators.dictionary.separator import FromDictionary
from nmfaudio.separators.dictionary.transposition import transposed
from nmfaudio.sound import blocks as blocks_module
from nmfaudio.sound.frames import mean_frames
from nmfaudio.testing import check_separator

RATE = 8000


@pytest.fixture(scope="module")
def pair():
    return Dictionary.join([learn(tone(f), n, rank=2) for n, f in (("low", 300), ("high", 1100))])


def mixture():
    gate = np.arange(2 * RATE) // 4000 % 2
    parts = tone(300, 2).samples[0] * gate, tone(1100, 2).samples[0] * (1 - 0.5 * gate)
    return Audio(sum(parts), RATE), parts


def gain(estimate, reference, mixed):
    def ratio(x):
        return 10 * np.log10(np.sum(reference**2) / np.sum((x - reference) ** 2))

    return ratio(estimate) - ratio(mixed)


@pytest.mark.parametrize("options", [{}, {"free": 3}])
def test_the_contract_is_kept(pair, options):
    known = pair if not options else pair.pick("low")
    assert len(check_separator(FromDictionary(known, iterations=10, **options))) > 5


def test_known_sources_come_apart(pair):
    audio, parts = mixture()
    stems = separate(audio, FromDictionary(pair)).stems
    for name, part in zip(("low", "high"), parts, strict=True):
        assert gain(stems[name].samples[0], part, audio.samples[0]) > 10


def test_block_edges_are_not_audible(pair, monkeypatch):
    loud, quiet = mixture()[0].samples, mixture()[0].samples * 1e-3
    audio = Audio(np.concatenate([loud, quiet], axis=1), RATE)
    whole = separate(audio, FromDictionary(pair)).stems
    monkeypatch.setattr(blocks_module, "BLOCK_SECONDS", 1)
    parts = separate(audio, FromDictionary(pair)).stems
    for name in ("low", "high"):
        rest = whole[name].samples - parts[name].samples  # the rounding of float32 products
        assert np.abs(rest).max() < 1e-8


def test_unknown_sounds_go_to_the_residual(pair):
    audio, parts = mixture()
    stems = separate(audio, FromDictionary(pair.pick("low"), free=4)).stems
    assert list(stems) == ["low", "residual"]
    assert gain(stems["residual"].samples[0], parts[1], audio.samples[0]) > 5


def test_only_and_without_keep_the_same_stem_as_all(pair):
    audio, _ = mixture()
    every = separate(audio, FromDictionary(pair)).stems
    only = separate(audio, FromDictionary(pair), only="low").stems
    without = separate(audio, FromDictionary(pair), without="low").stems
    assert list(only) == ["low"]
    assert list(without) == ["without low"]
    assert np.allclose(only["low"].samples, every["low"].samples, atol=1e-9)
    assert np.allclose(without["without low"].samples, every["high"].samples, atol=1e-9)


def test_one_stem_of_integers_is_not_made_to_sum_to_the_mixture(pair, tmp_path, make_file):
    audio, _ = mixture()
    path = make_file(samples=audio.samples)
    from nmfaudio import read, separate_file

    written = separate_file(path, tmp_path / "out", FromDictionary(pair), only="low")
    assert list(written.stems) == ["low"]
    low = read(written.stems["low"].path).samples
    memory = separate(read(path), FromDictionary(pair), only="low")
    assert np.abs(low - memory.stems["low"].samples).max() < 1e-4
    again = memory.write(tmp_path / "again")
    assert np.array_equal(read(again.stems["low"].path).samples, low)


def test_unknown_sources_are_refused(pair):
    audio, _ = mixture()
    with pytest.raises(OptionError, match="no source 'flute': use one of low, high"):
        separate(audio, FromDictionary(pair), only="flute")
    with pytest.raises(OptionError, match="exclude each other"):
        separate(audio, FromDictionary(pair), only="low", without="high")
    with pytest.raises(OptionError, match="nothing remains"):
        separate(audio, FromDictionary(pair), without=("low", "high"))


def test_sources_are_known_before_a_mixture_is_read(pair, tmp_path):
    assert FromDictionary(pair).known_sources() == ("low", "high")
    solo = FromDictionary(pair.pick("low"), free=3, solo=("voice=0-1",))
    assert solo.known_sources() == ("low", "voice", "residual")
    assert FromDictionary().known_sources() == ()
    with pytest.raises(DictionaryError):
        FromDictionary(str(tmp_path / "none.safetensors")).known_sources()


@pytest.mark.parametrize("rate", [6000, 11025, 16000])
def test_a_mixture_at_another_rate_is_separated(pair, rate):
    parts = tone(300, 2, rate).samples[0], tone(1100, 2, rate).samples[0]
    audio = Audio(sum(parts), rate)
    stems = separate(audio, FromDictionary(pair)).stems
    assert gain(stems["low"].samples[0], parts[0], audio.samples[0]) > 8


def test_files_and_joined_files_are_read(pair, tmp_path):
    audio, _ = mixture()
    whole = str(pair.save(tmp_path / "pair.safetensors"))
    parts = tuple(str(pair.pick(n).save(tmp_path / f"{n}.safetensors")) for n in pair.sources)
    for given in (whole, parts):
        stems = separate(audio, make("dictionary", dictionary=given)).stems
        reference = separate(audio, FromDictionary(pair)).stems
        assert np.array_equal(stems["low"].samples, reference["low"].samples)


def test_options_outside_their_range_are_refused(pair):
    for options in ({"free": -1}, {"transpose": 3}, {"iterations": 0}, {"mask_exponent": 0.0}, {"seed": -1}):
        with pytest.raises(OptionError):
            FromDictionary(pair, **options)


def test_transposed_templates_keep_their_sum():
    templates = np.random.default_rng(0).random((100, 3))
    assert np.allclose(transposed(templates, 1.5).sum(axis=0), 1)
    assert transposed(np.eye(100)[:, [50]], -12).argmax() == 25


@pytest.mark.parametrize("most", [1, 40, 400, 10_000])
def test_frames_of_a_long_mixture_are_evenly_spaced(most):
    noise = np.random.default_rng(0).standard_normal((2, 11 * RATE)) / 8  # three blocks
    mixture = Blocks(Audio(noise, RATE), STFT(256))
    V, times = mean_frames(mixture, 1.0, most)
    whole = mixture.whole()
    step = -(-whole.frames // most)
    np.testing.assert_allclose(V, whole.magnitude.mean(axis=0)[:, ::step], rtol=1e-6)
    assert np.array_equal(times, whole.times[::step])
