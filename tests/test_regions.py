import numpy as np
import pytest
from test_learning import tone
from test_separators_dictionary import RATE, gain, mixture

from nmfaudio import STFT, Audio, Dictionary, FunctionModel, Spectrogram, learn, separate
from nmfaudio.errors import OptionError
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.dictionary.separator import FromDictionary
from nmfaudio.separators.regions.constraint import constrained, rectangles_on
from nmfaudio.separators.regions.evidence import Factors
from nmfaudio.separators.regions.model import RegionModel
from nmfaudio.separators.regions.region import Region, Regions


@pytest.fixture(scope="module")
def pair():
    return Dictionary.join([learn(tone(f), n, rank=2) for n, f in (("low", 300), ("high", 1100))])


@pytest.fixture(scope="module")
def vague():
    """A dictionary that cannot tell its sources apart."""
    noises = (Audio(np.random.default_rng(seed).normal(0, 0.1, (1, RATE)), RATE) for seed in (0, 1))
    return Dictionary.join([learn(noise, name) for noise, name in zip(noises, ("low", "high"), strict=True)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("snare", "write it in the form snare="),
        ("snare=1.2", "write it in the form snare="),
        ("snare=1.2-x", "write it in the form snare="),
        ("snare=1.2-1.3@150", "write it in the form snare="),
        ("snare=1.2-1.3/much", "write it in the form snare="),
        ("snare=1.2-1.3/nan", "write it in the form snare="),
        ("snare=1.3-1.2", "ends before it begins"),
        ("snare=1.2-1.3@900-150", "lower frequency first"),
        ("snare=1.2-1.3/0", "weight above 0"),
        ("snare=1.2-1.3/1.5", "weight above 0"),
        ("a/b=1.2-1.3", "label 'a/b'"),
    ],
)
def test_regions_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(OptionError, match=message):
        Region.parse(text)
    for kind in (Blind, FromDictionary):
        with pytest.raises(OptionError, match="not_region"):
            kind(not_region=(text,))


def test_the_text_of_a_region():
    assert Region.parse("snare=1:01.20-1:01.32@150-9000/0.5") == Region(
        "snare", 61.2, 61.32, 150, 9000, True, 0.5
    )
    assert Region.parse("a b=0-2", sounds=False) == Region("a b", 0, 2, sounds=False)


def random_masks(shape, seed=0):
    masks = np.random.default_rng(seed).random(shape)
    return masks / masks.sum(axis=0)


@pytest.mark.parametrize("weight", ["", "/0.5", "/0.05"])
@pytest.mark.parametrize("sounds", [True, False])
def test_masks_keep_a_region_and_nothing_else_changes(sounds, weight):
    masks = random_masks((3, 2, 20, 30))
    times, frequencies = np.arange(30) * 0.1, np.arange(20) * 100.0
    text = f"b=0.5-1.0@300-900{weight}"
    regions = Regions((Region.parse(text, sounds=sounds),))
    changed = constrained(masks, rectangles_on(regions, ("a", "b", "c"), frequencies, times, 0.1))
    inside = np.s_[..., 3:9, 5:10]
    limit = float(weight[1:] or 1)
    assert changed.sum(axis=0) == pytest.approx(1)
    own = changed[1][inside]
    assert own.min() >= limit - 1e-9 if sounds else own.max() <= 1 - limit + 1e-9
    held = masks[1][inside] >= limit if sounds else masks[1][inside] <= 1 - limit
    assert (changed[0][inside][held] == pytest.approx(masks[0][inside][held])) if held.any() else True
    outside = np.ones((20, 30), bool)
    outside[3:9, 5:10] = False
    assert np.array_equal(changed[..., outside], masks[..., outside])
    kept = ~held  # the others keep their proportions
    if kept.any() and limit < 1:
        ratio = changed[0][inside][kept] / changed[2][inside][kept]
        assert ratio == pytest.approx(masks[0][inside][kept] / masks[2][inside][kept])


def test_where_nothing_else_sounds_the_rest_is_shared_and_the_later_region_counts():
    masks = np.zeros((3, 4, 4))
    masks[0] = 1
    grid = np.arange(4) * 100.0, np.arange(4) * 0.1, 0.1
    absent = rectangles_on(Regions.parse((), ["a=0-1"]), "abc", *grid)
    assert np.array_equal(constrained(masks, absent)[:, 0, 0], [0, 0.5, 0.5])
    later = rectangles_on(Regions.parse(["a=0-1", "b=0-1"]), "abc", *grid)
    assert np.array_equal(constrained(masks, later)[:, 0, 0], [0, 1, 0])


def test_a_region_smaller_than_the_grid_covers_one_point():
    times, frequencies = np.arange(10) * 0.1, np.arange(10) * 100.0
    tiny = Region.parse("a=0.42-0.43@310-320")
    assert (tiny.span(times, 0.1), tiny.band(frequencies)) == (slice(4, 5), slice(3, 4))
    late = Region.parse("a=5-6")
    assert late.span(times, 0.1).start == late.span(times, 0.1).stop


