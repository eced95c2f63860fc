import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import sound
from PIL import Image
from test_rank import evidence

from nmfaudio import STFT, Audio, Dictionary, plot_components, plot_rank
from nmfaudio.errors import OutputError
from nmfaudio.nmf import recommend
from nmfaudio.plots.figures import KINDS, check_picture, new_figure, save_picture
from nmfaudio.plots.names import drawable
from nmfaudio.plots.templates import plot_dictionary

BACKENDS = ("module://matplotlib_inline.backend_inline", "nonsense")
ODD_NAMES = ('Yelle - "Ba$$in"', "Ke$ha & A$AP", "夜に駆ける", "caf\udce9", "a_b^{c}\\frac", "x" * 200)


def test_commands_draw_whatever_backend_the_environment_names(nmfaudio, make_file, tmp_path):
    absent, unknown = ({**os.environ, "MPLBACKEND": backend} for backend in BACKENDS)
    song = make_file()
    kick = Dictionary(np.eye(9, 2), ("kick", "kick"), 8000, STFT(16)).save(tmp_path / "kick.safetensors")
    few = ("--sources", "2", "--set", "iterations=5")
    nmfaudio("plot", song, "-o", "components.png", *few, check=0, env=absent)
    nmfaudio("rank", song, "-o", "rank.png", "--most", "2", "--restarts", "2", check=0, env=absent)
    nmfaudio("show", kick, "--plot", "kick.png", check=0, env=unknown)
    for name in ("components", "rank", "kick"):
        assert np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")).std() > 20


def test_a_backend_that_exists_stays_in_effect():
    code = """
import os, sys
from nmfaudio.plots.figures import load_matplotlib
load_matplotlib()
import matplotlib
assert matplotlib.rcParams["backend"].lower() == os.environ["MPLBACKEND"] == "svg"
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "MPLBACKEND": "svg"}, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_drawn_in_every_figure(name, tmp_path):
    audio = Audio(sound(), 8000, name=name)
    figures = [
        plot_components(audio, sources=2, components=2, iterations=5, starts=1),
        plot_rank(recommend(*evidence([1, 0.7, 0.99, 0.8], [100, 70, 40, 35], 5)), name=name),
        plot_dictionary(Dictionary(np.eye(9, 2), ("Ke$ha", "A$AP"), 8000, STFT(16)), title=name),
    ]
    for number, figure in enumerate(figures):
        save_picture(figure, tmp_path / f"{number}.svg")
        texts = [text.get_text() for axes in figure.axes for text in (axes.title, *axes.get_xticklabels())]
        texts += [figure.get_suptitle()]
        assert any(drawable([name])[0][0] in text for text in texts)
    assert "Ke$ha (1)" in texts


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_can_be_written(kind, tmp_path):
    figure = new_figure(3, 2)
    figure.subplots().plot([1, 2])
    save_picture(figure, tmp_path / f"picture.{kind}")
    assert (tmp_path / f"picture.{kind}").stat().st_size > 500


@pytest.mark.parametrize("kind", ["pgf", "rgba", "doc", ""])
def test_other_kinds_are_refused_before_the_work(kind, tmp_path):
    with pytest.raises(OutputError, match=r"not a picture's name: end it in .png, .svg or .pdf"):
        check_picture(tmp_path / f"picture.{kind}")


def test_the_title_of_a_dictionary_stands_above_the_legend_of_its_dots():
    templates, pitches = np.eye(9, 2), np.array([500.0, 900.0], np.float32)
    dictionary = Dictionary(templates, ("bass", "bass"), 8000, STFT(16), pitches=pitches)
    figure = plot_dictionary(dictionary, title="a title as long as the picture is wide, or nearly")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.title.get_window_extent().y0 >= axes.get_legend().get_window_extent().y1
