"""What disks, signals and other processes can do to a run: no broken file, no lie, a reason and a way out."""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import sound

from nmfaudio import make, separate_file
from nmfaudio.cli.workers import run_parallel
from nmfaudio.cluster.job import Job
from nmfaudio.cluster.task import Task
from nmfaudio.disk import memory_budget as storage
from nmfaudio.disk import partial_file as part
from nmfaudio.disk.partial_file import PartialFile, remove_orphaned_files
from nmfaudio.errors import AudioFileError, OptionError, OutputError
from nmfaudio.sound.files import AudioFile

pytestmark = pytest.mark.faults
FAST = {"sources": 2, "iterations": 10, "starts": 1}
FLAGS = ("--sources", "2", "--set", "iterations=10", "--set", "starts=1")
KILLS = int(os.environ.get("NMFAUDIO_KILLS", "20"))  # moments, of each signal


@pytest.fixture
def run(command_server, tmp_path):
    """Return a function that runs a command, and sends it a signal after some seconds.

    It returns the exit code, and the seconds from the signal, or from the start, to the end.
    """
    if not command_server:
        pytest.skip("needs fork")
    began = 0.0

    def run(*arguments, after=None, number=None):
        def strike(process):
            nonlocal began
            if number:
                time.sleep(after)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            began = time.perf_counter()

        done = command_server.run(arguments, tmp_path, strike)
        assert "Traceback" not in done.stderr
        return done.returncode, time.perf_counter() - began

    return run


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def content_of(folder):
    return {name: (folder / name).read_bytes() for name in files_in(folder) if name.endswith(".wav")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_at_any_moment_leaves_whole_files_or_none(run, make_file, tmp_path, number):
    path, whole, hit = make_file(samples=sound(3)), tmp_path / "whole", tmp_path / "hit"
    code, seconds = run("separate", path, *FLAGS, "-q", "-o", whole)
    assert code == 0
    expected, moments = content_of(whole), random.Random(number)
    ended, slowest = 0, 0.0
    for _ in range(KILLS):
        code, after = run(
            "separate", path, *FLAGS, "-q", "-o", hit, after=moments.uniform(0, seconds), number=number
        )
        assert code in (0, -number, 128 + number)
        ended += code != 0
        found = content_of(hit)
        if number == signal.SIGKILL:
            assert all(content == expected[name] for name, content in found.items())
            assert run("separate", path, *FLAGS, "-q", "-o", hit, "--resume")[0] == 0
        else:
            assert code >= 0
            slowest = max(slowest, after)
            assert found in ({}, expected)
            assert hit.exists() == bool(found)
        if found:
            assert content_of(hit) == expected
        assert not list(tmp_path.rglob(f"*{part.SUFFIX}"))
        shutil.rmtree(hit, ignore_errors=True)
    assert ended
    print(f"{KILLS} times {number.name}, {ended} ended by it, at most {slowest:.3f} s after it")  # for -s


class Failing:
    """A file whose n-th writing fails, and all after it."""

    def __init__(self, file, left):
        self._file, self._left = file, left

    def write(self, content):
        self._left[0] -= 1
        if self._left[0] < 0:
            raise OSError(28, "No space left on device")
        return self._file.write(content)

    def __getattr__(self, name):
        return getattr(self._file, name)


@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_each_write_that_fails_is_told_and_leaves_nothing(make_file, tmp_path, monkeypatch, format):
    path, out, left = make_file(), tmp_path / "out", [10**9]
    opened = part._open_new
    monkeypatch.setattr(part, "_open_new", lambda path: Failing(opened(path), left))
    separate_file(path, tmp_path / "whole", format=format, **FAST)
    writes = 10**9 - left[0]
    assert writes > 5
    for n in range(writes):
        left[0] = n
        with pytest.raises(OutputError, match=r"cannot be written.*No space left on device"):
            separate_file(path, out, format=format, **FAST)
        assert not out.exists()
    left[0] = writes
    assert separate_file(path, out, format=format, **FAST).manifest.is_file()


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system in memory of a given size, where that is allowed."""
    mounted = []

    def mount(name, size):
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a file system in memory needs the right to mount")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("believed", [True, False])
def test_a_disk_that_is_full_at_any_point_is_told(make_file, tmp_path, small_disk, monkeypatch, believed):
    path = make_file(samples=sound(2))
    whole = separate_file(path, tmp_path / "whole", **FAST).manifest.parent
    needed = sum(file.stat().st_size for file in whole.iterdir())
    if not believed:  # as when another program takes the room meanwhile
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40))
    for number, share in enumerate((0.05, 0.3, 0.55, 0.8, 0.95)):
        out = small_disk(f"disk{number}", int(share * needed)) / "out"
        with pytest.raises(OutputError, match=r"No space left on device|are free"):
            separate_file(path, out, **FAST)
        assert not out.exists()
    out = small_disk("enough", 2 * needed) / "out"
    separate_file(path, out, **FAST)
    assert content_of(out) == content_of(tmp_path / "whole")


def test_a_disk_that_is_full_of_a_spectrogram_is_told(make_file, tmp_path, small_disk, monkeypatch):
    folder = small_disk("scratch", 20_000)
    monkeypatch.setattr(storage.tempfile, "tempdir", str(folder))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40))
    with pytest.raises(OutputError, match="the spectrogram .* does not fit .*No space left on device"):
        separate_file(make_file(), tmp_path / "out", memory=1, **FAST)
    assert not (tmp_path / "out").exists()
    assert not list(folder.iterdir())


def limited(bytes_, address_space=None):
    def limit():
        if bytes_:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))
        if address_space:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

    return limit


def test_a_file_system_that_takes_no_more_is_told(nmfaudio, make_file, tmp_path):
    path = make_file(samples=sound(6))
    done = nmfaudio("separate", path, *FLAGS, "-q", "-o", "out", check=1, preexec_fn=limited(40_000))
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_too_little_address_space_is_told_at_once(nmfaudio, make_file, tmp_path):
    done = nmfaudio("separate", make_file(), "-o", "out", check=1, preexec_fn=limited(None, 250 << 20))
    assert "ulimit -v" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_memory_that_runs_out_midway_is_told(make_file, tmp_path):
    def run_out(_):
        raise MemoryError

    outcome = Job(make("blind", **FAST)).run(Task(str(make_file()), tmp_path / "out"), run_out)
    assert not outcome["ok"]
    assert "there is not enough memory: lower --memory" in outcome["error"]
    assert not (tmp_path / "out").exists()


def test_a_spectrogram_that_fits_neither_memory_nor_disk_is_told(make_file, tmp_path, monkeypatch):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(OutputError, match=r"the spectrogram needs .* GB .*: set TMPDIR .*memory="):
        separate_file(make_file(), tmp_path / "out", memory=1, **FAST)
    assert not (tmp_path / "out").exists()


def test_stems_that_cannot_fit_are_told_before_they_are_written(make_file, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(OutputError, match=r"2 stems need .* GB, and .* are free"):
        separate_file(make_file(), tmp_path / "out", **FAST)
    assert not (tmp_path / "out").exists()


def test_a_spectrogram_on_the_disk_gives_the_same_stems_and_leaves_nothing(make_file, tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(storage.tempfile, "tempdir", str(folder))
    path = make_file(channels=2)
    separate_file(path, tmp_path / "memory", **FAST)
    separate_file(path, tmp_path / "disk", memory=1, **FAST)
    assert content_of(tmp_path / "memory") == content_of(tmp_path / "disk")
    assert not list(folder.iterdir())


def during(moment, action):
    """Return a report that acts once when a stage begins."""
    done = []

    def report(progress):
        if progress.stage.startswith(moment) and not done:
            done.append(action())

    return report


def test_an_output_folder_that_vanishes_is_told(make_file, tmp_path):
    out = tmp_path / "out"
    report = during("writing", lambda: shutil.rmtree(out))
    with pytest.raises(OutputError, match="1.wav: cannot be written"):
        separate_file(make_file(), out, report=report, **FAST)
    assert not out.exists()


def test_an_input_that_vanishes_midway_is_read_to_its_end(make_file, tmp_path):
    path = make_file()
    separate_file(path, tmp_path / "whole", **FAST)
    separate_file(path, tmp_path / "out", report=during("finding", path.unlink), **FAST)
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")


@pytest.mark.parametrize("moment", ["reading", "finding", "writing"])
def test_an_input_that_changes_midway_is_told(make_file, tmp_path, moment):
    path = make_file(samples=sound(30))

    def change():
        with open(path, "r+b") as file:
            file.seek(1000)
            file.write(bytes(500))
        os.utime(path, (1, 1))

    with pytest.raises(AudioFileError, match=r"song.wav: it changed while it was read"):
        separate_file(path, tmp_path / "out", report=during(moment, change), **FAST)
    assert not (tmp_path / "out").exists()


def test_a_clock_that_is_set_back_changes_nothing(make_file, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    written = separate_file(make_file(), tmp_path / "out", **FAST)
    assert written.result.seconds >= 0


@pytest.mark.skipif(os.name == "nt", reason="locks of Unix")
def test_only_the_files_of_dead_processes_are_swept(tmp_path):
    alive = PartialFile(tmp_path / "a.wav")
    dead = tmp_path / f"{part.PREFIX}0123{part.SUFFIX}"
    dead.write_bytes(b"half of a stem")
    mine = tmp_path / ".nmfaudio-notes"
    mine.write_text("not a part")
    assert remove_orphaned_files(tmp_path) == [dead]
    assert alive.path.exists()
    assert mine.exists()
    alive.discard()
    assert list(tmp_path.iterdir()) == [mine]


def test_a_stem_that_another_run_placed_meanwhile_is_not_replaced(make_file, tmp_path):
    out = tmp_path / "out"
    name = list(separate_file(make_file(), tmp_path / "before", **FAST).stems)[1]

    def other_run():
        (out / "song").mkdir(parents=True, exist_ok=True)
        (out / "song" / f"{name}.wav").write_bytes(b"theirs")

    with pytest.raises(OutputError, match=f"{name}.wav exists"):
        separate_file(make_file(), out, report=during("writing", other_run), **FAST)
    assert files_in(out) == [f"song/{name}.wav"]
    assert (out / "song" / f"{name}.wav").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "pattern", ["../{stem}", "/tmp/{stem}", "a/../../{stem}", "{stem}/../../x", "..\\{stem}"]
)
def test_patterns_cannot_leave_the_folder(make_file, tmp_path, pattern):
    with pytest.raises(OptionError, match="filename"):
        separate_file(make_file(), tmp_path / "out", filename=pattern, **FAST)


@pytest.mark.parametrize("name", ["..", "...", "../x", "a/b", "a\\b", "a\0b"])
def test_tracks_cannot_leave_the_folder(tmp_path, name):
    from nmfaudio import Audio, separate

    audio = Audio(sound(0.2), 8000, name=name)
    written = separate(audio, **FAST).write(tmp_path / "out", filename="{track}/{stem}.{ext}")
    assert written.manifest.resolve().is_relative_to((tmp_path / "out").resolve())
    assert len(written.manifest.relative_to(tmp_path / "out").parts) == 2


@pytest.mark.parametrize("name", ["new\nline", "🥁", "n" * 251, "-o", "--help", "a'b\"c $(x)"])
def test_odd_names_of_files_work_on_the_command_line(run, make_file, tmp_path, name):
    make_file(f"{name}.wav")
    assert run("separate", "-q", "-o", "out", *FLAGS, "--", f"{name}.wav")[0] == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert name.startswith(folder.name)
    assert sum(stem.endswith(".wav") for stem in os.listdir(folder)) == 2


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="children are found as Linux tells them")
def test_a_worker_that_is_killed_is_noticed_and_its_file_tried_again(make_file, tmp_path):
    paths = [make_file(f"{n}.wav") for n in range(3)]
    command = [
        sys.executable,
        "-m",
        "nmfaudio",
        "separate",
        *map(str, paths),
        "-j",
        "2",
        "-o",
        "out",
        "--json",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, *FLAGS], cwd=tmp_path, **pipes) as process:
        while not (found := children(process.pid)):
            time.sleep(0.01)
        os.kill(found[0], signal.SIGKILL)
        told, errors = process.communicate(timeout=100)
    outcomes = [json.loads(line) for line in told.splitlines()]
    assert sorted(o["file"] for o in outcomes) == sorted(map(str, paths))
    assert all(o["ok"] for o in outcomes), errors
    assert process.returncode == 0


def test_a_file_that_kills_its_worker_twice_is_told_and_the_others_are_done(make_file, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "deadly.py").write_text(
        "import os\nfrom dataclasses import dataclass\nfrom nmfaudio import FunctionModel\n"
        "@dataclass(frozen=True)\nclass Deadly:\n    def fit(self, mixture):\n"
        "        if mixture.length == 8001:\n            os.kill(os.getpid(), 9)\n"
        "        return FunctionModel(mixture.stft, ('a', 'b'), lambda b: dict.fromkeys('ab', b.magnitude))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import deadly

    paths = [make_file("a.wav"), make_file("b.wav", np.zeros((1, 8001))), make_file("c.wav")]
    tasks = [Task(str(path), tmp_path / "out") for path in paths]
    outcomes = {o["file"]: o for o in run_parallel(Job(deadly.Deadly()), tasks, 2, False)}
    assert [outcomes[str(path)]["ok"] for path in paths] == [True, False, True]
    assert "killed by SIGKILL, and again when it was tried alone" in outcomes[str(paths[1])]["error"]


def children(process):
    """Processes that compute for this one: not the tracker of resources that multiprocessing starts."""
    found = []
    for task in os.listdir(f"/proc/{process}/task"):
        found += [int(c) for c in Path(f"/proc/{process}/task/{task}/children").read_text().split()]
    return [c for c in found if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


def test_reading_a_file_that_shrinks_is_told(make_file):
    path = make_file(samples=sound(60))
    with AudioFile(path) as file:
        with open(path, "r+b") as content:
            content.truncate(2000)
        with pytest.raises(AudioFileError, match="it changed while it was read"):
            file.read(0, file.length)


def test_every_stem_is_flushed_before_any_has_its_name(make_file, tmp_path, monkeypatch):
    events = []
    flush, place = PartialFile.flush, PartialFile.rename_to_target
    monkeypatch.setattr(PartialFile, "flush", lambda self: (events.append("flush"), flush(self))[1])
    monkeypatch.setattr(
        PartialFile, "rename_to_target", lambda self, **k: (events.append("place"), place(self, **k))[1]
    )
    separate_file(make_file(), tmp_path / "out", make("blind", **FAST))
    assert events.count("place") == 3
    assert "flush" not in events[events.index("place") :]
    assert {soundfile.info(stem).frames for stem in (tmp_path / "out" / "song").glob("*.wav")} == {8000}
    assert np.array_equal(events, sorted(events))
