"""`needs_whole` of every separator, compared with the arrays that the separator asks for.

A separator needs the whole recording if, with some options, the arrays that it takes from the memory budget
grow with the length of the recording, however long it is. Separators that learn from a limited number of
frames do not; the test sets this limit so low that it applies to short mixtures.
"""

import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, Dictionary, learn, make
from nmfaudio.disk.memory_budget import MemoryBudget
from nmfaudio.pipeline.fitting import fit
from nmfaudio.pipeline.registry import GROUP
from nmfaudio.sound import frames as frames_module

RATE = 8000
SECONDS = (4, 12)
MOST_VALUES = 20_000  # values of a spectrogram: less than a second of the mixtures
# Options of separators that cannot be made without any, or that do more with some.
FREE, ADAPTED = {"free": 2}, {"adapt": "templates"}
OPTIONS = {
    "dictionary": ({}, FREE, ADAPTED),
    "harmonic-percussive": ({}, {"margin": 2.0}),
    "score": ({"align": False}, {"align": True}),
}
NAMES = sorted(
    point.name for point in entry_points(group=GROUP) if point.dist and point.dist.name == "nmfaudio"
)


@pytest.fixture
def files(tmp_path):
    """Return options that name the files which some separators need."""
    (tmp_path / "notes.csv").write_text("onset,end,pitch,track\n0.0,0.5,55,low\n0.5,0.9,93,high\n")
    noise = Audio(0.1 * np.random.default_rng(0).standard_normal((1, RATE)), RATE)
    known = [learn([Audio(sound(2), RATE)], "notes", rank=4), learn([noise], "noise", rank=2)]
    Dictionary.join(known).save(tmp_path / "notes.safetensors")
    return {
        "score": {"midi": str(tmp_path / "notes.csv")},
        "dictionary": {"dictionary": str(tmp_path / "notes.safetensors")},
    }


def allocated(separator, seconds, monkeypatch):
    """Return the bytes that the fit of a separator takes from the memory budget."""
    sizes = []
    original = MemoryBudget.allocate

    def recorded(budget, *arguments):
        array = original(budget, *arguments)
        sizes.append(array.nbytes)
        return array

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBudget, "allocate", recorded)
        fit(Audio(sound(seconds, RATE, channels=2), RATE), separator)
    return sum(sizes)


@pytest.fixture
def few_frames(monkeypatch):
    """Limit the frames from which separators learn to `MOST_VALUES` values."""
    original = frames_module.evenly_spaced_frames

    def limited(mixture, most_values):
        return original(mixture, min(most_values, MOST_VALUES) if most_values else most_values)

    for module in list(sys.modules.values()):
        if getattr(module, "evenly_spaced_frames", None) is original:
            monkeypatch.setattr(module, "evenly_spaced_frames", limited)


@pytest.mark.parametrize("name", NAMES)
def test_the_attribute_agrees_with_the_arrays(name, files, few_frames, monkeypatch):
    growing = []
    for options in OPTIONS.get(name, ({},)):
        separator = make(name, **files.get(name, {}), **options)
        short, long = (allocated(separator, seconds, monkeypatch) for seconds in SECONDS)
        assert long == short or long > 2 * short, f"{name} {options}: {short} bytes, then {long} bytes"
        growing.append(long > short)
    assert type(separator).needs_whole is any(growing)


def test_every_separator_of_the_package_is_checked():
    assert {"blind", "drums", "score", "dictionary", "harmonic-percussive"} <= set(NAMES)
    assert np.unique(NAMES).tolist() == NAMES
