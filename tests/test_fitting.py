from dataclasses import dataclass

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, Blocks, FunctionModel, separate, soft_masks
from nmfaudio.errors import SeparatorError
from nmfaudio.sound import blocks as blocks_module
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT
from nmfaudio.testing import check_separator


@dataclass(frozen=True)
class Loudness:
    """Give the loud frames to one stem and the quiet ones to the other, seen with some context."""

    context: int = 0
    n_fft: int = 256

    def fit(self, mixture: Blocks) -> FunctionModel:
        """Compare each frame with its neighbours."""
        mixture = mixture.with_stft(STFT(self.n_fft))
        return FunctionModel(mixture.stft, ("loud", "quiet"), self.estimate, context=self.context)

    def estimate(self, block: Spectrogram):
        power = np.pad((block.magnitude**2).sum(axis=1), ((0, 0), (self.context, self.context)))
        near = np.lib.stride_tricks.sliding_window_view(power, 2 * self.context + 1, axis=1).mean(axis=2)
        share = np.broadcast_to((near / (near + 1))[:, None], block.values.shape)
        return {"loud": share, "quiet": 1 - share}


def broken(separate=None, sources=("a", "b"), **attributes):
    """Make a separator whose model answers as told."""

    class Model:
        context = 0

        def separate(self, block):
            return separate(block)

    @dataclass(frozen=True)
    class Broken:
        """Break the contract."""

        def fit(self, mixture):
            model = Model()
            model.sources, model.stft = sources, mixture.stft
            for name, value in attributes.items():
                setattr(model, name, value)
            return model

    return Broken()


def halves(block):
    return {name: block.with_values(block.values / 2) for name in ("a", "b")}


AUDIO = Audio(sound(), 8000)


@pytest.mark.parametrize("context", [0, 5])
def test_blocks_make_no_seams(monkeypatch, context):
    audio = Audio(sound(4, channels=2), 8000)
    whole = separate(audio, Loudness(context))
    monkeypatch.setattr(blocks_module, "BLOCK_SECONDS", 1)
    parts = separate(audio, Loudness(context))
    for name, stem in whole.stems.items():
        np.testing.assert_allclose(parts.stems[name].samples, stem.samples, atol=1e-12)


def test_without_its_context_a_model_that_needs_it_makes_seams(monkeypatch):
    audio = Audio(sound(4), 8000)
    whole = separate(audio, Loudness(5)).stems["loud"].samples
    monkeypatch.setattr(blocks_module, "BLOCK_SECONDS", 1)
    monkeypatch.setattr(FunctionModel, "context", property(lambda _: 0, lambda *_: None), raising=False)
    assert np.abs(separate(audio, Loudness(5)).stems["loud"].samples - whole).max() > 1e-6


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-6, 1e6, 1e30, 1e300])
def test_level_changes_nothing_but_the_level(scale):
    expected = separate(AUDIO, Loudness())
    found = separate(Audio(AUDIO.samples * 2.0 ** np.round(np.log2(scale)), 8000), Loudness())
    for name, stem in expected.stems.items():
        scaled = stem.samples * 2.0 ** np.round(np.log2(scale))
        np.testing.assert_array_equal(found.stems[name].samples, scaled)


def test_a_model_that_needs_the_whole_mixture_is_cut_into_blocks(monkeypatch):
    @dataclass(frozen=True)
    class Median:
        """Compare with the median over all time."""

        def fit(self, mixture):
            return FunctionModel.of_whole(mixture, ("steady", "rest"), self.estimate)

        def estimate(self, whole):
            steady = np.minimum(np.median(whole.magnitude, axis=2, keepdims=True), whole.magnitude)
            return {"steady": steady, "rest": whole.magnitude - steady}

    audio = Audio(sound(4, channels=2), 8000)
    whole = separate(audio, Median())
    monkeypatch.setattr(blocks_module, "BLOCK_SECONDS", 1)
    parts = separate(audio, Median())
    np.testing.assert_allclose(parts.stems["steady"].samples, whole.stems["steady"].samples, atol=1e-12)
    check_separator(Median())


