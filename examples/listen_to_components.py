"""Every component as a sound
==========================

You will see the components of a piece, the strongest first, and hear each of them from a file of its own.

A component is one sound of the recording: a note, a chord, a drum. Most stems have several of them.
The files add up to the recording, to the last bit.

::

    python examples/listen_to_components.py audio_samples/night_bus.flac components
"""

import sys

import numpy as np

import nmfaudio


def main(mixture: str, folder: str) -> None:
    """Find the components of a mixture, describe them and write each of them as audio."""
    separation = nmfaudio.separate(nmfaudio.read(mixture), "blind", sources=3, seed=0)
    components = separation.components
    frequencies, times = components.frequencies, components.times
    print("number  name               energy  loudest at     and at")
    for k in np.argsort(-components.shares):
        part = next(part for part in components.parts if part.component == k)
        frequency = frequencies[components.templates[k].sum(axis=(0, 2)).argmax()]
        time = times[components.activations[k].sum(axis=0).argmax()]
        share = 100 * components.shares[k]
        print(f"{part.number:6}  {part.name:17} {share:5.1f} %  {frequency:7.0f} Hz  {time:7.2f} s")
    groups = {f"{part.number:02} {part.name}": [part.number] for part in components.parts}
    separation.regroup(groups).write(folder, format="wav", overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
