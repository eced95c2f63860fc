"""Draw the picture of `docs/explanation/seeds.md`: ``seeds.py FOLDER``.

`blind` separates a piano and a flute with ten seeds, from one random start and from six.
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


def grouped_by_an_oracle(seed: int) -> float:
    """Return the mean SI-SDR where each component goes to the source with which it correlates most."""
    separation = nmfaudio.separate(SAMPLES / f"{PIECE}.flac", "blind", sources=len(NAMES), seed=seed)
    truth = [nmfaudio.read(SAMPLES / PIECE / f"{name}.flac").samples for name in NAMES]
    directions = np.stack([samples.ravel() / np.linalg.norm(samples) for samples in truth])
    groups: dict[str, list[int]] = {name: [] for name in NAMES}
    for part in separation.components.parts:
        sound = separation.component(part.number).samples.ravel()
        groups[NAMES[int(np.argmax(directions @ sound))]].append(part.number)
    stems = separation.regroup(groups).stems
    scores = (
        nmfaudio.si_sdr(samples, stems[name].samples) for name, samples in zip(NAMES, truth, strict=True)
    )
    return float(np.mean(list(scores)))


def main(folder: str) -> None:
    """Draw a dot for each seed, and print the scores."""
    figure = new_figure(7, 2.2)
    axes = figure.subplots()
    for row, starts in enumerate((6, 1)):
        means = scores(starts)
        print(f"{starts} starts: {np.round(means, 1)}, median {np.median(means):.1f}, least {min(means):.1f}")
        axes.plot(means, [row] * len(means), "o", alpha=0.6)
    print("grouped by an oracle:", *(f"{grouped_by_an_oracle(seed):.1f}" for seed in range(3)))
    axes.set(title="Ten seeds: piano and flute, mean SI-SDR of the two stems", xlabel="dB", ylim=(-0.5, 1.5))
    axes.set_yticks([0, 1], ["six starts, averaged (default)", "one start"])
    save_picture(figure, Path(folder) / "seeds.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
