"""Fuzz the reading of audio files: ``python scripts/fuzz.py [FOLDER] [-max_total_time=600]``.

Needs atheris (``pip install 'nmfaudio[fuzz]'``), whose options follow; FOLDER keeps the inputs that reach
new code. A content that makes the reader do anything but read or refuse is written to ``crash-...``: make it
small, and put it into ``tests/regressions`` with the repair.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("fuzzing needs atheris: pip install 'nmfaudio[fuzz]'")

with atheris.instrument_imports(include=["nmfaudio", "soundfile"]):
    from nmfaudio.errors import NmfaudioError
    from nmfaudio.pipeline.manifest import load
    from nmfaudio.sound.files import AudioFile

_FOLDER = Path(tempfile.mkdtemp(prefix="nmfaudio-fuzz-"))


def read_or_refuse(content: bytes) -> None:
    """Take a content for an audio file and for a manifest; anything but an error of nmfaudio is a find."""
    path = _FOLDER / f"{os.getpid()}"
    path.write_bytes(content)
    with contextlib.suppress(NmfaudioError), AudioFile(path) as file:
        stop = min(file.length, 1 << 16)
        if file.read(0, stop).shape != (file.channels, stop):
            raise AssertionError("samples are missing")
    with contextlib.suppress(NmfaudioError):
        load(path)


def main() -> None:
    """Fuzz until told to stop."""
    atheris.Setup(sys.argv, read_or_refuse)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
