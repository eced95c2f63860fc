"""The components of stems: their numbers, their sounds, their file."""

import numpy as np
import pytest
from conftest import ROOT, sound

import nmfaudio
from nmfaudio import STFT, Audio
from nmfaudio.errors import InputError, OptionError
from nmfaudio.models import components_file
from nmfaudio.models.components import Components, from_factors
from nmfaudio.pipeline.component_sounds import component_sounds, in_memory
from nmfaudio.pipeline.regrouping import complete_groups, parse_groups

FAST = {
    "blind": {"sources": 2, "components": 6, "iterations": 10, "starts": 2},
    "drums": {"iterations": 3},
    "voice": {"iterations": 2, "components": 8},
    "noise": {},
    "stereo": {"iterations": 3},
    "dictionary": {},
}


@pytest.fixture(scope="module", params=list(FAST))
def separation(request):
    separator, samples = request.param, ROOT / "audio_samples"
    audio = nmfaudio.read(samples / "night_bus.flac").cut(0, 2 * 44100)
    options = dict(FAST[separator])
    if separator == "dictionary":
        bass = nmfaudio.read(samples / "night_bus" / "bass.flac").cut(0, 44100)
        options = {"dictionary": nmfaudio.learn(bass, "bass", rank=4), "free": 3, "free_iterations": 5}
    return nmfaudio.separate(audio, separator, **options)


def test_the_parts_of_each_stem_add_up_to_it(separation):
    components = separation.components
    assert components.sources == tuple(separation.stems)
    names = [part.name for part in components.parts]
    sounds = in_memory(component_sounds(separation.stems, components), names)
    for name, stem in separation.stems.items():
        own = [sounds[part.name] for part in components.parts if part.source == name]
        np.testing.assert_allclose(np.sum(own, axis=0), stem.samples, atol=1e-12)
        assert len(own) == max(1, len(components.members(name)))


def test_the_models_are_those_of_all_frames(separation):
    components = separation.components
    assert components.frames == components.stft.frames(separation.mixture.length)
    assert [part.number for part in components.parts] == list(range(1, len(components.parts) + 1))
    assert (np.diff(components.labels) >= 0).all()
    if len(components):
        assert components.shares.sum() == pytest.approx(1)
        k = int(components.shares.argmax())
        whole = components.model(k)
        np.testing.assert_allclose(components.model(k, 20, 60), whole[:, :, 20:60], rtol=1e-4, atol=1e-9)


def test_a_file_gives_the_same_components_back(separation, tmp_path):
    before, path = separation.components, tmp_path / "components.safetensors"
    path.write_bytes(components_file.content(before))
    after = components_file.read(path)
    for name in before.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), name)


def made(lags=1, channels=1):
    rng = np.random.default_rng(0)
    templates = rng.random((3, channels, 129, lags)).astype(np.float32)
    activations = rng.random((3, 1, 40)).astype(np.float32)
    return Components(("a", "b"), np.array([0, 0, 1]), templates, activations, 8000, STFT(256), channels)


def test_templates_of_several_frames_sound_after_their_activation():
    one = made(lags=4, channels=2)
    W, H = one.templates[1].astype(float), one.activations[1, 0].astype(float)
    expected = np.zeros((2, 129, 40))
    for lag in range(4):
        expected[:, :, lag:] += W[:, :, lag, None] * H[: 40 - lag]
    np.testing.assert_allclose(one.model(1), expected, rtol=1e-5)
    np.testing.assert_allclose(one.model(1, 5, 9), expected[:, :, 5:9], rtol=1e-5)


def test_components_are_sorted_by_source():
    settings = {"sample_rate": 8000, "stft": STFT(16), "channels": 1}
    found = from_factors(("x", "y"), np.array([1, 0, 1]), np.eye(9, 3), np.ones((1, 3, 5)), **settings)
    assert found.labels.tolist() == [0, 1, 1]
    assert [part.name for part in found.parts] == ["x", "y 1", "y 2"]
    assert found.templates[0, 0, 1, 0] == 1


def test_regrouping_keeps_the_sum_and_moves_what_is_named():
    separation = nmfaudio.separate(Audio(sound(2, channels=2), 8000), **FAST["blind"])
    first = next(iter(separation.stems))
    moved = separation.components.parts[0]
    new = separation.regroup({"picked": [moved.number]})
    total = sum(stem.samples for stem in new.stems.values())
    np.testing.assert_allclose(total, separation.mixture.samples, atol=1e-12)
    alone = separation.component(moved.number).samples
    np.testing.assert_allclose(new.stems["picked"].samples, alone, atol=1e-12)
    rest = separation.stems[first].samples - alone
    np.testing.assert_allclose(new.stems[first].samples, rest, atol=1e-12)
    same = separation.regroup({})
    assert separation.result.confidence
    assert not same.result.confidence
    for name, stem in separation.stems.items():
        np.testing.assert_array_equal(same.stems[name].samples, stem.samples)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"x": [9]}, "there is no component 9: they are numbered from 1 to 3"),
        ({"x": [0]}, "there is no component 0"),
        ({"x": [1], "y": [1]}, "component 1 is in 'x' and in 'y'"),
        ({"x": [1, 1]}, "component 1 is in 'x' and in 'x'"),
        ({"x": []}, "the group 'x' has no components"),
        ({"../x": [1]}, "cannot be part of a file name"),
        ({"": [1]}, "cannot be part of a file name"),
    ],
)
def test_impossible_groups_are_refused(groups, message):
    with pytest.raises(OptionError, match=message):
        complete_groups(groups, made())


def test_groups_are_written_as_names_and_numbers():
    assert parse_groups(["a=1,4", "b=2-3,7", "c = d=5"]) == {"a": [1, 4], "b": [2, 3, 7], "c = d": [5]}
    for text in ("a", "a=", "a=x", "a=1-", "=1"):
        with pytest.raises(OptionError):
            complete_groups(parse_groups([text]), made())
    with pytest.raises(OptionError, match="given twice"):
        parse_groups(["a=1", "a=2"])


def spoiled(change, tmp_path):
    """Write a file of components whose bytes are changed."""
    path = tmp_path / "components.safetensors"
    path.write_bytes(change(components_file.content(made())))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-40], "not the components of a run"),
        (lambda content: b"RIFF" + content[4:], "not the components of a run"),
        (lambda content: content.replace(b'"version":"1"', b'"version":"7"'), "newer than this nmfaudio"),
        (lambda content: content.replace(b"nmfaudio components", b"nmfaudio dictionary"), "not the comp"),
        (lambda content: content.replace(b"[0, 0, 1]", b"[0, 0, 5]"), "malformed"),
        (lambda content: content.replace(b'n_fft\\": 256', b'n_fft\\": 512'), "malformed"),
        (lambda content: content[:-4] + np.float32(-1).tobytes(), "malformed"),
        (lambda content: content[:-4] + np.float32("nan").tobytes(), "holds NaN"),
    ],
)
def test_malformed_files_are_refused(change, message, tmp_path):
    path = spoiled(change, tmp_path)
    assert path.read_bytes() != components_file.content(made())
    with pytest.raises(InputError, match=message) as caught:
        components_file.read(path)
    assert str(path) in str(caught.value)
