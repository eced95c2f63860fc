"""What a dictionary's file says in words, and the readers of each version of it that there ever was.

The file is a safetensors file (`nmfaudio.disk.tensorfile`) with three arrays, component by component, and
metadata in JSON. Nothing in it is believed before it is checked, and what can be is before any array is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.dictionaries.labels import check_label
from nmfaudio.disk import tensorfile
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.sound.stft import STFT

FORMAT, FORMAT_VERSION = "nmfaudio dictionary", 1
ARRAYS = ("templates", "energies", "pitches")
_FACTS = ("sources", "components", "sample_rate", "stft", "exponent", "beta", "seed", "clips")
_LENGTHS = ("n_fft", "hop_length", "win_length")
_LARGEST_N_FFT = 1 << 17
_MOST_HOPS = 128  # in a window: more take long to check

Fields = dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """A recording that a source was learned from.

    Attributes
    ----------
    label : str
        The source.
    name : str
        Of the file, without its folder.
    sha256 : str
        Of the file's bytes; empty for sound that came from memory.
    seconds : float
    sample_rate, channels : int
    """

    label: str
    name: str
    sha256: str
    seconds: float
    sample_rate: int
    channels: int


def write(path: Path, arrays: Mapping[str, NDArray[np.float32]], facts: Mapping[str, Any]) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path : Path
    arrays : mapping of str to ndarray
        Component by component: templates (components, bins), energies and pitches (components,).
    facts : mapping of str to object
        `labels` and the other fields of a dictionary that are no arrays.

    Raises
    ------
    OutputError, DictionaryError
        When it cannot be written, or is larger than can be read.
    """
    tensorfile.save(path, arrays, metadata_of(facts))


def metadata_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what a file says of the arrays in it."""
    sources = list(dict.fromkeys(facts["labels"]))
    index = {source: k for k, source in enumerate(sources)}
    written = {name: facts[name] for name in ("sample_rate", "beta", "seed")} | {
        "exponent": facts["magnitude_power"],
        "sources": sources,
        "components": [index[label] for label in facts["labels"]],
        "stft": asdict(facts["stft"]),
        "clips": [asdict(clip) for clip in facts["clips"]],
    }
    texts = {name: json.dumps(written[name], separators=(",", ":")) for name in _FACTS}
    return {"format": FORMAT, "version": str(FORMAT_VERSION), "nmfaudio": version("nmfaudio"), **texts}


def read(path: Any) -> Fields:
    """Return the fields of the dictionary in a file, of any version.

    Raises
    ------
    DictionaryError, OptionError
        Saying what is wrong with the file, without its name.
    """
    with tensorfile.opened(path) as content:
        try:
            return _READERS[_version(content.metadata)](content)
        except (DictionaryError, OptionError):
            raise
        except (LookupError, TypeError, ValueError, RecursionError, OverflowError, MemoryError) as error:
            raise DictionaryError(
                f"its metadata are malformed ({type(error).__name__}: {str(error)[:80]}): learn it again"
            ) from None


def _version(metadata: Mapping[str, str]) -> str:
    if metadata.get("format") != FORMAT:
        raise DictionaryError("not a dictionary of nmfaudio: make one with `nmfaudio learn`")
    found = metadata.get("version", "")[:20]
    if found not in _READERS:
        raise DictionaryError(f"its format has the version {found!r}, newer than this nmfaudio: update it")
    return found


def _read_1(content: tensorfile.Content) -> Fields:
    facts = {name: json.loads(content.metadata[name]) for name in _FACTS}
    if set(content.shapes) != set(ARRAYS):
        raise DictionaryError(f"it holds the arrays {sorted(content.shapes)[:4]}, not {sorted(ARRAYS)}")
    count, stft = len(facts["components"]), _checked_stft(facts["stft"])
    if content.shapes["templates"] != (count, stft["n_fft"] // 2 + 1):
        raise DictionaryError(
            f"templates have shape {content.shapes['templates']}, which fits neither its labels nor its n_fft"
        )
    if content.shapes["energies"] != (count,) or content.shapes["pitches"] != (count,):
        raise DictionaryError(f"energies and pitches must have the shape {(count,)}")
    for source in facts["sources"]:
        check_label(source)
    fields = {
        "labels": tuple(facts["sources"][_index(k)] for k in facts["components"]),
        "sample_rate": _index(facts["sample_rate"]),
        "stft": STFT(**stft),
        "magnitude_power": float(facts["exponent"]),
        "beta": float(facts["beta"]),
        "seed": _index(facts["seed"]),
        "clips": tuple(Clip(**clip) for clip in facts["clips"]),
    }
    arrays = content.arrays()
    _check_templates(arrays["templates"])
    return {**fields, **arrays, "templates": arrays["templates"].T}


def _check_templates(templates: NDArray[np.float32]) -> None:
    """Refuse what `Dictionary` would refuse as well, but only after it has made copies."""
    if templates.size and templates.min() < 0:
        raise DictionaryError("templates hold negative numbers: learn it again")
    silent = ~templates.any(axis=1)
    if silent.any():
        raise DictionaryError(f"template {int(silent.argmax()) + 1} is silent: learn it again")


def _checked_stft(told: Any) -> dict[str, Any]:
    stft = dict(told)
    if any(type(stft[n]) is not int or not 1 <= stft[n] <= _LARGEST_N_FFT for n in _LENGTHS):
        raise DictionaryError(f"lengths of its windows must lie in 1 to {_LARGEST_N_FFT}")
    if stft["win_length"] > _MOST_HOPS * stft["hop_length"]:
        raise DictionaryError(f"its windows are more than {_MOST_HOPS} times as long as its hop_length")
    return stft


def _index(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{str(value)[:40]} is no whole number")
    return value


# A reader for each version of the format there ever was.
_READERS = {"1": _read_1}
