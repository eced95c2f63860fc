"""The README's blocks run as shown, in a folder that has what a clone has.

`.ci/run` runs the blocks of the pages of the site, with `scripts/run_pages.py`.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

README = ROOT / "README.md"
PAGES = [README, *(ROOT / "docs" / f"{name}.md" for name in ("cluster", "measurements", "nmf"))]
OWN_SEPARATORS = ROOT / "docs" / "reference" / "own-separators.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README.read_text("utf-8"))
SHELL = [content for kind, content in BLOCKS if kind == "sh"]
PYTHON = [content for kind, content in BLOCKS if kind == "python"]
TEXTS = [content for kind, content in BLOCKS if kind == "text"]  # what the first commands print
# Programs that a block needs where it contains a word; elsewhere it is skipped.
NEEDED = {"nmfaudio export": ("cc", "gcc", "clang"), "ffmpeg -v": ("ffmpeg",), "--cluster": ("dask",)}
TEST_COMMAND = "python3 scripts/test.py\n"


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with links to what the README names, and this environment's commands on the path."""
    for name in ("audio_samples", "examples", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name, target_is_directory=True)
    search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", search_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_shell(block):
    completed = subprocess.run(["bash", "-euo", "pipefail", "-c", block], capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_the_readme_is_short():
    assert len(README.read_text("utf-8").splitlines()) <= 150


def test_every_block_is_of_a_kind_that_is_tested():
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "text"}
    assert TEST_COMMAND in SHELL
    assert TEST_COMMAND.strip().removeprefix("python3 ") in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    text = page.read_text("utf-8")
    headings = [heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)", text, re.MULTILINE)]
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    for link in links:
        assert link[1:] in headings if link.startswith("#") else (page.parent / link).exists(), link


def words_and_numbers(line):
    """Return the words of a line and its numbers, without the characters that draw a table."""
    words = re.findall(r"[a-z]\w*", line)
    return words, [float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", line)]


@pytest.mark.parametrize("number", [n for n, block in enumerate(SHELL) if block != TEST_COMMAND])
def test_shell_blocks_run_and_the_first_print_the_results_that_are_shown(clone, number):
    block = SHELL[number]
    if "scripts/separate.py" in block and not (ROOT / ".venv" / "nmfaudio-setup.json").exists():
        pytest.skip("the scripts' environment is not set up, and setting it up needs a network")
    for word, programs in NEEDED.items():
        if word in block and not any(map(shutil.which, programs)):
            pytest.skip(f"{' or '.join(programs)} is not installed")
    printed = run_shell(block)
    assert printed or list(clone.rglob("*.*"))
    if number < len(TEXTS):
        check_results(clone, TEXTS[number], printed)


def check_results(clone, shown, printed):
    """Check that a command printed the table that is shown and wrote its stems."""
    lines = [words_and_numbers(line) for line in printed.splitlines()]
    for words, numbers in map(words_and_numbers, shown.splitlines()):
        (printed_numbers,) = (values for same_words, values in lines if same_words == words)
        assert printed_numbers == pytest.approx(numbers, abs=1)  # the last bits differ between machines
    (folder,) = (clone / "stems").iterdir()
    stems = [line.split()[1] for line in shown.splitlines() if line.startswith("│")]
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *(f"{stem}.flac" for stem in stems)}


@pytest.mark.parametrize("block", PYTHON)
def test_python_blocks_run(clone, block):
    command = [sys.executable, "-W", "error", "-c", block]
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr


def test_the_entry_point_shown_is_that_of_the_example():
    blocks = BLOCK.findall(OWN_SEPARATORS.read_text("utf-8"))
    (shown,) = (tomllib.loads(content) for kind, content in blocks if kind == "toml")
    example = tomllib.loads((ROOT / "examples/low_high_plugin/pyproject.toml").read_text("utf-8"))
    assert shown["project"]["entry-points"] == example["project"]["entry-points"]
