"""Draw the pictures of `docs/explanation/nmf-from-scratch.md`: ``nmf_from_scratch.py FOLDER``.

The factors are those of `factorize_plainly`, which the page shows.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

import nmfaudio
from nmfaudio import STFT, Blocks, Spectrogram
from nmfaudio.plots.figures import new_figure, save_picture

LOOP = Path(__file__).resolve().parents[2] / "audio_samples" / "drum_loop.flac"
NAMES, COLOURS = ("first component", "second component", "third component"), ("C0", "C1", "C2")
SHOWN, HIGHEST = 2.1, 12000  # seconds and Hz that the pictures show
Matrix = NDArray[np.float64]


def spectrogram() -> Spectrogram:
    """Return the spectrogram of the drum loop."""
    loop = nmfaudio.read(LOOP)
    return Blocks(loop, STFT.lasting(0.046, loop.sample_rate)).whole()


def factorize_plainly(V: Matrix, rank: int, updates: int) -> tuple[Matrix, Matrix]:
    """Return W and H after multiplicative updates for the Kullback-Leibler divergence, from noise."""
    rng = np.random.default_rng(0)
    W, H = rng.random((len(V), rank)), rng.random((rank, V.shape[1]))
    for _ in range(updates):
        H *= W.T @ (V / (W @ H)) / W.sum(axis=0)[:, None]
        W *= (V / (W @ H)) @ H.T / H.sum(axis=1)
        H *= W.sum(axis=0)[:, None]
        W /= W.sum(axis=0)
    return W, H


def draw_matrix(axes: Axes, values: Matrix, title: str) -> None:
    """Draw a matrix of bins and frames in dB."""
    levels = 20 * np.log10(np.maximum(values / values.max(), 1e-4))
    axes.imshow(
        levels, origin="lower", aspect="auto", extent=(0, SHOWN, 0, HIGHEST / 1000), vmin=-70, cmap="magma"
    )
    axes.set(title=title, xlabel="time, s", ylabel="frequency, kHz")


def main(folder: str) -> None:
    """Draw the spectrogram, its factors, and the three models."""
    block = spectrogram()
    frames, bins = int(SHOWN * 44100 / 512), int(np.searchsorted(block.frequencies, HIGHEST))
    V = block.magnitude[0].astype(float) + 1e-9
    W, H = factorize_plainly(V, 3, 200)
    kHz, seconds = block.frequencies[:bins] / 1000, np.arange(frames) * 512 / 44100

    figure = new_figure(7, 3)
    draw_matrix(figure.subplots(), V[:bins, :frames], "V: how strong each frequency is at each time (dB)")
    save_picture(figure, Path(folder) / "spectrogram.png")

    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    for k, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
        left.plot(W[:bins, k] / W[:bins, k].max() + 2 - k, kHz, colour, lw=0.8)
        right.plot(seconds, H[k, :frames] / H[k].max() + 2 - k, colour, label=name)
    left.set(title="W: three templates", xlabel="strength", ylabel="frequency, kHz", xticks=[], ylim=(0, 12))
    right.set(title="H: three activations", xlabel="time, s", ylabel="strength", yticks=[], ylim=(-0.1, 3.6))
    right.legend(loc="upper center", ncols=3, frameon=False)
    save_picture(figure, Path(folder) / "factors.png")

    figure = new_figure(9, 3)
    for k, axes in enumerate(figure.subplots(1, 3, sharey=True)):
        mask = np.outer(W[:bins, k], H[k, :frames]) / (W @ H)[:bins, :frames]
        axes.imshow(
            mask, origin="lower", aspect="auto", extent=(0, SHOWN, 0, 12), vmin=0, vmax=1, cmap="gray_r"
        )
        axes.set(title=f"mask of the {NAMES[k]}", xlabel="time, s")
    figure.axes[0].set_ylabel("frequency, kHz")
    save_picture(figure, Path(folder) / "masks.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
