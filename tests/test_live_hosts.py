"""Exported plugins in real hosts, against the twin in numpy."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
from live_hosts.clap_host import ClapPlugin
from live_hosts.lv2_host import Lv2Plugin

from nmfaudio import STFT, Dictionary
from nmfaudio.live.exported import PluginSettings
from nmfaudio.live.reference import reference_for

pytestmark = pytest.mark.skipif(
    os.name != "posix"
    or not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or find_spec("ziglang")),
    reason="there is no C compiler: install gcc or the package ziglang",
)
RATE, SOURCES = 44100, ("snare", "hi hat", "Bläser 7th")
SERVER = f"nmfaudio-jalv-{os.getpid()}"
FIXED = 5  # control ports of the LV2 plugin before those of the sources


def needs(*commands):
    missing = [command for command in commands if not shutil.which(command)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def needs_package(name):
    return pytest.mark.skipif(find_spec(name) is None, reason=f"the package {name} is not installed")


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


def decibels(error, against):
    return 20 * np.log10(max(np.linalg.norm(error), 1e-30) / np.linalg.norm(against))


@pytest.fixture(scope="module")
def dictionary():
    templates = np.random.default_rng(0).gamma(0.3, size=(2049, 9)) + 1e-6
    return Dictionary(templates, [source for source in SOURCES for _ in range(3)], RATE, STFT(4096))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, dictionary):
    """A folder with a dictionary, its plugins of all formats, and a stereo recording."""
    home = tmp_path_factory.mktemp("live")
    dictionary.save(home / "kit.safetensors")
    values = (
        0.1 * np.random.default_rng(1).standard_normal((30000, 2)) * np.sin(np.arange(30000) / 900)[:, None]
    )
    soundfile.write(home / "in.wav", values.astype(np.float32), RATE, subtype="FLOAT")
    soundfile.write(home / "mono.wav", values[:, 0].astype(np.float32), RATE, subtype="FLOAT")
    command = [
        sys.executable,
        "-m",
        "nmfaudio",
        "export",
        "kit.safetensors",
        "--plugin",
        "lv2,vst3,clap,ladspa",
    ]
    print(run(*command, "-o", "plugins", cwd=home))
    return home


def samples_of(path):
    return np.ascontiguousarray(soundfile.read(path, dtype="float32", always_2d=True)[0].T)


@pytest.fixture(scope="module")
def expected(folder, dictionary):
    """Return a function that gives what the twin makes of the recording, without its delay."""

    def separated(name="in.wav", **gains):
        twin, samples = reference_for(dictionary, PluginSettings("kit"), RATE), samples_of(folder / name)
        late = twin.n_fft
        output = twin.process(np.pad(samples.astype(float), ((0, 0), (0, late))), gains)
        return output[:, late:]

    return separated


def check(output, wanted, late=0, bound=-100):
    """Check an output that comes `late` samples after what is wanted."""
    count = min(output.shape[1] - late, wanted.shape[1])
    assert count > 20000
    assert decibels(output[:, late : late + count] - wanted[:, :count], wanted) < bound


@needs("ffmpeg")
@pytest.mark.parametrize("gain", [-60, 0])
@pytest.mark.parametrize("format", ["ladspa", "lv2"])
def test_ffmpeg(folder, expected, format, gain):
    if f" {format} " not in run("ffmpeg", "-hide_banner", "-filters"):
        pytest.skip(f"this ffmpeg has no {format} filter")
    ladspa = f"ladspa=f=./plugins/ladspa/kit.so:p=kit_stereo:c=c0={gain}"
    lv2 = rf"lv2=p=urn\\:nmfaudio\\:kit\\:stereo:c=snare_gain={gain}"
    target, environment = (
        folder / f"{format}{gain}.wav",
        os.environ | {"LV2_PATH": str(folder / "plugins" / "lv2")},
    )
    line = ["ffmpeg", "-v", "error", "-y", "-i", "in.wav", "-af", ladspa if format == "ladspa" else lv2]
    run(*line, "-c:a", "pcm_f32le", target, cwd=folder, env=environment)
    wanted = expected(snare=0.0) if gain else samples_of(folder / "in.wav")
    check(samples_of(target), wanted, late=2048, bound=-100 if gain else -120)


@needs("ffmpeg", "sox", "lv2apply", "bash")
@pytest.mark.parametrize("format", ["ladspa", "lv2"])
def test_the_lines_that_export_prints(folder, expected, format, tmp_path):
    shutil.copytree(folder, tmp_path / "home")
    command = [sys.executable, "-m", "nmfaudio", "export", "kit.safetensors", "--plugin", format]
    told = run(*command, "-o", "plugins", "--overwrite", cwd=tmp_path / "home")
    lines = [line.strip() for line in told.splitlines() if " in.wav " in line]
    assert len(lines) == 2
    for line in lines:
        (tmp_path / "home" / "out.wav").unlink(missing_ok=True)
        run("bash", "-c", line, cwd=tmp_path / "home", stdin=subprocess.DEVNULL)
        late = 2048 if format == "lv2" else 0
        # Files of 16 bits, whose rounding is louder than any difference.
        check(samples_of(tmp_path / "home" / "out.wav"), expected(snare=0.0), late=late, bound=-55)


@needs("sox")
@pytest.mark.parametrize(("name", "plugin"), [("in.wav", "kit_stereo"), ("mono.wav", "kit_mono")])
def test_sox(folder, expected, name, plugin):
    line = [
        "sox",
        name,
        "-b",
        "32",
        "-e",
        "floating-point",
        "sox.wav",
        "ladspa",
        "-l",
        "plugins/ladspa/kit.so",
        plugin,
    ]
    run(*line, "0", "-60", "0", cwd=folder)
    check(samples_of(folder / "sox.wav"), expected(name, **{"hi hat": 0.0}))


@needs("lv2apply", "lv2bench", "lv2ls")
def test_lilv(folder, expected):
    environment = os.environ | {"LV2_PATH": str(folder / "plugins" / "lv2")}
    uri = "urn:nmfaudio:kit:stereo"
    assert uri in run("lv2ls", env=environment)
    run(
        "lv2apply",
        "-i",
        "in.wav",
        "-o",
        "apply.wav",
        "-c",
        "hi_hat_solo",
        "1",
        uri,
        cwd=folder,
        env=environment,
    )
    alone = {source: 0.0 for source in SOURCES if source != "hi hat"}
    check(samples_of(folder / "apply.wav"), expected(**alone), late=2048)
    assert "kit:stereo" in run("lv2bench", env=environment)


@needs("lv2_validate", "sord_validate")
def test_the_bundle_is_valid_turtle_and_valid_lv2(folder):
    bundle = folder / "plugins" / "lv2" / "kit.lv2"
    assert "Found 0 errors" in run("lv2_validate", bundle / "manifest.ttl", bundle / "kit.ttl")


@needs("sordi")
def test_the_bundle_is_valid_turtle(folder):
    for path in (folder / "plugins" / "lv2" / "kit.lv2").glob("*.ttl"):
        assert "urn:nmfaudio:kit:stereo" in run("sordi", path)


@needs("analyseplugin")
def test_ladspa_ports_are_named_after_the_sources(folder):
    told = run("analyseplugin", folder / "plugins" / "ladspa" / "kit.so")
    for source in SOURCES:
        assert f'"{source} (dB)" input, control, -60 to 12, default 0' in told
        assert f'"{source} solo" input, control, toggled' in told


@needs_package("pedalboard")
def test_pedalboard(folder, expected):
    import pedalboard

    plugin = pedalboard.load_plugin(str(folder / "plugins" / "vst3" / "kit.vst3"))
    samples = samples_of(folder / "in.wav")
    check(plugin(samples, RATE), samples, bound=-120)
    plugin.snare_db = -60.0
    check(plugin(samples, RATE), expected(snare=0.0))
    mono = pedalboard.load_plugin(str(folder / "plugins" / "vst3" / "kit.vst3"))
    mono.snare_mute = True
    check(mono(samples[:1], RATE), expected("mono.wav", snare=0.0))
    state = plugin.raw_state
    other = pedalboard.load_plugin(str(folder / "plugins" / "vst3" / "kit.vst3"))
    other.raw_state = state
    assert np.array_equal(other(samples, RATE), plugin(samples, RATE))
    other.bypass = True
    assert np.array_equal(other(samples, RATE)[:, 4096:20000], samples[:, 4096:20000])


@needs_package("dawdreamer")
def test_dawdreamer(folder, expected):
    import dawdreamer

    samples = samples_of(folder / "in.wav")
    for gain, wanted, bound in ((0.0, samples, -120), (-60.0, expected(snare=0.0), -100)):
        engine = dawdreamer.RenderEngine(RATE, 512)
        plugin = engine.make_plugin_processor("kit", str(folder / "plugins" / "vst3" / "kit.vst3"))
        plugin.set_parameter(0, (gain + 60) / 72)
        playback = engine.make_playback_processor("in", samples)
        engine.load_graph([(playback, []), (plugin, ["in"])])
        engine.render(samples.shape[1] / RATE)
        check(engine.get_audio(), wanted, late=2048, bound=bound)


@needs_package("pedalboard")
def test_a_session_without_the_dictionary_file(folder, tmp_path):
    import pedalboard

    shutil.copytree(folder / "plugins" / "vst3", tmp_path / "vst3")
    (tmp_path / "vst3" / "kit.vst3" / "Contents" / "Resources" / "kit.safetensors").unlink()
    whole = pedalboard.load_plugin(str(folder / "plugins" / "vst3" / "kit.vst3"))
    broken = pedalboard.load_plugin(str(tmp_path / "vst3" / "kit.vst3"))
    samples = samples_of(folder / "in.wav")
    assert "no dictionary" in broken.name
    assert broken.no_dictionary
    assert np.abs(broken(samples, RATE)).max() == 0
    whole.snare_db = -60.0
    broken.raw_state = whole.raw_state
    assert np.array_equal(broken(samples, RATE), whole(samples, RATE))


def blocks(plugin, samples, sizes):
    parts, place, generator = [], 0, np.random.default_rng(3)
    while place < samples.shape[1]:
        stop = place + int(generator.choice(sizes))
        parts.append(plugin.process(np.ascontiguousarray(samples[:, place:stop])))
        place = stop
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(("name", "channels"), [("in.wav", 2), ("mono.wav", 1)])
def test_clap(folder, expected, name, channels):
    samples = samples_of(folder / name)
    plugin = ClapPlugin(folder / "plugins" / "clap" / "kit.clap", channels)
    assert plugin.descriptor.name == b"kit"
    assert list(plugin.parameters)[:3] == list(SOURCES)
    plugin.activate(RATE)
    assert plugin.latency == 2048
    check(blocks(plugin, samples, [1, 64, 500, 8192]), samples, late=2048, bound=-120)
    plugin.deactivate()
    plugin.activate(RATE)
    check(plugin.process(samples, snare=-60.0), expected(name, snare=0.0), late=2048)
    assert plugin.text("snare", -6.0) == "-6.0 dB"
    plugin.deactivate()
    plugin.close()


def test_clap_keeps_the_dictionary_in_its_state(folder, tmp_path):
    shutil.copy(folder / "plugins" / "clap" / "kit.clap", tmp_path)
    samples = samples_of(folder / "in.wav")
    whole = ClapPlugin(folder / "plugins" / "clap" / "kit.clap")
    broken = ClapPlugin(tmp_path / "kit.clap")
    assert broken.descriptor.name == b"kit (no dictionary)"
    broken.activate(RATE)
    assert np.abs(broken.process(samples)).max() == 0
    assert broken.value("No dictionary") == 1
    whole.activate(RATE)
    output = whole.process(samples, snare=-60.0, Sharpness=2.0)
    state = whole.save()
    for size in (0, 7, 100, 412, len(state) // 2, len(state) - 1):
        assert not broken.load(state[:size])
    assert not broken.load(b"\xff" * len(state))
    assert broken.value("No dictionary") == 1
    assert broken.load(state)
    assert broken.value("No dictionary") == 0
    assert (broken.value("snare"), broken.value("Sharpness")) == (-60, 2)
    assert np.array_equal(broken.process(samples), output)
    for plugin in (whole, broken):
        plugin.deactivate()
        plugin.close()


def test_lv2_state_and_status(folder, tmp_path, dictionary):
    bundle = folder / "plugins" / "lv2" / "kit.lv2"
    samples = samples_of(folder / "in.wav")
    (tmp_path / "missing").mkdir()
    shutil.copy(bundle / "kit.so", tmp_path / "missing")
    whole, broken = Lv2Plugin(bundle / "kit.so"), Lv2Plugin(tmp_path / "missing" / "kit.so")
    assert (whole.uri, broken.uri) == ("urn:nmfaudio:kit:stereo",) * 2
    for plugin in (whole, broken):
        plugin.set(FIXED, -60.0)
    output = whole.process(samples)
    assert np.abs(broken.process(samples)).max() == 0
    assert (whole.get(4), broken.get(4), whole.get(3)) == (0, 1, 2048)
    state = whole.save()
    assert not broken.restore(state[:-1])
    assert broken.restore(state)
    assert np.array_equal(broken.process(samples), output)
    assert broken.get(4) == 0
    other = dictionary.without("snare")
    other.save(tmp_path / "kit.safetensors")
    shutil.copy(bundle / "kit.so", tmp_path)
    plugin = Lv2Plugin(tmp_path / "kit.so")
    assert not plugin.restore(state)
    for opened in (whole, broken, plugin):
        opened.close()


def test_lv2_blocks_of_any_size_bypass_and_reconfiguration(folder):
    samples = samples_of(folder / "in.wav")
    for rate, late in ((44100, 2048), (96000, 4096), (8000, 512)):
        plugin = Lv2Plugin(folder / "plugins" / "lv2" / "kit.lv2" / "kit.so", rate)
        output = blocks(plugin, samples, [1, 2, 63, 1024, 8192])
        check(output, samples, late=late, bound=-120)
        assert plugin.get(3) == late
        plugin.set(0, 0.0)
        bypassed = blocks(plugin, samples, [1, 500])
        assert np.array_equal(bypassed[:, late + 2000 :], samples[:, 2000:-late])
        plugin.close()


@needs("jackd", "jalv", "jack_lsp")
def test_jalv_under_jack(folder):
    environment = os.environ | {
        "LV2_PATH": str(folder / "plugins" / "lv2"),
        "JACK_DEFAULT_SERVER": SERVER,
        "JACK_NO_AUDIO_RESERVATION": "1",
    }
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    server = subprocess.Popen(
        ["jackd", "-r", "-n", SERVER, "-d", "dummy", "-r", "48000", "-p", "256"], **quiet
    )
    try:
        run("jack_wait", "-w", "-t", "10", env=environment)
        host = subprocess.Popen(["jalv", "urn:nmfaudio:kit:stereo"], stdin=subprocess.PIPE, **quiet)
        try:
            for _ in range(50):
                ports = run("jack_lsp", env=environment)
                if "out_r" in ports:
                    break
                subprocess.run(["sleep", "0.1"], check=True)
            assert {"in_l", "in_r", "out_l", "out_r"} <= {
                line.rpartition(":")[2] for line in ports.splitlines()
            }
            assert host.poll() is None
        finally:
            host.terminate()
            host.wait(10)
            host.stdin.close()
    finally:
        server.terminate()
        server.wait(10)
