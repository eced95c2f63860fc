import numpy as np
import pytest
from scipy.optimize import minimize

from nmfaudio import STFT, Audio, Dictionary, Divergence, factorize, learn, read, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.dictionary import adaptation
from nmfaudio.separators.dictionary.adaptation import Gains, adapted, fit_gains
from nmfaudio.separators.dictionary.separator import FromDictionary
from nmfaudio.studies.evaluation import evaluate

FREQUENCIES = 60 * 2 ** np.arange(0, 7, 0.1)
LABELS = np.repeat([0, 1], 4)


def coloured(seed=0, frames=60):
    """A mixture of two sources with smooth gains that are not in their templates."""
    generator = np.random.default_rng(seed)
    W = generator.random((len(FREQUENCIES), 8)) ** 4
    H = generator.exponential(1, (8, frames))
    octaves = np.log2(FREQUENCIES / 60)
    gains = np.array([10 ** (0.25 * np.sin(octaves)), 10 ** (-0.25 * np.cos(0.8 * octaves))])
    return (W * gains[LABELS].T) @ H, W, gains


def test_gains_of_two_sources_are_found():
    V, W, gains = coloured()
    found = fit_gains(V, W, LABELS, FREQUENCIES, hold=1e-4, iterations=150)
    ratio = found.at(FREQUENCIES) / gains
    assert np.abs(20 * np.log10(ratio / np.median(ratio, axis=1, keepdims=True))).max() < 1.0


@pytest.mark.parametrize("beta", [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.7])
@pytest.mark.parametrize("hold", [0.01, 10.0])
def test_the_objective_never_rises(beta, hold):
    V, W, _ = coloured(1)
    found = fit_gains(V, W, LABELS, FREQUENCIES, beta=beta, hold=hold)
    assert np.all(np.diff(found.objective) <= 1e-9 * np.abs(found.objective[:-1]))
    assert found.objective[-1] < found.objective[0]
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_gains_minimise_the_objective(beta):
    V, W, _ = coloured(2, frames=1)
    w, labels = W[:, :1], LABELS[:1]
    found = fit_gains(V, w, labels, FREQUENCIES, beta=beta, hold=0.5, iterations=400)
    bumps = np.array([Gains(found.knots, one[None], np.zeros(1)).at(FREQUENCIES)[0] for one in np.eye(8)]).T
    divergence, hold = Divergence(beta), 0.5 * (V**beta).sum() / 8

    def objective(logs):
        gains = np.exp(logs[:8])
        fit = divergence.between(V[:, 0], (bumps @ gains) * w[:, 0] * np.exp(logs[8]) + 1e-9 * V.mean())
        return fit + hold * divergence.between(np.ones(8), gains)

    least = minimize(objective, np.append(np.zeros(8), np.log(V.sum() / w.sum())), tol=1e-12)
    assert np.allclose(np.log(found.values[0]), least.x[:8], atol=2e-3)


def test_a_stronger_hold_keeps_gains_nearer_to_one():
    V, W, _ = coloured()
    distances = [
        np.abs(np.log(fit_gains(V, W, LABELS, FREQUENCIES, hold=h).values)).max() for h in (0.01, 1, 1e5)
    ]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-3


def test_free_templates_have_no_gain_and_silent_sources_keep_theirs():
    V, W, gains = coloured()
    H = np.random.default_rng(3).exponential(1, (8, 60))
    half = (W * np.where(LABELS == 0, gains[0][:, None], 1)) @ H  # the second source sounds as it was learned
    first_only = np.where(LABELS == 0, 0, -1)
    one = fit_gains(half, W, first_only, FREQUENCIES, hold=1e-4, iterations=150)
    ratio = one.at(FREQUENCIES)[0] / gains[0]
    assert np.abs(20 * np.log10(ratio / np.median(ratio))).max() < 1.0
    allowed = np.ones((8, V.shape[1]), bool)
    allowed[LABELS == 1] = False  # it never sounds, so its gains stay at 1
    silent = fit_gains(V, W, LABELS, FREQUENCIES, allowed=allowed)
    assert np.allclose(silent.values[1], 1)
    assert not np.allclose(silent.values[0], 1, atol=0.1)


