import struct

import mido
import pytest

from nmfaudio.errors import OptionError
from nmfaudio.separators.score.channel_events import paired
from nmfaudio.separators.score.instruments import INSTRUMENT_NAMES
from nmfaudio.separators.score.reading import read_score
from nmfaudio.separators.score.text import distinct, likely_encoding

TICKS = 480  # a quarter note, half a second


@pytest.fixture
def read(tmp_path):
    """Return a function that writes tracks of (tick, message) to a MIDI file and reads its score."""

    def reading(*tracks, type=1, change=lambda data: data, **options):
        file = mido.MidiFile(type=type, ticks_per_beat=TICKS)
        for events in tracks:
            track, now = mido.MidiTrack(), 0
            for tick, message in sorted(events, key=lambda event: event[0]):
                track.append(message.copy(time=tick - now))
                now = tick
            file.tracks.append(track)
        path = tmp_path / "a.mid"
        file.save(path)
        path.write_bytes(change(path.read_bytes()))
        return read_score(path, **options)

    return reading


def on(tick, pitch, channel=0):
    return tick, mido.Message("note_on", note=pitch, velocity=80, channel=channel)


def off(tick, pitch, channel=0):
    return tick, mido.Message("note_off", note=pitch, channel=channel)


def control(tick, number, value, channel=0):
    return tick, mido.Message("control_change", control=number, value=value, channel=channel)


def program(tick, number, channel=0):
    return tick, mido.Message("program_change", program=number, channel=channel)


def named(name):
    return 0, mido.MetaMessage("track_name", name=name)


def times(score):
    return [(note.onset, note.end, note.pitch) for note in score.notes]


def test_the_sustain_pedal_lengthens_notes(read):
    pedal = [control(100, 64, 127), control(1920, 64, 0)]
    score = read([on(0, 60), off(240, 60), on(480, 64), off(2400, 64), *pedal])
    assert times(score) == [(0.0, 2.0, 60), (0.5, 2.5, 64)]
    assert score.messages == ("pedals lengthen 1 of 2 notes",)


def test_a_pedal_holds_a_note_until_its_pitch_sounds_again(read):
    pedal = [control(0, 64, 64), control(1920, 64, 63)]
    score = read([*pedal, on(0, 60), off(240, 60), on(960, 60), off(1200, 60)])
    assert times(score) == [(0.0, 1.0, 60), (1.0, 2.0, 60)]


def test_a_pedal_that_changes_when_a_key_goes_up_lets_the_note_end(read):
    pedal = [control(0, 64, 127), control(480, 64, 0), control(480, 64, 127), control(1920, 64, 0)]
    assert times(read([*pedal, on(0, 60), off(480, 60)])) == [(0.0, 0.5, 60)]


def test_the_middle_pedal_holds_only_keys_that_are_down(read):
    pedal = [control(240, 66, 127), control(1920, 66, 0)]
    score = read([on(0, 60), off(480, 60), on(480, 64), off(960, 64), *pedal])
    assert times(score) == [(0.0, 2.0, 60), (0.5, 1.0, 64)]


def test_a_pedal_acts_on_the_other_hand_of_the_same_instrument_only(read):
    note, pedal = [on(0, 60), off(240, 60)], [control(0, 64, 127), control(960, 64, 0)]
    shared = read([program(0, 0), *note, *pedal], [program(0, 0), on(0, 40), off(240, 40)])
    assert times(shared) == [(0.0, 1.0, 40), (0.0, 1.0, 60)]
    bass = read([program(0, 0), *note, *pedal], [program(0, 33), on(0, 40), off(240, 40)])
    assert times(bass) == [(0.0, 0.25, 40), (0.0, 1.0, 60)]
    unknown = read([*note, *pedal], [on(0, 40), off(240, 40)])
    assert times(unknown) == [(0.0, 0.25, 40), (0.0, 1.0, 60)]
    elsewhere = read([*note, *pedal], [on(0, 40, 1), off(240, 40, 1)])
    assert times(elsewhere) == [(0.0, 0.25, 40), (0.0, 1.0, 60)]


