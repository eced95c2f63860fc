"""Every block of the README runs as shown, in a folder that has what a clone has."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
SHELL = [block for kind, block in BLOCKS if kind == "sh"]
PYTHON = [block for kind, block in BLOCKS if kind == "python"]
TEST_COMMAND = "python3 scripts/test.py\n"


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with links to what the README names, and this environment's commands on the path."""
    for name in ("audio_samples", "examples", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name, target_is_directory=True)
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", here)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(block):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_block_is_of_a_kind_that_is_tested():
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "text", "toml"}
    assert TEST_COMMAND in SHELL
    assert TEST_COMMAND.strip().removeprefix("python3 ") in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("block", [block for block in SHELL if block != TEST_COMMAND])
def test_shell_blocks_run(clone, block):
    if "scripts/separate.py" in block and not (ROOT / ".venv" / "nmfaudio-setup.json").exists():
        pytest.skip("the scripts' environment is not set up, and setting it up needs a network")
    assert shell(block) or list(clone.rglob("*.*"))


def split(line):
    """Return the words of a line and its numbers, without the marks around them."""
    words = re.findall(r"[a-z]\w*", line)
    return words, [float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", line)]


def test_the_first_command_prints_the_result_that_is_shown(clone):
    (shown,) = (block for kind, block in BLOCKS if kind == "text")
    printed = shell(SHELL[0].replace("python3 scripts/separate.py", "nmfaudio separate"))
    lines = [split(line) for line in printed.splitlines()]
    for words, numbers in map(split, shown.splitlines()):
        (found,) = (others for same, others in lines if same == words)
        assert found == pytest.approx(numbers, abs=1)  # the last bits differ between machines
    stems = sorted(path.name for path in (clone / "stems" / "drum_loop").iterdir())
    assert stems == ["hihat.flac", "kick.flac", "manifest.json", "snare.flac"]


@pytest.mark.parametrize("block", PYTHON)
def test_python_blocks_run(clone, block):
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_entry_point_shown_is_that_of_the_example():
    (shown,) = (tomllib.loads(block) for kind, block in BLOCKS if kind == "toml")
    example = tomllib.loads((ROOT / "examples/low_high_plugin/pyproject.toml").read_text("utf-8"))
    assert shown["project"]["entry-points"] == example["project"]["entry-points"]


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