@dataclass(frozen=True)
class Quiet:
    """What is below the mean of all time, and what is above."""

    def fit(self, mixture):
        def estimate(whole):
            quiet, loud = (mixture.allocate(*whole.values.shape) for _ in range(2))
            for start, stop in mixture.bounds:
                V = whole.cut(start, stop).magnitude
                quiet[:, :, start:stop], loud[:, :, start:stop] = V < 0.1, V >= 0.1
            return {"quiet": quiet, "loud": loud}

        return FunctionModel.of_whole(mixture, ("quiet", "loud"), estimate)


def test_a_budget_bounds_the_memory_of_the_whole(check_budget):
    sizes = check_budget(Quiet(), Audio(sound(10, channels=2), 8000), tolerance=0.05)
    one = 2 * 257 * STFT(512).frames(80000)
    assert sorted(sizes) == [4 * one] * 4 + [16 * one]


@pytest.mark.parametrize(
    ("separator", "message"),
    [
        (broken(lambda b: 1 / 0), "failed with ZeroDivisionError"),
        (broken(lambda b: {"a": b}), r"gave stems \('a',\), but its sources are \('a', 'b'\)"),
        (broken(lambda b: dict(reversed(halves(b).items()))), r"gave stems \('b', 'a'\)"),
        (broken(lambda b: {"a": b.values, "b": b.values}), "gave ndarray for 'a'"),
        (broken(lambda b: {"a": b, "b": b}), "miss the mixture by"),
        (broken(lambda b: {"a": b.with_values(b.values * np.nan), "b": b}), "NaN or infinity in 'a'"),
        (broken(lambda b: {"a": b.with_values(b.values[:, :, :-1]), "b": b}), "gave 'a' the shape"),
        (broken(halves, sources=()), "names its sources"),
        (broken(halves, sources=("a", "a")), "names its sources"),
        (broken(halves, sources=("a", "../b")), "names a source '../b'"),
        (broken(halves, sources=("a", ".b")), "names a source '.b'"),
    ],
)
def test_a_model_that_breaks_the_contract_is_named(separator, message):
    with pytest.raises(SeparatorError, match=rf"(Broken|Model)\b.*{message}"):
        separate(AUDIO, separator)
    with pytest.raises(SeparatorError, match=message):
        check_separator(separator)


def test_a_fit_that_fails_is_named():
    @dataclass(frozen=True)
    class Failing:
        """Fail."""

        def fit(self, mixture):
            raise KeyError("tempo")

    with pytest.raises(SeparatorError, match=r"Failing failed with KeyError: 'tempo'"):
        separate(AUDIO, Failing())


def test_a_fit_that_returns_no_model_is_named():
    @dataclass(frozen=True)
    class Empty:
        """Return nothing of use."""

        def fit(self, mixture):
            return {}

    with pytest.raises(SeparatorError, match="Empty returned dict without sources, stft, context, separate"):
        separate(AUDIO, Empty())


def test_small_errors_of_the_sum_are_mended():
    def nearly(block):
        return {name: block.with_values(block.values / 2 * (1 + 1e-6)) for name in ("a", "b")}

    found = separate(AUDIO, broken(nearly))
    total = sum(stem.samples for stem in found.stems.values())
    np.testing.assert_allclose(total, AUDIO.samples, atol=1e-12)


def test_progress_is_reported_and_may_stop_the_work():
    seen = []
    separate(AUDIO, "blind", sources=2, iterations=20, report=seen.append)
    stages = list(dict.fromkeys(p.stage for p in seen))
    assert stages[0] == "reading"
    assert stages[-1] == "writing stems"
    assert any(p.objective for p in seen)

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        separate(AUDIO, "blind", report=interrupt)


def test_masks_are_what_makes_stems():
    block = Blocks(AUDIO, STFT(256)).whole()
    found = soft_masks(block, Loudness().estimate(block))
    assert set(found) == {"loud", "quiet"}


def test_the_conformance_check_finds_what_the_spine_forgives():
    @dataclass
    class Thawed:
        """Not frozen."""

        def fit(self, mixture):
            return FunctionModel(mixture.stft, ("a", "b"), lambda b: {"a": b.magnitude, "b": b.magnitude})

    with pytest.raises(SeparatorError, match="frozen dataclass"):
        check_separator(Thawed())

    @dataclass(frozen=True)
    class Mute:
        def fit(self, mixture):
            return FunctionModel(mixture.stft, ("a",), lambda b: {"a": b.magnitude})

    with pytest.raises(SeparatorError, match="needs a docstring"):
        check_separator(Mute())

    @dataclass(frozen=True)
    class Restless:
        """Draw from nowhere."""

        def fit(self, mixture):
            share = np.random.default_rng().random()
            return FunctionModel(
                mixture.stft, ("a", "b"), lambda b: {"a": b.magnitude * share, "b": b.magnitude}
            )

    with pytest.raises(SeparatorError, match="two runs differ"):
        check_separator(Restless())

    def changing(block):
        stems = halves(block)
        block.values[:] = 0
        return stems

    with pytest.raises(SeparatorError, match="changed the block|miss the mixture"):
        check_separator(broken(changing))


