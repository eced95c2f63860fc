"""Stem files of DJ software (`.stem.mp4` by Native Instruments): a mixture and four stems in one file.

The first audio track is the mixture, which ordinary players play; the other four are the stems. Their names
and colors are stored as a JSON text, which Traktor and Mixxx read. These programs need four stems in stereo.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.disk.atomic import check_absent, check_folder
from nmfaudio.disk.partial_file import PartialFile, convert_write_errors, flush_folder
from nmfaudio.disk.signals import DeferredSignals
from nmfaudio.errors import AudioFileError, OptionError, OutputError
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.exact import split_integers
from nmfaudio.sound.files import AudioFile
from nmfaudio.sound.mp4_boxes import write_stem_text
from nmfaudio.sound.opening import Source
from nmfaudio.sound.source import Samples

STEMS = 4  # number of stems in a stem file
COLORS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9")
CODECS = ("alac", "aac")
_SILENT_NAME = "(silent)"
_AAC_BIT_RATE = 256_000
_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_ALAC_RATE = 384_000
_AT_ONCE = 1 << 16  # samples that are encoded at a time
# Settings of the effects that Traktor applies to the sum of the stems, all switched off.
_EFFECTS = {
    "compressor": {
        "enabled": False,
        "ratio": 3,
        "output_gain": 0.5,
        "release": 0.3,
        "attack": 0.003,
        "input_gain": 0.5,
        "threshold": 0,
        "hp_cutoff": 300,
        "dry_wet": 50,
    },
    "limiter": {"enabled": False, "release": 0.05, "threshold": 0, "ceiling": -0.35},
}


def read_stem_mp4(path: Source) -> tuple[Audio, dict[str, Audio]]:
    """Read the mixture and the stems of a stem file.

    Parameters
    ----------
    path : path-like or binary file
        MP4 file with several audio tracks, of which the first is the mixture.

    Returns
    -------
    Audio
        The mixture.
    dict of str to Audio
        The stems by name, each as long as the mixture.

    Raises
    ------
    AudioFileError
        If the file cannot be read or has a single audio track.
    """
    content = path.read() if hasattr(path, "read") else None
    with AudioFile(io.BytesIO(content) if content else path) as file:
        mixture = Audio.from_frames(file.read(0, file.length).T, file.sample_rate, file.encoding, file.name)
        mixture = mixture.with_description(metadata=file.metadata)
        count, names = file.tracks, file.stem_names
    if count < 2:
        raise AudioFileError(f"{file.label}: it has a single audio track: it is not a stem file")
    named = zip_longest(names[: count - 1], range(1, count))
    stems = {}
    for name, number in named:
        with AudioFile(io.BytesIO(content) if content else path, track=number) as file:
            name = name or f"stem {number}"
            stems[name] = Audio.from_frames(
                _of_length(file.read(0, file.length), mixture.length).T, file.sample_rate, file.encoding, name
            )
    return mixture, stems


def write_stem_mp4(
    path: str | Path,
    mixture: Audio,
    stems: Mapping[str, Audio],
    *,
    codec: str = "alac",
    colors: Sequence[str] = COLORS,
    overwrite: bool = False,
) -> Path:
    """Write a mixture and up to four stems to a stem file for DJ software.

    Missing stems are silent, because the software needs four. Mono becomes stereo.

    Parameters
    ----------
    path : path-like
        File to write; its name should end in `.stem.mp4`, by which the software recognizes it.
    mixture : Audio
        The mixture.
    stems : mapping of str to Audio
        One to four stems by name, each with the sample rate, the channels and the length of the mixture.
    codec : {"alac", "aac"}
        `alac` is lossless: the stems sum exactly to the mixture. It has 16 bits if the mixture has 16 bits,
        else 24. `aac` is smaller, with 256 kbit/s for each track.
    colors : sequence of str
        Colors of the stems, such as `#009E73`.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    OptionError
        If the stems do not fit the format or the mixture.
    OutputError
        If the file exists, cannot be written, or PyAV is not installed.
    """
    target = Path(path)
    _check(target, mixture, stems, codec, colors, overwrite)
    tracks = [
        *stems.values(),
        *[Audio(np.zeros(mixture.samples.shape), mixture.sample_rate)] * (STEMS - len(stems)),
    ]
    names = [*stems, *[_SILENT_NAME] * (STEMS - len(stems))]
    with convert_write_errors(target), DeferredSignals():
        partial_file = PartialFile(target)
        try:
            _encode(partial_file, mixture, tracks, codec)
            write_stem_text(partial_file, _description(names, colors))  # type: ignore[arg-type]
            partial_file.flush()
            partial_file.rename_to_target(overwrite=overwrite)
        finally:
            partial_file.discard()
    flush_folder(target.parent)
    return target


def _check(
    target: Path,
    mixture: Audio,
    stems: Mapping[str, Audio],
    codec: str,
    colors: Sequence[str],
    overwrite: bool,
) -> None:
    if codec not in CODECS:
        raise OptionError(f"codec={codec!r}: use one of {', '.join(CODECS)}", option="codec")
    if not 1 <= len(stems) <= STEMS:
        raise OptionError(
            f"a stem file has one to {STEMS} stems, not {len(stems)}: add some of the stems together first"
        )
    if len(colors) < STEMS:
        raise OptionError(f"colors: {len(colors)} are given, and {STEMS} are needed", option="colors")
    for name, audio in {"mixture": mixture, **stems}.items():
        if audio.peak > 1:
            raise OptionError(
                f"{name!r} is louder than full scale (peak {audio.peak:.3f}), which a stem file cannot "
                "contain: multiply the mixture and all stems by the same factor first"
            )
    for name, stem in stems.items():
        shape = (stem.sample_rate, *stem.samples.shape)
        if shape != (mixture.sample_rate, *mixture.samples.shape):
            raise OptionError(f"stem {name!r} differs from the mixture in sample rate, channels or length")
    if mixture.channels > 2:
        raise OptionError(
            f"stem files are in stereo, and the mixture has {mixture.channels} channels: mix it down"
        )
    rate = mixture.sample_rate
    if (codec == "aac" and rate not in _AAC_RATES) or rate > _ALAC_RATE:
        raise OptionError(
            f"{codec} does not support {rate} Hz: resample the mixture and the stems to 44100 Hz"
        )
    if find_spec("av") is None:
        raise OutputError(f"{target}: stem files need PyAV: pip install 'nmfaudio[formats]'")
    check_folder(target)
    if not overwrite:
        check_absent([target])


def _description(names: Sequence[str], colors: Sequence[str]) -> bytes:
    """Return the JSON text that describes the stems."""
    stems = [{"name": name, "color": color} for name, color in zip(names, colors, strict=False)]
    return json.dumps({"mastering_dsp": _EFFECTS, "version": 1, "stems": stems}).encode()


def _encode(file: Any, mixture: Audio, stems: Sequence[Audio], codec: str) -> None:
    """Encode all tracks, in pieces that alternate, so that players need not search."""
    import av

    bits = 16 if mixture.encoding.bits == 16 else 24
    sample_format = {"aac": "fltp", "alac": "s16p" if bits == 16 else "s32p"}[codec]
    try:
        with av.open(file, "w", format="mp4") as container:
            container.metadata.update(mixture.tags)
            tracks = [
                _track(container, codec, sample_format, mixture.sample_rate) for _ in range(1 + len(stems))
            ]
            tracks[0].disposition = av.stream.Disposition.default
            for start, values in _values(mixture, stems, bits if codec == "alac" else None):
                for track, samples in zip(tracks, values, strict=True):
                    for frame in _frames(av, samples, sample_format, track, start):
                        container.mux(track.encode(frame))
            for track in tracks:
                container.mux(track.encode(None))
    except av.error.FFmpegError as error:
        raise OutputError(f"{file.target}: cannot be encoded ({error}): try another codec") from None


def _track(container: Any, codec: str, sample_format: str, sample_rate: int) -> Any:
    track = container.add_stream(codec, rate=sample_rate, layout="stereo", format=sample_format)
    track.codec_context.time_base = Fraction(1, sample_rate)
    if codec == "aac":
        track.codec_context.bit_rate = _AAC_BIT_RATE
    track.disposition = 0
    return track


def _values(
    mixture: Audio, stems: Sequence[Audio], bits: int | None
) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Yield the start of each piece, and the values of the mixture and the stems, (2, samples)."""
    for start in range(0, mixture.length, _AT_ONCE):
        stop = min(start + _AT_ONCE, mixture.length)
        whole, parts = mixture.read(start, stop), [stem.read(start, stop) for stem in stems]
        if bits is None:
            values: list[NDArray[Any]] = [piece.astype(np.float32) for piece in (whole, *parts)]
        else:
            integers = [split_integers(whole, [whole], bits)[0][0]]
            integers += [part for part, _ in split_integers(whole, parts, bits)]
            shift, kind = (0, np.int16) if bits == 16 else (32 - bits, np.int32)
            values = [(piece << shift).astype(kind) for piece in integers]
        yield start, [np.repeat(piece, 2 // len(piece), axis=0) for piece in values]


def _frames(av: Any, samples: NDArray[Any], sample_format: str, track: Any, start: int) -> Iterator[Any]:
    """Yield frames of the size that the encoder needs."""
    size = track.codec_context.frame_size or 4096
    for first in range(0, samples.shape[1], size):
        piece = np.ascontiguousarray(samples[:, first : first + size])
        frame = av.AudioFrame.from_ndarray(piece, sample_format, "stereo")
        frame.sample_rate, frame.pts = track.codec_context.sample_rate, start + first
        frame.time_base = Fraction(1, frame.sample_rate)
        yield frame


def _of_length(samples: Samples, length: int) -> Samples:
    """Return samples, shortened or followed by silence."""
    return np.pad(samples[:, :length], ((0, 0), (0, max(0, length - samples.shape[1]))))
