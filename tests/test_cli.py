import json
import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import integers, sound

FAST = ("--sources", "2", "--set", "iterations=20")


def test_help_is_complete(nmfaudio):
    text = nmfaudio("--help", check=0).stdout
    for command in ("separate", "separators", "plot", "rank"):
        assert command in text
    assert nmfaudio("--version", check=0).stdout.startswith("nmfaudio 0.")


def test_help_imports_no_heavy_library():
    code = "import sys; import nmfaudio.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "numba", "scipy", "librosa", "matplotlib", "soundfile", "rich.progress"} & set(
        loaded
    )


def test_separators_are_loaded_without_scipy_and_numba():
    use = "import sys; import nmfaudio.cli.separate; from nmfaudio.pipeline.registry import *"
    code = f"{use}; [entry.error for entry in installed_separators().values()]; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "nmfaudio.separators.auto.separator" in loaded
    assert not {"numba", "scipy", "librosa", "matplotlib"} & set(loaded)


def test_stems_go_to_separated_track_stem(nmfaudio, make_file, tmp_path):
    path = make_file("my song.wav")
    done = nmfaudio("separate", path, *FAST, check=0)
    found = sorted(p.name for p in (tmp_path / "separated" / "my song").iterdir())
    assert len(found) == 3
    assert "manifest.json" in found
    for stem in set(found) - {"manifest.json"}:
        assert stem.endswith(".wav")
        assert stem.removesuffix(".wav") in done.stdout
    assert "%" in done.stdout
    assert "2 sources requested" in done.stdout


def test_json_is_one_object_a_file_and_nothing_else(nmfaudio, make_file, tmp_path):
    paths = [make_file("a.wav"), make_file("b.flac", channels=2), tmp_path / "missing.wav"]
    done = nmfaudio("separate", *paths, *FAST, "--json", "-o", "out", check=1)
    a, b, missing = (json.loads(line) for line in done.stdout.splitlines())
    assert a["ok"]
    assert b["ok"]
    for name, stem in a["stems"].items():
        assert stem["path"].endswith(f"{name}.wav")
    assert sum(stem["share"] for stem in b["stems"].values()) == pytest.approx(1)
    assert not missing["ok"]
    assert "missing.wav" in missing["error"]


def test_one_bad_file_does_not_stop_the_others(nmfaudio, make_file, tmp_path):
    (tmp_path / "text.wav").write_text("no sound here")
    (tmp_path / "folder.wav").mkdir()
    make_file("nan.wav", np.where(np.arange(8000) == 17, np.nan, sound()), subtype="FLOAT")
    make_file("empty.wav", np.zeros((1, 0)))
    make_file("good.wav")
    names = ["text.wav", "folder.wav", "nan.wav", "empty.wav", "good.wav"]
    done = nmfaudio("separate", *names, *FAST, "-q", "-o", "out", check=1)
    lines = done.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == names[:-1]
    assert "sample 17" in lines[2]
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    reasons = {f"{name.partition('.')[0]}/failed.json" for name in names[:-1]}
    assert {path for path in written if not path.startswith("good/")} == {"archive.json"} | reasons


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--separator", "blnd"], "no separator 'blnd': use one of"),
        (["--set", "colour=red"], "no option 'colour'"),
        (["--set", "iterations"], "name=value"),
        (["--set", "iterations=many"], "iterations='many'"),
        (["--format", "doc"], "format 'doc' cannot be written"),
        (["--filename", "../{stem}.{ext}"], "must stay inside"),
        (["--nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_reason(nmfaudio, make_file, tmp_path, arguments, message):
    done = nmfaudio("separate", make_file(), "-o", "out", *arguments, check=2)
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_no_files_is_wrong_usage(nmfaudio):
    nmfaudio("separate", check=2)


def test_a_rank_beyond_the_file_names_the_file(nmfaudio, make_file, tmp_path):
    done = nmfaudio("separate", make_file(), "--set", "components=9999", "-q", "-o", "out", check=1)
    assert "song.wav: components=9999" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_is_not_writable_is_named(nmfaudio, make_file, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = nmfaudio("separate", make_file(), *FAST, "-o", "locked", check=1)
    assert "locked" in done.stderr


def test_a_folder_that_cannot_be_made_is_named(nmfaudio, make_file, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = nmfaudio("separate", make_file(), *FAST, "-q", "-o", "file", check=1)
    assert "song.wav" in done.stderr
    assert "cannot be written" in done.stderr
    assert (tmp_path / "file").read_text() == "in the way"


def test_existing_stems_are_not_replaced_unless_asked(nmfaudio, make_file):
    path = make_file()
    nmfaudio("separate", path, *FAST, check=0)
    assert "--overwrite" in nmfaudio("separate", path, *FAST, check=1).stderr
    nmfaudio("separate", path, *FAST, "--overwrite", check=0)


def test_format_subtype_and_names_are_chosen(nmfaudio, make_file, tmp_path):
    path = make_file(channels=2)
    names = ("--filename", "{stem}-{track}.{ext}")
    nmfaudio("separate", path, *FAST, "--format", "flac", "--subtype", "PCM_24", *names, "-o", "out", check=0)
    total = sum(integers(p, 24) for p in (tmp_path / "out").glob("*-song.flac"))
    assert np.array_equal(total, integers(path, 16) << 8)


def test_quiet_says_nothing(nmfaudio, make_file):
    done = nmfaudio("separate", make_file(), *FAST, "-q", check=0)
    assert done.stdout == done.stderr == ""


def test_separators_lists_options_and_defaults(nmfaudio):
    text = nmfaudio("separators", check=0).stdout
    assert "blind" in text
    assert "sources" in text
    listed = json.loads(nmfaudio("separators", "--json", check=0).stdout)
    assert listed["blind"]["options"]["seed"]["default"] == 0


def test_odd_names_are_told_on_one_line(nmfaudio, tmp_path):
    (tmp_path / "new\nline.wav").write_text("no sound")
    done = nmfaudio("separate", "new\nline.wav", "-q", check=1)
    assert done.stderr.splitlines()[0].startswith("nmfaudio: new\\nline.wav: not readable")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_an_interrupt_ends_with_130_and_leaves_nothing(make_file, tmp_path):
    path = make_file(samples=sound(60))
    command = [sys.executable, "-m", "nmfaudio", "separate", str(path), "--set", "iterations=1000000"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    assert process.poll() is None
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert time.perf_counter() - began < 5
    assert "interrupted" in told
    assert "Traceback" not in told
    assert not (tmp_path / "separated").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
def test_progress_shows_stage_and_objective_on_a_terminal(make_file, tmp_path):
    path = make_file(samples=sound(20))
    main, side = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "nmfaudio",
        "separate",
        str(path),
        "--sources",
        "2",
        "--set",
        "iterations=300",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=side, stdout=subprocess.DEVNULL)
    os.close(side)
    shown = b""
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:
            break
    os.close(main)
    assert process.wait() == 0
    assert b"finding components, 6 starts" in shown
    assert b"objective" in shown
