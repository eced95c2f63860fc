import json
import os

import numpy as np
import pytest
import soundfile
from conftest import integers, sound

import nmfaudio
from nmfaudio import Audio, separate, separate_file
from nmfaudio.errors import InputError, OptionError, OutputError
from nmfaudio.sound import blocks as blocks_module

FAST = {"sources": 3, "iterations": 20}


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "PCM_U8"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_integers_of_the_stems_sum_to_the_mixture_exactly(make_file, tmp_path, subtype, channels):
    path = make_file(subtype=subtype, channels=channels)
    written = separate_file(path, tmp_path / "out", **FAST)
    bits = int(subtype[-2:].strip("_U"))
    total = sum(integers(stem.path, bits) for stem in written.stems.values())
    assert np.array_equal(total, integers(path, bits))
    for stem in written.stems.values():
        found, expected = soundfile.info(stem.path), soundfile.info(path)
        for key in ("samplerate", "channels", "frames", "format", "subtype"):
            assert getattr(found, key) == getattr(expected, key)


@pytest.mark.parametrize("name", ["a.flac", "a.aiff", "a.w64", "a.caf"])
def test_formats_are_kept_and_sum_exactly(make_file, tmp_path, name):
    path = make_file(name, channels=2)
    written = separate_file(path, tmp_path / "out", **FAST)
    assert all(stem.path.suffix == path.suffix for stem in written.stems.values())
    assert np.array_equal(sum(integers(s.path, 16) for s in written.stems.values()), integers(path, 16))


@pytest.mark.parametrize(("subtype", "limit"), [("FLOAT", -120), ("DOUBLE", -250)])
@pytest.mark.parametrize("gain", [1e-20, 1.0, 30.0])
def test_float_stems_sum_to_the_mixture(make_file, tmp_path, subtype, limit, gain):
    path = make_file(samples=sound(channels=2) * gain, subtype=subtype)
    written = separate_file(path, tmp_path / "out", **FAST)
    mixture = soundfile.read(path)[0]
    total = sum(soundfile.read(stem.path)[0] for stem in written.stems.values())
    error = np.linalg.norm(total - mixture) / np.linalg.norm(mixture)
    assert 20 * np.log10(error + 1e-300) < limit


def test_long_files_in_blocks_sum_exactly_and_have_no_seams(make_file, tmp_path, monkeypatch):
    path = make_file(samples=sound(5, channels=2))
    whole = separate_file(path, tmp_path / "whole", **FAST)
    monkeypatch.setattr(blocks_module, "BLOCK_SECONDS", 1)
    parts = separate_file(path, tmp_path / "parts", **FAST)
    for one, other in zip(whole.stems.values(), parts.stems.values(), strict=True):
        assert np.abs(integers(one.path, 16) - integers(other.path, 16)).max() <= 1
    assert np.array_equal(sum(integers(s.path, 16) for s in parts.stems.values()), integers(path, 16))


def test_memory_and_file_give_the_same_stems(make_file, tmp_path):
    path = make_file(channels=2)
    separation = separate(nmfaudio.read(path), **FAST)
    written = separation.write(tmp_path / "memory")
    direct = separate_file(path, tmp_path / "file", **FAST)
    for name, stem in direct.stems.items():
        assert np.array_equal(integers(stem.path, 16), integers(written.stems[name].path, 16))
        assert written.stems[name].path == tmp_path / "memory" / f"{name}.wav"


def notes():
    """Two notes that take turns and overlap, each (samples,): they begin within 40 ms, without a click."""
    time, swell = np.arange(3 * 8000) / 8000, np.hanning(322)
    sounding = [
        np.convolve(np.sin(2 * np.pi * pace * time) > 0, swell / swell.sum(), "same") for pace in (1.5, 2.5)
    ]
    low = 0.4 * np.sin(2 * np.pi * 220 * time) * sounding[0]
    high = 0.2 * np.sin(2 * np.pi * 1900 * time) * sounding[1]
    return low, high


