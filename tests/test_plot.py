import numpy as np
import pytest
from conftest import sound
from matplotlib.colors import to_hex
from PIL import Image

import nmfaudio
from nmfaudio import Audio
from nmfaudio.pipeline.fitting import fit
from nmfaudio.plots.colours import source_colours
from nmfaudio.plots.components import draw_components
from nmfaudio.plots.excerpt import Excerpt
from nmfaudio.plots.figures import new_figure
from nmfaudio.plots.matrices import plot_activations, plot_templates
from nmfaudio.plots.scene import Scene
from nmfaudio.plots.views import VIEWS, draw


def test_the_figure_shows_every_component_with_units():
    separation = {"sources": 2, "components": 6, "iterations": 20}
    audio = Audio(sound(2, channels=2), 8000)
    figure = nmfaudio.plot_components(audio, **separation)
    labels = " ".join(a.get_xlabel() + a.get_ylabel() + a.get_title() for a in figure.axes)
    for unit in ("time (s)", "frequency (Hz)", "dB"):
        assert unit in labels
    assert "mixture: audio" in {a.get_title() for a in figure.axes}
    texts = [t.get_text() for a in figure.axes for t in a.texts]
    assert sum("of the energy" in text for text in texts) == 6
    assert {text.split(",")[0] for text in texts} == set(nmfaudio.separate(audio, **separation).stems)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures_are_written_whole(nmfaudio, make_file, tmp_path, kind):
    few = ("--separator", "blind", "--set", "components=4", "--set", "iterations=10", "--sources", "2")
    nmfaudio("plot", make_file(), "-o", f"picture.{kind}", *few, check=0)
    assert (tmp_path / f"picture.{kind}").stat().st_size > 5000
    assert not list(tmp_path.glob(".nmfaudio*"))


def test_the_command_draws(nmfaudio, make_file, tmp_path):
    done = nmfaudio("plot", make_file(), "-o", "c.png", "--sources", "2", "--set", "iterations=10", check=0)
    assert "c.png" in done.stdout
    pixels = np.asarray(Image.open(tmp_path / "c.png").convert("L"))
    assert pixels.std() > 20


def test_what_cannot_be_drawn_is_refused_by_name(make_file, tmp_path, nmfaudio):
    path = make_file()
    few = ("--separator", "blind", "--sources", "2", "--set", "iterations=5", "-q")
    repeating = ("--separator", "repeating", "-q")
    refused = {
        ("plot", path, "-o", "c.doc", *few): "c.doc: not a picture",
        ("plot", path, "-o", "none/c.png", *few): "the folder none does not exist",
        ("plot", path, "--view", "templates", *repeating): "were made without templates",
        ("plot", path, "--view", "sound", *few): "there is no view 'sound': use components, templates",
        ("plot", path, "--components", "99", *few): "there is no component 99",
        ("plot", path, "--sources", "flute", *few[:2], "-q"): "there is no source 'flute'",
        ("plot", path, "--time", "9-2", *few): "the end must be above the start",
        ("plot", path, "--frequency", "low", *few): "write both ends with a dash between, such as 50-2000",
        ("plot", "none.wav", "-q"): "none.wav: cannot be opened",
    }
    for command, message in refused.items():
        done = nmfaudio(*command)
        assert done.returncode in (1, 2), command
        assert message in done.stderr.replace("\n", " "), command
        assert not list(tmp_path.glob("*.png"))


@pytest.fixture(scope="module")
def scene():
    audio = Audio(sound(2, channels=2), 8000, name="two sounds")
    separator = nmfaudio.make("blind", sources=2, components=6, iterations=20, starts=2)
    return Scene.of_fitted(fit(audio, separator))


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_labelled_axes_with_units(scene, view):
    figure = draw(view, scene, dark=view == "components")
    labels = {a.get_xlabel() for a in figure.axes} | {a.get_ylabel() for a in figure.axes}
    labels |= {a.get_title(loc) for a in figure.axes for loc in ("left", "right", "center")}
    units = {
        "convergence": {"updates", "divergence (% of the first one measured)"},
        "stability": {"component", "stability, 0 to 1"},
        "templates": {"frequency (Hz)", "component"},
        "activations": {"time (s)", "component"},
    }
    assert units.get(view, {"frequency (Hz)", "time (s)"}) <= labels


