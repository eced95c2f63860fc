"""Encodings of stems: formats, sample types and endings of file names."""

from __future__ import annotations

import soundfile

from nmfaudio.errors import OptionError
from nmfaudio.sound.audio import Encoding

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


def stem_encoding(source: Encoding, format: str | None = None, subtype: str | None = None) -> Encoding:
    """Choose the encoding of stems: the source's where it is exact, else WAV with float samples.

    Parameters
    ----------
    source : Encoding
        Of the mixture.
    format, subtype : str, optional
        What the user asks for, in libsndfile's words (`wav`, `flac`, `opus`, ...; `PCM_16`, `FLOAT`, ...).

    Raises
    ------
    OptionError
        When libsndfile cannot write it; the message lists what it can.

    Examples
    --------
    >>> stem_encoding(Encoding("MP3", "MPEG_LAYER_III"))
    Encoding(format='WAV', subtype='FLOAT')
    >>> stem_encoding(Encoding("WAV", "PCM_24"), format="flac")
    Encoding(format='FLAC', subtype='PCM_24')
    """
    kept = source if source.exact and source.format in _EXTENSIONS else Encoding("WAV", "FLOAT")
    if source.exact and kept is not source:
        kept = Encoding("WAV", source.subtype if soundfile.check_format("WAV", source.subtype) else "FLOAT")
    if format is not None:
        kept = _in_format(kept, format.upper())
    if subtype is None:
        return kept
    if not soundfile.check_format(kept.format, subtype.upper()):
        known = ", ".join(soundfile.available_subtypes(kept.format))
        raise OptionError(f"subtype {subtype!r} does not exist in {kept.format}: use one of {known}")
    return Encoding(kept.format, subtype.upper())


def float_encoding(encoding: Encoding) -> Encoding:
    """Return the encoding with float samples: in the same format where it has them, else in WAV."""
    kept = soundfile.check_format(encoding.format, "FLOAT")
    return Encoding(encoding.format if kept else "WAV", "FLOAT")


def extension(encoding: Encoding) -> str:
    """Return the file name's ending for an encoding, without a dot."""
    return "opus" if encoding.subtype == "OPUS" else _EXTENSIONS[encoding.format]


def _in_format(kept: Encoding, format: str) -> Encoding:
    if format == "OPUS":
        return Encoding("OGG", "OPUS")
    format = {"AIF": "AIFF", "AIFC": "AIFF"}.get(format, format)
    if format not in _EXTENSIONS:
        known = ", ".join([*(name.lower() for name in _EXTENSIONS), "opus"])
        raise OptionError(f"format {format.lower()!r} cannot be written: use one of {known}")
    for subtype in (kept.subtype, "PCM_24" if kept.subtype != "PCM_16" else "PCM_16"):
        if soundfile.check_format(format, subtype):
            return Encoding(format, subtype)
    return Encoding(format, soundfile.default_subtype(format))
