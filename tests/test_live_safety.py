"""The plugin's C code under sanitizers and valgrind, and what it asks of the system."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nmfaudio import STFT, Dictionary
from nmfaudio.live.build import shared_object
from nmfaudio.live.compilers import SOURCE, VARIANTS
from nmfaudio.live.exported import PluginSettings, exported_bytes

DRIVER = Path(__file__).parent / "live_hosts" / "driver.c"
FLAGS = ("-std=gnu11", "-g", "-O1", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FUZZ_SECONDS = os.environ.get("NMFAUDIO_FUZZ_SECONDS", "3")

pytestmark = pytest.mark.skipif(
    not shutil.which("gcc") or os.uname().machine != "x86_64" if os.name == "posix" else True,
    reason="this needs gcc on x86-64",
)


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory):
    templates = np.random.default_rng(0).gamma(0.3, size=(257, 8)) + 1e-6
    known = Dictionary(templates, ["a", "b"] * 4, 44100, STFT(512))
    path = tmp_path_factory.mktemp("safety") / "duo.safetensors"
    path.write_bytes(exported_bytes(known, PluginSettings("duo")))
    return path


def build(folder, *flags):
    """Compile the plugin's code and its driver; return the program."""
    sources = [
        path
        for path in SOURCE.glob("*.c")
        if path.stem not in ("loops", "lv2", "ladspa", "clap", "vst3", "face")
    ]
    commands = [
        ["gcc", *FLAGS, *flags, "-c", path, "-o", folder / f"{path.stem}.o"] for path in (*sources, DRIVER)
    ]
    for name, extra in VARIANTS.items():
        target = folder / f"loops_{name}.o"
        commands.append(
            ["gcc", *FLAGS, *flags, *extra, f"-DVARIANT={name}", "-c", SOURCE / "loops.c", "-o", target]
        )
    running = [
        subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) for command in commands
    ]
    for process in running:
        errors = process.communicate()[1]
        if process.returncode and "sanitize" in errors:
            pytest.skip("this gcc has no sanitizers")
        assert process.returncode == 0, errors
    linked = subprocess.run(
        ["gcc", *flags, *map(str, folder.glob("*.o")), "-o", str(folder / "driver"), "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if linked.returncode and "asan" in linked.stderr:
        pytest.skip("this gcc has no sanitizers")
    assert linked.returncode == 0, linked.stderr
    return folder / "driver"


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    return build(tmp_path_factory.mktemp("sanitized"), *SANITIZERS)


def test_signals_blocks_and_reconfigurations_under_sanitizers(sanitized, dictionary):
    run(sanitized, dictionary, "stress", 28)


def test_damaged_dictionaries_and_states_under_sanitizers(sanitized, dictionary):
    seed = np.random.default_rng().integers(1 << 31)
    told = run(sanitized, dictionary, "fuzz", FUZZ_SECONDS, seed)
    inputs, accepted = map(int, re.findall(r"\d+", told))
    assert inputs > 100, f"seed {seed}"
    assert 0 < accepted < inputs, f"seed {seed}"


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_valgrind_has_nothing_to_say(tmp_path, dictionary):
    driver = build(tmp_path)
    checks = ("--leak-check=full", "--errors-for-leak-kinds=all", "--error-exitcode=9", "-q")
    assert not run("valgrind", *checks, driver, dictionary, "stress", 7)


@pytest.mark.skipif(not shutil.which("nm"), reason="nm is not installed")
def test_it_needs_nothing_but_libc_and_libm():
    told = run("nm", "-D", "--undefined-only", shared_object())
    names = {line.split()[-1].partition("@")[0] for line in told.splitlines()}
    memory = {"malloc", "calloc", "realloc", "free", "memchr", "memcmp", "memcpy", "memmove", "memset"}
    text = {"snprintf", "fprintf", "stderr", "strchr", "strcmp", "strlen", "strrchr", "strtod", "strcpy"}
    checked = {"__snprintf_chk", "__fprintf_chk", "__memcpy_chk", "__stack_chk_fail", "__strcpy_chk"}
    mathematics = {
        "cos",
        "exp",
        "expf",
        "fmax",
        "fmin",
        "log2",
        "pow",
        "powf",
        "sin",
        "sincos",
        "rint",
        "ceil",
    }
    files = {
        "fopen",
        "fread",
        "fclose",
        "fseek",
        "ftell",
        "rewind",
        "dladdr",
        "floor",
        "sqrtf",
        "__isoc99_strtod",
    }
    start = {"__cxa_finalize", "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"}
    assert names <= memory | text | checked | mathematics | files | start


@pytest.mark.skipif(not shutil.which("nm"), reason="nm is not installed")
def test_hosts_see_the_entry_points_alone():
    told = run("nm", "-D", "--defined-only", shared_object())
    names = {line.split()[-1] for line in told.splitlines()}
    assert {name for name in names if not name.startswith("nmfaudio_")} == {
        "GetPluginFactory",
        "ModuleEntry",
        "ModuleExit",
        "clap_entry",
        "ladspa_descriptor",
        "lv2_descriptor",
    }


def test_the_audio_thread_calls_nothing_that_may_wait(tmp_path):
    """What kernel.c and loops.c call: no memory, no files, no locks."""
    allowed = {"memset", "memcpy", "sqrtf", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
    at_start = {"fft_init", "fft_room", "loops_for", "log2", "rint", "sin", "cos", "sincos", "expf"}
    for name in ("kernel", "loops"):
        target = tmp_path / f"{name}.o"
        run("gcc", *FLAGS, "-O3", "-DVARIANT=base", "-c", SOURCE / f"{name}.c", "-o", target)
        found = {line.split()[-1] for line in run("nm", "--undefined-only", target).splitlines()}
        assert found <= allowed | (at_start if name == "kernel" else set())
