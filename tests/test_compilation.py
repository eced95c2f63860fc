"""Word of the compiler at work."""

import subprocess
import sys

import numba
import pytest

from nmfaudio.nmf import compilation, compiled_code
from nmfaudio.nmf.compilation import compiled
from nmfaudio.nmf.compilation_progress import when_compiling

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Let the engine consist of two small functions, one of which calls the other."""
    monkeypatch.setattr(compiled_code, "folder", lambda: tmp_path)
    monkeypatch.setattr(compilation, "_functions", [])
    doubled = compiled()(lambda x: x + x)
    yield doubled, compiled()(lambda x: doubled(x) + 1)
    when_compiling(None)


def test_each_function_that_is_compiled_is_reported_with_the_number_of_all(engine):
    reports = []
    when_compiling(lambda *counts: reports.append(counts))
    doubled, more = engine
    assert doubled(1) == 2
    assert reports == [(1, 2)]
    assert more(1) == 3
    assert reports == [(1, 2), (2, 2)]
    assert more(1) == 3
    assert reports == [(1, 2), (2, 2)]


def test_code_that_was_kept_is_not_reported(engine, tmp_path):
    reports = []
    first = engine[0]
    assert first(1) == 2
    when_compiling(lambda *counts: reports.append(counts))
    again = numba.njit(first.py_func)
    compiled_code.keep(again)
    assert again(1) == 2
    assert reports == []


def test_silence_can_be_asked_for(engine):
    reports = []
    when_compiling(lambda *counts: reports.append(counts))
    when_compiling(None)
    assert engine[1](1) == 3
    assert reports == []


def test_numba_and_scipy_are_loaded_only_when_the_first_update_runs():
    use = "import nmfaudio.nmf as n; n.factorize, n.convolve, n.activate, n.Divergence"
    script = f"import sys; {use}; sys.exit(bool({{'numba', 'scipy'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
