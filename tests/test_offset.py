"""Offset and rumble: found, taken out before the analysis, and given back to one stem."""

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, separate
from nmfaudio.sound.offset import WithoutOffset, find_offset

RATE = 8000


def recording(channels=1, seconds=3):
    return sound(seconds, channels=channels)


def energies(separation):
    return {name: float((stem.samples**2).sum()) for name, stem in separation.stems.items()}


@pytest.mark.parametrize("level", [1e-6, 1.0, 1e6])
def test_a_constant_is_found_in_each_channel(level):
    samples = recording(2) + np.array([[0.05], [-0.02]])
    offset = find_offset(Audio(level * samples, RATE))
    np.testing.assert_allclose(offset.mean, level * samples.mean(axis=1))
    assert not offset.rumble


def test_a_recording_without_offset_is_left_alone():
    samples = recording()
    assert not find_offset(Audio(samples - samples.mean(), RATE))
    assert not find_offset(Audio(np.zeros((2, 100)), RATE))
    assert not find_offset(Audio(np.zeros((2, 0)), RATE))


@pytest.mark.parametrize(("frequency", "kept"), [(3, 0.02), (8, 0.02), (25, 0.999), (40, 0.999)])
def test_rumble_is_what_lies_below_hearing(frequency, kept):
    times = np.arange(5 * RATE) / RATE
    wave = np.sin(2 * np.pi * frequency * times)[None]
    source = Audio(wave + 1e-3 * np.sin(2 * np.pi * 500 * times), RATE)
    offset = find_offset(source)
    assert offset.rumble == (frequency < 15)
    cleaned = WithoutOffset(source, offset).read(0, source.length)
    share = np.std(cleaned[:, RATE:-RATE]) / np.std(wave)
    assert share < kept if offset.rumble else share > kept


def test_pieces_are_those_of_the_whole():
    times = np.arange(5 * RATE) / RATE
    source = Audio(recording(2, 5) + 0.3 + 0.3 * np.sin(2 * np.pi * 6 * times), RATE)
    cleaned = WithoutOffset(source, find_offset(source))
    assert cleaned.offset.rumble
    whole = cleaned.read(0, source.length)
    pieces = [cleaned.read(start, min(start + 777, source.length)) for start in range(0, source.length, 777)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-12)
    assert cleaned.peak == pytest.approx(np.abs(whole).max())


@pytest.mark.parametrize("separator", ["auto", "blind", "harmonic-percussive", "repeating"])
def test_stems_of_a_recording_with_offset_are_those_without(separator):
    samples = recording(1, 4)
    samples -= samples.mean()
    options = {"sources": 2} if separator in ("auto", "blind") else {}
    plain = separate(Audio(samples, RATE), separator, **options)
    shifted = separate(Audio(samples + 0.05, RATE), separator, **options)
    assert list(shifted.stems) == list(plain.stems)
    means = {
        name: stem.samples.mean() - plain.stems[name].samples.mean() for name, stem in shifted.stems.items()
    }
    assert sorted(np.round(list(means.values()), 6)) == pytest.approx(
        [0] * (len(means) - 1) + [0.05], abs=1e-6
    )
    for name, stem in shifted.stems.items():
        np.testing.assert_allclose(stem.samples - means[name], plain.stems[name].samples, atol=1e-4)
    owner = max(means, key=lambda name: means[name])
    assert (
        f"an offset (DC) of 5 % of full scale was removed before the analysis and added to the stem {owner}"
        in (shifted.result.messages[-1])
    )


def test_stems_sum_to_the_recording_with_its_offset():
    times = np.arange(4 * RATE) / RATE
    samples = recording(2, 4) + 0.1 + 0.2 * np.sin(2 * np.pi * 5 * times)
    separation = separate(Audio(samples, RATE), "blind", sources=2, iterations=20)
    total = sum(stem.samples for stem in separation.stems.values())
    np.testing.assert_allclose(total, samples, atol=1e-12)
    assert "rumble below 20 Hz" in separation.result.messages[-1]
