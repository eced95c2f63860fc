import dataclasses

import numpy as np
import pytest
from conftest import sound

from nmfaudio import STFT, Audio, make, separate
from nmfaudio.errors import OptionError
from nmfaudio.nmf.source_filter import SourceFilter
from nmfaudio.pipeline.fitting import fit
from nmfaudio.separators.voice.separator import Voice, VoiceModel
from nmfaudio.separators.voice.spectra import bands, combs
from nmfaudio.testing import check_separator

RATE = 8000
TIME = np.arange(4 * RATE) / RATE


def harmonics(pitch):
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, TIME.shape)) / RATE
    return sum(np.sin(h * phase) / h for h in range(1, 9))


def melody(time):
    """Three notes with vibrato, in Hz."""
    notes = np.array([330.0, 392.0, 294.0, 294.0])[np.minimum(time, 3.9).astype(int)]
    return notes * 2 ** (0.4 / 12 * np.sin(2 * np.pi * 5.5 * time))


@pytest.fixture(scope="module")
def sung():
    voice = 0.3 * harmonics(melody(TIME))
    chord = sum(harmonics(pitch) for pitch in (110.0, 138.6, 164.8))
    strikes = 0.15 * chord * np.exp(-3 * (TIME % 0.5))
    return voice, strikes, Audio(voice + strikes, RATE)


def test_the_contract_is_kept():
    assert len(check_separator(Voice(iterations=2, steps=2, components=5))) > 5


def test_a_voice_comes_out_of_the_chords_under_it(sung):
    voice, strikes, mixture = sung
    stems = separate(mixture, "voice").stems
    assert list(stems) == ["voice", "accompaniment"]
    for name, truth, other in (("voice", voice, strikes), ("accompaniment", strikes, voice)):
        gain = 20 * np.log10(np.std(other) / np.std(stems[name].samples[0] - truth))
        assert gain > 6, name


def test_the_melody_is_followed(sung):
    (part,) = fit(sung[2], Voice()).parts
    block = part.mixture.block(0, part.mixture.frames)
    inside = (block.times > 0.1) & (block.times < 3.9)
    off = 12 * np.abs(np.log2(part.model.melody[inside] / melody(block.times[inside])))
    assert np.mean(off < 0.5) > 0.9
    assert "melody followed at" in part.model.messages[0]


def test_the_melody_keeps_to_its_range(sung):
    (part,) = fit(sung[2], Voice(low=100, high=200, iterations=3)).parts
    assert 100 <= part.model.melody.min() <= part.model.melody.max() <= 200


def test_breath_goes_with_the_voice(sung, monkeypatch):
    voice, strikes, _ = sung
    hiss = np.where((TIME % 1) < 0.1, 0.3 * np.random.default_rng(0).standard_normal(len(TIME)), 0)

    def kept():
        return separate(Audio(voice + hiss + strikes, RATE), "voice").stems["voice"].samples[0] @ hiss

    heard = kept()
    monkeypatch.setattr("nmfaudio.separators.voice.separator._BREATH", 0.0)
    assert heard > kept()


def test_one_seed_gives_one_result(sung):
    short = Audio(sung[2].samples[:, :RATE], RATE)
    first, again, other = (
        separate(short, Voice(iterations=2, seed=seed)).stems["voice"].samples for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_budget_bounds_memory_and_changes_no_bit(check_budget):
    separator = Voice(iterations=1, steps=4, components=4)
    audio = Audio(sound(10, 8000, channels=2), 8000)
    frames, pitches = STFT(512).frames(80000), len(separator._pitches())
    sizes = check_budget(separator, audio, tolerance=0.1)
    assert sorted(sizes) == [frames * n for n in (2 * pitches, 4 * pitches + 4, 4 * pitches + 4, 4 * 257)]


def test_updates_lower_the_divergence():
    frequencies = np.arange(65) * 62.5
    generator = np.random.default_rng(0)
    V = generator.random((50, 65), np.float32) ** 4 + np.float32(1e-3)
    excitations = combs(np.array([200.0, 300.0, 400.0]), frequencies, 4.0)
    parts = SourceFilter.started(
        (excitations, bands(frequencies)), np.ones((50, 4), np.float32), V.mean(axis=1, keepdims=True), 5, 0
    )
    everything = slice(None)
    divergences = []

    def measure(_):
        ratio = V / (parts.lead(everything) + parts.accompaniment(everything))
        divergences.append(np.mean(ratio - np.log(ratio) - 1))

    measure(0)
    parts.fit(V, 8, measure)
    parts.fit_frames(V, 3, measure)
    assert all(b < a for a, b in zip(divergences, divergences[1:], strict=False))
    assert divergences[-1] < 0.41 * divergences[0]


@pytest.mark.parametrize(
    ("option", "value"),
    [("low", 0), ("high", 70), ("steps", 0), ("iterations", 0), ("reach", -1), ("seed", -1)],
)
def test_bad_options_are_named(option, value):
    with pytest.raises(OptionError, match=f"{option}={value}"):
        make("voice", **{option: value})


def test_options_have_help():
    assert all(f.metadata.get("help") for f in dataclasses.fields(Voice))


@pytest.mark.parametrize(("middle", "is_doubtful"), [(300.0, False), (600.0, True)])
def test_a_melody_above_most_voices_is_doubted(middle, is_doubtful):
    model = VoiceModel(STFT(512), None, np.full(9, middle), 1.0)
    assert ("above 600 Hz" in model.doubt) == is_doubtful
    assert any("high=350" in warning for warning in model.warnings) == is_doubtful
