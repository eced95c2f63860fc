import contextlib
import json
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmfaudio import STFT, Dictionary, tensorfile
from nmfaudio.dictionary import Clip, check_label
from nmfaudio.errors import DictionaryError, OptionError


@pytest.fixture
def duo():
    generator = np.random.default_rng(3)
    clips = [Clip("piano", "a.wav", "ab" * 32, 1.5, 8000, 2), Clip("kick", "b.wav", "", 0.3, 8000, 1)]
    return Dictionary(
        generator.random((129, 5)),
        ["piano"] * 3 + ["kick"] * 2,
        8000,
        STFT(256, 64),
        1.0,
        1.0,
        7,
        [0.5, 0.3, 0.2, 0.9, 0.1],
        [220, 440, 0, 0, 0],
        clips,
    )


def test_a_file_gives_back_every_bit(duo, tmp_path):
    path = duo.save(tmp_path / "duo.safetensors")
    loaded = Dictionary.load(path)
    assert loaded == duo
    assert loaded.templates.tobytes() == duo.templates.tobytes()
    assert loaded.clips == duo.clips
    assert loaded.seed == 7


def test_templates_sum_to_one_and_are_read_only(duo):
    assert np.allclose(duo.templates.sum(axis=0), 1, atol=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        duo.templates[0, 0] = 1


def test_pick_and_without_keep_the_order(duo):
    assert duo.pick("kick", "piano").sources == ("piano", "kick")
    assert duo.without("piano") == duo.pick("kick")
    assert [clip.name for clip in duo.pick("kick").clips] == ["b.wav"]
    with pytest.raises(OptionError, match="no source 'flute'.*piano, kick"):
        duo.pick("flute")
    with pytest.raises(OptionError, match="no source remains"):
        duo.without("piano", "kick")


def test_join_converts_and_refuses_twins(duo):
    other = duo.pick("kick").renamed("snare").to_settings(16000)
    joined = Dictionary.join([duo, other])
    assert joined.sources == ("piano", "kick", "snare")
    assert joined.stft == duo.stft
    assert np.array_equal(joined.templates[:, :5], duo.templates)
    with pytest.raises(DictionaryError, match="two dictionaries have a source 'kick'"):
        Dictionary.join([duo, duo.pick("kick")])


def test_repr_says_everything_and_html_has_a_picture(duo):
    assert repr(duo) == (
        "Dictionary(piano: 3 templates, kick: 2 templates; 8000 Hz, n_fft 256, hop 64, hann, "
        "exponent 1, beta 1)"
    )
    assert "data:image/png;base64,iVBOR" in duo._repr_html_()


@pytest.mark.parametrize("label", ["a/b", "..", ".hidden", "", " ", "a\0b", "a\\b", "new\nline", "residual"])
def test_labels_that_could_not_name_a_file_are_refused(label):
    with pytest.raises(DictionaryError, match="label"):
        check_label(label)
    with pytest.raises(DictionaryError, match="label"):
        Dictionary(np.eye(9, 1), [label], 8000, STFT(16))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"templates": np.full((129, 5), -1.0)}, "negative"),
        ({"templates": np.full((129, 5), np.nan)}, "non-finite"),
        ({"templates": np.zeros((129, 5))}, "template 1 is silent"),
        ({"templates": np.ones((128, 5))}, "must be \\(129, 5\\)"),
        ({"energies": [1.0]}, "energies have shape"),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"beta": 17.0}, "beta=17"),
    ],
)
def test_what_does_not_fit_is_refused(duo, change, message):
    fields = {"templates": duo.templates, "labels": duo.labels, "sample_rate": 8000, "stft": duo.stft}
    with pytest.raises(DictionaryError, match=message):
        Dictionary(**{**fields, **change})