def error_of_notes(gains):
    """Separate two notes whose channels differ in gain; return the error of the better stem of each."""
    truths = [np.outer(gains, note) for note in notes()]
    stems = separate(Audio(sum(truths), 8000), sources=2).stems.values()
    return [min(np.linalg.norm(s.samples - t) / np.linalg.norm(t) for s in stems) for t in truths]


@pytest.mark.parametrize("gains", [[1.0], [1.0, 0.5], [1.0, -1.0], [0.0, 1.0], [1.0, 0.2, -0.7, 0.0, 0.5]])
def test_notes_come_apart_in_any_channels(gains):
    assert max(error_of_notes(gains)) < 0.05


def test_antiphase_stereo_separates_as_well_as_mono():
    mono, antiphase = error_of_notes([1.0]), error_of_notes([1.0, -1.0])
    np.testing.assert_allclose(antiphase, mono, atol=0.01)


def test_stems_are_ordered_by_energy_and_the_same_again(make_file, tmp_path):
    path = make_file(channels=2)
    first, second = (separate_file(path, tmp_path / str(n), **FAST, seed=5) for n in (1, 2))
    for one, other in zip(first.stems.values(), second.stems.values(), strict=True):
        assert np.array_equal(integers(one.path, 16), integers(other.path, 16))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sources", [None, 4])
def test_silence_gives_silent_stems_and_a_warning(make_file, tmp_path, channels, sources):
    path = make_file(samples=np.zeros((channels, 4000)))
    written = separate_file(path, tmp_path / "out", sources=sources)
    assert len(written.stems) == (sources or 2)
    assert any("silent" in warning for warning in written.warnings)
    for stem in written.stems.values():
        assert not integers(stem.path, 16).any()


@pytest.mark.parametrize("length", [1, 2, 511, 2049])
def test_very_short_files_sum_exactly_and_warn(make_file, tmp_path, length):
    path = make_file(samples=np.full((1, length), 0.5), rate=44100)
    written = separate_file(path, tmp_path / "out")
    assert np.array_equal(sum(integers(s.path, 16) for s in written.stems.values()), integers(path, 16))
    assert any("less than one window" in w for w in written.warnings) == (length < 2048)


def test_clipping_is_said(tmp_path):
    loud = Audio(sound() * 10, 8000, nmfaudio.Encoding("WAV", "PCM_16"))
    written = separate(loud, **FAST).write(tmp_path)
    told = [w for w in written.warnings if "clipped" in w]
    assert told
    assert 'use subtype="FLOAT"' in told[0]
    assert any(stem.clipped for stem in written.stems.values())


def test_the_manifest_tells_what_was_done(make_file, tmp_path):
    path = make_file()
    written = separate_file(path, tmp_path / "out", **FAST, seed=9)
    manifest = json.loads(written.manifest.read_text("utf-8"))
    assert manifest["options"]["seed"] == 9
    assert manifest["options"]["sources"] == 3
    assert manifest["input"]["sha256"]
    assert manifest["input"]["samples"] == 8000
    assert list(manifest["stems"]) == list(written.stems)
    assert sum(stem["share"] for stem in manifest["stems"].values()) == pytest.approx(1)
    curve = manifest["factorization"]["objective"]
    assert curve == sorted(curve, reverse=True)
    for stem in manifest["stems"].values():
        assert (written.manifest.parent / stem["file"]).is_file()


def test_files_that_exist_are_kept_unless_told_otherwise(make_file, tmp_path):
    path = make_file()
    first = separate_file(path, tmp_path / "out", **FAST)
    path_of_one = next(iter(first.stems.values())).path
    content = path_of_one.read_bytes()
    with pytest.raises(OutputError, match="exists: pass overwrite=True"):
        separate_file(path, tmp_path / "out", **FAST, seed=1)
    assert path_of_one.read_bytes() == content
    separate_file(path, tmp_path / "out", **FAST, overwrite=True)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{track}/{stem}.{ext}", "song/{}.wav"),
        ("{track} - {stem}.{ext}", "song - {}.wav"),
        ("{stem}/{track}.{ext}", "{}/song.wav"),
    ],
)
def test_names_follow_the_pattern(make_file, tmp_path, pattern, expected):
    written = separate_file(make_file(), tmp_path / "out", filename=pattern, **FAST)
    for name, stem in written.stems.items():
        assert stem.path == tmp_path / "out" / expected.format(name)
    assert written.manifest.is_file()


