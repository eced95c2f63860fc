"""`nmfaudio export`: what it writes, what it says, what it refuses."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from nmfaudio import STFT, Audio, Dictionary, make, separate
from nmfaudio.errors import OptionError, OutputError
from nmfaudio.live import build, compilers, usage
from nmfaudio.live.bundles import Export, parse_formats, slug_of, user_folder, write_files
from nmfaudio.live.exported import PluginSettings, exported_bytes
from nmfaudio.live.kernel import Kernel
from nmfaudio.live.turtle import symbols

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or find_spec("ziglang")),
    reason="there is no C compiler: install gcc or the package ziglang",
)


@pytest.fixture
def duo(tmp_path):
    templates = np.random.default_rng(0).gamma(0.3, size=(1025, 4)) + 1e-6
    dictionary = Dictionary(templates, ["snare", "snare", "rest", "rest"], 44100, STFT(2048))
    dictionary.save(tmp_path / "duo.safetensors")
    return dictionary


def test_all_formats(nmfaudio, tmp_path, duo):
    done = nmfaudio("export", "duo.safetensors", "--plugin", "lv2,vst3,clap,ladspa", "-o", "plugins", check=0)
    written = {
        str(p.relative_to(tmp_path / "plugins")) for p in (tmp_path / "plugins").rglob("*") if p.is_file()
    }
    if sys.platform == "linux" and os.uname().machine == "x86_64":
        assert written == {
            "lv2/duo.lv2/manifest.ttl",
            "lv2/duo.lv2/duo.ttl",
            "lv2/duo.lv2/duo.so",
            "lv2/duo.lv2/duo.safetensors",
            "vst3/duo.vst3/Contents/x86_64-linux/duo.so",
            "vst3/duo.vst3/Contents/Resources/duo.safetensors",
            "clap/duo.clap",
            "clap/duo.safetensors",
            "ladspa/duo.so",
            "ladspa/duo.safetensors",
        }
    for word in ("ffmpeg -i in.wav", "sox in.wav", "lv2apply", "VST3", "CLAP"):
        assert word in done.stdout
    assert Dictionary.load(tmp_path / "plugins" / "ladspa" / "duo.safetensors") == duo


def test_install_goes_to_the_folders_of_the_user(nmfaudio, tmp_path, duo):
    home = tmp_path / "home"
    shared = build.shared_object()  # before the home folder, and with it the cache, is another
    environment = os.environ | {"HOME": str(home), "NMFAUDIO_CACHE": str(shared.parent)}
    if sys.platform != "linux":
        pytest.skip("other systems have other folders")
    nmfaudio("export", "duo.safetensors", "--plugin", "vst3,lv2", "--install", "-q", check=0, env=environment)
    assert (home / ".vst3" / "duo.vst3").is_dir()
    assert (home / ".lv2" / "duo.lv2" / "manifest.ttl").exists()


def test_what_exists_is_not_replaced_unless_told(nmfaudio, tmp_path, duo):
    nmfaudio("export", "duo.safetensors", "-o", "plugins", "-q", check=0)
    before = (tmp_path / "plugins" / "lv2" / "duo.lv2" / "duo.safetensors").read_bytes()
    done = nmfaudio("export", "duo.safetensors", "-o", "plugins", "--latency", "low", check=1)
    assert re.search(r"exists: choose another --name, or replace it with --overwrite", done.stderr)
    assert (tmp_path / "plugins" / "lv2" / "duo.lv2" / "duo.safetensors").read_bytes() == before
    nmfaudio("export", "duo.safetensors", "-o", "plugins", "--latency", "low", "--overwrite", check=0)
    assert (tmp_path / "plugins" / "lv2" / "duo.lv2" / "duo.safetensors").read_bytes() != before
    assert {p.name for p in (tmp_path / "plugins" / "lv2").iterdir()} == {"duo.lv2"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "either -o FOLDER or --install"),
        (("-o", "p", "--install"), "either -o FOLDER or --install"),
        (
            ("-o", "p", "--plugin", "vst2"),
            "plugin format 'vst2' is not known: use one of lv2, vst3, clap, ladspa",
        ),
        (("-o", "p", "--plugin", ","), "plugin format ',' is not known"),
        (("-o", "p", "--latency", "none"), "latency 'none' is not known: use one of low, normal"),
        (("-o", "p", "--iterations", "0"), "iterations=0: it must lie within 1 and 100"),
        (("-o", "p", "--sharpness", "9"), "sharpness=9.0: it must lie within 0.5 and 4"),
        (("-o", "p", "--name", "///"), "a plugin's name needs 1 to 60 letters"),
    ],
)
def test_wrong_usage(nmfaudio, tmp_path, duo, options, told):
    assert told in nmfaudio("export", "duo.safetensors", *options, check=2).stderr
    assert not (tmp_path / "p").exists()


def test_dictionaries_that_cannot_be_a_plugin(nmfaudio, tmp_path, duo):
    duo.pick("rest").save(tmp_path / "rest.safetensors")
    told = nmfaudio("export", "rest.safetensors", "-o", "p", check=1).stderr
    assert "knows one source, rest" in told
    assert "nmfaudio join" in told
    (tmp_path / "bad.safetensors").write_bytes(b"RIFF" * 10)
    assert "audio file" in nmfaudio("export", "bad.safetensors", "-o", "p", check=1).stderr
    assert not (tmp_path / "p").exists()
    many = Dictionary(np.ones((9, 33)), [f"s{k}" for k in range(33)], 8000, STFT(16))
    with pytest.raises(OptionError, match="33 sources with 33 templates: a plugin takes 32 and 1024"):
        exported_bytes(many, PluginSettings("many"))


def test_the_plugin_equals_separate_with_the_same_settings():
    """Where the dictionary has the window of the plugin, both do the same."""
    generator = np.random.default_rng(0)
    dictionary = Dictionary(
        generator.gamma(0.3, size=(1025, 6)) + 1e-6, ["a"] * 3 + ["b"] * 3, 44100, STFT(2048)
    )
    samples = 0.1 * generator.standard_normal((2, 30000)) * np.sin(np.arange(30000) / 900)
    samples -= samples.mean(axis=1, keepdims=True)  # `separate` takes out an offset, the plugin does not
    separator = make("dictionary", dictionary=dictionary, transpose=0, stereo=False)
    wanted = separate(Audio(samples, 44100), separator).stems["a"].samples
    kernel = Kernel(exported_bytes(dictionary, PluginSettings("duo")), 44100, 2)
    kernel.controls.gains[1] = 0
    late = kernel.latency
    output = kernel.process(np.pad(samples, ((0, 0), (0, late))).astype(np.float32))[:, late:]
    assert 20 * np.log10(np.linalg.norm(output - wanted) / np.linalg.norm(wanted)) < -80


def test_the_exported_file_keeps_no_names_of_recordings(duo):
    content = exported_bytes(duo, PluginSettings("duo", "low", 12, 2.0))
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert json.loads(metadata["clips"]) == []
    assert json.loads(metadata["plugin"]) == {
        "name": "duo",
        "window": 0.0116,
        "sharpness": 2.0,
        "iterations": 12,
    }


def test_symbols_are_different_and_valid():
    found = symbols(["snare", "Snare", "Snare!", "7", "ü"])
    assert len(set(found)) == 5
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", symbol) for symbol in found)


@pytest.mark.parametrize("target", compilers.TARGETS)
def test_files_for_other_systems(tmp_path, duo, target):
    binary = tmp_path / "binary"
    binary.write_bytes(b"code")
    exported = Export(duo, PluginSettings("My Duo"), binary, target)
    for format in parse_formats("lv2,vst3,clap,ladspa"):
        files = exported.files(format)
        (code,) = (name for name, content in files.items() if content == b"code")
        (known,) = (name for name in files if name.endswith(".safetensors"))
        assert "my_duo" in code
        assert (target.startswith("macos") and format in ("vst3", "clap")) == any(
            "Info.plist" in f for f in files
        )
        assert known.rpartition("/")[2] == "my_duo.safetensors"
    with pytest.raises(OptionError, match="'au' is not known"):
        exported.files("au")


def test_nothing_half_written_where_writing_fails(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_files(tmp_path / "file", {"a.so": b"1"})
    write_files(tmp_path / "out", {"a.so": b"1", "b/c.ttl": b"2"})
    with pytest.raises(OutputError, match="exists"):
        write_files(tmp_path / "out", {"new": b"1", "a.so": b"3"})
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.so", "b"]


def test_names():
    assert slug_of("Ärger & Co") == "rger_co"
    assert user_folder("vst3").is_absolute()
    assert "--install" in usage.lines("clap", user_folder("clap"), "duo", ["a", "b"])[0]


def test_without_a_compiler_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(compilers.shutil, "which", lambda name: None)
    monkeypatch.setattr(compilers, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"pip install 'nmfaudio\[live\]'"):
        compilers.find_compiler()
    with pytest.raises(OutputError, match="target 'amiga' is not known"):
        compilers.find_compiler("amiga")


def test_a_build_that_fails_leaves_nothing(tmp_path):
    broken = compilers.Compiler(
        (sys.executable, "-c", "raise SystemExit('no such option')"), compilers.this_machine()
    )
    with pytest.raises(OutputError, match="no such option"):
        build.build(broken, tmp_path / "cache" / "x.so")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.skipif(find_spec("ziglang") is None, reason="the package ziglang is not installed")
def test_zig_builds_the_same_plugin_for_this_machine(tmp_path, duo):
    target = tmp_path / "plugin.so"
    build.build(compilers.find_compiler(compilers.this_machine()), target)
    code = (
        "import sys, pathlib, numpy as np, nmfaudio.live.kernel as kernel\n"
        "kernel.shared_object = lambda: pathlib.Path(sys.argv[1])\n"
        "running = kernel.Kernel(pathlib.Path(sys.argv[2]).read_bytes(), 44100, 1)\n"
        "running.controls.gains[0] = 0\n"
        "noise = np.random.default_rng(0).standard_normal((1, 9000)).astype(np.float32)\n"
        "np.save(sys.argv[3], running.process(noise))\n"
    )
    exported = tmp_path / "exported"
    exported.write_bytes(exported_bytes(duo, PluginSettings("duo")))
    outputs = []
    for number, binary in enumerate((build.shared_object(), target)):
        subprocess.run([sys.executable, "-c", code, binary, exported, tmp_path / f"{number}.npy"], check=True)
        outputs.append(np.load(tmp_path / f"{number}.npy"))
    difference = np.linalg.norm(outputs[1] - outputs[0]) / np.linalg.norm(outputs[0])
    assert 20 * np.log10(difference) < -100
