"""The script that tests the engine for older processors."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import test_kernels

    return test_kernels


def test_a_level_has_the_features_of_those_below(script):
    assert set(script.features("v2")) < set(script.features("v3")) < set(script.features("v4"))


def test_levels_are_those_whose_features_the_processor_has(script, monkeypatch):
    features = dict.fromkeys(script.features("v3"), True)
    monkeypatch.setattr(script.llvmlite.binding, "get_host_cpu_features", lambda: features)
    monkeypatch.setattr(script.platform, "machine", lambda: "x86_64")
    assert script.levels_here() == ["v2", "v3"]
    monkeypatch.setattr(script.platform, "machine", lambda: "arm64")
    assert script.levels_here() == []


def test_an_unknown_level_is_refused():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "test_kernels.py"), "v9"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "v9" in done.stderr
