from dataclasses import replace

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, make, separate
from nmfaudio.errors import OptionError
from nmfaudio.pipeline.fitting import fit
from nmfaudio.separators.score.agreement import agreement
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.plan import Plan
from nmfaudio.separators.score.reading import read_score
from nmfaudio.separators.score.separator import Score
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT
from nmfaudio.testing import check_separator

RATE = 16000
LOW = [(0.2, 0.9, 60), (1.0, 1.7, 55), (1.8, 2.5, 57), (2.6, 3.4, 60)]
HIGH = [(0.2, 0.5, 67), (0.6, 0.9, 72), (1.0, 1.7, 71), (1.8, 2.1, 69), (2.2, 2.5, 72), (2.6, 3.4, 76)]
TRACKS = (("low", LOW), ("high", HIGH))


def played(notes, seconds=4.0):
    """Struck strings, (samples,)."""
    track = np.zeros(int(seconds * RATE))
    for onset, end, pitch in notes:
        time = np.arange(int((end - onset) * RATE)) / RATE
        tone = sum(
            np.sin(2 * np.pi * h * 440 * 2 ** ((pitch - 69) / 12) * time) / h**1.5 for h in range(1, 8)
        )
        fade = np.exp(-2 * time) * np.minimum(1, np.minimum(time, time[::-1]) / 0.005)
        first = int(onset * RATE)
        track[first : first + len(time)] += 0.2 * tone * fade
    return track


def table(path, shift=0.0, tracks=TRACKS):
    lines = ["onset,end,pitch,track"]
    lines += [f"{a + shift},{b + shift},{p},{name}" for name, notes in tracks for a, b, p in notes]
    path.write_text("\n".join(lines))
    return str(path)


def midi(path, tempo=500_000):
    import mido

    file = mido.MidiFile(ticks_per_beat=480)
    leader = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo, time=0)])
    file.tracks.append(leader)
    for program, (name, notes) in enumerate((("low", LOW), ("hi/gh", HIGH))):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name, time=0)])
        track.append(mido.Message("program_change", channel=program, program=program, time=0))
        events = sorted([(a, 1, p) for a, _, p in notes] + [(b, 0, p) for _, b, p in notes])
        before = 0
        for when, on, pitch in events:
            tick = round(when * 480 * 1e6 / tempo)
            kind = "note_on" if on else "note_off"
            track.append(mido.Message(kind, channel=program, note=pitch, velocity=80, time=tick - before))
            before = tick
        file.tracks.append(track)
    file.save(path)
    return str(path)


def gain(stem, truth, mixture):
    return 10 * np.log10(np.sum((mixture - truth) ** 2) / np.sum((stem.samples[0] - truth) ** 2))


@pytest.mark.parametrize("align", [True, False])
def test_the_contract_is_kept(tmp_path, align):
    separator = Score(midi=table(tmp_path / "a.csv"), align=align, iterations=5)
    assert len(check_separator(separator)) > 5


def test_parts_come_apart(tmp_path):
    low, high = played(LOW), played(HIGH)
    found = separate(Audio(low + high, RATE), "score", midi=table(tmp_path / "a.csv"))
    assert list(found.stems) == ["high", "low"]
    assert found.result.messages == ("score as written",)
    assert gain(found.stems["low"], low, low + high) > 12
    assert gain(found.stems["high"], high, low + high) > 12


def test_a_score_that_is_late_is_moved(tmp_path):
    low, high = played(LOW), played(HIGH)
    path = table(tmp_path / "a.csv", shift=0.4)
    found, fixed = (separate(Audio(low + high, RATE), "score", midi=path, align=a) for a in (True, False))
    assert "score moved by 0." in found.result.messages[0]
    aligned_gain, fixed_gain = (gain(f.stems["low"], low, low + high) for f in (found, fixed))
    assert aligned_gain > fixed_gain + 3


