import contextlib
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_server import SECONDS, CommandServer

from nmfaudio.disk import memory_budget
from nmfaudio.pipeline.fitting import fit
from nmfaudio.sound import blocks
from nmfaudio.sound.files import AudioFile

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure():
    """Let interrupts arrive: a shell ignores them in the programs that it starts in the background.

    The programs that tests start inherit this. Python sets handlers in its main thread only.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def samples(monkeypatch):
    """Folder of the audio samples of the project; the working folder is the root of the project."""
    monkeypatch.chdir(ROOT)
    return ROOT / "audio_samples"


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch, request):
    """Run doctests in the root of the project, because they name files as the README does."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(ROOT)


@pytest.fixture
def make_file(tmp_path):
    """Return a function that writes samples (channels, samples) to a file and returns its path."""

    def write(name="song.wav", samples=None, rate=8000, subtype="PCM_16", format=None, channels=1):
        samples = sound(channels=channels) if samples is None else np.atleast_2d(samples)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples.T, rate, subtype=subtype, format=format)
        return path

    return write


@pytest.fixture(scope="session")
def command_server():
    """Return what runs commands without loading nmfaudio each time; None where processes cannot divide."""
    if not hasattr(os, "fork"):
        yield None
        return
    server = CommandServer()
    yield server
    server.end()


@pytest.fixture
def nmfaudio(tmp_path, command_server):
    """Return a function that runs the command line in `tmp_path`, as a user does."""

    def run(*arguments, check=None, **options):
        if command_server and command_server.fits(**options):
            completed = command_server.run(arguments, tmp_path)
        else:
            command = [sys.executable, "-m", "nmfaudio", *map(str, arguments)]
            completed = subprocess.run(
                command, capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS, **options
            )
        if check is not None:
            assert completed.returncode == check, completed.stderr + completed.stdout
        assert "Traceback" not in completed.stderr
        return completed

    return run


@pytest.fixture
def check_budget(monkeypatch, make_file):
    """Return a function that checks that a separator obeys a memory budget and that budgets change no bit.

    It separates with a budget of one byte and with a large one, and returns the sizes of allocated arrays.
    Other memory may grow with the recording, by at most `tolerance` times the growth of a spectrogram.
    """
    allocated = []
    original = memory_budget.MemoryBudget.allocate

    def allocate(budget, *arguments):
        allocated.append(original(budget, *arguments))
        return allocated[-1]

    def separated(audio, separator, memory):
        allocated.clear()
        fitted = fit(audio, separator, memory=memory)
        kinds = {isinstance(array, np.memmap) for array in allocated}
        assert kinds == {memory == 1}, "arrays are not where the budget requires them"
        pieces = [stems for _, stems in fitted.stems()]
        return {name: np.concatenate([stems[name] for stems in pieces], axis=1) for name in fitted.sources}

    def peak(audio, separator, times):
        path = make_file(samples=np.tile(audio.samples, (1, times)), rate=audio.sample_rate)
        with AudioFile(path) as file:
            tracemalloc.start()
            mixture = fit(file, separator, memory=1).mixture
            peak_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak_bytes, 4 * mixture.frames * mixture.channels * mixture.stft.bins

    def check(separator, audio, tolerance):
        monkeypatch.setattr(memory_budget.MemoryBudget, "allocate", allocate)
        monkeypatch.setattr(blocks, "BLOCK_SECONDS", 1)
        on_disk, in_memory = (separated(audio, separator, memory) for memory in (1, 1 << 30))
        for name, samples in in_memory.items():
            assert np.array_equal(on_disk[name], samples), name
        sizes = [array.nbytes for array in allocated]
        (short_peak, short), (long_peak, long) = (peak(audio, separator, times) for times in (2, 4))
        growth = (long_peak - short_peak) / (long - short)
        assert growth < tolerance, f"memory outside the budget grows by {growth:.3f} of a spectrogram"
        return sizes

    return check


def sound(seconds=1.0, rate=8000, channels=1, seed=0):
    """Return two alternating notes with a little noise, (channels, samples), with a peak of about 0.5."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    low = np.sin(2 * np.pi * 200 * time) * (np.sin(2 * np.pi * 2 * time) > 0)
    high = np.sin(2 * np.pi * 1700 * time) * (np.sin(2 * np.pi * 3 * time) > 0)
    gains = np.linspace(1, 0.3, channels)[:, None]
    noise = 0.01 * generator.standard_normal((channels, len(time)))
    return 0.3 * gains * low + 0.2 * gains[::-1] * high + noise


def integers(path, bits):
    """Return the integers in a file, (channels, samples)."""
    values, _ = soundfile.read(path, dtype="int32", always_2d=True)
    return values.T.astype(np.int64) >> (32 - bits)
