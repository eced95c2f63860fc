"""The file that a plugin reads: a dictionary with the plugin's settings in its metadata."""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from nmfaudio import Dictionary
from nmfaudio.errors import OptionError

# Seconds of the analysis window, which is the latency: 512 or 2048 samples at 44.1 and 48 kHz.
LATENCIES = {"low": 0.0116, "normal": 0.046}
MOST_SOURCES, MOST_COMPONENTS = 32, 1024


@dataclass(frozen=True)
class PluginSettings:
    """What `nmfaudio export` decides, besides the dictionary.

    Parameters
    ----------
    name : str
        The title in the host's list.
    latency : {"low", "normal"}
        12 or 46 ms.
    iterations : int
        Updates of the activations for each frame; the initial value of the parameter.
    sharpness : float
        Exponent of the masks; the initial value of the parameter.

    Raises
    ------
    OptionError
        For a value outside its range.

    Examples
    --------
    >>> PluginSettings("duo", latency="low").window
    0.0116
    """

    name: str
    latency: str = "normal"
    iterations: int = 30
    sharpness: float = 1.5

    def __post_init__(self) -> None:
        if self.latency not in LATENCIES:
            raise OptionError(f"latency {self.latency!r} is not known: use one of {', '.join(LATENCIES)}")
        if not 1 <= self.iterations <= 100:
            raise OptionError(f"iterations={self.iterations}: it must lie within 1 and 100")
        if not 0.5 <= self.sharpness <= 4:
            raise OptionError(f"sharpness={self.sharpness}: it must lie within 0.5 and 4")

    @property
    def window(self) -> float:
        """Seconds of the analysis window."""
        return LATENCIES[self.latency]


def exported_bytes(dictionary: Dictionary, settings: PluginSettings) -> bytes:
    """Return the content of the plugin's dictionary file.

    The names of the recordings that it was learned from are left out: the file may be passed on, and hosts
    keep it in their sessions.

    Raises
    ------
    OptionError
        For a dictionary that is larger than a plugin can take.
    """
    sources, components = len(dictionary.sources), len(dictionary.labels)
    if sources > MOST_SOURCES or components > MOST_COMPONENTS:
        raise OptionError(
            f"{sources} sources with {components} templates: a plugin takes {MOST_SOURCES} and "
            f"{MOST_COMPONENTS}: leave some out, or learn with a smaller rank"
        )
    with tempfile.TemporaryDirectory() as folder:
        plain = replace(dictionary, clips=()).save(Path(folder) / "dictionary.safetensors").read_bytes()
    return _with_metadata(plain, settings)


def _with_metadata(content: bytes, settings: PluginSettings) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    facts = {
        "name": settings.name,
        "window": settings.window,
        "sharpness": settings.sharpness,
        "iterations": settings.iterations,
    }
    header["__metadata__"]["plugin"] = json.dumps(facts)
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, content[8 + length :]])
