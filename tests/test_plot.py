import numpy as np
import pytest
from conftest import sound
from PIL import Image
from test_fitting import Loudness

import nmfaudio
from nmfaudio import Audio
from nmfaudio.errors import OutputError, SeparatorError
from nmfaudio.plots.components import draw_file


def test_the_figure_shows_every_component_with_units():
    separation = {"sources": 2, "components": 6, "iterations": 20}
    audio = Audio(sound(2, channels=2), 8000)
    figure = nmfaudio.plot_components(audio, **separation)
    mixture, _colors, *rows = figure.axes[:1] + figure.axes[1:]
    labels = " ".join(a.get_xlabel() + a.get_ylabel() + a.get_title() for a in figure.axes)
    for unit in ("time (s)", "frequency (Hz)", "dB"):
        assert unit in labels
    assert mixture.get_title() == "mixture: audio"
    texts = [t.get_text() for a in figure.axes for t in a.texts]
    assert sum("of the energy" in text for text in texts) == 6
    assert {text.split(",")[0] for text in texts} == set(nmfaudio.separate(audio, **separation).stems)
    assert len(figure.axes) == 2 + 2 * 6


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures_are_written_whole(make_file, tmp_path, kind):
    target = tmp_path / f"picture.{kind}"
    draw_file(make_file(), target, nmfaudio.make("blind", sources=2, components=4, iterations=10))
    assert target.stat().st_size > 5000
    assert not list(tmp_path.glob(".nmfaudio*"))


def test_the_command_draws(nmfaudio, make_file, tmp_path):
    done = nmfaudio("plot", make_file(), "-o", "c.png", "--sources", "2", "--set", "iterations=10", check=0)
    assert "c.png" in done.stdout
    pixels = np.asarray(Image.open(tmp_path / "c.png").convert("L"))
    assert pixels.std() > 20


def test_what_cannot_be_drawn_is_refused_by_name(make_file, tmp_path, nmfaudio):
    path, blind = make_file(), nmfaudio_blind()
    with pytest.raises(OutputError, match=r"c.doc: not a picture"):
        draw_file(path, tmp_path / "c.doc", blind)
    with pytest.raises(OutputError, match=r"the folder .*none does not exist"):
        draw_file(path, tmp_path / "none" / "c.png", blind)
    with pytest.raises(SeparatorError, match="made without templates"):
        draw_file(path, tmp_path / "c.png", Loudness())
    done = nmfaudio("plot", "none.wav", "-q", check=1)
    assert "none.wav: cannot be opened" in done.stderr


def nmfaudio_blind():
    return nmfaudio.make("blind", sources=2, iterations=5)


@pytest.mark.parametrize(
    "samples", [np.zeros((1, 4000)), np.full((1, 1), 0.5)], ids=["silence", "one sample"]
)
def test_silence_and_single_samples_are_drawn(samples):
    assert nmfaudio.plot_components(Audio(samples, 8000), sources=2).axes
