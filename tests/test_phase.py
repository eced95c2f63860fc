import numpy as np
import pytest

from nmfaudio import Audio, FunctionModel, read, separate, separate_file
from nmfaudio.errors import OptionError
from nmfaudio.models.combination import Combination
from nmfaudio.models.phase import invert_together
from nmfaudio.sound import blocks as blocks_module
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT

RATE = 8000


class Ideal:
    """Masks made of the true stems."""

    sizes = (512,)

    def __init__(self, parts):
        self.parts = parts

    def fit(self, mixture):
        return Combination(tuple(self.model(mixture, STFT(n)) for n in self.sizes))

    def model(self, mixture, stft):
        truth = {n: Blocks(Audio(x, RATE), stft).whole().magnitude for n, x in self.parts.items()}
        return FunctionModel(
            stft, tuple(truth), lambda b: {n: v[:, :, b.start : b.stop] for n, v in truth.items()}
        )


class IdealTwice(Ideal):
    sizes = (512, 256)


def parts():
    """A gliding tone with vibrato and a sound of struck strings, which cross."""
    time = np.arange(3 * RATE) / RATE
    glide = np.sin(2 * np.pi * (300 * time + 150 * time**2) + 3 * np.sin(2 * np.pi * 5 * time))
    struck = sum(np.sin(2 * np.pi * f * time) * np.exp(-4 * (time % 0.5)) for f in (440, 660, 1320, 900))
    return {"glide": 0.3 * glide[None], "struck": 0.15 * struck[None]}


def error(stems, truth):
    return {n: np.linalg.norm(stems[n].samples - truth[n]) / np.linalg.norm(truth[n]) for n in truth}


@pytest.mark.parametrize("separator", [Ideal, IdealTwice])
def test_good_masks_gain_by_phases_that_agree_and_stems_still_sum(separator):
    truth = parts()
    audio = Audio(sum(truth.values()), RATE)
    plain = separate(audio, separator(truth)).stems
    refined = separate(audio, separator(truth), phase_rounds=3).stems
    for name, worse in error(plain, truth).items():
        assert error(refined, truth)[name] < 0.95 * worse
    total = sum(stem.samples for stem in refined.values())
    assert np.abs(total - audio.samples).max() < 1e-12


def test_blocks_make_no_seams(monkeypatch):
    truth = parts()
    audio = Audio(sum(truth.values()), RATE)
    whole = separate(audio, Ideal(truth), phase_rounds=2).stems
    monkeypatch.setattr(blocks_module, "BLOCK_SECONDS", 1)
    blocks = separate(audio, Ideal(truth), phase_rounds=2).stems
    for name, stem in whole.items():
        np.testing.assert_allclose(blocks[name].samples, stem.samples, atol=1e-9)


def test_silence_stays_silent():
    silent = Blocks(Audio(np.zeros((1, 2000)), RATE), STFT(256)).whole()
    stems = invert_together(silent, {"a": silent, "b": silent}, rounds=2)
    assert not any(stem.values.any() for stem in stems.values())


def test_rounds_are_told_in_the_manifest_and_repeated(nmfaudio, make_file, tmp_path):
    path = make_file(channels=2)
    flags = ("--sources", "2", "--set", "iterations=10", "--set", "starts=1", "-q")
    nmfaudio("separate", path, *flags, "--phase-rounds", "2", "-o", "once", check=0)
    nmfaudio("separate", path, *flags, "-o", "plain", check=0)
    (manifest,) = (tmp_path / "once").rglob("manifest.json")
    nmfaudio("separate", "--from-manifest", manifest, "-o", "again", "-q", check=0)
    for stem in (tmp_path / "once").rglob("*.wav"):
        inside = stem.relative_to(tmp_path / "once")
        assert (tmp_path / "again" / inside).read_bytes() == stem.read_bytes()
        assert np.abs(read(tmp_path / "plain" / inside).samples - read(stem).samples).max() > 1e-3
    done = nmfaudio("separate", path, "--phase-rounds", "99", "-o", "out", check=2)
    assert "--phase-rounds 99: use 0 to 20" in done.stderr


def test_rounds_out_of_range_are_refused(make_file, tmp_path):
    with pytest.raises(OptionError, match="phase_rounds=-1"):
        separate(Audio(np.ones((1, 900)), RATE), sources=2, phase_rounds=-1)
    with pytest.raises(OptionError, match="phase_rounds=21"):
        separate_file(make_file(), tmp_path / "out", sources=2, phase_rounds=21)
