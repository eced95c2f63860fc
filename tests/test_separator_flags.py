"""Flags of `nmfaudio separate` that come from the options of separators, and the choice of stems."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nmfaudio import STFT, Dictionary
from nmfaudio.cli.separator_flags import separator_flags
from nmfaudio.pipeline.manifest import load


def test_only_and_except_choose_stems_of_every_separator(nmfaudio, make_file, tmp_path):
    path = make_file()
    nmfaudio(
        "separate", path, "--separator", "harmonic-percussive", "--only", "harmonic", "-o", "a", "-q", check=0
    )
    assert sorted(p.name for p in tmp_path.glob("a/song/*")) == ["harmonic.wav", "manifest.json"]
    nmfaudio(
        "separate",
        path,
        "--separator",
        "harmonic-percussive",
        "--except",
        "harmonic",
        "-o",
        "b",
        "-q",
        check=0,
    )
    assert sorted(p.name for p in tmp_path.glob("b/song/*")) == ["manifest.json", "without harmonic.wav"]
    done = nmfaudio("separate", path, "--vocals", "--only", "flute", "-o", "c", check=1)
    assert "no source 'flute': use one of voice, accompaniment" in done.stderr
    done = nmfaudio("separate", path, "--drums", "--stem", "kick", "-o", "c", check=2)
    assert "add `-o -`, or use --only kick" in done.stderr
    assert not (tmp_path / "c").exists()


def test_options_of_separators_are_flags(nmfaudio, make_file, tmp_path):
    path = make_file()
    nmfaudio(
        "separate", path, "--components", "4", "--iterations", "3", "--starts", "1", "-o", "a", "-q", check=0
    )
    options = load(tmp_path / "a" / "song" / "manifest.json")["options"]
    assert (options["components"], options["iterations"], options["starts"]) == (4, 3, 1)
    done = nmfaudio("separate", path, "--drums", "--components", "4", "-o", "b", check=2)
    assert "--components is not an option of the separator drums: pass --separator blind" in done.stderr
    done = nmfaudio("separate", path, "--components", "0", check=2)
    assert "components=0: it must be at least 1" in done.stderr


@pytest.mark.parametrize(
    ("given", "margins"), [(["2"], (2.0,)), (["2,3"], (2.0, 3.0)), (["2", "3"], (2.0, 3.0))]
)
def test_an_option_of_one_or_more_numbers_takes_one_number(given, margins):
    flag = separator_flags(())["margin"]
    assert flag.values("harmonic-percussive", given) == ("margin", margins)


def test_a_single_stem_is_warned_of(nmfaudio, make_file):
    done = nmfaudio("separate", make_file(), "--sources", "1", check=0)
    assert "warning: nothing was separated" in done.stderr
    assert "--sources 2" in done.stderr
    assert "Wrote 1 stem to separated" in done.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nmfaudio sepa", ["separate", "separators"]),
        ("nmfaudio separate --dictio", ["--dictionary"]),
        ("nmfaudio separate --separator ", ["auto", "blind", "drums"]),
        ("nmfaudio separate --set mask", ["mask_exponent="]),
        ("nmfaudio separate --dictionary kit.safetensors --only ", ["kick", "snare"]),
    ],
)
def test_the_shell_completes(tmp_path, line, expected):
    """What bash asks for: the words of the line and the number of the one that is completed."""
    kit = Dictionary(np.eye(129, 2), ("kick", "snare"), 8000, STFT(256))
    kit.save(tmp_path / "kit.safetensors")
    words = line.split(" ")
    environment = {
        **os.environ,
        "_NMFAUDIO_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-c", "from nmfaudio.cli.app import app; app(prog_name='nmfaudio')"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert set(expected) <= set(done.stdout.split()), done.stdout + done.stderr
