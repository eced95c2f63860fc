import contextlib
import dataclasses
import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from nmfaudio import STFT, Dictionary
from nmfaudio.dictionaries.format import ARRAYS, Clip, metadata_of
from nmfaudio.dictionaries.labels import check_label
from nmfaudio.disk import tensorfile
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


def test_equal_dictionaries_give_equal_files(duo, tmp_path):
    first, second = (duo.save(tmp_path / f"{n}.safetensors").read_bytes() for n in (1, 2))
    assert first == second


def test_the_package_safetensors_reads_our_files_and_we_read_its_files(duo, tmp_path):
    with safe_open(duo.save(tmp_path / "ours.safetensors"), "np") as theirs:
        assert theirs.metadata()["format"] == "nmfaudio dictionary"
        arrays = {name: theirs.get_tensor(name) for name in theirs.keys()}  # noqa: SIM118
        save_file(arrays, tmp_path / "theirs.safetensors", theirs.metadata())
    assert arrays["templates"].T.tobytes() == duo.templates.tobytes()
    assert Dictionary.load(tmp_path / "theirs.safetensors") == duo


def test_the_fingerprint_changes_with_all_that_affects_stems(duo, tmp_path):
    loaded = Dictionary.load(duo.save(tmp_path / "duo.safetensors"))
    assert loaded.fingerprint() == duo.fingerprint()
    assert dataclasses.replace(duo, clips=(), seed=8).fingerprint() == duo.fingerprint()
    templates = duo.templates.copy()
    templates[[3, 4], 0] = templates[[4, 3], 0]
    changes = (
        {"templates": templates},
        {"labels": ("piano", "piano", "kick", "kick", "kick")},
        {"sample_rate": 16000},
        {"stft": STFT(256, 32)},
        {"magnitude_power": 2.0},
        {"beta": 0.0},
        {"pitches": np.zeros(5)},
        {"energies": np.ones(5)},
    )
    prints = {dataclasses.replace(duo, **change).fingerprint() for change in changes}
    assert len(prints | {duo.fingerprint()}) == len(changes) + 1


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


def test_join_converts_and_refuses_duplicates(duo):
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
        "invalid shape or position",
    ),
    "huge_header": (bytes_of({}, length=1 << 60), "declares a header of"),
    "truncated": (bytes_of({"templates": entry([4, 4], 0, 64)}, b"\0" * 10), "cut short"),
    "too_long": (bytes_of({"templates": entry([1], 0, 4)}, b"\0" * 10), "but it has 10"),
    "overlapping": (
        bytes_of({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, b"\0" * 12),
        "begins at 4, not at 8",
    ),
    "wrong_shape": (bytes_of({"templates": entry([3], 0, 64)}, b"\0" * 64), "cannot lie in 64 bytes"),
    "negative_shape": (bytes_of({"templates": entry([-4, -4], 0, 64)}, b"\0" * 64), "invalid shape"),
    "wrong_type": (bytes_of({"templates": entry([4], 0, 16, "F16")}, b"\0" * 16), "type 'F16'"),
    "json_bomb": (bytes_of(b"[" * 400_000), "nested too deeply|not JSON"),
    "many_arrays": (bytes_of({f"a{i}": entry([0], 0, 0) for i in range(4000)}), "more than 16"),
    "many_digits": (bytes_of(b'{"a": ' + b"9" * 100_000 + b"}"), "not JSON"),
    "duplicates": (bytes_of(b'{"a": 1, "a": 2}'), "twice"),
    "list": (bytes_of([1, 2]), "not a JSON object"),
    "metadata_of_numbers": (bytes_of({"__metadata__": {"format": 3}}), "not texts with names"),
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
    found = {name: getattr(duo, name).T for name in ARRAYS} | dict(arrays)
    told = metadata_of(vars(duo)) | {name: json.dumps(fact) for name, fact in facts.items()}
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
        (
            {"stft": {"n_fft": 1 << 40, "hop_length": 1, "win_length": 1, "window": "hann"}},
            "lengths of its windows",
        ),
        ({"stft": {"n_fft": 256, "hop_length": 64, "win_length": 256, "window": "no"}}, "no"),
        ({"stft": {"n_fft": 256, "hop_length": 64, "win_length": 256, "window": ["hann", 1]}}, "window|mal"),
        ({"stft": {}}, "malformed"),
        (
            {"stft": {"n_fft": 512, "hop_length": 64, "win_length": 256, "window": "hann"}},
            "does not fit its labels",
        ),
        ({"exponent": "x"}, "malformed"),
        ({"clips": [{"label": "piano"}]}, "malformed"),
        ({"clips": 3}, "malformed"),
    ],
)
def test_lies_in_the_metadata_are_told(duo, tmp_path, facts, message):
    with pytest.raises(DictionaryError, match=message):
        Dictionary.load(changed(duo, tmp_path, **facts))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1.0, "negative numbers"),
        (np.nan, "'templates' holds NaN"),
        (np.inf, "or infinity"),
        (-np.inf, "infinity"),
    ],
)
def test_a_bad_number_in_a_file_is_told(duo, tmp_path, value, message, monkeypatch):
    monkeypatch.setattr(tensorfile, "_NUMBERS_AT_A_TIME", 100)
    for place in ((0, 0), (4, 128)):
        templates = duo.templates.T.copy()
        templates[place] = value
        with pytest.raises(DictionaryError, match=message):
            Dictionary.load(changed(duo, tmp_path, {"templates": templates}))