def test_notes_written_late_keep_their_onsets(tmp_path):
    low, high = played(LOW), played(HIGH)
    shifts = iter((0.2, -0.15, 0.22, 0.0, -0.1, 0.18, 0.0, 0.2, -0.2, 0.2))
    rough = [(name, [(a + (s := next(shifts)), b + s, p) for a, b, p in notes]) for name, notes in TRACKS]

    def gained(tracks):
        path = table(tmp_path / "a.csv", tracks=tracks)
        stems = separate(Audio(low + high, RATE), "score", midi=path, align=False).stems
        return np.mean([gain(stems["low"], low, low + high), gain(stems["high"], high, low + high)])

    assert gained(rough) > gained(TRACKS) - 2.5


def test_windows_fade_before_onsets_only():
    plan = Plan.of([("low", Note(1.0, 1.5, 60))])
    times = np.arange(0, 3, 0.01)
    tone, _, strike = plan.windows(times)
    full, faint = (times > 0.89) & (times < 1.99), (times > 0.66) & (times < 0.87)
    assert np.all(tone[full] == 1)
    assert np.all(np.diff(tone[faint]) > 0)
    assert tone[faint].min() > 0
    assert tone[faint].max() < 1
    assert not tone[(times < 0.64) | (times > 2.01)].any()
    assert np.all(strike[(times > 0.89) & (times < 1.19)] == 1)
    assert not strike[(times < 0.79) | (times > 1.21)].any()


def test_notes_of_one_pitch_sound_as_if_each_were_alone():
    first, second = Note(1.0, 1.2, 60), Note(1.3, 1.6, 60)
    times = np.arange(0, 3, 0.02)
    each = [Plan.of([("low", note)]).windows(times) for note in (first, second)]
    both = Plan.of([("low", first), ("low", second)]).windows(times)
    np.testing.assert_array_equal(both, np.maximum(*each))


@pytest.mark.parametrize("semitones", [0, 1, -5])
def test_a_score_with_other_notes_gives_a_warning(tmp_path, semitones):
    tracks = [(name, [(a, b, p + semitones) for a, b, p in notes]) for name, notes in TRACKS]
    path = table(tmp_path / "a.csv", tracks=tracks)
    warned = separate(
        Audio(played(LOW) + played(HIGH), RATE), "score", midi=path, iterations=2
    ).result.warnings
    if semitones:
        assert len(warned) == 1
        assert "check that it is the score of this recording" in warned[0]
    else:
        assert warned == ()


def test_agreement_compares_only_where_something_can_agree():
    notes = tuple(Note(*note) for note in sorted(LOW + HIGH))
    beats = tuple(replace(note, instrument="drums") for note in notes)
    heard = Blocks(Audio(played(LOW) + played(HIGH), RATE), STFT(1024))
    silent = Blocks(Audio(np.zeros((1, RATE)), RATE), STFT(1024))
    assert agreement(notes, heard) > 12
    assert agreement(beats, heard) == agreement(notes, silent) == np.inf
    assert agreement(notes + tuple(replace(n, pitch=n.pitch + 1) for n in beats), heard) > 12
    assert agreement(tuple(replace(n, onset=50, end=51) for n in notes), heard) == 0


def test_midi_gives_tracks_instruments_and_hands(tmp_path):
    path = midi(tmp_path / "a.mid", tempo=400_000)
    notes = read_score(tmp_path / "a.mid").notes
    assert [n.pitch for n in notes if n.track == "low"] == [60, 55, 57, 60]
    assert [n.onset for n in notes if n.track == "hi_gh"] == pytest.approx([n[0] for n in HIGH], abs=2e-3)
    assert [n.end for n in notes if n.track == "hi_gh"] == pytest.approx([n[1] for n in HIGH], abs=2e-3)
    for by, names in [
        ("track", ["hi_gh", "low"]),
        ("instrument", ["program1", "program2"]),
        ("hand", ["left", "right"]),
    ]:
        audio = Audio(played(LOW), RATE)
        assert list(separate(audio, "score", midi=path, by=by, iterations=2).stems) == names


def test_a_score_of_one_part_says_so(tmp_path):
    path = table(tmp_path / "a.csv", tracks=[("low", LOW)])
    single = separate(Audio(played(LOW), RATE), "score", midi=path, iterations=2)
    assert single.result.messages[0].startswith("the score has only one part, 'low', with by='track'; try ")
    assert make("score", midi=path, by="hand").known_sources() == ("left", "right")