def test_a_source_has_the_same_colour_in_every_view(scene):
    colours = source_colours(scene.components.sources)
    assert len(set(colours.values())) == 2
    stems = draw("stems", scene)
    texts = [text for axes in draw("components", scene).axes for text in axes.texts]
    labels = {text.get_text().split(",")[0]: to_hex(text.get_color()) for text in texts}
    bars = draw("stability", scene).axes[0].patches
    expected = {name: colour.lower() for name, colour in colours.items()}
    left = {a.get_title("left"): to_hex(a._left_title.get_color()) for a in stems.axes if a.get_title("left")}
    assert {name: left[name] for name in colours} == expected
    assert labels == expected
    assert {to_hex(bar.get_facecolor()) for bar in bars} == set(expected.values())


def test_the_times_of_spectrogram_and_activations_line_up(scene):
    figure = draw("components", scene)
    figure.draw_without_rendering()
    spectrogram = next(a for a in figure.axes if a.get_title().startswith("mixture"))
    rows = [a for a in figure.axes if a.get_ylim()[1] > 1.5 and a.texts]
    assert len(rows) == 6
    for row in rows:
        assert row.get_xlim() == spectrogram.get_xlim()
        assert row.get_position().x0 == pytest.approx(spectrogram.get_position().x0, abs=1e-3)
        assert row.get_position().x1 == pytest.approx(spectrogram.get_position().x1, abs=1e-3)
        label, peak = row.texts[0].get_window_extent(), row.lines[0].get_ydata().max()
        assert row.transData.transform((0, peak))[1] <= label.y0


def test_an_excerpt_draws_what_it_names(scene):
    name = scene.components.sources[1]
    excerpt = Excerpt(sources=(name,), time=(0.2, 0.5), frequency=(200, 1000))
    figure = draw("components", scene, excerpt=excerpt)
    members = [part for part in scene.components.parts if part.source == name]
    assert sum(bool(a.texts) for a in figure.axes) == len(members)
    spectrogram = next(a for a in figure.axes if a.get_title().startswith("mixture"))
    assert spectrogram.get_ylim() == pytest.approx((200, 1000))
    assert 0.15 < spectrogram.get_xlim()[0] < spectrogram.get_xlim()[1] < 0.55
    one = draw("templates", scene, excerpt=Excerpt(components=(3,)))
    assert [label.get_text() for label in one.axes[0].get_xticklabels()] == ["3"]


def test_plots_draw_on_the_axes_that_they_are_given(scene):
    figure = new_figure(6, 3)
    axes = figure.subplots()
    assert plot_activations(scene.components, ax=axes) is axes
    assert draw_components(scene, figure=(other := new_figure(6, 8))) is other


@pytest.mark.parametrize("separator", ["drums", "voice", "stereo", "blind"])
def test_templates_are_drawn_as_what_they_are(samples, separator):
    song = "drum_loop" if separator == "drums" else "night_bus"
    audio = nmfaudio.read(samples / f"{song}.flac").cut(0, 66150)
    few = {"drums": {"iterations": 2}, "voice": {"iterations": 1}, "stereo": {"iterations": 2}}
    options = few.get(separator, {"iterations": 2, "starts": 1, "sources": 2})
    found = Scene.of_fitted(fit(audio, nmfaudio.make(separator, **options)))
    axes = plot_templates(found.components)
    label = axes.get_xlabel()
    assert ("frames each" in label) == (separator == "drums")
    assert ("left channel, right channel" in label) == (separator == "stereo")


@pytest.mark.parametrize(
    "samples", [np.zeros((1, 4000)), np.full((1, 1), 0.5)], ids=["silence", "one sample"]
)
def test_silence_and_single_samples_are_drawn(samples):
    assert nmfaudio.plot_components(Audio(samples, 8000), sources=2).axes