def test_a_file_of_one_track_has_a_part_for_each_channel_and_program(read):
    events = [program(0, 73, 1), on(0, 72, 1), off(480, 72, 1), on(0, 36, 9), off(240, 36, 9)]
    events += [on(0, 60), off(480, 60), program(960, 40, 1), on(960, 74, 1), off(1440, 74, 1)]
    score = read([named("My Song"), *events], type=0)
    assert score.tracks == ("Acoustic Grand Piano", "Flute", "Violin", "drums")
    assert [note.instrument for note in score.notes if note.track == "drums"] == ["drums"]
    assert "1 track of the score has several instruments: they became 4 parts" in score.messages
    two_hands = read([on(0, 60), off(480, 60), on(0, 40, 1), off(480, 40, 1)], type=0)
    assert two_hands.tracks == ("Acoustic Grand Piano", "Acoustic Grand Piano 2")


def test_one_of_several_tracks_is_split_only_by_instrument(read):
    strings = [(on(0, 60 + k, k), off(480, 60 + k, k)) for k in range(3)]  # a channel for each string
    guitar = [named("Guitar"), *(event for pair in strings for event in pair)]
    both = [named("Band"), on(0, 36, 9), off(240, 36, 9), program(0, 33, 1), on(0, 40, 1), off(480, 40, 1)]
    assert read(guitar, both).tracks == ("Band Fingered Bass", "Band drums", "Guitar")


def test_programs_can_stand_in_a_track_of_their_own(read):
    violin, note = [program(0, 40)], [on(0, 60), off(480, 60)]
    assert read(violin, note).notes[0].instrument == "program41"
    assert read([*violin, on(0, 50), off(480, 50)], note).notes[1].instrument == "program1"


def test_tracks_of_one_name_are_numbered_unless_they_are_to_be_merged(read):
    left, right = [named("Piano"), on(0, 40), off(480, 40)], [named("Piano"), on(0, 70), off(480, 70)]
    score = read(left, right)
    assert [(note.pitch, note.track) for note in score.notes] == [(40, "Piano"), (70, "Piano 2")]
    assert any("several parts of the score are called 'Piano'" in message for message in score.messages)
    merged = read(left, right, merge_same_names=True)
    assert merged.tracks == ("Piano",)
    assert merged.messages == ()
    cases = read([named("piano"), on(0, 40), off(480, 40)], right)
    assert cases.tracks == (
        "Piano 2",
        "piano",
    )  # some file systems do not tell these apart without the number


def test_every_name_stays_different():
    assert distinct(["a", "a", "a 2", "A"]) == ["a", "a 3", "a 2", "A 4"]


@pytest.mark.parametrize(
    ("name", "encoding", "label"),
    [
        ("Flöte", "utf-8", None),
        ("ピアノ", "utf-8", None),
        ("ピアノ", "shift_jis", "Shift-JIS"),
        ("ピアノ 左手", "shift_jis", "Shift-JIS"),
        ("太鼓", "shift_jis", "Shift-JIS"),
        ("ﾋﾟｱﾉ", "shift_jis", "Shift-JIS"),
        ("Flöte", "latin-1", "Latin-1"),
        ("Guitarra acústica", "cp1252", "Latin-1"),
        ("Générale", "latin-1", "Latin-1"),
        ("Träumerei", "latin-1", "Latin-1"),
        ("Mädchenchor ‘Süd’", "cp1252", "Latin-1"),
        ("Škola", "cp1252", "Latin-1"),
    ],
)
def test_names_of_tracks_are_decoded(read, name, encoding, label):
    raw = name.encode(encoding)
    score = read([named(raw.decode("latin-1")), on(0, 60), off(480, 60)])
    assert score.tracks == (name,)
    assert (f"the names of the tracks were read as {label}" in score.messages) == bool(label)


def test_all_names_decide_on_the_encoding():
    assert (
        likely_encoding([b"Piano", "笛 flute".encode("shift_jis"), "ピアノ".encode("shift_jis")]) == "cp932"
    )


def test_long_names_are_cut_between_characters_and_stay_different(read):
    tracks = [[named(("ä" * 360).encode().decode("latin-1")), on(0, p), off(480, p)] for p in (60, 62)]
    names = read(*tracks).tracks
    assert names == ("ä" * 45, "ä" * 45 + " 2")
    assert max(len(name.encode()) for name in names) <= 100


def test_a_name_in_another_place_is_used_where_the_track_has_none(read):
    instrument = 0, mido.MetaMessage("instrument_name", name="Oboe")
    assert read([instrument, on(0, 60), off(480, 60)]).tracks == ("Oboe",)
    assert read([named(" \0"), on(0, 60), off(480, 60)]).tracks == ("track1",)
    assert read([named("../a:b. "), on(0, 60), off(480, 60)]).tracks == ("_a_b",)


