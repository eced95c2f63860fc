"""Notes that a score lacks, and the timbres of its parts."""

from dataclasses import replace

import numpy as np
import pytest
from test_score import HIGH, LOW, RATE, TRACKS, gain, midi, played, table

from nmfaudio import Audio, separate
from nmfaudio.nmf import Divergence, Factorization, factorize
from nmfaudio.separators.score.model import first_activations
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.plan import Plan
from nmfaudio.separators.score.separator import _added_message
from nmfaudio.separators.score.timbre import Timbre, mean_timbres, with_mean_timbres
from nmfaudio.separators.score.unwritten import _runs, unwritten_notes
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

MISSING = (1.8, 2.5, 57)  # a note of the low part


@pytest.fixture(scope="module")
def incomplete():
    """A score without one note, fitted: arguments of `unwritten_notes`."""
    notes = [("low", Note(*n)) for n in LOW if n != MISSING] + [("high", Note(*n)) for n in HIGH]
    mixture = Blocks(Audio(played(LOW) + played(HIGH), RATE), STFT(2048))
    plan = Plan.of(notes)
    V = np.concatenate([block.magnitude.mean(axis=0) for block in mixture], axis=1).astype(np.float32)
    frequencies = mixture.stft.frequencies(RATE)
    W = plan.templates(frequencies)
    fitted = factorize(
        V, W.shape[1], init=(W, first_activations(V, plan.windows(mixture.times))), iterations=8
    )
    return notes, plan, fitted, mean_timbres(plan, fitted, frequencies), mixture


def test_a_missing_note_is_found_at_its_pitch_and_time_in_its_part(incomplete):
    found = unwritten_notes(*incomplete)
    assert found
    assert {(part, note.pitch) for part, note in found} == {("low", MISSING[2])}
    assert min(note.onset for _, note in found) == pytest.approx(MISSING[0], abs=0.15)
    assert max(note.end for _, note in found) == pytest.approx(MISSING[1], abs=0.15)


def test_drums_have_no_unwritten_notes(incomplete):
    notes, plan, fitted, _, mixture = incomplete
    beats = [(part, replace(note, instrument="drums")) for part, note in notes]
    timbres = mean_timbres(Plan.of(beats), fitted, mixture.stft.frequencies(RATE))
    assert timbres == {}
    assert unwritten_notes(beats, plan, fitted, timbres, mixture) == ()


def test_separation_adds_the_note_and_says_so(tmp_path):
    low, high = played(LOW), played(HIGH)
    tracks = [(name, [note for note in notes if note != MISSING]) for name, notes in TRACKS]
    path = table(tmp_path / "a.csv", tracks=tracks)
    with_notes, without = (
        separate(Audio(low + high, RATE), "score", midi=path, add_notes=add) for add in (True, False)
    )
    assert any("A3 at 1." in message and "(low)" in message for message in with_notes.result.messages)
    assert not any("lacks" in message for message in without.result.messages)
    gains = [gain(found.stems["low"], low, low + high) for found in (with_notes, without)]
    assert gains[0] > gains[1] + 3


def test_an_added_note_goes_to_the_hand_of_its_pitch(tmp_path):
    path = midi(tmp_path / "a.mid")
    higher = [*HIGH[:-1], (2.6, 3.4, 83)]  # instead of 76
    result = separate(Audio(played(LOW) + played(higher), RATE), "score", midi=path, by="hand").result
    (message,) = [message for message in result.messages if "lacks" in message]
    assert "B5 at 2." in message
    assert "(right)" in message


def test_a_message_names_the_first_added_notes():
    notes = tuple(("low", Note(float(k), k + 0.5, 60)) for k in (3, 1, 0, 2))
    assert _added_message(notes[:1]).startswith("1 note that the score lacks was added: C4 at 3.0 s (low) (")
    message = _added_message(notes)
    assert "4 notes that the score lacks were added: C4 at 0.0 s (low), C4 at 1.0 s (low)" in message
    assert "C4 at 2.0 s (low), ... (add_notes=False" in message


def test_runs_need_a_length_and_bridge_short_pauses():
    levels = np.zeros(40)
    levels[[5, 6, 9, 10]] = 1  # one note with a pause of two frames
    levels[20] = 1  # too short
    levels[30:34] = 1
    levels[34:36] = 0.02  # its quiet end
    assert list(_runs(levels, 3)) == [(5, 11), (30, 36)]
    assert list(_runs(np.zeros(40), 3)) == []


def test_the_timbre_of_a_part_gives_templates_of_other_pitches():
    frequencies = np.arange(1025) * RATE / 2048
    plan = Plan.of([("low", Note(0, 1, 60)), ("low", Note(1, 2, 62)), ("high", Note(0, 1, 72))])
    W = np.zeros((1025, 9))
    for number, (part, pitch) in enumerate(plan.pitches):
        bins = np.round(np.array([1, 2, 3]) * 440 * 2 ** ((pitch - 69) / 12) / frequencies[1]).astype(int)
        W[bins, 3 * number] = (0.5, 0.0, 0.5) if part == "low" else (0.0, 1.0, 0.0)
    H = np.ones((9, 4))
    fitted = Factorization(W, H, Divergence(1.0), np.zeros(1), np.zeros(1, int), False, 0)
    timbre = Timbre.of("low", plan, fitted, frequencies)
    template = timbre.template(67)
    peaks = [template[round(h * 392 / frequencies[1])] for h in (1, 2, 3)]
    assert template.sum() == pytest.approx(1)
    assert min(peaks[0], peaks[2]) > 0.01
    assert peaks[1] == 0
    started = with_mean_timbres(plan.templates(frequencies), plan, {"low": timbre})
    changed = (started != plan.templates(frequencies)).any(axis=0)
    assert [bool(c) for c in changed] == [
        part == "low" and k == 0 for part, _ in plan.pitches for k in range(3)
    ]
