"""Draw the picture of `docs/explanation/seeds.md`: ``seeds.py FOLDER``.

`blind` separates a piano and a flute with ten seeds, from one random start and from three.
"""

import sys
from pathlib import Path

import numpy as np

import nmfaudio
from nmfaudio.plots.figures import new_figure, save_picture

PIECE, NAMES, SEEDS = "piano_and_flute", ("piano", "flute"), range(10)
SAMPLES = Path(__file__).resolve().parents[2] / "audio_samples"


def scores(starts: int) -> list[float]:
    """Return the mean SI-SDR of the stems of each seed."""
    mixture = nmfaudio.read(SAMPLES / f"{PIECE}.flac")
    truth = {name: nmfaudio.read(SAMPLES / PIECE / f"{name}.flac") for name in NAMES}
    means = []
    for seed in SEEDS:
        stems = nmfaudio.separate(mixture, "blind", sources=len(NAMES), starts=starts, seed=seed).stems
        pairs = nmfaudio.best_names(truth, stems)
        means.append(np.mean([nmfaudio.si_sdr(truth[n].samples, stems[pairs[n]].samples) for n in NAMES]))
    return [float(mean) for mean in means]


def main(folder: str) -> None:
    """Draw a dot for each seed, and print the scores."""
    figure = new_figure(7, 2.2)
    axes = figure.subplots()
    for row, starts in enumerate((3, 1)):
        means = scores(starts)
        print(f"{starts} starts: {np.round(means, 1)}, median {np.median(means):.1f}, least {min(means):.1f}")
        axes.plot(means, [row] * len(means), "o", alpha=0.6)
    axes.set(title="Ten seeds: piano and flute, mean SI-SDR of the two stems", xlabel="dB", ylim=(-0.5, 1.5))
    axes.set_yticks([0, 1], ["three starts, averaged (default)", "one start"])
    save_picture(figure, Path(folder) / "seeds.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
