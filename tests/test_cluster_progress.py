"""What a command says of many files while a cluster works, and at the end."""

import io
import json
import sys

import pytest

from nmfaudio.cli import cluster_progress, console
from nmfaudio.cli.cluster_progress import files_progress, print_report


def outcome(number, ok=True, **more):
    told = {"file": f"{number}.wav", "ok": ok, "found": False, "seconds": float(number), "worker": "tcp://a"}
    return {**told, **more}


def test_a_log_has_a_line_now_and_then(monkeypatch, capsys):
    clock = [0.0]
    for module in (console, cluster_progress):
        monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with files_progress(40, True) as progress:
        for second in range(1, 41):
            clock[0] = float(second)
            progress.add(outcome(second, ok=second != 5, audio_seconds=90.0))
    lines = capsys.readouterr().err.splitlines()
    first = "nmfaudio: 2 of 40 files are done, 0 failed, 0.05 h of sound, 90.0 s of it a second, 0:00:38 left"
    assert lines[0] == first
    assert lines[1].startswith("nmfaudio: 12 of 40 files are done, 1 failed, 0.30 h of sound")
    assert len(lines) == 4


def test_nothing_is_shown_where_nobody_wants_it(capsys):
    with files_progress(2, False) as progress:
        progress.add(outcome(1))
    assert capsys.readouterr().err == ""


def test_the_report_names_workers_with_failures_and_the_slowest_files(capsys):
    done = [outcome(number, audio_seconds=900.0) for number in range(4)]
    print_report([*done, outcome(4, ok=False), outcome(5, ok=False, worker="tcp://b")], 100.0)
    rate, *failures, slowest = capsys.readouterr().err.splitlines()
    assert rate == "nmfaudio: 1.00 hours of sound in 100.0 s: 36.0 seconds of sound a second"
    expected = ["nmfaudio: 1 failed on the worker tcp://a", "nmfaudio: 1 failed on the worker tcp://b"]
    assert failures == expected
    assert slowest == "nmfaudio: the slowest files: 3.wav (3.0 s), 2.wav (2.0 s), 1.wav (1.0 s)"


def test_a_bar_leaves_standard_output_alone(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    errors, output = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", output)
    with files_progress(2, True) as progress:
        for number in range(2):
            progress.add(outcome(number))
            print(json.dumps(number))
            with progress.hidden():
                print(json.dumps(number))
    assert output.getvalue() == "0\n0\n1\n1\n"
    assert "2/2" in errors.getvalue()
    assert "0 failed" in errors.getvalue()


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (36000, "10:00:00")])
def test_durations(seconds, words):
    assert cluster_progress._duration(seconds) == words
