"""Plugins as folders and files: the shared object, the dictionary beside it, and what the format wants."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from nmfaudio import Dictionary
from nmfaudio.errors import OptionError, OutputError
from nmfaudio.live import turtle
from nmfaudio.live.compilers import ENDINGS
from nmfaudio.live.exported import PluginSettings, exported_bytes

FORMATS = ("lv2", "vst3", "clap", "ladspa")
_VST3_FOLDERS = {
    "linux-x86_64": "x86_64-linux",
    "linux-aarch64": "aarch64-linux",
    "windows-x86_64": "x86_64-win",
    "macos-x86_64": "MacOS",
    "macos-aarch64": "MacOS",
}


@dataclass(frozen=True)
class Export:
    """A plugin to be written.

    Parameters
    ----------
    dictionary : Dictionary
    settings : PluginSettings
    binary : Path
        The shared object.
    target : str
        The kind of machine that it is for.
    """

    dictionary: Dictionary
    settings: PluginSettings
    binary: Path
    target: str

    @property
    def slug(self) -> str:
        """The name as it stands in the names of files and in identifiers."""
        return slug_of(self.settings.name)

    @property
    def _system(self) -> str:
        return self.target.partition("-")[0]

    def files(self, format: str) -> dict[str, bytes]:
        """Return the contents of the files of a format by their paths.

        Raises
        ------
        OptionError
            For a format that is not known, or that this kind of machine has no hosts of.
        """
        makers: dict[str, Callable[[], dict[str, bytes]]] = {
            "lv2": self._lv2,
            "vst3": self._vst3,
            "clap": self._clap,
            "ladspa": self._ladspa,
        }
        if format not in makers:
            raise OptionError(f"plugin format {format!r} is not known: use one of {', '.join(FORMATS)}")
        return makers[format]()

    def _pair(self, ending: str) -> dict[str, bytes]:
        content = exported_bytes(self.dictionary, self.settings)
        return {f"{self.slug}{ending}": self.binary.read_bytes(), f"{self.slug}.safetensors": content}

    def _lv2(self) -> dict[str, bytes]:
        ending, sources = ENDINGS[self._system], self.dictionary.sources
        texts = {
            "manifest.ttl": turtle.manifest(self.slug, f"{self.slug}{ending}"),
            f"{self.slug}.ttl": turtle.plugins(self.slug, self.settings, sources),
        }
        files = self._pair(ending) | {name: text.encode() for name, text in texts.items()}
        return {f"{self.slug}.lv2/{name}": content for name, content in files.items()}

    def _ladspa(self) -> dict[str, bytes]:
        return self._pair(ENDINGS[self._system])

    def _clap(self) -> dict[str, bytes]:
        return self._in_contents("clap", "MacOS") if self._system == "macos" else self._pair(".clap")

    def _vst3(self) -> dict[str, bytes]:
        return self._in_contents("vst3", _VST3_FOLDERS[self.target])

    def _in_contents(self, format: str, folder: str) -> dict[str, bytes]:
        binary = {"linux": ".so", "windows": f".{format}", "macos": ""}[self._system]
        content = exported_bytes(self.dictionary, self.settings)
        files = {
            f"{folder}/{self.slug}{binary}": self.binary.read_bytes(),
            f"Resources/{self.slug}.safetensors": content,
        }
        if self._system == "macos":
            files["Info.plist"] = _property_list(self.slug, self.settings.name).encode()
            files["PkgInfo"] = b"BNDL????"
        return {f"{self.slug}.{format}/Contents/{name}": content for name, content in files.items()}


def slug_of(name: str) -> str:
    """Return a name for files and identifiers.

    Raises
    ------
    OptionError
        When no letter or digit is left of it.

    Examples
    --------
    >>> slug_of("My Drums (2)")
    'my_drums_2'
    """
    slug = re.sub(r"[^a-z0-9-]+", "_", name.lower()).strip("_")
    if not slug or len(slug) > 60:
        raise OptionError(
            f"name {name!r}: a plugin's name needs 1 to 60 letters or digits from a to z and 0 to 9"
        )
    return slug


def _property_list(slug: str, name: str) -> str:
    facts = {
        "CFBundleExecutable": slug,
        "CFBundleIdentifier": f"nmfaudio.{slug}",
        "CFBundleName": name,
        "CFBundlePackageType": "BNDL",
        "CFBundleVersion": "1.0.0",
        "CFBundleInfoDictionaryVersion": "6.0",
    }
    entries = "".join(f"<key>{key}</key><string>{_escaped(value)}</string>" for key, value in facts.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>{entries}</dict></plist>\n'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def write_files(folder: Path, files: dict[str, bytes], *, overwrite: bool = False) -> list[Path]:
    """Write files into a folder: all of them are complete before the first takes its place.

    Returns
    -------
    list of Path
        What was written at the top of the folder: a bundle, or single files.

    Raises
    ------
    OutputError
        Where something of that name exists and may not be replaced, or cannot be written.
    """
    tops = sorted({name.partition("/")[0] for name in files})
    for top in tops:
        if not overwrite and (folder / top).exists():
            raise OutputError(f"{folder / top} exists: choose another --name, or replace it with --overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as scratch:
            for name, content in files.items():
                _write(Path(scratch) / name, content)
            for top in tops:
                _replace(Path(scratch) / top, folder / top)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return [folder / top for top in tops]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if path.suffix not in (".safetensors", ".ttl"):
        path.chmod(0o755)


def _replace(bundle: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    os.replace(bundle, target)


def user_folder(format: str) -> Path:
    """Return the folder where this user's hosts look for plugins of a format."""
    home = Path.home()
    if sys.platform == "darwin":
        names = {"lv2": "LV2", "vst3": "VST3", "clap": "CLAP", "ladspa": "LADSPA"}
        return home / "Library" / "Audio" / "Plug-Ins" / names[format]
    if sys.platform == "win32":
        common = Path(os.environ.get("LOCALAPPDATA", home)) / "Programs" / "Common"
        roaming = Path(os.environ.get("APPDATA", home))
        folders = {"vst3": common / "VST3", "clap": common / "CLAP", "lv2": roaming / "LV2"}
        return folders.get(format, roaming / "LADSPA")
    return home / f".{format}"


def parse_formats(text: str) -> list[str]:
    """Return the formats in a list with commas.

    Raises
    ------
    OptionError
        For one that is not known.
    """
    formats = list(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for format in formats or [text]:
        if format not in FORMATS:
            raise OptionError(f"plugin format {format!r} is not known: use one of {', '.join(FORMATS)}")
    return formats


def all_names(paths: Iterable[Path]) -> str:
    """Return paths as one text."""
    return ", ".join(str(path) for path in paths)
