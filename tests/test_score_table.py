import pytest

from nmfaudio.errors import OptionError
from nmfaudio.separators.score.notes import Note
from nmfaudio.separators.score.reading import read_score

NOTES = (Note(0.5, 1.25, 60, "low"), Note(1.5, 2.0, 73, "high"))


@pytest.fixture
def read(tmp_path):
    def reading(content, name="a.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return read_score(path)

    return reading


PLAIN = "onset,end,pitch,track\n0.5,1.25,60,low\n1.5,2.0,73,high\n"


def test_the_documented_form_is_read_without_a_message(read):
    assert read(PLAIN) == read(PLAIN.replace("\n", "\r\n"))
    assert read(PLAIN).notes == NOTES
    assert read(PLAIN).messages == ()


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("onset,end,pitch,track\n0.5,1.25,60.0,low\n1.5,2.0,73.0,high\n", ""),
        ("onset, end, pitch, track\n0.5, 1.25, 60, low\n1.5, 2.0, 73, high\n", ""),
        ("Onset,END,Pitch,Track\n0.5,1.25,60,low\n1.5,2.0,73,high\n", "onset from the column 'Onset'"),
        ("onset,end,pitch,track\n0.5,1.25,C4,low\n1.5,2.0,Db5,high\n", "C4 as the middle C"),
        ("onset,end,pitch,track\n0.5,1.25,C4,low\n1.5,2.0,C♯5,high\n", "C4 as the middle C"),
        ("onset;end;pitch;track\n0,5;1,25;60;low\n1,5;2;73;high\n", "semicolons, decimal commas"),
        ('onset,end,pitch,track\n"0,5","1,25",60,low\n"1,5",2,73,high\n', "decimal commas"),
        ("sep=;\nonset;end;pitch;track\n0.5;1.25;60;low\n1.5;2;73;high\n", "semicolons"),
        ("onset\tend\tpitch\ttrack\n0.5\t1.25\t60\tlow\n1.5\t2\t73\thigh\n", "tabs"),
        ("onset,end,pitch,track\n0.5,1.25,60,low\n1.5,2.0,73,high\n,,,\n\n", ""),
        ("time,duration,pitch,track\n0.5,0.75,60,low\n1.5,0.5,73,high\n", "ends from durations"),
        ("Start (s),Duration (s),MIDI Note,Part\n0.5,0.75,60,low\n1.5,0.5,73,high\n", "'MIDI Note'"),
        ("onset_ms,offset_ms,pitch,track\n500,1250,60,low\n1500,2000,73,high\n", "milliseconds"),
        ("onset,end,frequency,track\n0.5,1.25,261.6,low\n1.5,2.0,554.4,high\n", "nearest pitch"),
        ("onset,end,pitch,track\n0:00.5,0:01.25,60,low\n0:01.5,0:02,73,high\n", ""),
        ("onset,end,pitch,track\n0.5,1.25,60.2,low\n1.5,2.0,72.8,high\n", "fractions of a semitone rounded"),
        ("velocity,onset,end,pitch,track\n90,0.5,1.25,60,low\n80,1.5,2.0,73,high\n", ""),
        ("# notes\nonset,end,pitch,track\n0.5,1.25,60,low\n1.5,2.0,73,high\n", ""),
        ("0.5,1.25,60,low\n1.5,2.0,73,high\n", "taken as onset, end, pitch, track"),
    ],
)
def test_other_forms_are_understood_and_said(read, content, fact):
    score = read(content)
    assert score.notes == NOTES
    if fact:
        assert score.messages[0].startswith("the table of notes was read as: ")
        assert fact in score.messages[0]
    else:
        assert score.messages == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_other_encodings_are_read(read, encoding):
    score = read(PLAIN, encoding=encoding)
    assert score.notes == NOTES
    assert any("UTF-16" in message for message in score.messages) == encoding.startswith("utf-16")


@pytest.mark.parametrize(
    ("name", "encoding"), [("Flöte", "latin-1"), ("ピアノ", "shift_jis"), ("ピアノ", "utf-8")]
)
def test_tracks_have_names_in_other_encodings(read, name, encoding):
    assert read(f"onset,end,pitch,track\n0,1,60,{name}\n", encoding=encoding).tracks == (name,)


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.tsv"])
@pytest.mark.parametrize(
    "content",
    [
        "0.5,60,0.75,0.8,New Point\n1.5,73,0.5,0.8,New Point\n",
        "TIME,VALUE,DURATION,LEVEL,LABEL\n0.5,60,0.75,0.8,New Point\n1.5,73,0.5,0.8,New Point\n",
        "0,5;60;0,75\n1,5;73;0,5\n",
        "0.5\t261.626\t0.75\n1.5\t554.365\t0.5\n",
    ],
)
def test_exports_of_sonic_visualiser_are_read(read, content, name):
    score = read(content, name=name)
    assert [(n.onset, n.end, n.pitch, n.track) for n in score.notes] == [
        (0.5, 1.25, 60, "notes"),
        (1.5, 2.0, 73, "notes"),
    ]
    assert len(score.messages) == 1


def test_different_tracks_stay_different(read):
    content = "onset,end,pitch,track\n0,1,60,a/b\n0,1,61,a:b\n0,1,62,a/b\n0,1,63,A_B\n"
    assert [note.track for note in read(content).notes] == ["a_b", "a_b 2", "a_b", "A_B 3"]
    assert len(read(f"onset,end,pitch,track\n0,1,60,{'x' * 360}\n").tracks[0]) <= 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("onset,pitch\n1,60", "lacks the column 'end'"),
        ("a,b,c\n1,2,3", "lacks the column 'onset'"),
        ("1,2\n3,4", "lacks the column 'onset'"),
        ("FRAME,VALUE,DURATION\n44100,60,22050", "lacks the column 'onset'"),
        ("onset,end,pitch\n1,2,x", "line 2: the pitch must be a number .60 is the middle C. or a note"),
        ("onset,end,pitch\n1,2,60\n1,nan,60", "line 3: onset and end must be numbers"),
        ("onset,duration,pitch\n1,,60", "line 2: onset and duration must be numbers"),
        ("onset,end,pitch\n2,1,60", "line 2: a note must end after its onset"),
        ("onset,end,pitch\n1,2,-3", "line 2: a note must end after its onset"),
        ("onset,end,pitch\n", "has no notes"),
        ("", "has no notes"),
        ("onset,end,pitch\n1,2", "line 2: the pitch"),
    ],
)
def test_what_cannot_be_understood_is_refused(read, content, message):
    with pytest.raises(OptionError, match=message):
        read(content)
