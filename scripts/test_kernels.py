"""Test the engine's loops as compiled for older processors: ``python3 scripts/test_kernels.py [LEVEL...]``.

Levels are those of the x86-64 architecture: v2 has SSE4, v3 has AVX2, v4 has AVX-512. Without arguments, all
levels below that of this machine run: the ordinary tests have compiled for the machine itself. A level that
this machine does not have is refused. Run it with the Python of the environment that has the test tools.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("intrinsics", "nmf", "sketch", "convolutive", "panned", "sparse", "sparse_intrinsics", "weights")
FEATURES = {
    "v2": "cx16 popcnt sahf sse3 sse4.1 sse4.2 ssse3",
    "v3": "avx avx2 bmi bmi2 f16c fma lzcnt movbe",
    "v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
}


def features(level: str) -> list[str]:
    """Return the features of a level and of all below it."""
    return [name for known in FEATURES if known <= level for name in FEATURES[known].split()]


def levels_here() -> list[str]:
    """Return the levels that this machine has, the lowest first."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return []
    host = llvmlite.binding.get_host_cpu_features()
    return [level for level in FEATURES if all(host.get(name) for name in features(level))]


def run(level: str, whole: bool) -> int:
    """Run the tests of the engine, or the whole suite, for one level; return the exit code."""
    chosen = ",".join(f"+{name}" for name in features(level))
    environment = {"NUMBA_CPU_NAME": f"x86-64-{level}", "NUMBA_CPU_FEATURES": chosen}
    chosen_tests = ["-n", "2"] if whole else [f"tests/test_{name}.py" for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", *chosen_tests]
    print(f"testing {'everything' if whole else 'the engine'} for x86-64-{level}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment).returncode


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("levels", nargs="*", choices=[*FEATURES, []], metavar="LEVEL", help="v2, v3 or v4")
    parser.add_argument("--whole", action="store_true", help="run the whole suite, which takes much longer")
    arguments, here = parser.parse_args(), levels_here()
    chosen = arguments.levels or here[:-1]
    missing = [level for level in chosen if level not in here]
    if missing:
        sys.exit(f"this machine cannot run code for {', '.join(missing)}: it has {', '.join(here) or 'none'}")
    if not chosen:
        print("no level below that of this machine: the ordinary tests cover it")
    sys.exit(max((run(level, arguments.whole) for level in chosen), default=0))


if __name__ == "__main__":
    main()
