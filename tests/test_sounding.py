import json

import numpy as np
import pytest

from nmfaudio import Audio, make, separate, separate_file
from nmfaudio.errors import OptionError, OutputError
from nmfaudio.pipeline.manifest import load
from nmfaudio.pipeline.sounding import LevelMeter, label_file, sounding_frames
from nmfaudio.pipeline.target import Target
from nmfaudio.separators.dictionary.hints import Hints, read_hints
from nmfaudio.sound.source import Encoding

RATE = 8000


def gated(start, stop, level, frequency):
    time = np.arange(2 * RATE) / RATE
    return (level * np.sin(2 * np.pi * frequency * time) * ((time >= start) & (time < stop)))[None]


@pytest.fixture(scope="module")
def stems():
    return {"kick": gated(0.2, 0.6, 0.5, 100), "pad": gated(1.0, 1.5, 0.1, 800)}


def measured(stems, piece):
    mixture, meter = sum(stems.values()), LevelMeter(list(stems), RATE)
    cuts = range(0, mixture.shape[1], piece)
    pieces = [(mixture[:, c : c + piece], {n: s[:, c : c + piece] for n, s in stems.items()}) for c in cuts]
    assert len(list(meter.watching(pieces))) == len(pieces)
    return meter


@pytest.mark.parametrize("piece", [16000, 1111])
def test_passages_have_onset_end_and_level(stems, piece):
    kick, pad = measured(stems, piece).passages()
    assert (kick.source, kick.onset, kick.end) == ("kick", pytest.approx(0.2), pytest.approx(0.6))
    assert (pad.source, pad.onset, pad.end) == ("pad", pytest.approx(1.0), pytest.approx(1.5))
    assert kick.level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert measured(stems, piece).passages(0.5)[0].level == pytest.approx(kick.level - 6.02, abs=0.01)


def test_quiet_remains_silence_and_gaps():
    power = np.full(40, 1e-9)
    power[10:20] = 1
    assert sounding_frames(power, power) == [(10, 20)]
    power[13:16] = 0  # 60 ms
    assert sounding_frames(power, np.maximum(power, 1e-3)) == [(10, 20)]
    assert sounding_frames(np.zeros(9), np.ones(9)) == []
    assert sounding_frames(np.zeros(0), np.zeros(0)) == []
    leak = np.full(10, 1e-4)
    assert sounding_frames(leak, np.ones(10)) == []
    click = np.zeros(10)
    click[4] = 1
    assert sounding_frames(click, click) == []


@pytest.mark.parametrize("format", ["audacity", "csv"])
def test_labels_out_are_read_as_hints(tmp_path, stems, format):
    passages = measured(stems, 4000).passages()
    path = tmp_path / f"labels.{'txt' if format == 'audacity' else 'csv'}"
    path.write_bytes(label_file(passages, format))
    solos = Hints.parse(**read_hints(path)).solos
    read = [(span.source, span.start, span.stop) for span in solos]
    assert read == [(p.source, pytest.approx(p.onset), pytest.approx(p.end)) for p in passages]


def test_the_label_file_belongs_to_the_stems(tmp_path, stems):
    audio = Audio(sum(stems.values()), RATE, name="song")
    found = separate(audio, make("blind", sources=2, iterations=20, starts=1))
    written = found.write(tmp_path, labels="audacity")
    assert written.labels == tmp_path / "labels.txt"
    document = load(written.manifest)
    assert document["labels"] == "labels.txt"
    assert document["output"]["labels"] == "audacity"
    assert {line.split("\t")[2].split(" (")[0] for line in written.labels.read_text().splitlines()} == set(
        found.stems
    )
    solos = Hints.parse(**read_hints(written.labels)).solos
    assert {span.source for span in solos} == set(found.stems)
    written.manifest.unlink()
    for stem in written.stems.values():
        stem.path.unlink()
    with pytest.raises(OutputError, match=r"labels\.txt"):
        found.write(tmp_path, labels="audacity")
    assert [path.name for path in tmp_path.iterdir()] == ["labels.txt"]


def test_a_label_file_is_replaced_with_the_stems(tmp_path, stems):
    audio = Audio(sum(stems.values()), RATE, name="song")
    song = separate(audio, make("blind", sources=1)).write(tmp_path / "in").stems
    path = next(iter(song.values())).path
    separator = make("blind", sources=2, iterations=20, starts=1)
    options = {"filename": "{stem}.{ext}"}
    folder = tmp_path / "out"
    first = separate_file(path, folder, separator, labels="csv", **options)
    assert first.labels.read_text().startswith("onset,end,source,level_db\n")
    assert separate_file(path, folder, separator, labels="csv", resume=True, **options).already_there
    first.labels.unlink()
    again = separate_file(path, folder, separator, labels="csv", resume=True, **options)
    assert not again.already_there
    assert again.labels.is_file()
    separate_file(path, folder, separator, overwrite=True, **options)
    assert not again.labels.exists()
    assert "labels" not in json.loads(again.manifest.read_text())


def test_unknown_formats_are_refused(tmp_path, stems):
    found = separate(Audio(stems["kick"], RATE), make("blind", sources=1))
    with pytest.raises(OptionError, match="audacity or csv"):
        found.write(tmp_path, labels="praat")
    assert not list(tmp_path.iterdir())


def test_an_existing_label_file_is_found_before_the_work(tmp_path):
    target = Target(tmp_path, "song", Encoding(), filename="{stem}.{ext}", labels="csv")
    target.check_free(["kick"])
    (tmp_path / "labels.csv").write_text("")
    with pytest.raises(OutputError, match=r"labels\.csv"):
        target.check_free(["kick"])
