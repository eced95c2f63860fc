"""Encodings of stems: file formats, sample types and file name extensions."""

from __future__ import annotations

import soundfile

from nmfaudio.errors import OptionError
from nmfaudio.sound.source import Encoding

_EXTENSIONS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "W64": "w64",
    "AIFF": "aiff",
    "FLAC": "flac",
    "CAF": "caf",
    "AU": "au",
    "OGG": "ogg",
    "MP3": "mp3",
}
LOSSLESS_FORMATS = ("wav", "aiff", "w64", "caf", "au", "flac")
# Limits of the Vorbis encoder. Beyond them, libsndfile 1.2 crashes instead of reporting an error.
_VORBIS_RATE, _VORBIS_CHANNELS = 200_000, 255
_FLAC_RATE, _FLAC_EXACT_RATE = 655_350, 65_535  # higher rates than the second are stored in steps of 10 Hz


def stem_encoding(source: Encoding, format: str | None = None, subtype: str | None = None) -> Encoding:
    """Choose the encoding of stems: that of the mixture if it is lossless, else WAV with float samples.

    Parameters
    ----------
    source : Encoding
        Encoding of the mixture.
    format, subtype : str, optional
        Requested format (`wav`, `flac`, `opus`, ...) and sample type (`PCM_16`, `FLOAT`, ...), named as in
        libsndfile.

    Raises
    ------
    OptionError
        If libsndfile cannot write it; the message lists the possible values.

    Examples
    --------
    >>> stem_encoding(Encoding("MP3", "MPEG_LAYER_III"))
    Encoding(format='WAV', subtype='FLOAT')
    >>> stem_encoding(Encoding("WAV", "PCM_24"), format="flac")
    Encoding(format='FLAC', subtype='PCM_24')
    """
    encoding = source if source.exact and source.format in _EXTENSIONS else Encoding("WAV", "FLOAT")
    if source.exact and encoding is not source:
        encoding = Encoding(
            "WAV", source.subtype if soundfile.check_format("WAV", source.subtype) else "FLOAT"
        )
    if format is not None:
        encoding = _in_format(encoding, format.upper())
    if subtype is None:
        return encoding
    if not soundfile.check_format(encoding.format, subtype.upper()):
        known = ", ".join(soundfile.available_subtypes(encoding.format))
        raise OptionError(
            f"subtype {subtype!r} does not exist in {encoding.format}: use one of {known}", option="subtype"
        )
    return Encoding(encoding.format, subtype.upper())


def limit_reason(encoding: Encoding, sample_rate: int, channels: int) -> str:
    """Return why an encoding does not support a sample rate or channels; empty if no reason is known here.

    These are the limits beyond which libsndfile crashes or does not name the reason.

    Examples
    --------
    >>> limit_reason(Encoding("OGG", "VORBIS"), 384_000, 2)
    'Vorbis is limited to 200000 Hz'
    """
    if encoding.subtype == "VORBIS":
        if sample_rate > _VORBIS_RATE:
            return f"Vorbis is limited to {_VORBIS_RATE} Hz"
        if channels > _VORBIS_CHANNELS:
            return f"Vorbis is limited to {_VORBIS_CHANNELS} channels"
    if encoding.format == "FLAC":
        if sample_rate > _FLAC_RATE:
            return f"FLAC is limited to {_FLAC_RATE} Hz"
        if sample_rate > _FLAC_EXACT_RATE and sample_rate % 10:
            return f"above {_FLAC_EXACT_RATE} Hz, FLAC supports only multiples of 10 Hz"
    return ""


def float_encoding(encoding: Encoding) -> Encoding:
    """Return an encoding with float samples: in the same format if it has them, else in WAV."""
    has_floats = soundfile.check_format(encoding.format, "FLOAT")
    return Encoding(encoding.format if has_floats else "WAV", "FLOAT")


def extension(encoding: Encoding) -> str:
    """Return the file name extension of an encoding, without a dot."""
    return "opus" if encoding.subtype == "OPUS" else _EXTENSIONS[encoding.format]


def _in_format(encoding: Encoding, format: str) -> Encoding:
    """Return the encoding in another format, with the same sample type if the format has it."""
    if format == "OPUS":
        return Encoding("OGG", "OPUS")
    format = {"AIF": "AIFF", "AIFC": "AIFF"}.get(format, format)
    if format not in _EXTENSIONS:
        known = ", ".join([*(name.lower() for name in _EXTENSIONS), "opus"])
        raise OptionError(f"format {format.lower()!r} cannot be written: use one of {known}", option="format")
    for subtype in (encoding.subtype, "PCM_24" if encoding.subtype != "PCM_16" else "PCM_16"):
        if soundfile.check_format(format, subtype):
            return Encoding(format, subtype)
    return Encoding(format, soundfile.default_subtype(format))