@pytest.mark.parametrize(("code", "frames"), [(24, 24), (25, 25), (29, 30 / 1.001), (30, 30)])
def test_smpte_times_are_seconds(read, code, frames):
    def with_smpte(data):
        return data[:12] + struct.pack(">bB", -code, 40) + data[14:]

    tempo = 0, mido.MetaMessage("set_tempo", tempo=123_456)  # it has no effect on frames
    score = read([tempo, on(400, 60), off(1000, 60)], change=with_smpte)
    assert times(score)[0][:2] == pytest.approx((10 / frames, 25 / frames))


def test_a_file_without_a_division_of_time_is_refused(read):
    with pytest.raises(OptionError, match="no division of time"):
        read([on(0, 60), off(480, 60)], change=lambda data: data[:12] + b"\0\0" + data[14:])


def test_changes_of_tempo_act_on_all_tracks(read):
    tempos = [(480, mido.MetaMessage("set_tempo", tempo=250_000))]
    score = read(tempos, [on(480, 60), off(960, 60), on(1440, 62), off(1920, 62)])
    assert times(score) == [(0.5, 0.75, 60), (1.0, 1.25, 62)]


def test_a_note_without_end_lasts_to_the_next_of_its_pitch_or_to_the_end(read):
    score = read([on(0, 60), on(480, 60), off(960, 60), on(1440, 60), on(0, 64), off(480, 64)])
    assert times(score) == [(0, 0.5, 60), (0, 0.5, 64), (0.5, 1.0, 60), (1.5, float("inf"), 60)]
    assert score.messages[0].startswith("2 of 4 notes have no end in the file")
    none = read([on(0, 60), on(480, 64)])
    assert [end for _, end, _ in times(none)] == [float("inf")] * 2


def test_overlapping_notes_of_one_pitch_keep_their_ends():
    assert paired([(0, True), (5, True), (6, False), (9, False)]) == [(0, 6, True), (5, 9, True)]
    assert paired([(0, False), (5, True), (6, False)]) == [(5, 6, True)]
    overlapping = [(0, True), (5, True), (6, False), (9, False)]
    hanging = [*overlapping, (12, True)]
    assert paired(hanging) == [(0, 6, True), (5, 9, True), (12, float("inf"), False)]
    shifted = [*overlapping, (12, True), (14, True), (15, False)]
    assert paired(shifted) == [(0, 6, True), (5, 9, True), (12, 14, False), (14, 15, True)]


def test_all_notes_off_ends_notes_and_a_reset_lifts_the_pedal(read):
    assert times(read([on(0, 60), control(480, 123, 0), on(960, 60), off(1440, 60)])) == [
        (0.0, 0.5, 60),
        (1.0, 1.5, 60),
    ]
    pedal = [control(0, 64, 127), control(960, 121, 0)]
    assert times(read([*pedal, on(0, 60), off(240, 60)])) == [(0.0, 1.0, 60)]


def test_a_key_that_does_not_exist_is_no_reason_to_refuse_a_file(read):
    key = 0, mido.MetaMessage("key_signature", key="C")

    def damaged(data):
        assert data.count(b"\xff\x59\x02\0\0") == 1
        return data.replace(b"\xff\x59\x02\0\0", b"\xff\x59\x02\x0b\x02")

    assert times(read([key, on(0, 60), off(480, 60)], change=damaged)) == [(0.0, 0.5, 60)]


def test_a_midi_file_is_known_by_its_content(read, tmp_path):
    expected = times(read([on(0, 60), off(480, 60)]))
    data = (tmp_path / "a.mid").read_bytes()
    (tmp_path / "song.kar").write_bytes(data)
    chunk = b"data" + struct.pack("<I", len(data)) + data
    (tmp_path / "song.rmi").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"RMID" + chunk)
    (tmp_path / "song").write_bytes(data)
    for name in ("song.kar", "song.rmi", "song"):
        assert times(read_score(tmp_path / name)) == expected


def test_every_program_has_a_name():
    assert len(INSTRUMENT_NAMES) == len(set(INSTRUMENT_NAMES)) == 128
    assert [INSTRUMENT_NAMES[k] for k in (0, 24, 40, 73, 127)] == [
        "Acoustic Grand Piano",
        "Nylon Guitar",
        "Violin",
        "Flute",
        "Gunshot",
    ]
