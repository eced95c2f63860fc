import numpy as np
import pytest
from test_learning import RATE, tone

from nmfaudio import Audio, Dictionary, learn
from nmfaudio.pipeline.fitting import fit
from nmfaudio.separators.dictionary import coverage
from nmfaudio.separators.dictionary.coverage import Gap, what_to_record
from nmfaudio.separators.dictionary.separator import FromDictionary


def hiss(low, high, seconds=1.0):
    """Noise between two frequencies."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(int(seconds * RATE)))
    frequencies = np.fft.rfftfreq(int(seconds * RATE), 1 / RATE)
    return 0.3 * np.fft.irfft(np.where((frequencies > low) & (frequencies < high), spectrum, 0))


@pytest.fixture(scope="module")
def trio():
    parts = {"piano": tone(880), "bass": tone(220), "hat": Audio(hiss(3000, 3900), RATE)}
    return Dictionary.join([learn(sound, name, rank=2) for name, sound in parts.items()])


def warnings_about(known, *sounds, **options):
    """Return the warnings about a mixture of these sounds, one after another."""
    mixture = Audio(np.concatenate([s.samples[0] if isinstance(s, Audio) else s for s in sounds]), RATE)
    return " ".join(fit(mixture, FromDictionary(known, **options)).warnings)


def test_notes_that_no_clip_has_are_named_with_the_clip_to_record(trio):
    words = warnings_about(trio, tone(880), tone(220), tone(659.3, 2), tone(1318.5, 2))
    assert "the piano recordings lack E5 and E6: record them, and add the recording" in words
    assert "rest=True" in words
    assert "the bass recordings lack D3: record them" in warnings_about(
        trio, tone(880), tone(220), tone(146.8, 2)
    )


def test_a_note_between_two_sources_may_be_of_either(trio):
    assert "the piano or bass recordings lack A4: record them" in warnings_about(
        trio, tone(220), tone(440, 3)
    )


def test_a_sound_without_pitch_belongs_to_the_strongest_source_there(trio):
    assert coverage._gap(trio, 0.0, 3500.0, 0.2) == Gap("hat", 3500.0, False, 0.2)
    assert coverage._gap(trio, 0.0, 230.0, 0.2) == Gap("bass", 230.0, False, 0.2)
    assert coverage._gap(trio, 3800.0, 3800.0, 0.2).source == "hat"  # no note that any source could play


def test_noise_far_above_a_pitch_is_not_a_note(trio):
    frequencies = trio.stft.frequencies(RATE)
    series = np.isin(np.arange(len(frequencies)), [50, 100, 150, 200]).astype(float)
    noise = ((frequencies > 2500) & (frequencies < 2900)).astype(float)
    pitches = np.full(2, frequencies[50], np.float32)
    found = coverage._has_low_harmonics(np.stack([series, noise], axis=1), pitches, frequencies)
    assert found.tolist() == [True, False]


def test_the_worst_explained_frames_are_analysed(trio, monkeypatch):
    monkeypatch.setattr(coverage, "FRAMES", 10)
    missing = learn(tone(659.3), "x", rank=1).templates
    V = np.hstack([trio.templates[:, :1].repeat(90, axis=1), missing.repeat(10, axis=1)])
    losses = np.repeat([0.0, 1.0], [90, 10])
    assert [gap.name for gap in coverage.find_gaps(V, trio.templates, losses, trio)] == ["E5"]


def test_no_gap_is_found_where_all_sounds_are_known(trio):
    assert "record" not in warnings_about(trio, tone(880), tone(220), hiss(3000, 3900))


def test_sounds_are_listed_by_source():
    gaps = [Gap("a", 440.0, True, 0.3), Gap("b", 9120.0, False, 0.2), Gap("a", 220.0, True, 0.1)]
    assert (
        what_to_record(gaps)
        == "the a recordings lack A3 and A4, and the b recordings lack sounds near 9100 Hz: record them"
    )
