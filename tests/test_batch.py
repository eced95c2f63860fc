"""Many files, other containers, pipes, runs that are continued or repeated."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import integers, sound

from nmfaudio import Audio, Encoding, separate, separate_file
from nmfaudio.cli.batch import OutcomePrinter, run_files
from nmfaudio.cli.inputs import collect_tasks
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.task import Task
from nmfaudio.disk.memory_budget import parse_size
from nmfaudio.errors import AudioFileError, InputError, OptionError, OutputError
from nmfaudio.pipeline.manifest import load
from nmfaudio.pipeline.registry import make
from nmfaudio.sound import containers
from nmfaudio.sound.files import AudioFile, read
from nmfaudio.sound.stem_format import StemFormat

FAST = {"sources": 2, "iterations": 10, "starts": 1}
FLAGS = ("--separator", "blind", "--sources", "2", "--set", "iterations=10", "--set", "starts=1")


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_folders_patterns_and_lists_are_meant(make_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.wav", "in/deep/b.flac", "in/.hidden.wav", "in/out/old.wav", "c1.wav", "c2.wav"):
        make_file(name)
    (tmp_path / "in" / "cover.jpg").write_bytes(b"no sound")
    (tmp_path / "list").write_text("c1.wav\n\nmissing.wav\n")
    out = tmp_path / "in" / "out"
    found = collect_tasks(["in", "c?.wav", "-"], tmp_path / "list", out)
    names = ["in/a.wav", "in/deep/b.flac", "c1.wav", "c2.wav", "-", "c1.wav", "missing.wav"]
    assert [task.file for task in found] == names
    assert found[1].output == out / "deep"
    (tmp_path / "zeros").write_bytes(b"c1.wav\0c2.wav\0")
    assert [task.file for task in collect_tasks([], tmp_path / "zeros", out)] == ["c1.wav", "c2.wav"]


def test_files_whose_stems_would_have_the_same_names_are_told(make_file, tmp_path, capsys):
    tasks = [Task(str(make_file(name)), tmp_path / "out") for name in ("a/song.wav", "b/song.wav")]
    assert not run_files(Job(make("blind", **FAST), {"overwrite": True}), tasks, OutcomePrinter(as_json=True))
    told = capsys.readouterr()
    refused, done = (json.loads(line) for line in told.out.splitlines())
    assert not refused["ok"]
    assert "a/song.wav" in refused["error"]
    assert done["ok"]
    assert "1 of 2 files separated" in told.err


def test_a_run_is_resumed_where_input_settings_and_stems_are_unchanged(make_file, tmp_path):
    path, out = make_file(), tmp_path / "out"
    first = separate_file(path, out, **FAST)
    one, two = first.stems
    when = first.stems[one].path.stat().st_mtime_ns
    again = separate_file(path, out, resume=True, **FAST)
    assert again.already_there
    assert again.shares == pytest.approx(first.shares)
    assert again.result.confidence == first.result.confidence
    assert again.stems[one].path.stat().st_mtime_ns == when
    assert not separate_file(path, out, resume=True, **{**FAST, "seed": 1}).already_there
    make_file(samples=sound(seed=5))
    assert not separate_file(path, out, resume=True, **{**FAST, "seed": 1}).already_there
    first.stems[two].path.write_bytes(b"cut short")
    assert not separate_file(path, out, resume=True, **{**FAST, "seed": 1}).already_there
    first.manifest.write_text("{")
    assert not separate_file(path, out, resume=True, **{**FAST, "seed": 1}).already_there


def test_overwriting_leaves_no_older_stem_and_nothing_else_is_removed(make_file, tmp_path):
    path, out = make_file(), tmp_path / "out"
    separate_file(path, out, **{**FAST, "sources": 4}, format="flac")
    (out / "song" / "notes.txt").write_text("mine")
    manifest = json.loads((out / "song" / "manifest.json").read_text())
    (tmp_path / "precious.wav").write_bytes(b"not a stem")
    manifest["stems"]["x"] = {"file": "../../precious.wav"}
    (out / "song" / "manifest.json").write_text(json.dumps(manifest))
    written = separate_file(path, out, **FAST, overwrite=True)
    stems = [stem.path.name for stem in written.stems.values()]
    assert files_in(out / "song") == sorted(["manifest.json", "notes.txt", *stems])
    assert (tmp_path / "precious.wav").exists()


def test_a_manifest_repeats_its_run_to_the_same_samples(nmfaudio, make_file, tmp_path):
    path = make_file(channels=2)
    options = ("--seed", "7", "--format", "flac", "--filename", "{stem}_{track}.{ext}")
    nmfaudio("separate", path, *FLAGS, *options, "-q", "-o", "one", check=0)
    manifest = tmp_path / "one" / "manifest_song.json"
    nmfaudio("separate", "--from-manifest", manifest, "-q", "-o", "two", check=0)
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")
    for name in (name for name in files_in(tmp_path / "one") if name.endswith("flac")):
        assert np.array_equal(integers(tmp_path / "one" / name, 16), integers(tmp_path / "two" / name, 16))
    found = load(manifest)
    assert found["input"]["duration"] == 1.0
    assert found["input"]["tags"] == {}
    make_file(samples=sound(seed=3, channels=2))
    assert "its hash differs" in nmfaudio("separate", "--from-manifest", manifest, "-o", "x", check=1).stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"options": 3}', "[" * 100_000, "\x00\xff"])
def test_what_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest.json: not a manifest"):
        load(tmp_path / "manifest.json")


def loud():
    return Audio(sound() * 4, 8000, Encoding("WAV", "PCM_16"), "loud")


def test_stems_that_would_clip_are_rescaled_alike(tmp_path):
    written = separate(loud(), **FAST).write(tmp_path, clip_mode="rescale")
    assert written.gain < 1
    assert any("quieter" in warning for warning in written.warnings)
    total = sum(integers(stem.path, 16) for stem in written.stems.values())
    expected = np.rint(loud().samples * written.gain * 2**15)
    assert np.array_equal(total, expected)
    assert not any(stem.clipped for stem in written.stems.values())


def test_stems_that_would_clip_are_written_as_floats(tmp_path):
    written = separate(loud(), **FAST).write(tmp_path, format="flac", clip_mode="float")
    paths = [stem.path for stem in written.stems.values()]
    assert {path.suffix for path in paths} == {".wav"}
    assert {soundfile.info(path).subtype for path in paths} == {"FLOAT"}
    total = sum(soundfile.read(path)[0] for path in paths)
    np.testing.assert_allclose(total, loud().samples[0], atol=1e-6)
    with pytest.raises(OptionError, match="clip mode 'louder'"):
        separate(loud(), **FAST).write(tmp_path / "x", clip_mode="louder")


def test_tags_are_kept(make_file, tmp_path):
    path = make_file("a.flac")
    samples, rate = soundfile.read(path)
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        file.artist, file.title = "Ann", "Söng"
        file.write(samples)
    for format in ("flac", "wav", "aiff", "ogg"):
        written = separate_file(path, tmp_path / format, format=format, **FAST)
        with soundfile.SoundFile(next(iter(written.stems.values())).path) as stem:
            assert (stem.artist, stem.title) == ("Ann", "Söng")


def test_truncated_files_are_used_and_told_or_refused(make_file, tmp_path):
    path = make_file("a.flac", sound(4))
    path.write_bytes(path.read_bytes()[:-3000])
    written = separate_file(path, tmp_path / "out", **FAST)
    assert any("the file ends early" in warning for warning in written.warnings)
    with pytest.raises(AudioFileError, match=r"a.flac: the file ends early: .*; pass strict=False"):
        separate_file(path, tmp_path / "strict", strict=True, **FAST)


def test_pipes_carry_audio_in_and_one_stem_out(make_file, tmp_path):
    path = make_file(channels=2)
    stem = [*separate_file(path, tmp_path / "out", "blind", **FAST).stems][1]
    command = [sys.executable, "-m", "nmfaudio", "separate", "-", "-o", "-", "--stem", stem, *FLAGS]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "out" / "song" / f"{stem}.wav").read_bytes()


def test_what_does_not_fit_into_a_format_is_told_before_the_work(make_file, tmp_path):
    with pytest.raises(OutputError, match=r"opus: .* 44100 Hz .*: resample it, or pass another format="):
        separate_file(make_file(rate=44100), tmp_path / "out", format="opus", **FAST)
    hours = StemFormat(48000, 2, 2**30, Encoding("AIFF", "PCM_16"))
    with pytest.raises(OutputError, match=r"4.3 GB of samples do not fit into AIFF.*w64"):
        hours.check(tmp_path / "a.aiff")
    for format in ("W64", "RF64", "WAV", "CAF"):
        StemFormat(48000, 2, 2**30, Encoding(format, "PCM_16")).check(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "size"), [("500", 500), ("2G", 2 << 30), ("1.5m", 3 << 19), ("3 KiB", 3072), ("1TB", 1 << 40)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "1e9", "2 X"])
def test_what_is_no_size(text):
    with pytest.raises(OptionError, match="is not a size"):
        parse_size(text)


def test_a_container_that_needs_another_package_names_it(tmp_path, monkeypatch):
    path = tmp_path / "a.m4a"
    path.write_bytes(bytes(4) + b"ftypM4A " + bytes(2000))
    monkeypatch.setattr(containers, "find_spec", lambda _: None)
    with pytest.raises(AudioFileError, match=r"a.m4a: it looks like MOV.*pip install 'nmfaudio\[formats\]'"):
        read(path)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("a.mkv", "pcm_s16le"), ("a.mov", "pcm_s16le"), ("b.m4a", "alac")]
)
def test_other_containers_are_read(make_file, tmp_path, name, codec):
    av = pytest.importorskip("av")
    samples = (sound(2, 44100, 2) * 2**15).astype(np.int16)
    content = io.BytesIO()
    with av.open(
        content, "w", format={"mkv": "matroska", "mov": "mov", "m4a": "ipod"}[name[2:]]
    ) as container:
        stream = container.add_stream(codec, rate=44100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T).reshape(1, -1), "s16", "stereo")
        frame.rate = 44100
        resampled = av.AudioResampler(stream.format, "stereo", 44100, stream.frame_size or 1024)
        for part in [*resampled.resample(frame), *resampled.resample(None), None]:
            container.mux(stream.encode(part))
    (tmp_path / name).write_bytes(content.getvalue())
    with AudioFile(tmp_path / name) as file:
        assert (file.sample_rate, file.channels) == (44100, 2)
        found = file.read(0, file.length)
        assert np.array_equal(file.read(1000, 5000), found[:, 1000:5000])
    if codec == "aac":
        assert not file.encoding.exact
        start = int(np.argmax(np.correlate(found[0, :9000], samples[0, 3000:7000] / 2**15, "valid")))
        assert abs(start - 3000) <= 1024
    else:
        assert file.encoding.exact
        assert np.array_equal(found * 2**15, samples)
