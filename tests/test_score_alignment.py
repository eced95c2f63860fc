import numpy as np
from test_score import HIGH, LOW, RATE, played

from nmfaudio import Audio
from nmfaudio.separators.score import alignment as alignment_module
from nmfaudio.separators.score.agreement import AGREEING
from nmfaudio.separators.score.alignment import aligned
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.warping import warping_path
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT


def test_alignment_finds_a_drift():
    notes = tuple(Note(a * 1.1, b * 1.1, p) for a, b, p in sorted(LOW + HIGH))
    mixture = Blocks(Audio(played(LOW) + played(HIGH), RATE), STFT(1024))
    alignment = aligned(notes, mixture)
    errors = [abs(n.onset - a) for n, (a, _, _) in zip(alignment.notes, sorted(LOW + HIGH), strict=True)]
    assert np.median(errors) < 0.06 < alignment.distance


def test_the_path_is_that_of_librosa_in_a_wide_band():
    import librosa

    generator = np.random.default_rng(0)
    first, second = (generator.random((5, 40)) ** 4 for _ in range(2))
    first, second = (a / np.linalg.norm(a, axis=0) for a in (first, second))

    def path_of(reach):
        return warping_path(first, second, reach, lambda *shape, dtype: np.empty(shape, dtype))

    path = librosa.sequence.dtw(C=1 - first.T @ second, backtrack=True)[1][::-1]
    assert np.array_equal(path_of(100), path)
    near = path_of(3)
    assert np.abs(path[:, 0] - path[:, 1]).max() > np.abs(near[:, 0] - near[:, 1]).max() == 3
    assert near[0].tolist() == [0, 0]
    assert near[-1].tolist() == [39, 39]
    steps = np.diff(near, axis=0)
    assert steps.min() >= 0
    assert steps.max() == steps.max(axis=1).min() == 1


def melody(seed=0, notes=60):
    """Notes of half a second each, with random pitches."""
    pitches = np.random.default_rng(seed).integers(48, 80, notes)
    return [(0.5 * k, 0.5 * k + 0.45, int(pitch)) for k, pitch in enumerate(pitches)]


def recording(notes, lead=0.0, tail=0.0):
    """A recording of notes with silence before and after them."""
    sound = played(notes, notes[-1][1] + 0.5)
    return np.concatenate([np.zeros(int(lead * RATE)), sound, np.zeros(int(tail * RATE))])


def alignment_of(samples, notes):
    return aligned(tuple(Note(*note) for note in notes), Blocks(Audio(samples, RATE), STFT(1024)))


def test_a_long_silence_before_the_score_is_found():
    notes = melody()
    alignment = alignment_of(recording(notes, lead=45.0), notes)
    errors = [abs(n.onset - 45.0 - a) for n, (a, _, _) in zip(alignment.notes, notes, strict=True)]
    assert not alignment.failed
    assert np.max(errors) < 0.15
    assert 44.9 < alignment.distance < 45.1


def test_a_score_that_begins_long_after_its_recording_is_found():
    notes = melody()
    late = [(a + 60, b + 60, p) for a, b, p in notes]
    alignment = alignment_of(recording(notes), late)
    errors = [abs(n.onset - a) for n, (a, _, _) in zip(alignment.notes, notes, strict=True)]
    assert not alignment.failed
    assert np.median(errors) < 0.1


def test_an_alignment_beyond_the_limit_fails_and_changes_nothing():
    notes = melody(notes=40)
    middle = notes[20][0]
    parts = [recording(notes[:20]), np.zeros(60 * RATE)]  # a minute of silence in the middle of the piece
    parts.append(recording([(a - middle, b - middle, p) for a, b, p in notes[20:]]))
    alignment = alignment_of(np.concatenate(parts), notes)
    assert alignment.failed
    assert alignment.distance == 0
    assert [n.onset for n in alignment.notes] == [a for a, _, _ in notes]


def test_noise_before_the_score_does_not_hide_its_beginning():
    notes = melody(notes=30)
    samples = recording(notes, lead=45.0)
    samples = samples + 0.05 * np.std(samples) * np.random.default_rng(1).standard_normal(len(samples))
    alignment = alignment_of(samples, notes)
    errors = [abs(n.onset - 45.0 - a) for n, (a, _, _) in zip(alignment.notes, notes, strict=True)]
    assert np.median(errors) < 0.1
    assert alignment.agreement > AGREEING


def test_a_recording_that_begins_inside_the_score_is_found():
    notes = melody(3)
    samples = recording(notes)[15 * RATE :]
    alignment = alignment_of(samples, notes)
    later = [(n, a) for n, (a, _, _) in zip(alignment.notes, notes, strict=True) if 15.5 < a < 29]
    assert np.median([abs(n.onset + 15 - a) for n, a in later]) < 0.1


def test_a_path_at_its_limit_is_a_failure(monkeypatch):
    monkeypatch.setattr(alignment_module, "_constant_shift", lambda *_: 0.0)
    notes = melody()
    alignment = alignment_of(recording(notes, lead=30.0), notes)
    assert alignment.failed
    assert alignment.agreement < AGREEING


def test_a_slow_score_is_aligned_from_its_middle():
    notes = melody(5, notes=80)
    fast = [(a / 3, b / 3, p) for a, b, p in notes]  # 26 s too early at its end
    alignment = alignment_of(recording(notes), fast)
    errors = [abs(n.onset - a) for n, (a, _, _) in zip(alignment.notes, notes, strict=True)]
    assert np.percentile(errors, 80) < 0.2
