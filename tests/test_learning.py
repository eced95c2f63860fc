import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, Dictionary, Divergence, Learner, learn
from nmfaudio.dictionaries.sufficient_rank import sufficient_rank
from nmfaudio.errors import AudioFileError, DictionaryError, OptionError

RATE = 8000


def tone(frequency, seconds=1.0, rate=RATE):
    time = np.arange(int(seconds * rate)) / rate
    harmonics = sum(np.sin(2 * np.pi * frequency * h * time) / h for h in (1, 2, 3, 4))
    return Audio(0.2 * harmonics, rate, name=f"{frequency} Hz")


def test_a_tone_is_learned_with_its_pitch():
    found = learn(tone(440), "tone", rank=1)
    assert found.pitches[0] == pytest.approx(440, rel=0.02)
    peak = found.templates[:, 0].argmax() * RATE / found.stft.n_fft
    assert peak == pytest.approx(440, abs=RATE / found.stft.n_fft)


def test_a_one_shot_of_a_few_frames_is_enough():
    found = learn(Audio(sound(0.3)[0, :2400], RATE), "hit")
    assert 1 <= len(found.labels) <= 6


def test_files_of_other_rates_and_channels_are_learned_together():
    low, high = tone(440), tone(880, rate=22050)
    stereo = Audio(np.repeat(high.samples, 2, axis=0), 22050, name="stereo")
    found = learn([low, stereo], "tones", rank=2)
    assert found.sample_rate == RATE
    peaks = sorted(found.templates.argmax(axis=0) * RATE / found.stft.n_fft)
    assert peaks == pytest.approx([440, 880], abs=10)
    assert [clip.channels for clip in found.clips] == [1, 2]


def test_silence_and_faults_are_left_out():
    clean = tone(440, 8)
    samples = np.concatenate([clean.samples[0], np.zeros(4 * RATE)])
    samples[3 * RATE] = 400.0  # a click far above all else
    found = learn(Audio(samples, RATE), "tone", rank=2)
    high = found.stft.frequencies(RATE) > 2500  # where a click has a third of its spectrum, and the tone none
    assert found.templates[high].sum(axis=0).max() < 0.1


def test_all_silent_is_told_and_some_silent_is_noted():
    silent = Audio(np.zeros(RATE), RATE, name="silent take")
    with pytest.raises(DictionaryError, match="silent take: there is nothing but silence"):
        learn([silent], "x")
    learner = Learner("tone").partial_fit(silent).partial_fit(tone(440))
    assert learner.silent == ["silent take"]
    assert learner.dictionary().sources == ("tone",)


def test_more_recordings_than_memory_keep_a_bounded_choice(monkeypatch):
    monkeypatch.setattr("nmfaudio.dictionaries.learning.KEPT_FRAMES", 50)
    learner = Learner("noise", rank=3)
    for seed in range(3):
        learner.partial_fit(Audio(np.random.default_rng(seed).standard_normal(4 * RATE) / 9, RATE))
    assert len(learner._reservoir.frames()) == 50
    assert learner.dictionary().templates.shape[1] == 3


def test_what_was_learned_before_is_kept_when_more_is_added():
    before = learn(tone(440, 4), "tone", rank=1)
    after = learn(tone(700, 4), "tone", rank=2, add_to=before)
    peaks = sorted(after.templates.argmax(axis=0) * RATE / after.stft.n_fft)
    assert peaks == pytest.approx([440, 700], abs=10)
    assert len(after.clips) == 2
    rich = learn(sounds(5), "tone", rank=12)
    assert len(learn(tone(440, 2), "tone", add_to=rich).labels) == 12
    with pytest.raises(OptionError, match="has the sources tone, not 'flute'"):
        learn(tone(700), "flute", add_to=before)


def test_same_seed_same_bits():
    one, other = (learn(tone(440, 2), "tone", seed=3) for _ in range(2))
    assert one == other


def test_settings_outside_their_range_are_refused():
    for options in ({"rank": 0}, {"sample_rate": 0}, {"window": 0}, {"seed": -1}, {"iterations": 0}):
        with pytest.raises(OptionError):
            Learner("x", **options)
    with pytest.raises(OptionError, match="rank=900: the recordings of 'tone' have"):
        learn(tone(440), "tone", rank=900)
    with pytest.raises(AudioFileError, match="missing.wav"):
        learn("missing.wav", "x")


@pytest.mark.parametrize(("rate", "n_fft"), [(16000, None), (8000, 512), (6000, None)])
def test_converted_templates_resemble_those_learned_there(rate, n_fft):
    from nmfaudio import STFT

    stft = STFT(n_fft) if n_fft else None
    converted = learn(tone(440), "tone", rank=1).to_settings(rate, stft)
    window = converted.stft.win_length / rate
    there = learn(tone(440, rate=rate), "tone", rank=1, window=window)
    assert there.stft == converted.stft
    a, b = converted.templates[:, 0], there.templates[:, 0]
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.93
    assert isinstance(converted, Dictionary)


def test_what_lies_above_the_new_half_rate_is_told():
    with pytest.raises(DictionaryError, match="nothing of 'tone' lies below 500 Hz"):
        learn(tone(1500), "tone", rank=1).to_settings(1000)


def sounds(count, seconds=3):
    """A stretch of each of some tones, which share no harmonic."""
    pitches = 300 * 2 ** (np.arange(count) * 0.37)
    return Audio(np.concatenate([tone(p, seconds / count).samples[0] for p in pitches]), RATE)


def test_as_many_templates_are_learned_as_there_are_sounds():
    few, many = (len(learn(sounds(count), "sounds").labels) for count in (1, 5))
    assert few <= 3
    assert 5 <= many <= 10


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_the_rank_that_explains_nearly_all_is_found_at_any_level(beta):
    generator = np.random.default_rng(4)
    V = generator.exponential(1, (160, 4)) @ generator.exponential(1, (4, 129)) ** 4
    V *= generator.gamma(400, 1 / 400, V.shape)  # a noise that no template is worth
    frequencies = np.arange(129) * 31.25
    for level in (1e-6, 1.0, 1e6):
        found = sufficient_rank((level * V).astype(np.float32), frequencies, 40, Divergence(beta))
        assert 3 <= found <= 5
    assert sufficient_rank(V[:2].astype(np.float32), frequencies, 0, Divergence(beta)) == 1
    noise = generator.gamma(1, 1, V.shape).astype(np.float32)  # no rank is enough
    assert sufficient_rank(noise, frequencies, 6, Divergence(beta)) == 6
