"""The benchmark of regrouping, on tones whose grouping is known."""

import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT

from nmfaudio import STFT, Audio
from nmfaudio.models.components import Components

sys.path.insert(0, str(ROOT / "scripts"))

import benchmark_regrouping

RATE = 8000
TONES = {"low": 500.0, "middle": 1500.0, "high": 3000.0}
LEVELS = {"low": 0.3, "middle": 0.3, "high": 0.01}


def tones():
    time = np.arange(RATE) / RATE
    return {name: LEVELS[name] * np.sin(2 * np.pi * TONES[name] * time)[None] for name in TONES}


def wrongly_grouped():
    """Return two stems of three tones, and components whose templates are the tones."""
    true, stft = tones(), STFT(256)
    stems = {"a": Audio(true["low"] + true["middle"], RATE), "b": Audio(true["high"], RATE)}
    distance = np.abs(
        stft.frequencies(RATE)[:, None] - np.array([TONES["low"], TONES["middle"], TONES["high"]])
    )
    templates = np.exp(-((distance.T / 60) ** 2)) + 1e-6
    activations = np.ones((3, 1, stft.frames(RATE)), np.float32)
    shaped = templates[:, None, :, None].astype(np.float32)
    return stems, Components(("a", "b"), np.array([0, 0, 1]), shaped, activations, RATE, stft, 1)


def test_the_oracle_gives_each_component_to_the_stem_that_sounds_like_it():
    true = tones()
    estimates = benchmark_regrouping.regrouped_by_oracle(*wrongly_grouped(), true)
    for name, stem in true.items():
        assert np.abs(estimates[name] - stem)[:, 500:-500].max() < 0.05 * LEVELS[name], name


def test_a_quiet_stem_gets_a_component_too():
    stems, components = wrongly_grouped()
    true = tones()
    faint = 0.1 * true["middle"] + 0.01 * true["high"]
    wanted = {"low": true["low"] + true["high"], "middle": true["middle"] - faint, "faint": faint}
    estimates = benchmark_regrouping.regrouped_by_oracle(stems, components, wanted)
    assert all(np.abs(estimate).max() > 1e-3 for estimate in estimates.values())
    total = sum(estimates.values())
    np.testing.assert_allclose(total, sum(true.values()), atol=1e-12)


def test_the_command_prints_the_gains_of_a_case(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "s01_tones"
    (folder / "stems").mkdir(parents=True)
    pulses = np.sign(np.sin(2 * np.pi * 3 * np.arange(RATE) / RATE))
    true = {"low": tones()["low"] * (pulses > 0), "middle": tones()["middle"] * (pulses < 0)}
    for name, stem in true.items():
        soundfile.write(folder / "stems" / f"{name}.flac", stem.T, RATE)
    soundfile.write(folder / "mixture.flac", sum(true.values()).T, RATE)
    monkeypatch.setattr(sys, "argv", ["benchmark", "--cases", str(tmp_path), "--components", "4"])
    assert benchmark_regrouping.main() == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| s01_tones | 4"))
    assert float(row.split("|")[4]) > 10
    monkeypatch.setattr(sys, "argv", ["benchmark", "--cases", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="no case in"):
        benchmark_regrouping.main()
