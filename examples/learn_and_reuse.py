"""Learn instruments, and separate what they play later
====================================================

You will see that a dictionary learned from seven seconds of instruments separates what they play later.

The dictionary is saved to a file, which also works with `nmfaudio separate --dictionary`. A picture shows it.

::

    python examples/learn_and_reuse.py [instruments.safetensors [instruments.png]]
"""

import sys
from pathlib import Path

import nmfaudio
from nmfaudio.plots.figures import save_picture

SAMPLES = Path(__file__).resolve().parent.parent / "audio_samples" / "night_bus"
PLAYERS = ("bass", "clarinet", "marimba")
SECONDS = 7.0  # of each instrument alone, from which it is learned


def main(file: str = "instruments.safetensors", picture: str = "instruments.png") -> None:
    """Learn each instrument from its first seconds, and separate the seconds that follow."""
    alone = {name: nmfaudio.read(SAMPLES / f"{name}.flac") for name in PLAYERS}
    mixture = nmfaudio.read(SAMPLES.with_suffix(".flac"))
    split = int(SECONDS * mixture.sample_rate)
    learned = [nmfaudio.learn(sound.cut(0, split), name) for name, sound in alone.items()]
    dictionary = nmfaudio.Dictionary.join(learned)
    dictionary.save(file)
    save_picture(nmfaudio.plot_dictionary(dictionary, title="night bus"), picture)
    later = mixture.cut(split, mixture.length)
    separation = nmfaudio.separate(later, "dictionary", dictionary=file, stereo=False)
    for name, stem in separation.stems.items():
        truth = alone[name].cut(split, mixture.length).samples
        before, after = (nmfaudio.si_sdr(truth, s.samples) for s in (later, stem))
        print(f"{name}: SI-SDR {before:.1f} dB in the mixture, {after:.1f} dB in its stem")


if __name__ == "__main__":
    main(*sys.argv[1:])