def test_a_silent_template_in_a_file_is_told(duo, tmp_path):
    templates = duo.templates.T.copy()
    templates[3] = 0
    with pytest.raises(DictionaryError, match="template 4 is silent: learn the dictionary again"):
        Dictionary.load(changed(duo, tmp_path, {"templates": templates}))


def test_no_array_is_read_of_a_file_that_is_no_dictionary(duo, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorfile.Content, "arrays", lambda _: pytest.fail("arrays were read"))
    for facts in ({"sources": ["a/b", "kick"]}, {"seed": -1}, {"stft": {}}, {"clips": [{}]}):
        with pytest.raises(DictionaryError):
            Dictionary.load(changed(duo, tmp_path, **facts))


def test_arrays_of_other_sizes_and_deep_metadata_are_told(duo, tmp_path):
    for name in ("energies", "pitches"):
        with pytest.raises(DictionaryError, match="must have the shape"):
            Dictionary.load(changed(duo, tmp_path, {name: np.ones(4, np.float32)}))
    path = tmp_path / "deep.safetensors"
    told = metadata_of(vars(duo)) | {"clips": "[" * 200_000}
    path.write_bytes(tensorfile.pack({name: getattr(duo, name).T for name in ARRAYS}, told))
    with pytest.raises(DictionaryError, match="malformed"):
        Dictionary.load(path)


def test_files_that_are_too_large_or_shrink_are_told(tmp_path):
    path = tmp_path / "large.safetensors"
    path.touch()
    os.truncate(path, tensorfile.LARGEST_FILE + 1)
    with pytest.raises(DictionaryError, match="bytes, more than the limit"):
        Dictionary.load(path)
    shrunk = tensorfile.Content({}, {"a": (2,)}, io.BytesIO(bytes(7)))
    with pytest.raises(tensorfile._Malformed, match="ends within array 'a'"):
        shrunk.arrays()


def test_windows_that_take_long_to_check_are_refused(duo, tmp_path):
    stft = {"n_fft": 1 << 17, "hop_length": 1, "win_length": 1 << 17, "window": "hann"}
    arrays = {"templates": np.ones((5, (1 << 16) + 1), np.float32)}
    with pytest.raises(DictionaryError, match="more than 128 times as long as its hop_length"):
        Dictionary.load(changed(duo, tmp_path, arrays, stft=stft))


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
    whole = bytearray(tensorfile.pack({n: getattr(duo, n).T for n in ARRAYS}, metadata_of(vars(duo))))
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1) | st.integers(0, header - 1))
        whole[place] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.sampled_from([len(whole), header, data.draw(st.integers(0, len(whole)))]))]
    path = tmp_path / "altered.safetensors"
    path.write_bytes(whole)
    with contextlib.suppress(DictionaryError):  # any other exception is a failure
        Dictionary.load(path)


texts = st.text(max_size=12)
numbers = st.integers(-(1 << 70), 1 << 70) | st.floats() | st.none() | st.booleans()
anything = st.recursive(
    texts | numbers, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)
FACTS = ("sources", "components", "sample_rate", "stft", "exponent", "beta", "seed", "clips", "version")


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(header=st.dictionaries(texts | st.just("__metadata__"), anything, max_size=4), facts=st.data())
def test_no_header_does_anything_but_load_or_be_refused(duo, tmp_path, header, facts):
    arbitrary = tmp_path / "arbitrary.safetensors"
    arbitrary.write_bytes(bytes_of(header, bytes(16)))
    with pytest.raises(DictionaryError):
        Dictionary.load(arbitrary)
    changes = {facts.draw(st.sampled_from(FACTS)): facts.draw(anything)}
    with contextlib.suppress(DictionaryError):
        Dictionary.load(changed(duo, tmp_path, **changes))
