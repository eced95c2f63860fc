"""Regroup components by a rule
============================

You will see which components have a low sound, and hear them as a new stem; the rest stays as it was.

A separator without knowledge of the instruments groups some components wrongly. Here a rule puts all
components below 200 Hz into the stem `bass`. A listener would name the numbers of what was heard instead.

::

    python examples/regroup.py audio_samples/night_bus.flac regrouped
"""

import sys

import numpy as np

import nmfaudio

HIGHEST = 200.0  # Hz; the loudest partials of the bass lie below


def main(mixture: str, folder: str) -> None:
    """Separate a mixture, gather its low components in a stem and write all stems."""
    separation = nmfaudio.separate(nmfaudio.read(mixture), "blind", sources=3, seed=0)
    components = separation.components
    low = []
    for part in components.parts:
        if part.component is not None:
            spectrum = components.templates[part.component].sum(axis=(0, 2))
            if components.frequencies[spectrum.argmax()] < HIGHEST:
                low.append(part.number)
                print(f"component {part.number} of {part.source} belongs to the bass")
    regrouped = separation.regroup({"bass": low})
    for name, stem in regrouped.stems.items():
        print(f"{name}: {10 * np.log10(np.mean(stem.samples**2) + 1e-30):.1f} dB")
    regrouped.write(folder, format="wav", overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