@pytest.mark.parametrize(
    "pattern", ["../{stem}.{ext}", "/{stem}", "{track}.{ext}", "{stem}{nope}", "{stem!r}", "{stem"]
)
def test_patterns_that_cannot_work_are_refused(make_file, tmp_path, pattern):
    with pytest.raises(OptionError, match="filename"):
        separate_file(make_file(), tmp_path / "out", filename=pattern, **FAST)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    [
        "spaces in name",
        "ünï_音",
        "-dash",
        "quote'\"",
        "dots.v1.2",
        "percent%s{0}",
        "[b]*",
        "new\nline",
        "n" * 200,
        "é" * 120,
    ],
)
def test_odd_file_names_are_kept(make_file, tmp_path, name):
    written = separate_file(make_file(f"{name}.wav"), tmp_path / "out", **FAST)
    folder = written.manifest.parent
    assert folder.parent == tmp_path / "out"
    assert name.startswith(folder.name[:20])
    assert len(os.fsencode(folder.name)) <= 255


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": 10**6}, r"song.wav: components=1000000"),
        ({"components": 0}, "components=0"),
        ({"sources": 0}, "sources=0"),
        ({"sources": 30}, "sources=30"),
        ({"divergence": "taxicab"}, "taxicab"),
        ({"window": 0.0}, "window=0"),
        ({"seed": -1}, "seed=-1"),
        ({"mask_exponent": -1.0}, "mask_exponent=-1"),
    ],
)
def test_options_out_of_range_name_the_option_and_leave_nothing(make_file, tmp_path, options, message):
    with pytest.raises(OptionError, match=message):
        separate_file(make_file(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_made_separator_takes_no_further_options():
    with pytest.raises(InputError, match="seed"):
        separate(Audio(sound(), 8000), nmfaudio.make("blind"), seed=1)


def test_components_tell_shares_and_channels():
    separation = separate(Audio(sound(channels=2), 8000), **FAST)
    components = separation.components
    assert components.shares.sum() == pytest.approx(1)
    count, channels, frames = components.activations.shape
    assert (channels, count) == (2, len(components))
    assert frames == components.frames == len(components.times)
    assert set(components.labels) == {0, 1, 2}


@pytest.mark.parametrize("choice", [{"only": ("harmonic",)}, {"without": ("harmonic",)}])
def test_shares_are_parts_of_the_whole_mixture(make_file, tmp_path, choice):
    path = make_file()
    every = separate_file(path, tmp_path / "all", "harmonic-percussive").shares
    chosen = separate_file(path, tmp_path / "some", "harmonic-percussive", **choice)
    (share,) = chosen.shares.values()
    assert share == pytest.approx(every["harmonic" if "only" in choice else "percussive"], abs=1e-6)
    assert 0.001 < share < 0.999
    again = separate_file(path, tmp_path / "some", "harmonic-percussive", resume=True, **choice)
    assert again.already_there
    assert again.shares == pytest.approx(chosen.shares)


@pytest.mark.parametrize("separator", ["auto", "blind", "drums", "noise", "voice", "harmonic-percussive"])
def test_nothing_is_said_of_the_sources_of_silence(separator):
    result = separate(Audio(np.zeros((1, 16000)), 8000), separator).result
    assert result.messages == ()
    assert result.warnings == ("the mixture is silent, so all stems are silent",)


@pytest.mark.parametrize("pattern", ["{stem}", "{track}/{stem}", "{stem}.wav"])
def test_a_pattern_without_an_ending_is_refused(make_file, tmp_path, pattern):
    with pytest.raises(OptionError, match=r"lacks \{ext\}, the ending of the format: try '.*\.\{ext\}'"):
        separate_file(make_file(), tmp_path / "out", filename=pattern, **FAST)
    assert not (tmp_path / "out").exists()
