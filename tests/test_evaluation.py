import numpy as np
import pytest

from nmfaudio import Audio
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


def test_names_that_match_nothing_are_an_error_with_the_names():
    a, b = noise()
    with pytest.raises(InputError, match="estimates are vox, band, references are voice, piano"):
        evaluate({"voice": a, "piano": b}, {"vox": a, "band": b})
    with pytest.raises(InputError, match="estimates are none"):
        evaluate({"voice": a}, {})


def test_a_silent_reference_is_undefined_and_left_out_with_a_warning():
    a, b = noise()
    with pytest.warns(UserWarning, match="silent references are left out.*: silent"):
        found = evaluate({"a": a, "silent": 0 * a, "b": b}, {"a": a + 0.1 * b, "silent": a, "b": b})
    assert list(found) == ["a", "b"]
    assert found == evaluate({"a": a, "b": b}, {"a": a + 0.1 * b, "b": b})
    with pytest.raises(InputError, match="all references are silent"):
        evaluate({"a": 0 * a}, {"a": a})


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("function", [evaluate, best_names])
def test_arrays_of_samples_by_channels_are_refused(function, channels):
    a, b = noise(channels=channels)
    with pytest.raises(InputError, match=r"reference 'a' has shape .*\(channels, samples\): transpose\?"):
        function({"a": a.T, "b": b.T}, {"a": a.T, "b": b.T})
    with pytest.raises(InputError, match=r"estimate 'a' has shape .*transpose\?"):
        function({"a": a}, {"a": a.T})


def test_other_lengths_channels_and_rates_are_named():
    a, b = noise(channels=2)
    with pytest.raises(InputError, match="100 samples instead of 6000"):
        evaluate({"a": a}, {"a": a[:, :100]})
    with pytest.raises(InputError, match="1 channels instead of 2"):
        evaluate({"a": a, "b": b[:1]}, {"a": a})
    with pytest.raises(InputError, match="estimate 'a' has 48000 Hz, but reference 'a' has 44100 Hz"):
        evaluate({"a": Audio(a, 44100)}, {"a": Audio(a, 48000)})
    with pytest.raises(InputError, match="one length"):
        best_names({"a": a}, {"a": a[:, :100]})


def test_sounds_may_be_audio():
    a, b = noise()
    arrays, sounds = {"a": a, "b": b}, {"a": Audio(a, 8000), "b": Audio(b, 8000)}
    assert evaluate(sounds, sounds) == evaluate(arrays, arrays)


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (np.full((1, 6000), np.nan), "NaN or infinity"),
        (np.ones((1, 6000), complex), "type complex128"),
        (np.ones((1, 1, 6000)), "has shape"),
        (np.ones((1, 0)), "has shape"),
        ([[1.0, 2.0], [3.0]], "not an array"),
    ],
)
def test_what_is_no_sound_is_refused(estimate, message):
    with pytest.raises(InputError, match=f"estimate 'a' .*{message}|estimate 'a' holds {message}"):
        evaluate({"a": noise()[0]}, {"a": estimate})
