import pytest

from nmfaudio.errors import OptionError
from nmfaudio.separators.dictionary.hints import Hints, Span, read_hints
from nmfaudio.separators.dictionary.label_files import Label, read_label_hints, read_labels

AUDACITY = "0.500000\t1.250000\tkick\n1.250000\t2.000000\t!snare\n"
SPECTRAL = "0.5\t1.25\tkick\n\\\t40.0\t200.5\n2\t3\t!hat\n\\\t-1.0\t-1.0\n3\t4\t!hat\n\\\t5000\t9000\n"
RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    "1\tWaveform 1\t1\t0.5\t1.25\t1000.0\t4000.0\twren\n"
    "1\tSpectrogram 1\t1\t0.5\t1.25\t1000.0\t4000.0\twren\n"
    "2\tSpectrogram 1\t1\t2.0\t2.5\t0.0\t800.0\t!wren\n"
)


def written(tmp_path, content, name="labels.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_label_track_of_audacity(tmp_path, encoding, end):
    path = written(tmp_path, AUDACITY.replace("kick", "Flöte").replace("\n", end).encode(encoding))
    assert read_labels(path) == [Label("Flöte", 0.5, 1.25), Label("snare", 1.25, 2, sounds=False)]
    assert read_hints(path)["solo"] == ["Flöte=0.500000-1.250000"]
    assert read_hints(path)["silent"] == ["snare=1.250000-2.000000"]


def test_latin_letters_and_decimal_commas(tmp_path):
    path = written(tmp_path, AUDACITY.replace("kick", "Flöte").replace(".", ",").encode("latin-1"))
    assert read_labels(path)[0] == Label("Flöte", 0.5, 1.25)


def test_labels_with_frequencies_are_regions(tmp_path):
    path = written(tmp_path, SPECTRAL)
    assert [label.band for label in read_labels(path)] == [(40, 200.5), None, (5000, 9000)]
    texts = read_hints(path)
    assert texts["region"] == ["kick=0.500000-1.250000@40.000-200.500"]
    assert texts["not_region"] == ["hat=3.000000-4.000000@5000.000-9000.000"]
    assert texts["silent"] == ["hat=2.000000-3.000000"]
    assert Hints.parse(**texts).silences == (Span("hat", 2.0, 3.0),)


def test_a_selection_table_of_raven_lists_each_selection_once(tmp_path):
    hints = read_label_hints(written(tmp_path, RAVEN, "a.selections.txt"))
    assert hints == [
        ("region", "wren=0.500000-1.250000@1000.000-4000.000"),
        ("not_region", "wren=2.000000-2.500000@0.000-800.000"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "onset,end,source,level_db\n0.5,1.25,kick,-12.0\n",
        'Start;End;Label\n"0,5";1,25;kick\n',
        "label\tstart\tend\nkick\t0.5\t0:01.25\n",
        "0.5,1.25,kick\n",
        "\n0.5\t1.25\tkick (-12.0 dB)\n\n",
    ],
)
def test_tables(tmp_path, text):
    assert read_labels(written(tmp_path, text, "labels.csv")) == [Label("kick", 0.5, 1.25)]


def test_no_source_is_alone_where_labels_overlap(tmp_path):
    path = written(tmp_path, "0\t2\ta\n1\t3\tb\n3\t4\tb\n3.5\t3.75\tb\n5\t6\ta\n5\t6\tb\n")
    solos = [text for kind, text in read_label_hints(path)]
    assert solos == ["a=0.000000-1.000000", "b=2.000000-4.000000"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there are no labels"),
        ("0\t1\ta\n\n0\t1\t\n", "line 3: the label is empty"),
        ("0\t1\t!\n", "line 1: the label is empty"),
        ("0\t1\n", "line 1: the label is empty"),
        ("0\t1\ta\n2\t2\tb\n", "line 2: the label 'b' is a point"),
        ("2\t1\ta\n", "line 1: 2 to 1 is no passage"),
        ("-2\t1\ta\n", "line 1: -2 to 1 is no passage"),
        ("0\tx\ta\n", "line 1: 'x' is not a time"),
        ("0\tnan\ta\n", "line 1: 'nan' is not a time"),
        ("0\t1\ta/b\n", "line 1: label 'a/b' cannot be part"),
        ("\\\t1\t2\n", "line 1: it holds frequencies"),
        ("0\t1\ta\n\\\t1\n", "line 2: it holds frequencies"),
        ("0\t1\ta\n\\\t9\t2\n", "line 1: 9 to 2 Hz is no range"),
        ("0\t1\ta\n\\\t9\tx\n", "line 1: 'x' is not a frequency"),
        ("hello\n", "line 1: write start, end and source"),
        ("start,end\n0,1\n", "line 1: the table has no column 'source'"),
        ("start,end,source\n0,1\n", "line 2: it has 2 cells"),
    ],
)
def test_bad_rows_are_named(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(OptionError, match=message) as caught:
        read_hints(path)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(OptionError, match="cannot be opened"):
        read_hints(tmp_path / "none.txt")
