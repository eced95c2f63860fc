"""Standard output stays whole where standard error is a terminal, which shows bars."""

import contextlib
import io
import json
import os
import pty
import select
import sys
import threading

import numpy as np
import pytest
from conftest import sound

from nmfaudio.cli.app import app

FAST = ("--sources", "2", "--set", "iterations=5")


@pytest.fixture
def terminal(monkeypatch, tmp_path):
    """Return a function that runs a command in this process: stdout is a file, stderr a pseudo-terminal."""

    def run(*arguments):
        shown, (master, slave), over = [], pty.openpty(), threading.Event()
        reader = threading.Thread(target=_drain, args=(master, shown, over), daemon=True)
        reader.start()
        with monkeypatch.context() as patch, open(slave, "w") as errors, io.StringIO() as output:
            patch.chdir(tmp_path)
            patch.setenv("TERM", "xterm")
            patch.setattr(sys, "stderr", errors)
            patch.setattr(sys, "stdout", output)
            with contextlib.suppress(SystemExit):
                app(list(map(str, arguments)))
            printed = output.getvalue()
            errors.flush()
            over.set()
            reader.join(20)
        os.close(master)
        return printed, b"".join(shown).decode()

    return run


def _drain(master, shown, over):
    """Read until the command is over; other processes may keep the other end open."""
    while select.select([master], [], [], 0.05)[0] or not over.is_set():
        if select.select([master], [], [], 0)[0]:
            shown.append(os.read(master, 4096))


@pytest.fixture
def recording(tmp_path, make_file):
    noise = np.random.default_rng(1).standard_normal(8000) / 20
    make_file("kick.wav", sound())
    make_file("snare.wav", noise)
    return make_file("a.wav", sound()[0] + noise)


SEPARATE = ("separate", "a.wav", "b.wav", *FAST, "-o")


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ((*SEPARATE, "one"), ("--json",)),
        ((*SEPARATE, "two"), ()),
        ((*SEPARATE, "three", "-j", "2"), ("--json",)),
        (("advise", "a.wav"), ("--json",)),
        (("rank", "a.wav", "--most", "3", "--restarts", "2"), ("--json",)),
        (("tune", "kick=kick.wav", "snare=snare.wav"), ("--json",)),
    ],
    ids=lambda one: one[0] if len(one) == 1 else f"{one[0]} {one[-1]}" if one else "words",
)
def test_bars_on_a_terminal_take_nothing_from_standard_output(terminal, recording, tmp_path, command, form):
    (tmp_path / "b.wav").write_bytes(recording.read_bytes())
    output, shown = terminal(*command, *form)
    assert "%" in shown or "━" in shown  # the bar was there
    assert output.strip(), shown
    if form:
        objects = [json.loads(line) for line in output.splitlines()]
        assert len(objects) == (2 if command[0] == "separate" else 1)
        assert all(document.get("ok", True) for document in objects)
    else:
        assert not {"\x1b", "\r"} & set(output)


def test_compiling_is_shown_until_the_stage_advances(monkeypatch, terminal, recording):
    from nmfaudio.cli import advise as command
    from nmfaudio.nmf import compilation_progress
    from nmfaudio.sound.progress import Progress

    shown_while_compiling = []

    def analysed(file, passage, sources, report):
        line = report.__self__
        report(Progress("reading", 759, 759))
        compilation_progress.tell(1, 13)
        for _ in range(3):
            report(Progress("counting sources", 0, 160))
            shown_while_compiling.append(line._bar.tasks[0].description)
        report(Progress("counting sources", 1, 160))
        shown_while_compiling.append(line._bar.tasks[0].description)
        raise command.typer.Exit(0)

    monkeypatch.setattr(command, "_analysed", analysed)
    terminal("advise", "a.wav")
    assert all("compiling for your processor" in text for text in shown_while_compiling[:3])
    assert shown_while_compiling[3] == "a.wav: counting sources"


def test_without_a_terminal_long_runs_print_a_line_now_and_then(monkeypatch, capsys):
    from nmfaudio.cli import console
    from nmfaudio.sound.progress import Progress

    clock = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    with console.progress_bar("song.wav", True) as report:
        for second in range(40):
            clock[0] = second
            report(Progress("finding components", second, 40))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "nmfaudio: song.wav: finding components, 5 %"
    assert len(lines) == 4
    with console.worker_bars(2, 3, True) as bars:
        for second in range(40, 60):
            clock[0] = second
            bars.report(0, "folder/song.wav", Progress("reading", 1, 2))
    assert capsys.readouterr().err.splitlines()[0] == "nmfaudio: 0 of 3 files are done; song.wav: reading"
