"""`nmfaudio live`: its mixer, its command line, and sound through a JACK server without a sound card."""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest

from nmfaudio import STFT, Dictionary
from nmfaudio.cli.live import meters
from nmfaudio.errors import OptionError
from nmfaudio.live.exported import PluginSettings, exported_bytes
from nmfaudio.live.kernel import Kernel
from nmfaudio.live.mixer import Mixer

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or find_spec("ziglang")),
    reason="there is no C compiler: install gcc or the package ziglang",
)
SERVER = f"nmfaudio-live-{os.getpid()}"  # tests in other processes have their own
needs_jack = pytest.mark.skipif(
    not shutil.which("jackd") or find_spec("jack") is None,
    reason="jackd or the package JACK-Client is missing",
)


@pytest.fixture
def duo(tmp_path):
    templates = np.full((1025, 2), 1e-6)
    templates[:100, 0] = templates[500:, 1] = 1
    dictionary = Dictionary(templates, ["low", "high"], 48000, STFT(2048))
    dictionary.save(tmp_path / "duo.safetensors")
    return dictionary


def noise(samples=20000, channels=2):
    return (0.1 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


def test_mutes_gains_and_meters(duo):
    mixer = Mixer(duo, PluginSettings("live"), 48000, 2, {"high": -200.0}, ["low"])
    assert np.abs(mixer.process(noise())).max() < 1e-6
    mixer.toggle(1)
    mixer.toggle(9)
    assert not mixer.is_muted("low")
    assert np.abs(mixer.process(noise())[:, 6000:]).max() > 0.01
    low, high = mixer.levels().values()
    assert high > low > -60
    mixer.toggle(2)
    line = meters(mixer)
    assert line.startswith("1 low [=")
    assert "2 high [muted     ]" in line
    mixer.bypass(True)
    assert "bypassed" in meters(mixer, True)
    assert np.array_equal(mixer.process(noise())[:, 6000:], noise()[:, 6000 - 2048 : -2048])


def test_unknown_sources_are_refused(duo):
    with pytest.raises(OptionError, match="no source 'voice' in the dictionary: it has low, high"):
        Mixer(duo, PluginSettings("live"), 48000, 1, muted=["voice"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "name a dictionary"),
        (("--dictionary", "duo.safetensors", "--gain", "low"), "must be of the form source=dB"),
        (("--dictionary", "duo.safetensors", "--gain", "low=loud"), "must be of the form source=dB"),
        (("--dictionary", "duo.safetensors", "--latency", "zero"), "latency 'zero' is not known"),
    ],
)
def test_wrong_usage(nmfaudio, duo, options, told):
    assert told in nmfaudio("live", *options, check=2).stderr


@needs_jack
def test_without_a_server_the_way_out_is_named(nmfaudio, duo):
    environment = os.environ | {"JACK_DEFAULT_SERVER": "nmfaudio-no-such-server", "JACK_NO_START_SERVER": "1"}
    done = nmfaudio("live", "--dictionary", "duo.safetensors", "--jack", check=1, env=environment)
    assert "no JACK server can be reached" in done.stderr


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", SERVER)
    monkeypatch.setenv("JACK_NO_AUDIO_RESERVATION", "1")
    command = ["jackd", "-r", "-S", "-n", SERVER, "-d", "dummy", "-r", "48000", "-p", "1024"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        subprocess.run(["jack_wait", "-w", "-t", "10"], check=True, capture_output=True)
        yield
    finally:
        process.terminate()
        process.wait(10)


class Loop:
    """A JACK client that plays samples into `nmfaudio` and records what comes back."""

    def __init__(self, samples):
        import jack

        self.samples, self.place, self.recorded = samples, 0, []
        self.client = jack.Client("loop", no_start_server=True)
        self.outputs = [self.client.outports.register(f"o{c}") for c in range(2)]
        self.inputs = [self.client.inports.register(f"i{c}") for c in range(2)]
        self.client.set_process_callback(self.process)

    def process(self, frames):
        part = self.samples[:, self.place : self.place + frames]
        for port, row in zip(self.outputs, part, strict=True):
            port.get_array()[:] = 0
            port.get_array()[: len(row)] = row
        self.recorded.append(np.stack([port.get_array().copy() for port in self.inputs]))
        self.place += frames

    def run(self, seconds):
        with self.client:
            for side, output, entry in zip("lr", self.outputs, self.inputs, strict=True):
                self.client.connect(output, f"nmfaudio:in_{side}")
                self.client.connect(f"nmfaudio:out_{side}", entry)
            time.sleep(seconds)
        return np.concatenate(self.recorded, axis=1)


@needs_jack
def test_sound_through_jack_is_what_the_kernel_gives(tmp_path, duo, server):
    command = [
        sys.executable,
        "-m",
        "nmfaudio",
        "live",
        "--dictionary",
        "duo.safetensors",
        "--jack",
        "--mute",
        "low",
    ]
    process = subprocess.Popen([*command, "--seconds", "4"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert "48000 Hz, latency 2048 samples (43 ms)" in process.stdout.readline()
    silence = np.zeros((2, 24000), np.float32)  # until both directions are connected
    samples = np.concatenate([silence, noise(40000), silence], axis=1)
    recorded = Loop(samples).run(2.2)
    told = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert "came too late" in told
    # Blocks are whole hops, so the kernel's frames fall on the noise as they do behind this many samples.
    wanted = kernel_output(duo, silence.shape[1] % 512)
    size = recorded.shape[1] + wanted.shape[1]
    spectra = [np.fft.rfft(signal[0], size) for signal in (recorded, wanted)]
    shift = int(np.argmax(np.fft.irfft(spectra[0] * np.conj(spectra[1]), size)))
    found = recorded[:, shift : shift + wanted.shape[1]]
    assert found.shape == wanted.shape
    assert np.linalg.norm(found - wanted) < 1e-5 * np.linalg.norm(wanted)


def kernel_output(dictionary, lead):
    """Return what the kernel gives where the noise begins `lead` samples after it."""
    kernel = Kernel(exported_bytes(dictionary, PluginSettings("live")), 48000, 2)
    kernel.controls.gains[0] = 0
    return kernel.process(np.pad(noise(40000), ((0, 0), (lead, 4096))))


@needs_jack
@pytest.mark.skipif(find_spec("sounddevice") is None, reason="the package sounddevice is not installed")
def test_a_sound_card_of_portaudio(nmfaudio, duo, server):
    listed = nmfaudio("live", "--list-devices")
    if listed.returncode and "library" in listed.stderr:
        pytest.skip("PortAudio is not installed")
    if "system (2 in, 2 out" not in listed.stdout:
        pytest.skip("this PortAudio cannot use JACK")
    done = nmfaudio("live", "--dictionary", "duo.safetensors", "--seconds", "1", check=0)
    assert "48000 Hz, latency 2048 samples" in done.stdout
    assert int(done.stdout.splitlines()[-1].split()[0]) > 20
    assert (
        "cannot be used"
        in nmfaudio("live", "--dictionary", "duo.safetensors", "--device", "nosuch", check=1).stderr
    )
