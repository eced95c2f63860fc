"""Checks of what separators and models return, and errors that name the plugin at fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.errors import NmfaudioError, SeparatorError
from nmfaudio.models.contract import Model, Separator
from nmfaudio.models.wrappers import as_model
from nmfaudio.pipeline.code_places import innermost_place, place_of, place_outside_libraries
from nmfaudio.sound.spectrogram import Spectrogram
from nmfaudio.sound.stft import STFT

_SUM_TOLERANCE = 1e-5  # relative to the mixture; a larger difference is a fault of the separator
_SUM_ROUNDING = 1e-9  # relative to the mixture; a smaller difference is rounding and is left alone


class naming_plugin:
    """Context manager that turns any exception of a plugin into a SeparatorError that names the plugin.

    An underflow in a plugin is not an error; see `underflow_ignored`.
    """

    def __init__(self, plugin: object) -> None:
        self._plugin = plugin
        self._arithmetic = underflow_ignored()

    def __enter__(self) -> None:
        self._arithmetic.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self._arithmetic.__exit__(kind, error, traceback)
        if isinstance(error, SeparatorError):
            if place := place_outside_libraries(traceback) or place_of(self._plugin):
                raise SeparatorError(f"{_name(self._plugin)}: {error}{place}") from error
        elif isinstance(error, Exception) and not isinstance(error, NmfaudioError | MemoryError):
            fault = f"failed with {type(error).__name__}: {error}{innermost_place(traceback)}"
            raise plugin_error(self._plugin, fault) from error


def underflow_ignored() -> np.errstate:
    """Return a context in which numpy rounds tiny results to zero, even after `np.seterr(all="raise")`."""
    return np.errstate(under="ignore")


def plugin_error(plugin: object, fault: str) -> SeparatorError:
    """Return an error that names the class of a separator or model and its fault."""
    return SeparatorError(f"{_name(plugin)} {fault}")


def _name(plugin: object) -> str:
    kind = type(getattr(plugin, "original", plugin))
    return f"{kind.__module__}.{kind.__qualname__}"


def checked_model(fitted: object, separator: Separator) -> Model:
    """Return what the `fit` of a separator returned as a model whose sources can name files.

    Raises
    ------
    SeparatorError
        When a member is missing or a name of a source cannot be used.
    """
    try:
        model = as_model(fitted)
    except SeparatorError as error:
        raise plugin_error(separator, str(error)) from None
    sources = model.sources
    if not sources or len(set(sources)) != len(sources):
        raise plugin_error(separator, f"names its sources {sources}: give each stem a name of its own")
    for name in sources:
        if not isinstance(name, str) or not name or name.startswith(".") or set(name) & set("/\\\0"):
            raise plugin_error(separator, f"names a source {name!r}, which cannot be part of a file name")
    _check_members(model, separator)
    return model


def _check_members(model: Model, separator: Separator) -> None:
    """Check the types of what a model says of itself."""
    members: dict[str, Any] = {n: getattr(model, n) for n in ("stft", "context", "messages", "warnings")}
    stft, context = members["stft"], members["context"]
    fault = ""
    if not isinstance(stft, STFT):
        fault = f"stft is {type(stft).__name__}: use mixture.stft or STFT(...)"
    elif isinstance(context, bool) or not isinstance(context, int) or context < 0:
        fault = f"context is {context!r}: use a number of frames, 0 or more"
    for name in ("messages", "warnings"):
        if isinstance(members[name], str):
            fault = f"{name} are one text: use a tuple of texts"
    if fault:
        raise plugin_error(separator, f"returned a model whose {fault}")


def checked_stems(model: Model, block: Spectrogram) -> dict[str, Spectrogram]:
    """Separate a block and check names, shapes and numbers of the stems.

    Raises
    ------
    SeparatorError
        When a stem breaks the contract; the message says how.
    """
    with naming_plugin(model):
        stems = model.separate(block)
    if not isinstance(stems, Mapping):
        raise plugin_error(model, f"gave {type(stems).__name__}, not a dict of stems{place_of(model)}")
    if tuple(stems) != tuple(model.sources):
        raise plugin_error(model, f"gave stems {tuple(stems)}, but its sources are {tuple(model.sources)}")
    for name, stem in stems.items():
        if not isinstance(stem, Spectrogram):
            raise plugin_error(model, f"gave {type(stem).__name__} for {name!r}: use block.with_values(...)")
        if stem.values.shape != block.values.shape or stem.start != block.start:
            raise plugin_error(
                model, f"gave {name!r} the shape {stem.values.shape} for a block of {block.values.shape}"
            )
        if not np.isfinite(stem.values).all():
            raise plugin_error(model, f"gave NaN or infinity in {name!r}")
    return stems


def sum_error(block: Spectrogram, stems: dict[str, Spectrogram]) -> tuple[NDArray[Any], float]:
    """Return the difference of the block and the sum of the stems, and its relative size.

    Returns
    -------
    ndarray of complex, shape (channels, bins, frames)
        The block minus the sum of the stems.
    float
        The largest absolute value of the difference, divided by that of the block.
    """
    rest = block.values.copy("K")
    for stem in stems.values():
        rest -= stem.values
    level = float(np.abs(block.values).max(initial=0.0))
    worst = float(np.abs(rest).max(initial=0.0))
    return rest, worst / level if level > 0 else float(worst > 0)


def summing_to(block: Spectrogram, stems: dict[str, Spectrogram], model: Model) -> dict[str, Spectrogram]:
    """Return the stems with small differences from the block shared out, so that they sum to the block.

    Raises
    ------
    SeparatorError
        When the difference is too large to be an error of rounding.
    """
    rest, error = sum_error(block, stems)
    if error > _SUM_TOLERANCE:
        raise plugin_error(
            model, f"gave stems that miss the mixture by {error:.1e} of it: end in soft_masks(...)"
        )
    if error < _SUM_ROUNDING:
        return stems
    share = rest / len(stems)
    return {name: stem.with_values(stem.values + share) for name, stem in stems.items()}
