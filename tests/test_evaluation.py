import numpy as np
import pytest

from nmfaudio.errors import InputError
from nmfaudio.studies.evaluation import TAPS, best_names, evaluate, si_sdr


def noise(sources=2, samples=6000, channels=1, seed=0):
    return np.random.default_rng(seed).standard_normal((sources, channels, samples))


def by_least_squares(R, E, own):
    """SDR, SIR and SAR of E[own] straight from the definition, with every delayed reference as a column."""
    padded = np.pad(R, ((0, 0), (0, TAPS)))
    estimate = np.pad(E[own], (0, TAPS))
    delayed = [np.stack([np.roll(r, d) for d in range(TAPS)], axis=1) for r in padded]
    target = delayed[own] @ np.linalg.lstsq(delayed[own], estimate, rcond=None)[0]
    everything = np.hstack(delayed)
    explained = everything @ np.linalg.lstsq(everything, estimate, rcond=None)[0]
    energies = [
        (target, estimate - target),
        (target, explained - target),
        (explained, estimate - explained),
    ]
    return [10 * np.log10((a @ a) / (b @ b)) for a, b in energies]


def test_ratios_are_those_of_the_definition():
    R = noise(samples=2500)[:, 0]
    E = np.stack([0.5 * R[0] + 0.1 * R[1], np.convolve(R[1], [0.6, 0, 0.3])[:2500]])
    E = E + 0.1 * noise(samples=2500, seed=1)[:, 0]
    found = evaluate(dict(zip("ab", R, strict=True)), dict(zip("ab", E, strict=True)))
    for j, name in enumerate("ab"):
        ours = (found[name].sdr, found[name].sir, found[name].sar)
        assert ours == pytest.approx(by_least_squares(R, E, j), abs=1e-4)


def test_a_filtered_reference_is_perfect_for_sdr_and_not_for_si_sdr():
    a, b = noise()
    echo = a + 0.5 * np.roll(a, 100)
    echo[:, :100] = a[:, :100]
    found = evaluate({"a": a, "b": b}, {"a": echo, "b": b})["a"]
    assert found.sdr > 20  # not more: the echo's end is cut off
    assert found.si_sdr < 10


def test_interference_and_artefacts_are_told_apart():
    a, b, rest = noise(3)
    leaking = evaluate({"a": a, "b": b}, {"a": a + 0.1 * b, "b": b})["a"]
    noisy = evaluate({"a": a, "b": b}, {"a": a + 0.1 * rest, "b": b})["a"]
    assert leaking.sar > leaking.sir + 20
    assert noisy.sir > noisy.sar + 5


def test_channels_are_averaged_where_the_reference_sounds():
    a, b = noise(channels=2)
    a[1] = 0
    found = evaluate({"a": a, "b": b}, {"a": a + 0.1 * b, "b": b})["a"]
    alone = evaluate({"a": a[:1], "b": b[:1]}, {"a": (a + 0.1 * b)[:1], "b": b[:1]})["a"]
    assert found.sdr == pytest.approx(alone.sdr)


def test_a_missing_estimate_is_silence_and_silence_scores_worst():
    a, b = noise()
    found = evaluate({"a": a, "b": b}, {"a": a})
    assert found["b"].sdr == found["b"].si_sdr == -60
    assert found["a"].sdr > 60


def test_level_does_not_matter():
    a, b = noise()
    quiet = {"a": 1e-3 * (a + 0.1 * b), "b": 1e-3 * b}
    assert evaluate({"a": a, "b": b}, quiet)["a"].sdr == pytest.approx(
        evaluate({"a": a, "b": b}, {"a": a + 0.1 * b, "b": b})["a"].sdr, abs=1e-3
    )


def test_estimates_are_matched_as_a_whole():
    a, b, c = noise(3)
    estimates = {"x": a + 0.9 * b, "y": a, "z": c}
    assert best_names({"a": a, "b": b, "c": c}, estimates) == {"a": "y", "b": "x", "c": "z"}
    assert best_names({"b": b}, estimates) == {"b": "x"}


def test_wrong_shapes_are_named():
    a, b = noise()
    with pytest.raises(InputError, match="estimate 'b' has shape"):
        evaluate({"a": a, "b": b}, {"a": a, "b": b[:, :100]})
    with pytest.raises(InputError, match="no references"):
        evaluate({}, {})


def test_si_sdr_allows_one_gain():
    a, b = noise()
    assert si_sdr(a, 3 * a) > 100
    assert si_sdr(a, np.zeros_like(a)) == -60
