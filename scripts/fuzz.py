"""Fuzz the reading of audio files: ``python scripts/fuzz.py [FOLDER] [-max_total_time=600]``.

The script needs atheris (``pip install 'nmfaudio[fuzz]'``) and passes its options on. FOLDER collects the
inputs that reach new code. An input for which the reader does anything but read it or raise an error of
nmfaudio is written to ``crash-...``. Reduce such an input to a small one and add it to ``tests/regressions``
with the correction.
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
    """Read the content as an audio file and as a manifest; only errors of nmfaudio are allowed."""
    path = _FOLDER / f"{os.getpid()}"
    path.write_bytes(content)
    with contextlib.suppress(NmfaudioError), AudioFile(path) as file:
        stop = min(file.length, 1 << 16)
        if file.read(0, stop).shape != (file.channels, stop):
            raise AssertionError("samples are missing")
    with contextlib.suppress(NmfaudioError):
        load(path)


def main() -> None:
    """Fuzz until interrupted or until a limit of the options is reached."""
    atheris.Setup(sys.argv, read_or_refuse)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
