"""Write samples in memory to an audio file that appears complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from nmfaudio.errors import OutputError
from nmfaudio.sound.encoding import stem_encoding
from nmfaudio.sound.source import Encoding, SampleSource
from nmfaudio.sound.stem_files import StemFiles
from nmfaudio.sound.stem_format import StemFormat

_OTHER_ENDINGS = {"aif": "aiff", "aifc": "aiff", "oga": "ogg"}


def write_audio(
    source: SampleSource,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    subtype: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write samples to a file, as `Audio.write` describes, and return its path."""
    path = Path(path)
    encoding = _encoding(source.encoding, path, format, subtype)
    form = StemFormat(source.sample_rate, source.channels, source.length, encoding, source.metadata)
    samples = source.read(0, source.length)
    with StemFiles({"audio": path}, form, overwrite=overwrite) as files:
        files.write(samples, {"audio": samples})
        files.commit()
    return path


def _encoding(source: Encoding, path: Path, format: str | None, subtype: str | None) -> Encoding:
    """Return the encoding; the ending of the name decides the format where none is given."""
    ending = path.suffix.lstrip(".").lower()
    if format is None and not ending:
        raise OutputError(f"{path}: its name has no ending: end it in .wav or .flac, or pass format")
    return stem_encoding(source, format or _OTHER_ENDINGS.get(ending, ending), subtype)
