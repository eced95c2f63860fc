import importlib
import os
import re
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
import soundfile
from conftest import ROOT, integers

from nmfaudio.testing import check_separator

EXAMPLES = ROOT / "examples"


def run(*arguments):
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, *map(str, arguments)]
    completed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_separating_in_python(tmp_path):
    mixture = ROOT / "audio_samples" / "drum_loop.flac"
    output = run(EXAMPLES / "separate_in_python.py", mixture, tmp_path / "stems")
    assert output.count("dB") == 3
    stems = list((tmp_path / "stems").glob("*.wav"))
    assert {soundfile.info(stem).subtype for stem in stems} == {"PCM_24"}
    assert (sum(integers(stem, 24) for stem in stems) == integers(mixture, 16) << 8).all()


@pytest.mark.parametrize("name", ["separate_in_python.py", "own_dictionary.py"])
def test_examples_run_without_arguments_in_any_folder(tmp_path, name):
    command = [sys.executable, str(EXAMPLES / name)]
    for _ in range(1 if name == "own_dictionary.py" else 2):  # a second run replaces the stems of the first
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    if name == "separate_in_python.py":
        assert len(list(tmp_path.glob("drum_loop_stems/*.wav"))) == 3
        done = subprocess.run([*command, "one"], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("usage:")


def test_a_dictionary_by_hand_finds_the_drums():
    parts = dict(line.split(": ") for line in run(EXAMPLES / "own_dictionary.py").splitlines())
    assert (
        float(parts["kick"].split()[0]) > float(parts["snare"].split()[0]) > float(parts["hihat"].split()[0])
    )


def test_parts_of_digits_are_smaller_than_principal_components(tmp_path):
    printed = dict(
        line.split(": ") for line in run(EXAMPLES / "digits.py", tmp_path / "digits.png").splitlines()
    )
    shares = [
        float(printed[f"pixels in a {name}"].rstrip("%")) for name in ("part of NMF", "component of PCA")
    ]
    assert 2 * shares[0] < shares[1]
    assert matplotlib.image.imread(tmp_path / "digits.png").std() > 0.1


def test_topics_gather_the_texts_of_a_module():
    _, *topics = run(EXAMPLES / "topics.py").splitlines()
    shares = [re.search(r"(\d+) of (\d+) texts", topic).groups() for topic in topics]
    assert len(topics) == 12
    assert sum(int(same) for same, _ in shares) > 0.6 * sum(int(total) for _, total in shares)
    assert any({"fft", "transform"} <= set(re.findall(r"\w+", topic)) for topic in topics)


def test_rank_and_stability_finds_three_drums(tmp_path):
    assert run(EXAMPLES / "rank_and_stability.py", tmp_path / "rank.png").startswith("3 components")
    assert matplotlib.image.imread(tmp_path / "rank.png").std() > 0.1


def test_players_at_other_places_are_separated(tmp_path):
    lines = run(EXAMPLES / "stereo_places.py", tmp_path).splitlines()
    for line in lines:
        before, after = (float(value) for value in re.findall(r"(-?[\d.]+) dB", line))
        assert after > before + 15
    assert len(lines) == len(list(tmp_path.glob("*.flac"))) == 3


def test_the_plugin_is_short_and_keeps_the_contract(monkeypatch):
    folder = EXAMPLES / "low_high_plugin"
    assert len((folder / "nmfaudio_low_high.py").read_text("utf-8").splitlines()) < 20
    monkeypatch.syspath_prepend(str(folder))
    plugin = importlib.import_module("nmfaudio_low_high")
    assert check_separator(plugin.LowHigh(frequency=700.0))


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_opens_with_a_title_what_one_will_see_and_how_to_run_it(name):
    title, line, empty, first, *rest = (EXAMPLES / name).read_text("utf-8").splitlines()
    assert line == "=" * len(title.removeprefix('"""'))
    assert (empty, first[:13]) == ("", "You will see ")
    assert any(text.startswith(f"    python examples/{name}") for text in rest)


def test_components_are_heard_one_by_one(tmp_path):
    mixture = ROOT / "audio_samples" / "night_bus.flac"
    _, *lines = run(EXAMPLES / "listen_to_components.py", mixture, tmp_path / "parts").splitlines()
    files = sorted((tmp_path / "parts").glob("*.wav"))
    assert len(files) == len(lines) > 3
    shares = [float(re.search(r"([\d.]+) %", line)[1]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert (sum(integers(path, 16) for path in files) == integers(mixture, 16)).all()


def test_low_components_are_regrouped_as_the_bass(tmp_path):
    mixture = ROOT / "audio_samples" / "night_bus.flac"
    output = run(EXAMPLES / "regroup.py", mixture, tmp_path / "stems")
    assert "belongs to the bass" in output
    stems = {path.stem: integers(path, 16) for path in (tmp_path / "stems").glob("*.wav")}
    assert (sum(stems.values()) == integers(mixture, 16)).all()
    bass = integers(ROOT / "audio_samples" / "night_bus" / "bass.flac", 16)
    correlation = {name: np.corrcoef(stem.ravel(), bass.ravel())[0, 1] for name, stem in stems.items()}
    assert correlation["bass"] == max(correlation.values()) > 0.5


@pytest.mark.parametrize(
    ("name", "picture", "least", "folder"),
    [
        ("drum_loop.py", "drum_loop.png", 5, "drums"),
        ("learn_and_reuse.py", "instruments.png", 5, None),
        ("birds_over_wind.py", "bird.png", 8, "bird"),
    ],
)
def test_examples_leave_pictures_and_better_sounds(tmp_path, name, picture, least, folder):
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = re.findall(r"(-?[\d.]+) dB in the \w+, (-?[\d.]+) dB in its stem", done.stdout)
    assert scores
    assert all(float(after) - float(before) > least for before, after in scores)
    assert matplotlib.image.imread(tmp_path / picture).std() > 0.1
    assert folder is None or len(list((tmp_path / folder).glob("*.*"))) >= 3
