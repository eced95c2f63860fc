"""Draw the picture of `docs/explanation/divergences.md`: ``divergences.py FOLDER``."""

import sys
from pathlib import Path

import numpy as np

from nmfaudio.plots.figures import new_figure, save_picture

LABELS = {
    "half the squared distance (beta 2)": lambda v, p: (v - p) ** 2 / 2,
    "Kullback-Leibler (beta 1)": lambda v, p: v * np.log(v / p) - v + p,
    "Itakura-Saito (beta 0)": lambda v, p: v / p - np.log(v / p) - 1,
}


def main(folder: str) -> None:
    """Draw what a model costs, for a datum of 1, and for errors of 6 dB at several levels."""
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    models, levels = np.linspace(0.05, 4, 300), np.logspace(-2, 1, 100)
    for label, cost in LABELS.items():
        left.plot(models, cost(1.0, models), label=label)
        right.loglog(levels, cost(levels, levels / 2), label=label)
    left.set(title="Cost of a model where the datum is 1", xlabel="model", ylabel="cost", ylim=(0, 3))
    right.set(title="Cost of a model that is half of the datum", xlabel="datum", ylabel="cost")
    left.legend(frameon=False)
    save_picture(figure, Path(folder) / "divergences.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
