"""The file format of dictionaries: its metadata, its writer, and a reader for each version of the format.

A dictionary is a safetensors file (`nmfaudio.disk.tensorfile`) with three arrays, each with one row for a
component, and metadata in JSON. All content is checked before it is used, and the metadata are checked before
any array is read.
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
_JSON_ENTRIES = ("sources", "components", "sample_rate", "stft", "exponent", "beta", "seed", "clips")
_LENGTHS = ("n_fft", "hop_length", "win_length")
_LARGEST_N_FFT = 1 << 17
_MOST_HOPS = 128  # greatest ratio of win_length to hop_length: the check of larger ones takes long

Fields = dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """A recording that a source was learned from.

    Attributes
    ----------
    label : str
        Label of the source.
    name : str
        Name of the file, without its folder.
    sha256 : str
        SHA-256 of the file's bytes; empty for recordings from memory.
    seconds : float
        Length of the recording in seconds.
    sample_rate : int
        Sample rate of the recording in Hz.
    channels : int
        Number of channels of the recording.
    """

    label: str
    name: str
    sha256: str
    seconds: float
    sample_rate: int
    channels: int


def write(path: Path, arrays: Mapping[str, NDArray[np.float32]], other_fields: Mapping[str, Any]) -> None:
    """Write a dictionary to a file, completely or not at all.

    Parameters
    ----------
    path : Path
    arrays : mapping of str to ndarray
        The arrays: templates (components, bins), energies and pitches (components,).
    other_fields : mapping of str to object
        Fields of the dictionary that are not arrays: `labels`, `stft`, `clips`, ...

    Raises
    ------
    OutputError
        When the file cannot be written.
    DictionaryError
        When the file would be larger than `read` accepts.
    """
    tensorfile.save(path, arrays, metadata_of(other_fields))


def metadata_of(other_fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a file: the fields of a dictionary that are not arrays, as texts."""
    sources = list(dict.fromkeys(other_fields["labels"]))
    index = {source: k for k, source in enumerate(sources)}
    values = {name: other_fields[name] for name in ("sample_rate", "beta", "seed")} | {
        "exponent": other_fields["magnitude_power"],
        "sources": sources,
        "components": [index[label] for label in other_fields["labels"]],
        "stft": asdict(other_fields["stft"]),
        "clips": [asdict(clip) for clip in other_fields["clips"]],
    }
    texts = {name: json.dumps(values[name], separators=(",", ":")) for name in _JSON_ENTRIES}
    return {"format": FORMAT, "version": str(FORMAT_VERSION), "nmfaudio": version("nmfaudio"), **texts}


def read(path: Any) -> Fields:
    """Return the fields of the dictionary in a file of any version of the format.

    Raises
    ------
    DictionaryError, OptionError
        When the file is not a valid dictionary. The message says why, without the name of the file.
    """
    with tensorfile.opened(path) as content:
        try:
            return _READERS[_version(content.metadata)](content)
        except (DictionaryError, OptionError):
            raise
        except (LookupError, TypeError, ValueError, RecursionError, OverflowError, MemoryError) as error:
            raise DictionaryError(
                f"its metadata are malformed ({type(error).__name__}: {str(error)[:80]}): learn the "
                "dictionary again"
            ) from None


def _version(metadata: Mapping[str, str]) -> str:
    if metadata.get("format") != FORMAT:
        raise DictionaryError("not a dictionary of nmfaudio: make one with `nmfaudio learn`")
    number = metadata.get("version", "")[:20]
    if number not in _READERS:
        raise DictionaryError(
            f"its format has the version {number!r}, newer than this nmfaudio: update nmfaudio"
        )
    return number


def _read_1(content: tensorfile.Content) -> Fields:
    entries = {name: json.loads(content.metadata[name]) for name in _JSON_ENTRIES}
    if set(content.shapes) != set(ARRAYS):
        raise DictionaryError(f"it holds the arrays {sorted(content.shapes)[:4]}, not {sorted(ARRAYS)}")
    count, stft = len(entries["components"]), _checked_stft(entries["stft"])
    if content.shapes["templates"] != (count, stft["n_fft"] // 2 + 1):
        raise DictionaryError(
            f"templates have shape {content.shapes['templates']}, which does not fit its labels and its n_fft"
        )
    if content.shapes["energies"] != (count,) or content.shapes["pitches"] != (count,):
        raise DictionaryError(f"energies and pitches must have the shape {(count,)}")
    for source in entries["sources"]:
        check_label(source)
    fields = {
        "labels": tuple(entries["sources"][_index(k)] for k in entries["components"]),
        "sample_rate": _index(entries["sample_rate"]),
        "stft": STFT(**stft),
        "magnitude_power": float(entries["exponent"]),
        "beta": float(entries["beta"]),
        "seed": _index(entries["seed"]),
        "clips": tuple(Clip(**clip) for clip in entries["clips"]),
    }
    arrays = content.arrays()
    _check_templates(arrays["templates"])
    return {**fields, **arrays, "templates": arrays["templates"].T}


def _check_templates(templates: NDArray[np.float32]) -> None:
    """Check what `Dictionary` checks as well, but without its copies of the templates."""
    if templates.size and templates.min() < 0:
        raise DictionaryError("templates hold negative numbers: learn the dictionary again")
    silent = ~templates.any(axis=1)
    if silent.any():
        raise DictionaryError(f"template {int(silent.argmax()) + 1} is silent: learn the dictionary again")


def _checked_stft(entry: Any) -> dict[str, Any]:
    stft = dict(entry)
    if any(type(stft[n]) is not int or not 1 <= stft[n] <= _LARGEST_N_FFT for n in _LENGTHS):
        raise DictionaryError(f"the lengths of its windows must be 1 to {_LARGEST_N_FFT} samples")
    if stft["win_length"] > _MOST_HOPS * stft["hop_length"]:
        raise DictionaryError(f"its windows are more than {_MOST_HOPS} times as long as its hop_length")
    return stft


def _index(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{str(value)[:40]} is not a whole number of at least 0")
    return value


# A reader for each version of the format.
_READERS = {"1": _read_1}
