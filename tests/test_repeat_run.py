"""Runs that repeat what a manifest says."""

import pytest

from nmfaudio import separate_file

FAST = {"sources": 2, "iterations": 10, "starts": 1}


@pytest.mark.parametrize(
    "flags",
    [
        ["--drums"],
        ["--separator", "blind"],
        ["--free", "3"],
        ["--solo", "a=0:00-0:01"],
        ["--seed", "1"],
        ["--clip-mode", "float"],
        ["--phase-rounds", "1"],
        ["--set", "iterations=3"],
        ["--only", "a"],
        ["-j", "2"],
    ],
)
def test_a_repeated_run_refuses_flags_that_it_would_ignore(nmfaudio, make_file, tmp_path, flags):
    written = separate_file(make_file(), tmp_path / "out", "blind", **FAST)
    done = nmfaudio("separate", "--from-manifest", written.manifest, "-o", "again", *flags, check=2)
    assert "cannot be given" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "again").exists()
