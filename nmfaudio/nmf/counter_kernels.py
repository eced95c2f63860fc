"""Counters that threads share without the interpreter lock: arrays of int64 that change in one step.

The twins in plain Python are for runs without the compiler.
"""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

from nmfaudio.nmf.compilation import compiled

Counters = NDArray[np.int64]

_compiled = compiled()
_lock = threading.Lock()
_CONFIG: Any = numba.core.config
_SECONDS = 3e-4  # time that a thread waits at full speed: longer than what is serial between two updates
_HAS_PAUSE = llvmlite.binding.get_process_triple().startswith(("x86_64", "i686"))


def _plain_add(counters: Counters, place: int, number: int) -> int:
    """Add a number to a counter; return what the counter was before."""
    with _lock:
        before = int(counters[place])
        counters[place] += number
    return before


def _plain_look(counters: Counters, place: int) -> int:
    """Return a counter, after a short pause; what its writer wrote before can then be read as well."""
    time.sleep(0)
    return int(counters[place])


@intrinsic
def _compiled_add(typing: Any, counters: Any, place: Any, number: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        return builder.atomic_rmw("add", pointer, arguments[2], "seq_cst")

    return numba.types.int64(counters, numba.types.intp, numba.types.int64), generate


@intrinsic
def _compiled_look(typing: Any, counters: Any, place: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        if _HAS_PAUSE:  # gives the core's resources to its other thread for a moment
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), kind), ())
        return builder.load_atomic(_pointer(context, builder, signature, arguments), "seq_cst", 8)

    return numba.types.int64(counters, numba.types.intp), generate


def _pointer(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
    """Return a pointer to a counter."""
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.gep(data, [arguments[1]])


add: Any = _plain_add if _CONFIG.DISABLE_JIT else _compiled_add
_look: Any = _plain_look if _CONFIG.DISABLE_JIT else _compiled_look


@_compiled
def wait_for(counters: Counters, place: int, least: int, looks: int) -> None:
    """Wait until a counter is at least so large, or for so many looks."""
    while looks > 0 and _look(counters, place) < least:
        looks -= 1


@cache
def looks_at_full_speed() -> int:
    """Return how many looks take `_SECONDS`."""
    counters, some = np.zeros(1, np.int64), 500
    wait_for(counters, 0, 1, 1)
    began = time.perf_counter()
    wait_for(counters, 0, 1, some)
    return 1 + int(some * _SECONDS / (time.perf_counter() - began))
