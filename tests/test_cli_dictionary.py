import hashlib
import json

import pytest
from conftest import ROOT
from test_learning import RATE, tone
from typer.testing import CliRunner

from nmfaudio import Dictionary
from nmfaudio.cli.app import app


@pytest.fixture
def clips(make_file):
    return [make_file(f"{n}.wav", tone(f).samples, RATE) for n, f in (("low", 300), ("high", 1100))]


def test_learn_join_show_convert_separate(nmfaudio, clips, make_file, tmp_path):
    for path in clips:
        told = nmfaudio("learn", path, "--label", path.stem, "--rank", "2", check=0).stdout
        assert f"{path.stem}: 2 templates" in told
    nmfaudio("join", "low.safetensors", "high.safetensors", "-o", "duo.safetensors", check=0)
    shown = json.loads(nmfaudio("show", "duo.safetensors", "--json", "--plot", "duo.png", check=0).stdout)
    assert list(shown["sources"]) == ["low", "high"]
    assert len(shown["sources"]["low"]["clips"][0]["sha256"]) == 64
    assert (tmp_path / "duo.png").read_bytes().startswith(b"\x89PNG")
    assert "low.wav" in nmfaudio("show", "duo.safetensors", check=0).stdout
    nmfaudio("convert", "duo.safetensors", "--sample-rate", "16000", "-o", "duo16.safetensors", check=0)
    song = make_file("song.wav", tone(300).samples + tone(1100).samples, RATE)
    nmfaudio("separate", song, "--dictionary", "duo16.safetensors", "-o", "all", "-q", check=0)
    assert sorted(p.name for p in tmp_path.glob("all/song/*.wav")) == ["high.wav", "low.wav"]
    nmfaudio("separate", song, "--dictionary", "low.safetensors", "--free", "3", "-o", "free", "-q", check=0)
    assert sorted(p.name for p in tmp_path.glob("free/song/*.wav")) == ["low.wav", "residual.wav"]
    for number, flags in enumerate((("--rest",), ("--free", "auto"), ())):
        folder = f"rest{number}"
        known = ("--dictionary", "low.safetensors")
        nmfaudio("separate", song, *known, *flags, "-o", folder, "-q", check=0)
        assert sorted(p.name for p in tmp_path.glob(f"{folder}/song/*.wav")) == ["low.wav", "residual.wav"]
    several = ("--dictionary", "low.safetensors", "--dictionary", "high.safetensors")
    nmfaudio("separate", song, *several, "--only", "low", "-o", "only", "-q", check=0)
    assert [p.name for p in tmp_path.glob("only/song/*.wav")] == ["low.wav"]


def test_flac_is_learned_from_as_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kick = ROOT / "audio_samples" / "drum_loop" / "kick.flac"
    done = CliRunner().invoke(app, ["learn", str(kick), "--label", "kick", "--rank", "3", "-q"])
    assert done.exit_code == 0, done.output
    found = Dictionary.load("kick.safetensors")
    assert found.clips[0].sha256 == hashlib.sha256(kick.read_bytes()).hexdigest()


def test_bad_input_is_told_in_one_line(clips, make_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    run.invoke(app, ["learn", str(clips[0]), "--label", "low", "-q"])
    silent = make_file("silent.wav", tone(300).samples * 0, RATE)
    empty = make_file("empty.wav", tone(300).samples[:, :0], RATE)
    for arguments, code, message in [
        (("learn", silent, "--label", "x"), 1, "silent.wav: there is nothing but silence"),
        (("learn", empty, "--label", "x"), 1, "empty.wav: it contains no samples"),
        (("learn", clips[0], "--label", "a/b"), 2, "label 'a/b'"),
        (("learn", clips[0], "--label", "low"), 1, "low.safetensors exists: pass --overwrite"),
        (("learn", clips[0], "--label", "x", "-o", "x.wav"), 2, "must end in .safetensors"),
        (("learn", clips[0], "--label", "x", "--rank", "900"), 2, "rank=900"),
        (("join", "low.safetensors", "low.safetensors", "-o", "y.safetensors"), 1, "have a source 'low'"),
        (("show", silent), 1, "silent.wav: not a dictionary (it is an audio file)"),
        (("convert", "low.safetensors", "--n-fft", "3", "-o", "z.safetensors"), 2, "n_fft=3"),
        (("separate", clips[0], "--only", "flute"), 1, "no source 'flute': use one of"),
        (("separate", clips[0], "--dictionary", "low.safetensors", "--only", "x"), 2, "no source 'x'"),
        (("separate", clips[0], "--dictionary", "none.safetensors"), 1, "none.safetensors: cannot be opened"),
        (("separate", clips[0], "--dictionary", silent), 1, "not a dictionary"),
        (
            ("separate", clips[0], "--dictionary", "low.safetensors", "--separator", "blind"),
            2,
            "ask for different separators",
        ),
    ]:
        done = run.invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == code, done.output
        assert message in done.stderr
        assert len([line for line in done.stderr.splitlines() if "compiling" not in line]) == 1
    assert not list(tmp_path.glob("[xyz].safetensors"))
