"""The spine's face: separate sound in memory, or a file on disk."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.errors import InputError
from nmfaudio.models.contract import Components, Separator
from nmfaudio.pipeline.fitting import Report, fit
from nmfaudio.pipeline.manifest import done
from nmfaudio.pipeline.registry import default_name, make
from nmfaudio.pipeline.stems import write_stems, written_before
from nmfaudio.pipeline.target import DEFAULT_FILENAME, Result, Target, Written, track_name
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.encoding import stem_encoding
from nmfaudio.sound.files import AudioFile, read
from nmfaudio.sound.stem_format import StemFormat


@dataclass(frozen=True)
class Separation:
    """A mixture in memory, taken apart.

    Attributes
    ----------
    mixture : Audio
    stems : dict of str to Audio
        They sum to the mixture.
    result : Result
        The separator with its options, the components where it has some, messages, warnings and seconds.
    unwritten : dict of str to Audio
        Stems that nobody asked for; empty unless the separator was told to keep only some.

    Examples
    --------
    >>> separate(Audio(np.ones((1, 9)) / 2, 8000), sources=2)
    Separation(...: Audio(1 channels, 9 samples, 8000 Hz, 0.001 s))
    """

    mixture: Audio
    stems: dict[str, Audio]
    result: Result = field(repr=False)
    unwritten: dict[str, Audio] = field(default_factory=dict, repr=False)

    @property
    def components(self) -> Components | None:
        """What the factorization found, where the separator has one."""
        return self.result.components

    def write(
        self,
        folder: str | os.PathLike[str],
        *,
        format: str | None = None,
        subtype: str | None = None,
        filename: str = "{stem}.{ext}",
        overwrite: bool = False,
        clip_mode: str = "clamp",
    ) -> Written:
        """Write the stems and a manifest; integer samples sum exactly to the mixture's.

        Parameters
        ----------
        folder : path-like
            Made where it is missing.
        format, subtype : str, optional
            Default: those of the mixture where they lose nothing, else WAV with float samples.
        filename : str
            A pattern of `{track}`, `{stem}` and `{ext}`.
        overwrite : bool
            Whether files of these names may be replaced.
        clip_mode : {"clamp", "rescale", "float"}
            Where a stem is louder than its encoding can tell: clip it there, make all stems quieter by the
            same factor, or write floats.

        Returns
        -------
        Written

        Raises
        ------
        OutputError
            When a file exists already or cannot be written; nothing is left half-written.
        OptionError
            For a format that cannot be written or a bad pattern.
        """
        encoding = stem_encoding(self.mixture.encoding, format, subtype)
        rounds = self.result.phase_rounds
        target = Target(Path(folder), self.mixture.name, encoding, filename, overwrite, clip_mode, rounds)
        target.check_free(self.stems)
        piece = self.mixture.read(0, self.mixture.length)
        every = {**self.stems, **self.unwritten}
        parts = {name: stem.read(0, stem.length) for name, stem in every.items()}
        return write_stems(self.mixture, self.stems, lambda: [(piece, parts)], target, self.result)

    def __repr__(self) -> str:
        return f"Separation({', '.join(self.stems)}: {self.mixture!r})"


def separate(
    mixture: Audio | str | os.PathLike[str],
    separator: str | Separator | None = None,
    *,
    report: Report | None = None,
    phase_rounds: int = 0,
    **options: Any,
) -> Separation:
    """Separate a mixture into stems, in memory.

    Parameters
    ----------
    mixture : Audio or path-like
        Sound, or the file to read it from.
    separator : str or Separator, optional
        The name of one that is installed, or one that is made already. By default `auto`, which looks at the
        mixture and says what it chose; or `blind`, where options are given that are its own.
    report : callable, optional
        Takes a `Progress` now and then; may raise to stop the work.
    phase_rounds : int
        Rounds in which the stems' phases are made to agree from frame to frame (see
        `nmfaudio.models.phase.invert_together`). Where sources come apart well already, one to three gain
        some tenths of a dB; elsewhere they may lose as much. 0, the default, leaves phases as the mixture's.
    **options
        Of the separator that is named, such as `sources=3`, `seed=1`.

    Returns
    -------
    Separation

    Raises
    ------
    AudioFileError
        For a file that cannot be read.
    OptionError
        For an option that the separator does not have.
    SeparatorError
        For a separator that is unknown or fails.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((2, 8000)) / 8
    >>> separation = separate(Audio(noise, 8000), sources=2)
    >>> len(separation.stems)
    2
    >>> difference = sum(stem.samples for stem in separation.stems.values()) - noise
    >>> bool(np.abs(difference).max() < 1e-12)
    True
    """
    audio = mixture if isinstance(mixture, Audio) else read(mixture)
    began = time.perf_counter()
    made = _made(separator, options)
    fitted = fit(audio, made, report=report, phase_rounds=phase_rounds)
    stems = {name: np.empty(audio.samples.shape) for name in fitted.sources}
    position = 0
    for piece, parts in fitted.stems():
        for name, part in parts.items():
            stems[name][:, position : position + piece.shape[1]] = part
        position += piece.shape[1]
    made_of = {name: Audio(s, audio.sample_rate, audio.encoding, name) for name, s in stems.items()}
    kept, rest = ({n: made_of[n] for n in names} for names in (fitted.written, fitted.unwritten))
    seconds = time.perf_counter() - began
    result = Result(made, fitted.components, fitted.messages, fitted.warnings, seconds, phase_rounds)
    return Separation(audio, kept, result, rest)


def separate_file(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str] = "separated",
    separator: str | Separator | None = None,
    *,
    format: str | None = None,
    subtype: str | None = None,
    filename: str = DEFAULT_FILENAME,
    overwrite: bool = False,
    clip_mode: str = "clamp",
    strict: bool = False,
    memory: int = 0,
    resume: bool = False,
    report: Report | None = None,
    phase_rounds: int = 0,
    **options: Any,
) -> Written:
    """Separate a file into stems on disk, reading and writing block by block.

    Parameters
    ----------
    path : path-like
        Any file that libsndfile reads.
    folder : path-like
        Where stems go, named by `filename`.
    separator, report, phase_rounds, **options
        As for `separate`.
    format, subtype, filename, overwrite, clip_mode
        As for `Separation.write`.
    strict : bool
        Whether a file that ends before its header says is an error; else what is there is used.
    memory : int
        Bytes that spectrograms of the whole, and all else of their size, may take in memory together, beyond
        which they go to temporary files; 0 stands for a quarter of what there is.
    resume : bool
        Whether to leave stems alone whose manifest says that they are what this call would give, and to
        replace others.

    Returns
    -------
    Written
        Paths, levels, manifest and warnings.

    Raises
    ------
    AudioFileError, OptionError, SeparatorError, OutputError
        As for `separate` and `Separation.write`. No stem is left half-written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = separate_file("audio_samples/drum_loop.flac", folder)
    ...     print(*(stem.path.name for stem in written.stems.values()))
    kick.flac snare.flac hihat.flac
    """
    made = _made(separator, options)
    with AudioFile(path, strict=strict) as source:
        encoding = stem_encoding(source.encoding, format, subtype)
        name = source.name if source.name == "stdin" else track_name(path)
        target = Target(Path(folder), name, encoding, filename, overwrite or resume, clip_mode, phase_rounds)
        if resume and (found := done(target, made, source.sha256())):
            return written_before(found, target, made)
        target.check_free([])
        StemFormat(source.sample_rate, source.channels, source.length, encoding).check(target.stem("stem"))
        began = time.perf_counter()
        try:
            fitted = fit(source, made, report=report, memory=memory, phase_rounds=phase_rounds)
        except InputError as error:
            raise type(error)(f"{path}: {error}") if str(path) not in str(error) else error from None
        target.check_free(fitted.written)
        seconds = time.perf_counter() - began
        result = Result(made, fitted.components, fitted.messages, fitted.warnings, seconds, phase_rounds)
        return write_stems(source, fitted.written, fitted.stems, target, result)


def _made(separator: str | Separator | None, options: dict[str, Any]) -> Separator:
    separator = separator or default_name(options)
    if isinstance(separator, str):
        return make(separator, **options)
    if options:
        raise InputError(
            f"options {sorted(options)} belong to a separator given by name: set them in its constructor"
        )
    return separator