def test_each_update_lowers_the_divergence():
    V = np.random.default_rng(0).random((40, 30)).astype(np.float32) + 0.1
    random = np.random.default_rng(1)
    templates = random.random((5, 30)).astype(np.float32)
    factors = Factors(
        random.random((40, 5)).astype(np.float32) * 30, templates / templates.sum(1, keepdims=True)
    )
    objectives = []
    for _ in range(12):
        model = factors.magnitudes()
        objectives.append(float((V * np.log(V / model) - V + model).sum()))
        factors = factors.fitted_to(V, model)
    assert np.all(np.diff(objectives) < 0)
    assert factors.templates.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_region_corrects_a_dictionary_and_counts_outside_too(vague):
    audio, parts = mixture()
    region = ("low=0.5-1.0@200-1000", "high=0.5-1.0@1000-4000")
    stems = separate(audio, FromDictionary(vague, region=region)).stems
    total = sum(stem.samples for stem in stems.values())
    assert np.abs(total - audio.samples).max() < 1e-9
    inside, after = slice(int(0.6 * RATE), int(0.9 * RATE)), slice(int(1.6 * RATE), int(1.9 * RATE))
    plain = separate(audio, FromDictionary(vague)).stems["low"].samples[0]
    corrected = stems["low"].samples[0]
    assert gain(plain[inside], parts[0][inside], audio.samples[:, inside][0]) < 5
    assert gain(corrected[inside], parts[0][inside], audio.samples[:, inside][0]) > 5
    better = gain(corrected[after], parts[0][after], audio.samples[:, after][0])
    assert better > gain(plain[after], parts[0][after], audio.samples[:, after][0]) + 2


def test_regions_name_the_stems_of_blind_in_stereo_and_keep_the_sum():
    audio, parts = mixture()
    stereo = Audio(np.vstack([audio.samples, 0.5 * audio.samples]), RATE)
    regions = {"region": ("piccolo=0.5-1.0@1000-1200", "tuba=0.5-1.0@200-400")}
    found = separate(stereo, "blind", **regions)
    assert set(found.stems) == {"piccolo", "tuba"}
    assert np.abs(sum(s.samples for s in found.stems.values()) - stereo.samples).max() < 1e-9
    assert gain(found.stems["tuba"].samples[0], parts[0], audio.samples[0]) > 10
    assert "piccolo: 1 region used" in found.result.messages
    other = separate(stereo, "blind", region=("tuba=0.5-1.0@200-400",), sources=3)
    assert "tuba" in other.stems
    assert len(other.stems) == 3


def test_hints_with_regions_alone_are_separated_blindly(tmp_path, pair):
    audio, _ = mixture()
    path = tmp_path / "hints.toml"
    path.write_text('[tuba]\nregion = ["0.1-0.4@200-400"]\n[flute]\nnot_region = "0.1-0.4@200-400"\n')
    assert set(separate(audio, "dictionary", hints=str(path)).stems) == {"tuba", "flute"}
    by_file = FromDictionary(pair, hints=str(path)).all_hints().regions
    assert by_file == Regions.parse(["tuba=0.1-0.4@200-400"], ["flute=0.1-0.4@200-400"])


def test_regions_of_unknown_or_too_many_sources_are_refused(pair):
    audio, _ = mixture()
    with pytest.raises(OptionError, match="'tuba', but the sources are low, high"):
        separate(audio, FromDictionary(pair, region=("tuba=0-1",)))
    with pytest.raises(OptionError, match="use at least 2"):
        separate(audio, "blind", sources=1, region=("a=0-1", "b=0-1"))


def test_one_stem_silence_and_late_regions_change_nothing(pair):
    audio, _ = mixture()
    silent = separate(Audio(np.zeros((1, RATE)), RATE), FromDictionary(pair, region=("low=0-1",)))
    assert not any(stem.samples.any() for stem in silent.stems.values())
    late = separate(audio, FromDictionary(pair, region=("low=50-60",)))
    plain = separate(audio, FromDictionary(pair))
    assert "low: 1 region used (1 of them after the end of the recording)" in late.result.messages
    for name, stem in plain.stems.items():
        assert late.stems[name].samples == pytest.approx(stem.samples, abs=1e-9)
    alone = separate(audio, "blind", sources=1, region=("a=0-1",))
    assert any("only one stem" in message for message in alone.result.messages)


def test_regions_hold_in_every_window_of_a_combination(pair):
    audio, _ = mixture()
    one = learn(tone(300), "low", rank=2)
    stems = separate(audio, FromDictionary(one, free=3, region=("residual=0.6-0.9",))).stems
    inside = slice(int(0.7 * RATE), int(0.8 * RATE))
    assert np.abs(stems["low"].samples[0, inside]).max() < 0.02 * np.abs(audio.samples).max()


