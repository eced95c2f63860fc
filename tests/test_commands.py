"""The help of commands, wrong forms of flags, and tracebacks on request."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from nmfaudio.cli.app import app
from nmfaudio.cli.command_list import COMMANDS, loaded_command
from nmfaudio.cli.debugging import switch_debugging_on

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _wide_and_without_debugging(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    yield
    switch_debugging_on(False)


def run(*arguments):
    return RUNNER.invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_shows_the_first_paragraph_of_each_help(name):
    own = loaded_command(name).help.partition("\n\n")[0]
    assert own == COMMANDS[name].summary
    listed = " ".join(run("--help").output.split())
    assert f" {name} {COMMANDS[name].summary} " in listed


def test_the_list_of_commands_loads_no_command():
    code = (
        "import sys\nfrom nmfaudio.cli.app import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "nmfaudio.cli.command_list" in loaded
    modules = {f"nmfaudio.cli.{entry.module or name.replace('-', '_')}" for name, entry in COMMANDS.items()}
    assert not loaded & {*modules, "rich", "numpy", "numba"}


def test_paragraphs_of_the_help_fill_the_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("separate", "--help").output.partition("The stem `left60`")[2].splitlines()
    paragraph = lines[: next(i for i, line in enumerate(lines) if not line.strip())]
    assert len(paragraph) == 5
    assert all(len(line.rstrip()) > 65 for line in paragraph[1:-1])


@pytest.mark.parametrize(
    "command", ["separate", "learn", "advise", "rank", "plot", "tune", "export", "separators", "show", "join"]
)
def test_switches_are_shown_without_a_type(command):
    text = run(command, "--help").output
    assert "--help" in text
    assert "<bool>" not in text
    assert "list[" not in text


def test_the_help_of_separate_has_groups_and_an_example():
    text = run("separate", "--help").output
    groups = re.findall(r"^╭─ ([\w -]+?) ─", text, re.MULTILINE)
    assert groups[2:8] == ["Method", "Stems", "Passage", "Names and format of the stems", "Run", "Many files"]
    own = text[text.index("─ Method") : text.index("─ Options of")]
    assert max(group.count(" --") for group in own.split("╭─")) <= 9
    assert "nmfaudio separate loop.wav --drums --only kick" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--dictionary", "a.safetensors", "b.safetensors"],
            "write --dictionary b.safetensors; for several, rep",
        ),
        (["--drums", "true"], "write --drums, and not --drums true"),
        (["--midi", "a.mid", "b.mid"], "b.mid is a score, not audio: write --midi b.mid"),
        (["--hints", "a.toml", "b.toml"], "b.toml is a file of hints, not audio: write --hints b.toml"),
    ],
)
def test_a_wrong_form_is_answered_with_the_right_one(make_file, arguments, message):
    done = run("separate", make_file(), *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_existing_stems_are_refused_with_three_ways_out(make_file, tmp_path):
    fast = ("--separator", "harmonic-percussive", "-o", tmp_path / "out", "-q")
    path = make_file()
    assert run("separate", path, *fast).exit_code == 0
    done = run("separate", path, *fast)
    assert done.exit_code == 1
    for way_out in ("--overwrite replaces", "--resume keeps", "-o FOLDER writes elsewhere"):
        assert way_out in done.stderr
    assert "overwrite=" not in done.stderr
    assert run("separate", path, *fast, "--resume").exit_code == 0
    assert run("separate", path, *fast, "--overwrite").exit_code == 0


def test_debug_shows_tracebacks_of_all_commands(tmp_path):
    for arguments in (
        ["separate", "x.wav", "--debug"],
        ["--debug", "separate", "x.wav"],
        ["show", "x", "--debug"],
    ):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("nmfaudio: x")
        assert "Traceback" not in run(*(a for a in arguments if a != "--debug")).stderr
    done = run("separate", "x.wav", "--debug", "--json")
    assert "Traceback" in json.loads(done.stdout)["traceback"]
    assert "Traceback" in done.stderr
    assert (
        "Traceback" not in run("separate", "--", "x.wav", "--debug").stderr
    )  # here it is the name of a file