def estimating(estimate, *, of_whole):
    @dataclass(frozen=True)
    class Estimating:
        """Estimate two sources."""

        def fit(self, mixture):
            make = FunctionModel.of_whole if of_whole else lambda m, *rest: FunctionModel(m.stft, *rest)
            return make(mixture, ("a", "b"), estimate)

    return Estimating()


BAD_ESTIMATES = [
    (lambda b: {"a": b.magnitude * np.nan, "b": b.magnitude}, "estimate of 'a' contains NaN"),
    (lambda b: {"a": b.magnitude, "b": b.magnitude - 1}, "estimate of 'b' has negative values, down to -"),
    (lambda b: {"a": b.magnitude + np.inf, "b": b.magnitude}, "estimate of 'a' contains infinity"),
    (lambda b: {"a": b.values, "b": b.magnitude}, "estimate of 'a' has the type complex128"),
    (lambda b: {"a": b.magnitude.astype(object), "b": b.magnitude}, "estimate of 'a' has the type object"),
    (lambda b: {"a": b.magnitude[:, 1:], "b": b.magnitude}, "estimate of 'a' has shape"),
    (lambda b: {"a": b.magnitude}, r"returned estimates for \['a'\]"),
    (lambda b: None, "returned NoneType: it must return a dict"),
    (lambda b: b.magnitude, "returned ndarray: it must return a dict"),
]


@pytest.mark.parametrize("of_whole", [False, True], ids=["of blocks", "of the whole"])
@pytest.mark.parametrize(("estimate", "message"), BAD_ESTIMATES, ids=[m for _, m in BAD_ESTIMATES])
def test_an_estimate_that_cannot_be_used_is_named_with_its_file_and_line(estimate, message, of_whole):
    separator = estimating(estimate, of_whole=of_whole)
    place = r".* \(.*test_fitting\.py, line \d+\)"
    with np.errstate(invalid="ignore"):
        with pytest.raises(SeparatorError, match=message + place):
            separate(AUDIO, separator)
        with pytest.raises(SeparatorError, match="on a mono mixture: .*" + message + place):
            check_separator(separator)


@pytest.mark.parametrize("fault", [np.nan, -1.0, np.inf])
def test_masks_made_by_a_model_itself_are_checked_too(fault):
    def masked(block):
        return soft_masks(block, {"a": np.full(block.values.shape, fault), "b": block.magnitude})

    with pytest.raises(SeparatorError, match=r"Model: the estimate of 'a' .*test_fitting\.py, line \d+"):
        separate(AUDIO, broken(masked))


def test_an_error_of_a_plugin_names_its_file_and_line():
    with pytest.raises(SeparatorError, match=r"ZeroDivisionError: .* \(.*test_fitting\.py, line \d+\)"):
        separate(AUDIO, broken(lambda b: 1 / 0))
    with pytest.raises(SeparatorError, match=r"ValueError: .* \(.*test_fitting\.py, line \d+\)"):
        separate(AUDIO, broken(lambda b: np.ones(3).reshape(2, 2)))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"stft": 2048}, "stft is int"),
        ({"context": -1}, "context is -1"),
        ({"context": 1.5}, "context is 1.5"),
    ],
)
def test_members_of_a_model_are_checked(members, message):
    with pytest.raises(SeparatorError, match=f"returned a model whose {message}"):
        separate(AUDIO, broken(halves, **members))


def test_messages_that_are_one_text_are_refused():
    class Talking(FunctionModel):
        messages = "done"

    @dataclass(frozen=True)
    class Separator:
        def fit(self, mixture):
            return Talking(mixture.stft, ("a",), lambda b: {"a": b.magnitude})

    with pytest.raises(SeparatorError, match="returned a model whose messages are one text"):
        separate(AUDIO, Separator())
