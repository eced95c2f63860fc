"""A dictionary by hand, from factorized matrices
==============================================

You will see which part of the energy of a drum loop belongs to the kick, the snare and the hi-hat.

The script learns each drum from a recording of it alone, and then finds these templates in the loop. It uses
only the matrix functions `factorize` and `activate`, as in a textbook on supervised separation.

::

    python examples/own_dictionary.py
"""

from pathlib import Path

import numpy as np

import nmfaudio
from nmfaudio import STFT, Audio, Blocks, Spectrogram

SAMPLES = Path(__file__).resolve().parent.parent / "audio_samples"


def spectrogram(audio: Audio) -> Spectrogram:
    """Return the spectrogram of a whole recording."""
    return Blocks(audio, STFT.lasting(0.046, audio.sample_rate)).whole()


def main() -> None:
    """Learn kick, snare and hi-hat, then print their part of the energy of the loop."""
    names = ("kick", "snare", "hihat")
    template_sets = [
        nmfaudio.factorize(
            spectrogram(nmfaudio.read(SAMPLES / "drum_loop" / f"{name}.flac")).magnitude[0], 8
        ).W
        for name in names
    ]
    mixture = spectrogram(nmfaudio.read(SAMPLES / "drum_loop.flac"))
    H = nmfaudio.activate(mixture.magnitude[0], np.hstack(template_sets)).H
    sources = zip(names, template_sets, np.split(H, len(names)), strict=True)
    estimates = {name: (W @ h)[None] for name, W, h in sources}
    for name, stem in nmfaudio.soft_masks(mixture, estimates).items():
        print(f"{name}: {np.mean(stem.magnitude**2) / np.mean(mixture.magnitude**2):.2f} of the energy")


if __name__ == "__main__":
    main()
