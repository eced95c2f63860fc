"""The drums of a loop
===================

You will see the sounds of kick, snare and hi-hat as short spectrograms, and hear each drum alone.

Nothing is learned before: the separator adapts rough templates of the three drums to the loop.

::

    python examples/drum_loop.py [drum_loop.png [drums]]
"""

import sys
from pathlib import Path

import nmfaudio
from nmfaudio.plots.figures import new_figure, save_picture
from nmfaudio.plots.matrices import plot_templates

SAMPLES = Path(__file__).resolve().parent.parent / "audio_samples"


def main(picture: str = "drum_loop.png", folder: str = "drums") -> None:
    """Separate the loop, score the drums, draw their templates and write the stems."""
    separation = nmfaudio.separate(SAMPLES / "drum_loop.flac", "drums")
    for name, stem in separation.stems.items():
        truth = nmfaudio.read(SAMPLES / "drum_loop" / f"{name}.flac").samples
        before, after = (nmfaudio.si_sdr(truth, s.samples) for s in (separation.mixture, stem))
        print(f"{name}: SI-SDR {before:.1f} dB in the loop, {after:.1f} dB in its stem")
    figure = new_figure(7, 5)
    plot_templates(separation.components, ax=figure.subplots())
    save_picture(figure, picture)
    separation.write(folder, overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
