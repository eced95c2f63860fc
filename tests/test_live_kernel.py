"""The kernel in C against its twin in numpy, and what must hold for any input."""

import json
import shutil
import struct
from importlib.util import find_spec

import numpy as np
import pytest

from nmfaudio import STFT, Dictionary, activate
from nmfaudio.errors import DictionaryError
from nmfaudio.live.exported import PluginSettings, exported_bytes
from nmfaudio.live.kernel import Kernel, converted_templates
from nmfaudio.live.reference import Reference, reference_for

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or find_spec("ziglang")),
    reason="there is no C compiler: install gcc or the package ziglang",
)
VARIANTS = ("base", "avx2", "avx512")


def make_dictionary(components=8, sources=2, rate=44100, n_fft=4096, beta=1.0, exponent=1.0, seed=0):
    templates = np.random.default_rng(seed).gamma(0.3, size=(n_fft // 2 + 1, components)) + 1e-6
    labels = [f"source {k * sources // components}" for k in range(components)]
    return Dictionary(templates, labels, rate, STFT(n_fft), beta=beta, magnitude_power=exponent)


def noise(samples, channels=2, seed=1):
    values = np.random.default_rng(seed).standard_normal((channels, samples))
    return (0.1 * values * np.sin(np.arange(samples) / 900)).astype(np.float32)


def decibels(error, against):
    return 20 * np.log10(max(np.linalg.norm(error), 1e-30) / np.linalg.norm(against))


def opened(dictionary, settings, rate, channels, variant=""):
    try:
        return Kernel(exported_bytes(dictionary, settings), rate, channels, variant=variant)
    except DictionaryError as error:
        if "variant" in str(error):
            pytest.skip(f"this machine cannot run {variant}")
        raise


def in_blocks(kernel, samples, sizes):
    """Process in blocks of random sizes, all of `sizes` coming up."""
    generator, parts, done = np.random.default_rng(2), [], 0
    while done < samples.shape[1]:
        stop = done + int(generator.choice(sizes))
        parts.append(kernel.process(np.ascontiguousarray(samples[:, done:stop])))
        done = stop
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("latency", ["low", "normal"])
@pytest.mark.parametrize(("beta", "exponent"), [(1, 1), (0, 2), (2, 1), (1.5, 1.2), (2.5, 1), (-1, 2)])
def test_one_source_equals_the_twin(variant, latency, beta, exponent):
    dictionary, settings = (
        make_dictionary(beta=beta, exponent=exponent),
        PluginSettings("duo", latency),
    )
    kernel, samples = opened(dictionary, settings, 44100, 2, variant), noise(12000)
    kernel.controls.gains[0] = 0
    expected = reference_for(dictionary, settings, 44100).process(samples.astype(float), {"source 0": 0.0})
    assert decibels(kernel.process(samples) - expected, expected) < -100


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_sample_rate(rate, channels):
    dictionary, settings = make_dictionary(), PluginSettings("duo", sharpness=2.5)
    twin, samples = (
        reference_for(dictionary, settings, rate),
        noise(4 * 8192 if rate > 96000 else 12000, channels),
    )
    exported = exported_bytes(dictionary, settings)
    templates = converted_templates(exported, rate, twin.n_fft // 2 + 1, 64)
    assert np.abs(templates.T - twin.dictionary.templates).max() < 1e-6 * templates.max()
    kernel = Kernel(exported, rate, channels)
    kernel.controls.gains[1] = 0.25
    expected = twin.process(samples.astype(float), {"source 1": 0.25})
    assert kernel.latency == twin.n_fft
    assert decibels(kernel.process(samples) - expected, expected) < -100


def test_the_activations_of_the_twin_are_those_of_activate():
    dictionary, settings = make_dictionary(n_fft=2048), PluginSettings("duo", iterations=10)
    twin = Reference(dictionary, settings)
    banded = np.random.default_rng(0).gamma(1, size=len(twin._starts))
    templates = np.add.reduceat(dictionary.templates[: twin._known], twin._starts, axis=0)
    normal = (banded / banded.mean())[:, None]
    found = activate(normal, templates, divergence=1.0, iterations=10, tolerance=0, level=1.0).H[:, 0]
    expected = twin._activations(banded) * len(banded)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_gains_of_one_give_the_delayed_input_for_any_blocks(variant):
    kernel = opened(make_dictionary(), PluginSettings("duo"), 48000, 2, variant)
    samples, late = noise(60000), kernel.latency
    output = in_blocks(kernel, samples, [1, 2, 3, 63, 64, 128, 500, 1000, 8192])
    assert np.abs(output[:, :late]).max() < 1e-7
    assert decibels(output[:, late:] - samples[:, :-late], samples) < -120


def test_blocks_do_not_matter():
    outputs = []
    for sizes in ([1], [64], [8192], [1, 7, 300, 4096]):
        kernel = opened(make_dictionary(), PluginSettings("duo"), 44100, 1)
        kernel.controls.gains[0] = 0
        outputs.append(in_blocks(kernel, noise(20000, 1), sizes))
    for output in outputs[1:]:
        assert np.array_equal(output, outputs[0])


def test_single_sources_sum_to_the_delayed_input():
    dictionary, samples = make_dictionary(12, 3), noise(30000)
    outputs = []
    for source in range(3):
        kernel = opened(dictionary, PluginSettings("trio"), 44100, 2)
        for other in range(3):
            kernel.controls.gains[other] = float(other == source)
        outputs.append(kernel.process(samples))
    late = kernel.latency
    assert decibels(sum(outputs)[:, late:] - samples[:, :-late], samples) < -120


def test_bypass_is_the_delayed_input_bit_by_bit_and_comes_without_a_click():
    kernel, samples = opened(make_dictionary(), PluginSettings("duo"), 44100, 2), noise(40000)
    kernel.controls.gains[0] = kernel.controls.gains[1] = 0.3
    first = kernel.process(np.ascontiguousarray(samples[:, :20000]))
    kernel.controls.bypass = 1
    second = kernel.process(np.ascontiguousarray(samples[:, 20000:]))
    late, output = kernel.latency, np.concatenate([first, second], axis=1)
    assert np.array_equal(output[:, 20600:], samples[:, 20600 - late : -late])
    quiet = np.float32(0.3) * samples[:, : 20010 - late]
    assert np.abs(output[:, late:20010] - quiet).max() < 0.05 * np.abs(samples).max()


def test_gains_change_without_clicks():
    time = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 220 * time).astype(np.float32)[None]
    kernel, parts = opened(make_dictionary(), PluginSettings("duo"), 44100, 1), []
    for start in range(0, 44100, 4410):
        kernel.controls.gains[0] = kernel.controls.gains[1] = float(start // 4410 % 2)
        parts.append(kernel.process(np.ascontiguousarray(tone[:, start : start + 4410])))
    output = np.concatenate(parts, axis=1)[0]
    steps = np.abs(np.diff(output[2048:]))
    assert steps.max() < 1.2 * np.abs(np.diff(tone[0])).max()
    ends = [np.abs(output[start + 4310 : start + 4410]).max() for start in range(0, 44100, 4410)]
    assert max(ends[::2]) < 0.01
    assert min(ends[1::2]) > 0.9


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_bad_numbers_never_come_out_and_never_stick(bad):
    clean = opened(make_dictionary(), PluginSettings("duo"), 44100, 2)
    dirty = opened(make_dictionary(), PluginSettings("duo"), 44100, 2)
    samples = noise(40000)
    spoiled, silenced = samples.copy(), samples.copy()
    spoiled[:, 5000:9000], silenced[:, 5000:9000] = bad, 0
    for kernel in (clean, dirty):
        kernel.controls.gains[0] = 0.5
    output = dirty.process(spoiled)
    assert np.isfinite(output).all()
    assert np.array_equal(output, clean.process(silenced))


@pytest.mark.parametrize("level", [1e-30, 1e-20, 1e-6, 1.0, 1e4])
def test_the_level_of_the_input_does_not_matter(level):
    outputs = []
    for factor in (1.0, level):
        kernel = opened(make_dictionary(), PluginSettings("duo"), 44100, 1)
        kernel.controls.gains[0] = 0
        outputs.append(kernel.process((factor * noise(20000, 1)).astype(np.float32)) / np.float64(factor))
    if level < 1e-12:  # such levels count as silence
        assert np.abs(outputs[1]).max() <= 1.01 * np.abs(noise(20000)).max()
    else:
        assert decibels(outputs[1] - outputs[0], outputs[0]) < -80


def test_two_dictionaries_side_by_side():
    alone = [opened(make_dictionary(seed=s), PluginSettings("duo"), 44100, 1) for s in (0, 1)]
    together = [opened(make_dictionary(seed=s), PluginSettings("duo"), 44100, 1) for s in (0, 1)]
    samples = noise(9000, 1)
    for kernel in (*alone, *together):
        kernel.controls.gains[0] = 0
    expected = [kernel.process(samples) for kernel in alone]
    pieces = [
        [k.process(np.ascontiguousarray(samples[:, i : i + 300])) for k in together]
        for i in range(0, 9000, 300)
    ]
    for number in (0, 1):
        assert np.array_equal(np.concatenate([p[number] for p in pieces], axis=1), expected[number])
    assert not np.array_equal(*expected)


def test_meters_follow_the_sources():
    templates = np.full((1025, 2), 1e-6)
    templates[:100, 0] = templates[500:, 1] = 1
    dictionary = Dictionary(templates, ["low", "high"], 44100, STFT(2048))
    kernel, time = opened(dictionary, PluginSettings("duo"), 44100, 1), np.arange(8192) / 44100
    kernel.process(0.5 * np.sin(2 * np.pi * 440 * time).astype(np.float32)[None])
    low, high = kernel.meters()[:2]
    assert low > 100 * high
    assert 0.05 < low < 2


def test_a_truncated_or_altered_dictionary_is_refused():
    good = exported_bytes(make_dictionary(), PluginSettings("duo"))
    header = int.from_bytes(good[:8], "little")
    for size in (0, 7, 8, 100, header, header + 8, len(good) // 2, len(good) - 1):
        with pytest.raises(DictionaryError, match="refuses"):
            Kernel(good[:size], 44100, 1)
    negative = good[:-4] + np.float32(-1).tobytes()
    templates = good.replace(b"nmfaudio dictionary", b"nmfaudio diction4ry")
    for bad in (templates, b"\xff" * 8 + good[8:], good[: header + 8] + b"\xff" * (len(good) - header - 8)):
        with pytest.raises(DictionaryError, match="refuses"):
            Kernel(bad, 44100, 1)
    Kernel(negative, 44100, 1)  # the last number is one of the pitches, which the plugin does not use


def altered(content, change):
    """Return the bytes of a dictionary whose header, as an object, `change` has altered."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header, header["__metadata__"])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


@pytest.mark.parametrize(
    "change",
    [
        lambda header, facts: header["templates"].update(shape=[8, 2047]),
        lambda header, facts: header["templates"].update(shape=[2049, 8]),
        lambda header, facts: header["templates"].update(shape={}),
        lambda header, facts: header["templates"].update(dtype="F64"),
        lambda header, facts: header["templates"].update(data_offsets=[4, 4 + 4 * 8 * 2049]),
        lambda header, facts: header["templates"].update(data_offsets=[-4, 4 * 8 * 2049 - 4]),
        lambda header, facts: header.pop("templates"),
        lambda header, facts: facts.update(stft='{"n_fft": 8192, "hop_length": 1, "win_length": 4096}'),
        lambda header, facts: facts.update(stft='{"n_fft": 4096, "hop_length": 1, "win_length": 4097}'),
        lambda header, facts: facts.update(stft='{"n_fft": 4096, "hop_length": 1, "win_length": 0}'),
        lambda header, facts: facts.update(sources='["a", "a"]'),
        lambda header, facts: facts.update(sources="[]"),
        lambda header, facts: facts.update(sources='["a/b", "c"]'),
        lambda header, facts: facts.update(sources='["a", "b"'),
        lambda header, facts: facts.update(components="[0, 0, 0, 0, 1, 1, 1, 2]"),
        lambda header, facts: facts.update(components="[0, 0, 0, 0, 1, 1, 1, -1]"),
        lambda header, facts: facts.update(components="[0, 0, 0, 0, 1, 1, 1]"),
        lambda header, facts: facts.update(sample_rate="0"),
        lambda header, facts: facts.update(sample_rate="1e400"),
        lambda header, facts: facts.update(exponent="-1"),
        lambda header, facts: facts.update(beta="4"),
        lambda header, facts: facts.update(version="2"),
        lambda header, facts: facts.update(
            plugin='{"name": "a", "window": 9, "sharpness": 1, "iterations": 3}'
        ),
        lambda header, facts: facts.update(
            plugin='{"name": "a", "window": 0.1, "sharpness": 1, "iterations": 0}'
        ),
        lambda header, facts: facts.update(plugin="7"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(change):
    good = exported_bytes(make_dictionary(), PluginSettings("duo"))
    Kernel(altered(good, lambda header, facts: None), 44100, 1)
    with pytest.raises(DictionaryError, match="the plugin refuses the dictionary: (it|the shape)"):
        Kernel(altered(good, change), 44100, 1)


def test_rates_that_cannot_be_served_are_refused():
    for rate in (0, -1, 500, 1e9, float("nan")):
        with pytest.raises(DictionaryError, match="cannot be used at this sample rate"):
            Kernel(exported_bytes(make_dictionary(), PluginSettings("duo")), rate, 1)
