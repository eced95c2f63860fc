"""Separate players by their positions
===================================

You will see how well a band is separated by the places of its players, and hear each player alone.

Bass, clarinet and marimba stand at different places between the loudspeakers. The stems are written as FLAC.

::

    python examples/stereo_places.py [places]
"""

import sys
from pathlib import Path

import nmfaudio

SAMPLES = Path(__file__).resolve().parent.parent / "audio_samples"


def main(folder: str = "places") -> None:
    """Separate the band, score its stems against the true ones, and write them."""
    band = nmfaudio.read(SAMPLES / "night_bus.flac")
    players = ("bass", "clarinet", "marimba")
    truth = {name: nmfaudio.read(SAMPLES / "night_bus" / f"{name}.flac") for name in players}
    separation = nmfaudio.separate(band, "stereo", sources=3)
    Path(folder).mkdir(exist_ok=True)
    for name, place in nmfaudio.best_names(truth, separation.stems).items():
        stem = separation.stems[place]
        before, after = (nmfaudio.si_sdr(truth[name].samples, s.samples) for s in (band, stem))
        print(f"{name}: SI-SDR {before:.1f} dB in the mixture, {after:.1f} dB in its stem ({place})")
        stem.write(Path(folder) / f"{name}.flac", overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