def test_a_score_that_cannot_be_aligned_gives_a_warning_with_the_limit(tmp_path):
    silence = np.zeros(60 * RATE)
    samples = np.concatenate([played(LOW), silence, played(HIGH)])
    path = table(tmp_path / "a.csv", tracks=[("both", [*LOW, *((a + 4, b + 4, p) for a, b, p in HIGH)])])
    result = separate(Audio(samples, RATE), "score", midi=path, iterations=2).result
    assert "score as written" in result.messages
    assert any("could not be aligned" in w and "at most 20 s" in w for w in result.warnings)


def test_channels_are_separated_each(tmp_path):
    low, high = played(LOW), played(HIGH)
    stereo = np.stack([low + 0.2 * high, 0.2 * low + high])
    stems = separate(Audio(stereo, RATE), "score", midi=table(tmp_path / "a.csv")).stems
    assert np.std(stems["low"].samples[0] - low) < 0.3 * np.std(low)


def test_a_budget_bounds_memory_and_changes_no_bit(tmp_path, check_budget):
    repeated = [(name, [(a + k, b + k, p) for k in (0, 4, 8) for a, b, p in notes]) for name, notes in TRACKS]
    # The longest recording has no notes at its end; added ones would need memory for their activations.
    separator = Score(midi=table(tmp_path / "a.csv", tracks=repeated), iterations=2, add_notes=False)
    audio = Audio(np.tile(played(LOW) + played(HIGH), (2, 3)), RATE)
    frames = STFT(2048).frames(audio.length)
    sizes = check_budget(separator, audio, tolerance=0.1)
    assert sorted(sizes) == sorted([frames * (2 * frames - 1), 4 * 2 * 1025 * frames])


def test_templates_of_a_long_recording_come_from_some_of_its_frames(tmp_path, monkeypatch):
    low, high = played(LOW), played(HIGH)
    stereo = Audio(np.stack([low + high, 0.5 * low + high]), RATE)

    def found():
        return separate(stereo, "score", midi=table(tmp_path / "a.csv"))

    of_all = gain(found().stems["low"], low, low + high)
    monkeypatch.setattr("nmfaudio.separators.score.separator.LEARNED_VALUES", 2 * 1025 * 60)
    some = found()
    assert some.result.messages[1] == "templates learned from 60 of 128 frames, evenly spaced"
    assert some.result.factorization.activations.shape[2] == 60
    assert gain(some.stems["low"], low, low + high) > of_all - 1
    (part,) = fit(stereo, Score(midi=table(tmp_path / "a.csv"))).parts
    block = part.mixture.block(20, 60)
    windows = part.model.plan.windows(block.times) > 0
    assert not windows.all()
    assert np.array_equal(part.model._activations(block) > 0, np.stack([windows, windows]))


def test_bad_scores_are_named(tmp_path):
    def refused(name, content, match):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(OptionError, match=match):
            make("score", midi=str(path))

    refused("a.csv", b"onset,pitch\n1,60", "lacks the column 'end'")
    refused("b.csv", b"onset,end,pitch\n1,2,x", "line 2: the pitch must be a number")
    refused("c.csv", b"onset,end,pitch\n2,1,60", "line 2: a note must end after its onset")
    refused("d.csv", b"onset,end,pitch\n", "has no notes")
    refused("e.mid", b"MThd no midi", "cannot be read")
    refused("f.pdf", b"", "neither a MIDI file")
    refused("g.csv", b"onset,end,pitch\nx,1,60", "lacks|line 2: onset and end must be numbers")
    with pytest.raises(OptionError, match="there is no such file"):
        make("score", midi=str(tmp_path / "none.mid"))
    with pytest.raises(OptionError, match="needs a value for midi"):
        make("score")
    for options, match in [
        ({"iterations": 0}, "iterations=0: it must be at least 1"),
        ({"by": "x"}, "by='x'"),
    ]:
        with pytest.raises(OptionError, match=match):
            make("score", midi=table(tmp_path / "g.csv"), **options)


def test_a_recording_without_the_notes_is_separated_too(tmp_path):
    path = table(tmp_path / "a.csv", shift=100)
    assert list(separate(Audio(sound(1), 8000), "score", midi=path, iterations=3).stems) == ["high", "low"]
