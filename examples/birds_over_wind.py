"""A bird without the wind
=======================

You will see the spectrograms of a bird and of the wind around it, and hear the bird without the wind.

The wind is taught from two seconds in which it is alone. All else goes to the stem `residual`: the bird.

::

    python examples/birds_over_wind.py [bird.png [bird]]
"""

import sys
import warnings

import numpy as np

import nmfaudio
from nmfaudio import Audio
from nmfaudio.pipeline.fitting import fit
from nmfaudio.plots.figures import save_picture
from nmfaudio.plots.scene import Scene
from nmfaudio.plots.views import draw

RATE, SECONDS, ALONE = 22050, 6, 2


def recording() -> tuple[np.ndarray, np.ndarray]:
    """Return a bird that whistles, and wind that swells, as two arrays of samples."""
    rng, times = np.random.default_rng(0), np.arange(RATE * SECONDS) / RATE
    wind = np.convolve(rng.standard_normal(len(times)), np.exp(-np.arange(200) / 40), "same")
    wind *= (1 + 0.6 * np.sin(2 * np.pi * times / 1.7)) * 0.02
    whistle = np.zeros(len(times))
    for start in np.arange(ALONE + 0.2, SECONDS - 0.4, 0.45):
        inside = (times >= start) & (times < start + 0.25)
        t = times[inside] - start
        pitch = 3200 + 900 * np.sin(2 * np.pi * 4 * t) + rng.uniform(-400, 400)
        whistle[inside] = 0.2 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.hanning(inside.sum())
    return whistle, wind


def main(picture: str = "bird.png", folder: str = "bird") -> None:
    """Separate the recording, tell how much better the bird is heard, draw and write the stems."""
    whistle, wind = recording()
    mixture = Audio(whistle + wind, RATE, name="field recording")
    separator = nmfaudio.make("dictionary", solo=(f"wind=0-{ALONE}",), free="auto")
    with warnings.catch_warnings(record=True) as notes:  # this split is good, but uncertain to the program
        warnings.simplefilter("always")
        separation = nmfaudio.separate(mixture, separator)
    print(*(note.message for note in notes), sep="\n")
    bird = separation.stems["residual"].samples[0]
    before, after = (nmfaudio.si_sdr(whistle[None], s[None]) for s in (mixture.samples[0], bird))
    print(f"bird: SI-SDR {before:.1f} dB in the recording, {after:.1f} dB in its stem")
    save_picture(draw("stems", Scene.of_fitted(fit(mixture, separator))), picture)
    separation.write(folder, overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
