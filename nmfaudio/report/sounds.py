"""The sound of stems and of their parts in the passage that a report plays, compressed to fit into a page.

The page needs one part less than a stem has: it computes the loudest part as the stem without all others. So
the parts of a stem add up to exactly that stem in the page too, also where they are compressed with loss.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmfaudio.models.components import Components
from nmfaudio.pipeline.component_sounds import regrouped
from nmfaudio.report.preview import Preview
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.preview_encoding import VORBIS, PreviewEncoder, as_vorbis, has_vorbis, lossless_encoding
from nmfaudio.sound.progress import Progress, ignore_progress
from nmfaudio.sound.source import Encoding, SampleSource

# A page of 15 MB holds 3/4 of that as base64, of which pictures take at most 1 MB.
ROOM_BYTES = 10_200_000
# Compressions of Vorbis, and the bit/s for each channel that dense music takes there at most.
_RATES = ((0.4, 82_000), (0.6, 58_000), (0.8, 41_000), (0.9, 35_000))
_STEM_RATE = 58_000  # bit/s for each channel that parts leave to the stems
_STRONGEST_COMPRESSION = 1.0
_SMALLEST_PEAK = 2.0**-40
_PART_BITS = 16


@dataclass(frozen=True)
class Sound:
    """Encoded sound.

    Attributes
    ----------
    content : bytes
        An audio file.
    encoding : Encoding
        Format and sample type of the file.
    scale : float
        Factor for the decoded samples.
    bits : int or None
        Number of bits to which samples are rounded; None where they are compressed with loss.
    """

    content: bytes
    encoding: Encoding
    scale: float = 1.0
    bits: int | None = None


@dataclass(frozen=True)
class Sounds:
    """All sounds of a page.

    Attributes
    ----------
    stems : dict of str to Sound
        Stems by name.
    parts : dict of int to Sound
        Parts by number; the loudest one of each stem is missing, and so are stems of a single part.
    stem_energies : dict of str to float
        Sum of the squared samples of each stem in the passage.
    part_energies : dict of int to float
        The same of each part.
    channels : int
        Number of channels of all sounds.
    """

    stems: dict[str, Sound]
    parts: dict[int, Sound]
    stem_energies: dict[str, float]
    part_energies: dict[int, float]
    channels: int

    @property
    def is_lossless(self) -> bool:
        """Whether no sound is compressed with loss."""
        return all(sound.bits for sound in (*self.stems.values(), *self.parts.values()))


def encode_sounds(
    stems: Mapping[str, SampleSource],
    components: Components,
    preview: Preview,
    report: Callable[[Progress], None] = ignore_progress,
) -> Sounds:
    """Encode stems and parts in the smallest loss with which they fit into a page.

    Parameters
    ----------
    stems : mapping of str to SampleSource
        All stems of a run.
    components : Components
        Their components.
    preview : Preview
        Passage to encode.
    report : callable
        Takes a `Progress` after each stem.
    """
    channels = _played_channels(next(iter(stems.values())).channels)
    sounds = Sounds(
        {name: _lossless_stem(stem, preview) for name, stem in stems.items()}, {}, {}, {}, channels
    )
    for index, (name, stem) in enumerate(stems.items()):
        sounds.stem_energies[name] = _energy(stem, preview)
        parts, energies = _encoded_parts(name, stem, components, preview)
        sounds.parts.update(parts)
        sounds.part_energies.update(energies)
        report(Progress("encoding", index + 1, len(stems)))
    return _fitted(sounds, preview)


def _fitted(sounds: Sounds, preview: Preview) -> Sounds:
    """Return the sounds with as little loss as fits into a page: first parts lose, then stems too."""
    free = ROOM_BYTES - _bytes(sounds.stems)
    if _bytes(sounds.parts) <= free or not has_vorbis(preview.sample_rate):
        return sounds
    channel_seconds = sounds.channels * (preview.stop - preview.start) / preview.sample_rate
    beside_exact_stems = _compression(free, channel_seconds * len(sounds.parts))
    if beside_exact_stems < _STRONGEST_COMPRESSION:
        parts = _compressed(sounds.parts, beside_exact_stems)
        if _bytes(parts) <= free:
            return replace(sounds, parts=parts)
    reserved = _STEM_RATE * channel_seconds * len(sounds.stems) / 8
    compression = _compression(ROOM_BYTES - reserved, channel_seconds * len(sounds.parts))
    parts = _compressed(sounds.parts, compression)
    compression = _compression(ROOM_BYTES - _bytes(parts), channel_seconds * len(sounds.stems))
    stems = _compressed(sounds.stems, compression)
    if _bytes(stems) + _bytes(parts) > ROOM_BYTES:
        parts = _compressed(sounds.parts, _STRONGEST_COMPRESSION)
    return replace(sounds, stems=stems, parts=parts)


def _compression(room: float, channel_seconds: float) -> float:
    """Return the weakest compression with which sounds of a total duration fit into `room` bytes."""
    for compression, rate in _RATES:
        if rate * channel_seconds <= 8 * room:
            return compression
    return _STRONGEST_COMPRESSION


def _compressed(sounds: Mapping[Any, Sound], compression: float) -> dict[Any, Sound]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        contents = pool.map(lambda sound: as_vorbis(sound.content, compression), sounds.values())
        return {
            key: Sound(content, VORBIS, sound.scale)
            for (key, sound), content in zip(sounds.items(), contents, strict=True)
        }


def describe(sounds: Sounds) -> str:
    """Return a sentence that says how the sounds of a page are encoded."""
    stems = _names(sounds.stems)
    parts = _names(sounds.parts)
    if sounds.is_lossless:
        return f"Stems and components are embedded without loss ({stems})."
    if all(sound.bits for sound in sounds.stems.values()):
        return f"Stems are embedded without loss ({stems}), components with loss ({parts})."
    return f"Stems and components are embedded with loss ({stems}), so that the page stays small."


def _names(sounds: Mapping[Any, Sound]) -> str:
    titles = {"FLAC": "FLAC", "WAV": "WAV", "OGG": "Ogg Vorbis"}
    names = {titles[s.encoding.format] + (f", {s.bits} bits" if s.bits else "") for s in sounds.values()}
    return " and ".join(sorted(names))


def _bytes(sounds: Mapping[Any, Sound]) -> int:
    return sum(len(sound.content) for sound in sounds.values())


def _played_channels(channels: int) -> int:
    """Return the number of channels in the page: more than two are played as their mean."""
    return channels if channels <= 2 else 1


def _played(samples: NDArray[Any]) -> NDArray[Any]:
    return samples if len(samples) <= 2 else np.asarray(samples.mean(axis=0, keepdims=True))


def _energy(stem: SampleSource, preview: Preview) -> float:
    return float((stem.read(preview.start, preview.stop) ** 2).sum())


def _scale(peak: float) -> float:
    """Return the power of two by which samples are divided, so that they use the range of integers."""
    return float(2.0 ** np.ceil(np.log2(max(peak, _SMALLEST_PEAK))))


def _lossless_stem(stem: SampleSource, preview: Preview) -> Sound:
    samples = _played(stem.read(preview.start, preview.stop))
    bits = stem.encoding.bits
    encoding, precision = lossless_encoding(stem.sample_rate), 16 if bits in (8, 16) else 24
    is_exact = bool(bits and bits <= 24 and stem.channels <= 2)
    scale = 1.0 if is_exact else _scale(float(np.abs(samples).max(initial=0)))
    with PreviewEncoder(encoding, stem.sample_rate, len(samples), precision=precision) as encoder:
        encoder.write(samples / scale)
    return Sound(encoder.content, encoding, scale, precision)


def _encoded_parts(
    name: str, stem: SampleSource, components: Components, preview: Preview
) -> tuple[dict[int, Sound], dict[int, float]]:
    """Return the parts of a stem without loss, except its loudest one, and the energies of all."""
    parts = [part for part in components.parts if part.source == name]
    if len(parts) == 1:
        return {}, {parts[0].number: _energy(stem, preview)}
    audio, cut, skipped = with_margin(stem, components, preview)
    scale = _scale(2 * audio.peak)  # a part rarely exceeds the peak of its stem
    encoding = lossless_encoding(stem.sample_rate)
    channels = _played_channels(stem.channels)
    encoders = {
        part.number: PreviewEncoder(encoding, stem.sample_rate, channels, precision=_PART_BITS)
        for part in parts
    }
    energies = dict.fromkeys(encoders, 0.0)
    position, stop = -skipped, preview.stop - preview.start
    for _, pieces in regrouped({name: audio}, cut, {part.name: [part.number] for part in parts}):
        for part in parts:
            piece = pieces[part.name][:, max(0, -position) : max(0, stop - position)]
            energies[part.number] += float((piece**2).sum())
            encoders[part.number].write(_played(piece) / scale)
        position += next(iter(pieces.values())).shape[1]
    for encoder in encoders.values():
        encoder.close()
    loudest = max(energies, key=lambda number: energies[number])
    sounds = {n: Sound(e.content, encoding, scale, _PART_BITS) for n, e in encoders.items() if n != loudest}
    return sounds, energies


def with_margin(
    stem: SampleSource, components: Components, preview: Preview
) -> tuple[Audio, Components, int]:
    """Return a passage of a stem and its components, with as much before and after it as the parts need.

    Returns
    -------
    audio : Audio
        The passage and its margins.
    cut : Components
        The components in the frames of `audio`.
    skipped : int
        Number of samples of `audio` before the passage.
    """
    stft, lags = components.stft, components.templates.shape[3]
    margin = -(-stft.win_length // stft.hop_length) + lags
    first_frame = max(0, preview.start // stft.hop_length - margin)
    first = first_frame * stft.hop_length
    last = min(stem.length, preview.stop + margin * stft.hop_length)
    last_frame = first_frame + stft.frames(last - first)
    cut = replace(components, activations=components.activations[:, :, first_frame:last_frame])
    audio = Audio(stem.read(first, last), stem.sample_rate, stem.encoding, stem.name)
    return audio, cut, preview.start - first
