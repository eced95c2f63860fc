"""The report in Python: which passage it plays, what it embeds, what it draws, and what it refuses."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import sound

from nmfaudio import Audio, Encoding, separate
from nmfaudio.errors import InputError, OutputError
from nmfaudio.models.components import without_templates
from nmfaudio.pipeline.component_sounds import component_sounds, in_memory
from nmfaudio.report import page as page_module
from nmfaudio.report import pictures, preview, sounds
from nmfaudio.report.document import Subject, document
from nmfaudio.report.making import write_report
from nmfaudio.report.page import SCRIPTS, html_page, json_for_html
from nmfaudio.report.preview import Preview, choose_preview
from nmfaudio.report.sounds import encode_sounds
from nmfaudio.sound.preview_encoding import PreviewEncoder, as_vorbis, lossless_encoding
from nmfaudio.sound.stft import STFT

RATE = 8000
RESOURCES = Path(page_module.__file__).parent / "resources"


@pytest.fixture(scope="module")
def subject():
    samples = sound(2, channels=2)
    separation = separate(Audio(samples, RATE), "blind", sources=2, components=5, iterations=10)
    return Subject(separation.stems, separation.components, {"input": {"file": "song.wav"}}, "separated/song")


def whole(subject):
    return choose_preview(subject.stems)


def decoded(item):
    samples, rate = soundfile.read(io.BytesIO(item.content), always_2d=True)
    assert rate == RATE
    return samples.T * item.scale


def test_integers_are_embedded_exactly_and_vorbis_keeps_the_length():
    integers = np.random.default_rng(0).integers(-(2**15), 2**15, (2, 5000)) / 2**15
    with PreviewEncoder(lossless_encoding(RATE), RATE, 2, precision=16) as encoder:
        encoder.write(integers[:, :1234])
        encoder.write(integers[:, 1234:])
    samples, _ = soundfile.read(io.BytesIO(encoder.content), always_2d=True)
    np.testing.assert_array_equal(samples.T, integers)
    compressed, rate = soundfile.read(io.BytesIO(as_vorbis(encoder.content, 0.5)))
    assert (len(compressed), rate) == (5000, RATE)
    assert lossless_encoding(700_000).format == "WAV"


def test_short_recordings_are_played_whole_and_the_loudest_passage_of_long_ones(monkeypatch):
    monkeypatch.setattr(preview, "_MOST_VALUES", 2 * RATE)
    quiet = np.full((1, 7 * RATE), 0.01)
    loud = quiet.copy()
    loud[:, 4 * RATE : 5 * RATE] = 0.5
    stems = {"a": Audio(quiet, RATE), "b": Audio(loud, RATE)}
    chosen = choose_preview(stems)
    assert chosen.stop - chosen.start == 2 * RATE
    assert chosen.start <= 4 * RATE
    assert chosen.stop >= 5 * RATE
    assert not chosen.is_whole
    assert choose_preview({"a": Audio(quiet[:, :RATE], RATE)}).is_whole
    assert choose_preview(stems, -3.0, -2.5).seconds == (4.0, 4.5)
    assert choose_preview(stems, 1.0).seconds == (1.0, 3.0)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [(5.0, 4.0, "must lie within"), (0.0, 9.0, "must lie within"), (1.0, 1.001, "too short")],
)
def test_passages_outside_the_stems_are_refused(start, end, message):
    with pytest.raises(InputError, match=message):
        choose_preview({"a": Audio(np.zeros((1, 7 * RATE)), RATE)}, start, end)


def test_a_passage_beyond_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(preview, "_MOST_VALUES", 2 * RATE)
    with pytest.raises(InputError, match="longer than the 2 s that a report plays"):
        choose_preview({"a": Audio(np.zeros((1, 7 * RATE)), RATE)}, 1.0, 4.0)


@pytest.mark.parametrize("passage", [(0, 16000), (3001, 9002), (12000, 16000)], ids=str)
def test_parts_of_a_passage_are_those_of_the_whole_stems(subject, passage):
    components = subject.components
    names = {part.number: part.name for part in components.parts}
    expected = in_memory(component_sounds(subject.stems, components), list(names.values()))
    encoded = encode_sounds(subject.stems, components, Preview(*passage, RATE, 16000))
    assert encoded.is_lossless
    assert len(encoded.parts) == len(names) - len(subject.stems)
    for number, item in encoded.parts.items():
        wanted = expected[names[number]][:, slice(*passage)]
        np.testing.assert_allclose(decoded(item), wanted, atol=item.scale * 2.0**-16)
        assert encoded.part_energies[number] == pytest.approx((wanted**2).sum())
    for name, item in encoded.stems.items():
        wanted = subject.stems[name].samples[:, slice(*passage)]
        np.testing.assert_allclose(decoded(item), wanted, atol=item.scale * 2.0**-24)


def test_the_loudest_part_of_a_stem_is_not_embedded(subject):
    encoded = encode_sounds(subject.stems, subject.components, whole(subject))
    for name in subject.stems:
        numbers = [part.number for part in subject.components.parts if part.source == name]
        loudest = max(numbers, key=lambda number: encoded.part_energies[number])
        assert set(numbers) - set(encoded.parts) == {loudest}


def test_parts_lose_before_stems_do_and_everything_fits(subject, monkeypatch):
    exact = encode_sounds(subject.stems, subject.components, whole(subject))
    stem_bytes = sum(len(item.content) for item in exact.stems.values())
    monkeypatch.setattr(sounds, "ROOM_BYTES", stem_bytes + 60_000)
    lossy_parts = encode_sounds(subject.stems, subject.components, whole(subject))
    assert {item.encoding.format for item in lossy_parts.parts.values()} == {"OGG"}
    assert {item.encoding.format for item in lossy_parts.stems.values()} == {"FLAC"}
    assert "Stems are embedded without loss" in sounds.describe(lossy_parts)
    monkeypatch.setattr(sounds, "ROOM_BYTES", 60_000)
    lossy = encode_sounds(subject.stems, subject.components, whole(subject))
    everything = [*lossy.stems.values(), *lossy.parts.values()]
    assert {item.encoding.format for item in everything} == {"OGG"}
    assert sum(len(item.content) for item in everything) <= 60_000


def test_parts_are_compressed_again_where_more_bits_were_needed_than_expected(subject, monkeypatch):
    exact = encode_sounds(subject.stems, subject.components, whole(subject))
    monkeypatch.setattr(sounds, "ROOM_BYTES", 20_000)
    monkeypatch.setattr(sounds, "_STEM_RATE", 0)
    monkeypatch.setattr(sounds, "_RATES", ((0.1, 1),))
    lossy = encode_sounds(subject.stems, subject.components, whole(subject))
    for number, item in lossy.parts.items():
        assert len(item.content) == len(as_vorbis(exact.parts[number].content, 1.0))


def test_more_than_two_channels_are_played_as_their_mean():
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 4000))
    components = without_templates(
        ("a",), STFT(256), sample_rate=RATE, channels=3, frames=STFT(256).frames(4000)
    )
    stems = {"a": Audio(samples, RATE, Encoding("WAV", "PCM_16"))}
    encoded = encode_sounds(stems, components, choose_preview(stems))
    assert encoded.channels == 1
    np.testing.assert_allclose(decoded(encoded.stems["a"]), samples.mean(axis=0)[None], atol=2.0**-15)


def test_a_tone_is_drawn_at_its_time_and_frequency():
    tone = np.zeros((1, 4 * RATE))
    tone[:, 2 * RATE : 3 * RATE] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    drawn = pictures.spectrogram({"a": Audio(tone, RATE)}, Preview(0, 4 * RATE, RATE, 4 * RATE))
    levels = np.frombuffer(base64.b64decode(drawn["levels"]), np.uint8).reshape(
        drawn["rows"], drawn["columns"]
    )
    row, column = np.unravel_index(levels.argmax(), levels.shape)
    hertz = drawn["low"] * (drawn["high"] / drawn["low"]) ** ((row + 0.5) / drawn["rows"])
    assert hertz == pytest.approx(1000, rel=0.04)
    assert 2 <= column * drawn["seconds"] <= 3
    assert levels.max() == 255
    assert levels[:, : int(1.8 / drawn["seconds"])].max() == 0


def test_templates_and_activations_are_drawn_in_full(subject):
    components = subject.components
    drawn = pictures.template(components, 0)
    assert (drawn["channels"], drawn["lags"]) == components.templates.shape[1::2]
    assert len(base64.b64decode(drawn["levels"])) == drawn["channels"] * drawn["lags"] * drawn["rows"]
    active = pictures.activation(components, 0, whole(subject))
    values = np.frombuffer(base64.b64decode(active["values"]), np.uint8)
    loudest = components.activations[0].max(axis=0).argmax()
    assert values.argmax() * active["seconds"] + active["start"] == pytest.approx(
        components.times[loudest], abs=active["seconds"]
    )


def test_the_data_in_the_page_are_what_the_document_says(subject):
    scored = replace(subject, scores={"x": {"SDR": float("inf")}})
    made = document(scored, whole(subject))
    page = html_page(made)
    data = json.loads(re.search(r'<script type="application/json" id="data">([^<]*)</script>', page)[1])
    assert data == json.loads(json.dumps(made.content))
    assert data["scores"]["rows"] == [{"stem": "x", "values": [None]}]
    assert sum(stem["share"] for stem in data["stems"]) == pytest.approx(1)
    assert sum(part["share"] for part in data["parts"]) == pytest.approx(1)
    assert [part["number"] for part in data["parts"]] == [1, 2, 3, 4, 5]
    assert "default-src 'none'" in page
    assert not re.search(r"https?://(?!example)", page)


def test_json_cannot_end_its_script():
    value = {"</script><!--": "\u2028\udcff&"}
    text = json_for_html(value)
    assert "<" not in text
    assert "&" not in text
    assert text.isascii()
    assert json.loads(text) == value


def test_no_script_makes_markup_of_texts():
    scripts = [path.read_text() for path in RESOURCES.glob("*.js")]
    assert len(scripts) == len(SCRIPTS)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
        assert not any(word in script for script in scripts), word


def test_existing_and_impossible_files_are_refused(subject, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputError, match="overwrite=True"):
        write_report(subject, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == "mine"
    with pytest.raises(OutputError, match="does not exist"):
        write_report(subject, tmp_path / "none" / "report.html")


def test_components_of_other_stems_are_refused(subject, tmp_path):
    shorter = {name: stem.cut(0, 8000) for name, stem in subject.stems.items()}
    with pytest.raises(InputError, match=r"separated/song: its components .* do not fit its stems"):
        write_report(replace(subject, stems=shorter), tmp_path / "report.html")
    mixed = dict(zip(subject.stems, [*shorter.values()][:1] + [*subject.stems.values()][1:], strict=True))
    with pytest.raises(InputError, match="differ in length"):
        write_report(replace(subject, stems=mixed), tmp_path / "report.html")
    renamed = dict(zip("ab", subject.stems.values(), strict=True))
    with pytest.raises(InputError, match="no components of the stem 'a'"):
        write_report(replace(subject, stems=renamed), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "samples", [np.zeros((1, 4000)), np.full((1, 1), 0.5)], ids=["silence", "one sample"]
)
def test_silence_and_one_sample_have_reports(samples, tmp_path):
    separation = separate(Audio(samples, RATE), "blind", sources=2, components=3, iterations=3)
    write_report(Subject(separation.stems, separation.components, {}, "folder"), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000
