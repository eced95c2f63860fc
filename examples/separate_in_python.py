"""Separate a recording in Python
==============================

You will see the level of each of three stems, and find the stems in a folder as 24-bit WAV files.

The script reads an audio file, separates it and writes the stems.

::

    python examples/separate_in_python.py audio_samples/drum_loop.flac stems

Without arguments, it separates this drum loop into the folder `drum_loop_stems`.
"""

import sys
from pathlib import Path

import numpy as np

import nmfaudio

LOOP = Path(__file__).resolve().parent.parent / "audio_samples" / "drum_loop.flac"


def main(mixture: str = str(LOOP), folder: str = "drum_loop_stems") -> None:
    """Separate a mixture into three stems and write them as 24-bit WAV."""
    audio = nmfaudio.read(mixture)
    separation = nmfaudio.separate(audio, sources=3, seed=0)
    for name, stem in separation.stems.items():
        level = 10 * np.log10(np.mean(stem.samples**2) + 1e-30)
        print(f"{name}: {level:.1f} dB")
    separation.write(folder, format="wav", subtype="PCM_24", overwrite=True)


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3):
        sys.exit("usage: python examples/separate_in_python.py [MIXTURE FOLDER]")
    main(*sys.argv[1:])
