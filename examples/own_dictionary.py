"""Learn the sound of each source from its own recording, then take a mixture apart with what was learned.

The engine takes matrices, so any recipe can be built on it. This one is the classic of supervised separation.

    python examples/own_dictionary.py
"""

import numpy as np

import nmfaudio
from nmfaudio import STFT, Audio, Blocks, Spectrogram


def spectrogram(audio: Audio) -> Spectrogram:
    """Return the spectrogram of a whole recording."""
    return Blocks(audio, STFT.lasting(0.046, audio.sample_rate)).whole()


def main() -> None:
    """Learn kick, snare and hi-hat, and find them in the loop."""
    names = ("kick", "snare", "hihat")
    learned = [
        nmfaudio.factorize(
            spectrogram(nmfaudio.read(f"audio_samples/drum_loop/{name}.flac")).magnitude[0], 8
        ).W
        for name in names
    ]
    mixture = spectrogram(nmfaudio.read("audio_samples/drum_loop.flac"))
    H = nmfaudio.activate(mixture.magnitude[0], np.hstack(learned)).H
    parts = zip(names, learned, np.split(H, len(names)), strict=True)
    estimates = {name: (W @ h)[None] for name, W, h in parts}
    for name, stem in nmfaudio.soft_masks(mixture, estimates).items():
        print(f"{name}: {np.mean(stem.magnitude**2) / np.mean(mixture.magnitude**2):.2f} of the energy")


if __name__ == "__main__":
    main()