def test_names_that_blind_gave_stand_for_the_same_stems():
    audio, _ = mixture()
    options = {"sources": 2, "iterations": 30, "starts": 1}
    plain = separate(audio, "blind", **options).stems
    first, second = plain
    region = (f"{first}=0.6-0.9@0-4000",)
    corrected = separate(audio, "blind", region=region, **options).stems
    assert list(corrected) == [first, second]
    inside = slice(int(0.7 * RATE), int(0.8 * RATE))
    assert np.abs(corrected[second].samples[0, inside]).max() < 1e-6
    assert np.abs(plain[second].samples[0, inside]).max() > 0.01


def test_regions_in_other_separators():
    audio, _ = mixture()
    stems = separate(audio, "drums", region=("snare=0.6-0.9",), iterations=3).stems
    inside = slice(int(0.75 * RATE), int(0.8 * RATE))
    others = [stem.samples[0, inside] for name, stem in stems.items() if name != "snare"]
    assert np.abs(others).max() < 1e-6
    with pytest.raises(OptionError, match="'tuba', but the sources are"):
        separate(audio, "drums", region=("tuba=0.6-0.9",), iterations=3)


def test_the_command_line_takes_regions_label_files_and_writes_labels(nmfaudio, make_file, tmp_path):
    path = make_file()
    flags = ("--region", "snare=0.1-0.3@150-3000", "--not-region", "bass=0-0.1", "--iterations", "3")
    done = nmfaudio("separate", path, *flags, "--labels", "audacity", "-o", "a", check=0)
    folder = tmp_path / "a" / "song"
    assert {p.stem for p in folder.glob("*.wav")} == {"snare", "bass"}
    assert "snare: 1 region used" in done.stdout
    assert "labels.txt" in done.stdout
    done = nmfaudio("separate", path, "--from-manifest", folder / "manifest.json", "-o", "b", "-q", check=0)
    assert (tmp_path / "b" / "song" / "labels.txt").read_text() == (folder / "labels.txt").read_text()
    (tmp_path / "labels.txt").write_text("0\t0.2\tone\n\\\t0\t900\n0\tx\ttwo\n")
    done = nmfaudio("separate", path, "--hints", "labels.txt", "-o", "c", check=2)
    assert "labels.txt, line 3: 'x' is not a time" in done.stderr
    assert not (tmp_path / "c").exists()
    done = nmfaudio("separate", path, "--labels", "praat", "-o", "c", check=2)
    assert "use audacity or csv" in done.stderr


def test_files_of_regions_serve_every_separator_with_regions(tmp_path):
    path = tmp_path / "regions.toml"
    path.write_text('[snare]\nregion = ["1.2-1.3@150-9000"]\nnot_region = "2-3"\n')
    regions = Regions.parse(["snare=1.2-1.3@150-9000", "kick=0-1"], ["snare=2-3"])
    assert Blind(hints=str(path), region=("kick=0-1",)).regions() == regions
    path.write_text('[snare]\nsolo = "1.2-1.3"\n')
    with pytest.raises(OptionError, match="kind solo, which only the separator dictionary uses"):
        Blind(hints=str(path)).regions()


@pytest.mark.parametrize(
    ("flags", "separator"),
    [
        (("--hints", "r.toml"), "FromDictionary"),
        (("--hints", "r.toml", "--sources", "2"), "Blind"),
        (("--hints", "r.toml", "--drums"), "Drums"),
        (("--hints", "r.toml", "--separator", "blind"), "Blind"),
        (("--hints", "r.toml", "--solo", "low=0-0.2", "--solo", "snare=0.2-0.4"), "FromDictionary"),
        (("--region", "snare=0-0.1", "--sources", "3"), "Blind"),
    ],
)
def test_which_separator_regions_choose(make_file, tmp_path, flags, separator, monkeypatch):
    from typer.testing import CliRunner

    from nmfaudio.cli import separate as command
    from nmfaudio.cli.app import app

    (tmp_path / "r.toml").write_text('[snare]\nregion = "0.1-0.3@150-3000"\n')
    monkeypatch.chdir(tmp_path)
    chosen = []
    monkeypatch.setattr(command, "run_files", lambda job, *_, **__: chosen.append(job.separator) or True)
    result = CliRunner().invoke(app, ["separate", str(make_file()), *flags])
    assert result.exit_code == 0, result.output
    assert type(chosen[0]).__name__ == separator


def test_stems_of_other_phases_sum_to_the_block():
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 9, 5)) + 1j * random.normal(size=(2, 9, 5))
    block = Spectrogram(values, STFT(16), RATE)

    class Turned(FunctionModel):
        """A model whose stems have not the phases of the mixture, as those of a filter across channels."""

        def separate(self, block):
            return {name: block.with_values(block.values * f) for name, f in self.factors.items()}

        factors = {"a": 0.5 + 0.5j, "b": 0.5 - 0.5j}  # noqa: RUF012

    model = RegionModel(Turned(STFT(16), ("a", "b"), lambda _: {}), Regions.parse(["a=0-1@0-1000/0.8"]))
    stems = model.separate(block)
    assert sum(stem.values for stem in stems.values()) == pytest.approx(values)
