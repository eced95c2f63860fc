"""Conformance check for separators, for the tests of plugins."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from nmfaudio.errors import NmfaudioError, NmfaudioWarning, SeparatorError
from nmfaudio.models.contract import Separator
from nmfaudio.pipeline.checking import checked_stems, sum_error
from nmfaudio.pipeline.fitting import Fitted, fit
from nmfaudio.pipeline.option_values import options_of_class
from nmfaudio.pipeline.separated import Separation
from nmfaudio.pipeline.separation import separate
from nmfaudio.sound.audio import Audio

_RATE = 8000
_SUM_LIMIT = 1e-6  # greatest error of the sum of the stems, relative to the mixture (-120 dB)


def check_separator(separator: Separator) -> list[str]:
    """Check that a separator keeps the contract, on ordinary and on unusual mixtures.

    Parameters
    ----------
    separator : Separator
        Separator with the options for the check.

    Returns
    -------
    list of str
        Descriptions of the passed checks.

    Raises
    ------
    SeparatorError
        At the first fault; the message names the mixture and the fault.

    Examples
    --------
    >>> from nmfaudio import make
    >>> check_separator(make("blind", sources=2, iterations=20))[0]
    'it is a frozen dataclass whose fields are options with names and types'
    """
    _check_class(separator)
    done = ["it is a frozen dataclass whose fields are options with names and types"]
    for name, audio in _mixtures():
        before = audio.samples.copy()
        try:
            separation, again = _separated_twice(audio, separator)
        except NmfaudioError as error:
            raise SeparatorError(f"on {name}: {error}") from error
        _check_stems(name, audio, separation)
        _check_same(name, separation, again)
        if not np.array_equal(before, audio.samples):
            raise SeparatorError(f"on {name}: it changed the mixture's samples: work on a copy")
        done.append(f"{name}: stems are whole, finite, sum to the mixture, and come out the same again")
    return done


def _separated_twice(audio: Audio, separator: Separator) -> tuple[Separation, Separation]:
    """Separate a mixture twice, and check single blocks in between."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NmfaudioWarning)  # some mixtures of the check are silent or short
        separation = separate(audio, separator)
        _check_blocks(audio, separator)
        with np.errstate(all="raise"):  # as after `np.seterr(all="raise")` in the caller's program
            return separation, separate(audio, separator)


def _check_class(separator: Any) -> None:
    kind = type(separator)
    name, parameters = kind.__qualname__, getattr(kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise SeparatorError(f"{name} must be a frozen dataclass: put @dataclass(frozen=True) above it")
    documentation = (kind.__doc__ or "").strip()
    if not documentation or documentation.startswith(f"{kind.__name__}("):
        raise SeparatorError(f"{name} needs a docstring: its first line is shown to users")
    options_of_class(kind)
    if dataclasses.replace(separator) != separator:
        raise SeparatorError(f"{name} must be equal to its copy: keep options alone in its fields")


def _mixtures() -> Iterator[tuple[str, Audio]]:
    generator = np.random.default_rng(7)
    time = np.arange(3 * _RATE) / _RATE
    tones = sum(
        np.sin(2 * np.pi * f * time) * (np.sin(2 * np.pi * time * r) > 0) for f, r in ((220, 1), (950, 1.7))
    )
    sound = 0.2 * tones + 0.05 * generator.standard_normal(len(time))
    yield "a mono mixture", Audio(sound, _RATE)
    yield "a stereo mixture", Audio(np.stack([sound, 0.3 * sound[::-1]]), _RATE)
    yield "antiphase stereo", Audio(np.stack([sound, -sound]), _RATE)
    yield "five channels", Audio(np.stack([sound * g for g in (1.0, 0.5, 0.0, 0.2, -0.7)]), _RATE)
    yield "a very loud mixture", Audio(sound * 1e12, _RATE)
    yield "a very quiet mixture", Audio(sound * 1e-12, _RATE)
    yield "silence", Audio(np.zeros((2, _RATE)), _RATE)
    yield "sound, then silence", Audio(np.concatenate([sound, np.zeros(_RATE)]), _RATE)
    yield "a single sample", Audio(sound[100:101], _RATE)
    yield "less than a window", Audio(sound[:100], _RATE)


def _check_blocks(audio: Audio, separator: Separator) -> None:
    """Check single blocks, as the pipeline separates them in long files."""
    for fitted in fit(audio, separator).parts:
        _check_some_blocks(fitted)


def _check_some_blocks(fitted: Fitted) -> None:
    mixture = fitted.mixture
    for start, stop in ((0, mixture.frames), (mixture.frames // 3, mixture.frames // 3 + 1)):
        block = mixture.block(start, stop)
        values = block.values.copy()
        stems = checked_stems(fitted.model, block)
        error = sum_error(block, stems)[1]
        if error > _SUM_LIMIT:
            raise SeparatorError(
                f"the stems of frames {start} to {stop} miss the mixture by {error:.1e} of it"
            )
        if not np.array_equal(values, block.values):
            raise SeparatorError("it changed the block that it was given: work on a copy")


def _check_stems(name: str, audio: Audio, separation: Separation) -> None:
    for stem, sound in separation.stems.items():
        if sound.samples.shape != audio.samples.shape:
            raise SeparatorError(f"on {name}: stem {stem!r} has shape {sound.samples.shape}")
    difference = audio.samples - np.sum([s.samples for s in separation.stems.values()], axis=0)
    if np.abs(difference).max() > _SUM_LIMIT * audio.peak:
        raise SeparatorError(
            f"on {name}: the stems miss the mixture by "
            f"{np.abs(difference).max() / audio.peak:.1e} of its peak"
        )


def _check_same(name: str, first: Separation, second: Separation) -> None:
    same: Any = list(first.stems) == list(second.stems) and all(
        np.array_equal(first.stems[stem].samples, second.stems[stem].samples) for stem in first.stems
    )
    if not same:
        raise SeparatorError(f"on {name}: two runs differ: draw everything random from a seed in an option")
