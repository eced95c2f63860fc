"""The file of components that a run keeps beside its stems.

It is a safetensors file (`nmfaudio.disk.tensorfile`) with the templates and the activations as float32, and
everything else in its metadata as JSON. All content is checked before it is used.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from nmfaudio.disk import tensorfile
from nmfaudio.errors import InputError
from nmfaudio.models.components import Components
from nmfaudio.sound.stft import STFT

FORMAT, FORMAT_VERSION = "nmfaudio components", 1
_KIND = tensorfile.Kind(
    "the components of a run", "separate again with --keep (keep=True)", InputError, 1 << 32
)
_LISTS = ("labels", "objectives", "iterations", "stability")
_NUMBERS = ("sample_rate", "channels", "magnitude_power", "mask_exponent", "beta", "seed")
_LARGEST_N_FFT = 1 << 17


def content(components: Components) -> bytes:
    """Return the bytes of a file with these components."""
    count, channels, bins, lags = components.templates.shape
    arrays = {
        "templates": components.templates.reshape(count, channels * bins, lags),
        "activations": components.activations,
    }
    fields: dict[str, Any] = {name: getattr(components, name).tolist() for name in _LISTS}
    fields |= {name: getattr(components, name) for name in _NUMBERS}
    fields |= {"sources": components.sources, "stft": asdict(components.stft)}
    metadata = {"format": FORMAT, "version": str(FORMAT_VERSION), "nmfaudio": version("nmfaudio")}
    return tensorfile.pack(arrays, metadata | {"components": json.dumps(fields)})


def read(path: str | os.PathLike[str]) -> Components:
    """Return the components in a file.

    Raises
    ------
    InputError
        When the file cannot be read or is malformed. The message says why, with the name of the file.
    """
    try:
        with tensorfile.opened(path, _KIND) as opened:
            return _read(opened)
    except InputError as error:
        raise InputError(f"{os.fsdecode(path)}: {error}") from None
    except (LookupError, TypeError, ValueError, RecursionError, OverflowError, MemoryError) as error:
        reason = f"{type(error).__name__}: {str(error)[:80]}"
        raise InputError(f"{os.fsdecode(path)}: malformed ({reason}): {_KIND.remedy}") from None


def _read(opened: tensorfile.Content) -> Components:
    if opened.metadata.get("format") != FORMAT:
        raise InputError(f"not {_KIND.name}: {_KIND.remedy}")
    number = opened.metadata.get("version", "")[:20]
    if number != str(FORMAT_VERSION):
        raise InputError(f"its format has the version {number!r}, newer than this nmfaudio: update nmfaudio")
    fields = json.loads(opened.metadata["components"])
    sizes = {name: int(value) for name, value in fields["stft"].items() if name != "window"}
    if not all(1 <= size <= _LARGEST_N_FFT for size in sizes.values()):
        raise ValueError("lengths of the windows")
    stft, labels = STFT(**fields["stft"]), np.array(fields["labels"], np.intp)
    sources = tuple(str(name) for name in fields["sources"])
    _check_shapes(opened.shapes, len(labels), int(fields["channels"]), stft)
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(sources)):
        raise ValueError("labels without a source")
    if (np.diff(labels) < 0).any() or not sources or len(set(sources)) < len(sources):
        raise ValueError("sources")
    arrays = opened.arrays()
    if any(array.size and array.min() < 0 for array in arrays.values()):
        raise ValueError("negative numbers")
    templates = arrays["templates"]
    shaped = templates.reshape(len(labels), templates.shape[1] // stft.bins, stft.bins, templates.shape[2])
    return Components(
        sources,
        labels,
        shaped,
        arrays["activations"],
        stft=stft,
        objectives=np.array(fields["objectives"], np.float64),
        iterations=np.array(fields["iterations"], np.intp),
        stability=np.array(fields["stability"], np.float64),
        **{name: fields[name] for name in _NUMBERS},
    )


def _check_shapes(shapes: dict[str, tuple[int, ...]], count: int, channels: int, stft: STFT) -> None:
    """Check the shapes of the arrays before they are read."""
    templates, activations = shapes["templates"], shapes["activations"]
    if len(shapes) != 2 or len(templates) != 3 or len(activations) != 3:
        raise ValueError("arrays")
    if templates[0] != count or templates[1] not in (stft.bins, channels * stft.bins) or templates[2] < 1:
        raise ValueError(f"templates of shape {templates}")
    if activations[0] != count or activations[1] not in (1, channels):
        raise ValueError(f"activations of shape {activations}")