def bytes_of(header, body=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


HOSTILE = {
    "empty": (b"", "too few"),
    "eight_tebibytes": (
        bytes_of({"templates": entry([1 << 21, 1 << 20], 0, 1 << 43)}),
        "shape or place that is none",
    ),
    "huge_header": (bytes_of({}, length=1 << 60), "declares a header of"),
    "truncated": (bytes_of({"templates": entry([4, 4], 0, 64)}, b"\0" * 10), "cut short"),
    "too_long": (bytes_of({"templates": entry([1], 0, 4)}, b"\0" * 10), "10 are there"),
    "overlapping": (
        bytes_of({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, b"\0" * 12),
        "begins at 4, not at 8",
    ),
    "wrong_shape": (bytes_of({"templates": entry([3], 0, 64)}, b"\0" * 64), "cannot lie in 64 bytes"),
    "negative_shape": (bytes_of({"templates": entry([-4, -4], 0, 64)}, b"\0" * 64), "none"),
    "wrong_type": (bytes_of({"templates": entry([4], 0, 16, "F16")}, b"\0" * 16), "type 'F16'"),
    "nan": (bytes_of({"a": entry([1], 0, 4)}, struct.pack("<f", np.nan)), "NaN"),
    "infinity": (bytes_of({"a": entry([1], 0, 4)}, struct.pack("<f", np.inf)), "infinity"),
    "json_bomb": (bytes_of(b"[" * 400_000), "nested too deeply|not JSON"),
    "many_arrays": (bytes_of({f"a{i}": entry([0], 0, 0) for i in range(4000)}), "more than 16"),
    "many_digits": (bytes_of(b'{"a": ' + b"9" * 100_000 + b"}"), "not JSON"),
    "twins": (bytes_of(b'{"a": 1, "a": 2}'), "twice"),
    "list": (bytes_of([1, 2]), "not a JSON object"),
    "metadata_of_numbers": (bytes_of({"__metadata__": {"format": 3}}), "not texts"),
    "no_dictionary": (bytes_of({"__metadata__": {"format": "pt"}}), "not a dictionary of nmfaudio"),
    "future": (
        bytes_of({"__metadata__": {"format": "nmfaudio dictionary", "version": "99"}}),
        "'99', newer than this",
    ),
    "pickle": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix", "a pickle"),
    "zip": (b"PK\x03\x04" + b"\x14" * 100, "a zip archive"),
    "wav": (b"RIFF\x24\x08\0\0WAVEfmt ", "an audio file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name(tmp_path, name):
    content, message = HOSTILE[name]
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(content)
    with pytest.raises(DictionaryError, match=message) as told:
        Dictionary.load(path)
    assert str(path) in str(told.value)
    assert len(str(told.value)) < 400 + len(str(path))


def changed(duo, tmp_path, arrays=(), **facts):
    """A file that is well-formed but says something else."""
    path = tmp_path / "changed.safetensors"
    found = {name: getattr(duo, name).T for name in ("templates", "energies", "pitches")} | dict(arrays)
    told = duo._metadata() | {name: json.dumps(fact) for name, fact in facts.items()}
    path.write_bytes(tensorfile.pack(found, told))
    return path


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sources": ["../../etc", "kick"]}, "cannot be part of a file name"),
        ({"sources": ["piano", "a/b"]}, "cannot be part of a file name"),
        ({"sources": [["piano"], "kick"]}, "label|malformed"),
        ({"components": [0, 0, 0, 1, 9]}, "malformed"),
        ({"components": [0, 0, 0, 1, -1]}, "malformed"),
        ({"components": 5}, "malformed"),
        ({"sample_rate": 1e9}, "malformed"),
        ({"sample_rate": 10**12}, "sample_rate"),
        ({"stft": {"n_fft": 1 << 40, "hop_length": 1, "win_length": 1, "window": "hann"}}, "lengths"),
        ({"stft": {"n_fft": 256, "hop_length": 64, "win_length": 256, "window": "no"}}, "no"),
        ({"stft": {"n_fft": 256, "hop_length": 64, "win_length": 256, "window": ["hann", 1]}}, "window|mal"),
        ({"stft": {}}, "malformed"),
        ({"stft": {"n_fft": 512, "hop_length": 64, "win_length": 256, "window": "hann"}}, "neither"),
        ({"exponent": "x"}, "malformed"),
        ({"clips": [{"label": "piano"}]}, "malformed"),
        ({"clips": 3}, "malformed"),
    ],
)
def test_lies_in_the_metadata_are_told(duo, tmp_path, facts, message):
    with pytest.raises(DictionaryError, match=message):
        Dictionary.load(changed(duo, tmp_path, **facts))


def test_negative_templates_in_a_file_are_told(duo, tmp_path):
    arrays = {"templates": -duo.templates.T}
    with pytest.raises(DictionaryError, match="negative"):
        Dictionary.load(changed(duo, tmp_path, arrays))


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(DictionaryError, match="cannot be opened"):
        Dictionary.load(tmp_path / "none.safetensors")
    with pytest.raises(DictionaryError, match="not an ordinary file"):
        Dictionary.load(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.safetensors", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(DictionaryError, match="zip"):
        Dictionary.load(tmp_path / "a.safetensors")


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_no_altered_file_does_anything_but_load_or_be_refused(duo, tmp_path, data):
    whole = bytearray(
        tensorfile.pack({n: getattr(duo, n).T for n in ("templates", "energies", "pitches")}, duo._metadata())
    )
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, header - 1))
        whole[place] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.sampled_from([len(whole), header, data.draw(st.integers(0, len(whole)))]))]
    path = tmp_path / "altered.safetensors"
    path.write_bytes(whole)
    with contextlib.suppress(DictionaryError):  # any other exception is a failure
        Dictionary.load(path)