@pytest.fixture
def pair():
    generator = np.random.default_rng(5)
    stft = STFT(256)
    W = generator.random((stft.bins, 6)) ** 6
    known = Dictionary(W, ["a"] * 3 + ["b"] * 3, 8000, stft)
    V = (known.templates * np.linspace(1, 3, stft.bins)[:, None]) @ generator.exponential(1, (6, 80))
    return known, V.astype(np.float32)


@pytest.mark.parametrize("free", [0, 2])
@pytest.mark.parametrize("beta", [1.0, 0.0])
def test_adapted_templates_explain_more_of_the_mixture(pair, free, beta):
    known, V = pair
    known = Dictionary(known.templates, known.labels, 8000, known.stft, 2 - beta, beta)
    extra = np.random.default_rng(1).random((len(V), free)).astype(np.float32) if free else None

    def loss(dictionary):
        fixed = dictionary.templates if extra is None else np.hstack([dictionary.templates, extra])
        fit = factorize(V, fixed.shape[1], divergence=beta, frozen=fixed, iterations=60)
        return fit.objective[-1]

    losses = [loss(adapted(known, V, name, free=extra)[0]) for name in adaptation.ADAPTATIONS]
    assert losses[0] > losses[1] > losses[2]


def test_templates_move_less_the_more_they_are_held(pair, monkeypatch):
    known, V = pair
    gained = adapted(known, V, "gain")[0].templates
    distances = []
    for hold in (0.1, 1e3, 1e7):
        monkeypatch.setattr(adaptation, "TEMPLATE_HOLD", hold)
        distances.append(np.abs(adapted(known, V, "templates")[0].templates - gained).sum())
    assert distances[0] > 2 * distances[1] > 4 * distances[2]


def test_messages_describe_the_adaptation(pair):
    known, V = pair
    _, messages = adapted(known, V, "gain")
    assert len(messages) == 2
    assert "a: adapted to its sound in the mixture, by -" in messages[0]
    _, messages = adapted(known, (known.templates @ np.ones((6, 9))).astype(np.float32), "gain")
    assert messages[0] == "a: sounds in the mixture as it was learned"


def test_nothing_changes_without_adaptation_or_in_silence(pair):
    known, V = pair
    assert adapted(known, V, "none") == (known, ())
    assert adapted(known, 0 * V, "templates") == (known, ())


@pytest.fixture(scope="module")
def drums():
    """A drum loop, its stems, and templates of each, learned through another microphone."""
    folder = "audio_samples/drum_loop"
    tilt = np.array([1.0, -0.9])  # brighter by some 25 dB from bottom to top
    names = ("hihat", "kick", "snare")
    stems = {name: beginning(f"{folder}/{name}.flac") for name in names}
    learned = [
        learn(Audio(np.apply_along_axis(np.convolve, 1, stem.samples, tilt), stem.sample_rate), name)
        for name, stem in stems.items()
    ]
    return beginning("audio_samples/drum_loop.flac"), stems, Dictionary.join(learned)


def beginning(path):
    whole = read(path)
    return Audio(whole.samples[:, : 4 * whole.sample_rate], whole.sample_rate)


def test_gains_compensate_for_another_microphone(drums):
    loop, stems, known = drums
    references = {name: stem.samples for name, stem in stems.items()}

    def quality(**options):
        found = separate(loop, FromDictionary(known, stereo=False, **options)).stems
        return np.mean(
            [s.sdr for s in evaluate(references, {n: s.samples for n, s in found.items()}).values()]
        )

    assert quality(adapt="gain") > quality() + 0.5


def test_frozen_templates_stay_bit_identical(drums):
    loop, _, known = drums
    from nmfaudio.pipeline.fitting import fit

    for options in ({}, {"free": 2}):
        model = fit(loop, FromDictionary(known, stereo=False, **options)).model
        first = model.parts[0].model.template_sets[0].templates
        assert np.array_equal(first[:, : len(known.labels)], known.templates)
    moved = (
        fit(loop, FromDictionary(known, stereo=False, adapt="gain")).model.model.template_sets[0].templates
    )
    assert not np.array_equal(moved, known.templates)


def test_an_unknown_adaptation_is_refused(pair):
    with pytest.raises(OptionError, match="adapt='room': use one of none, gain, templates"):
        FromDictionary(pair[0], adapt="room")
