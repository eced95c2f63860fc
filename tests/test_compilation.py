import numba
import pytest

from nmfaudio.nmf.compilation import when_compiling

compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is turned off")


def doubled(x):
    return x + x


@compiled
def test_the_first_compilation_is_told_once_and_what_is_compiled_already_is_not():
    said = []
    twice = numba.njit(doubled)
    twice(1)
    when_compiling(lambda: said.append("compiling"))
    assert twice(2) == 4
    assert said == []
    assert twice(0.5) == 1
    assert said == ["compiling"]
    assert twice(1j) == 2j
    assert said == ["compiling"]


@compiled
def test_silence_can_be_asked_for():
    said = []
    when_compiling(lambda: said.append("compiling"))
    when_compiling(None)
    assert numba.njit(doubled)(1) == 2
    assert said == []
