"""Take handwritten digits apart: NMF finds strokes that add up, PCA finds whole shapes that cancel.

Writes a picture of both beside some digits and their reconstructions from NMF's parts.

    python examples/digits.py [digits.png]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import nmfaudio

PARTS, SHOWN = 16, 4  # components, and rows and columns of each panel


def panel(part: Figure, title: str, images: NDArray[np.float64], colours: str) -> None:
    """Draw 16 images of 8 x 8 pixels; each has its own range, with zero in the middle of two colours."""
    part.suptitle(title)
    for axes, image in zip(part.subplots(SHOWN, SHOWN).flat, images, strict=True):
        peak = np.abs(image).max()
        low = -peak if colours == "RdBu_r" else 0
        axes.imshow(image.reshape(8, 8), cmap=colours, vmin=low, vmax=peak)
        axes.set(xticks=[], yticks=[])


def main() -> None:
    """Learn from all digits, and show."""
    path = sys.argv[1] if len(sys.argv) > 1 else "digits.png"
    X = load_digits().data
    model = nmfaudio.NMF(PARTS, beta_loss="kullback-leibler", init="random", random_state=0, max_iter=1000)
    W = model.fit_transform(X)
    pca = PCA(PARTS, random_state=0).fit(X)

    figure = plt.figure(figsize=(10, 10.4), layout="constrained")
    parts = np.ravel(np.asarray(figure.subfigures(2, 2)))
    panel(parts[0], "NMF: parts, which are added", model.components_, "gray_r")
    panel(parts[1], "PCA: components, which are added and subtracted", pca.components_, "RdBu_r")
    panel(parts[2], "Digits", X[:PARTS], "gray_r")
    panel(parts[3], f"Digits from NMF's {PARTS} parts", model.inverse_transform(W[:PARTS]), "gray_r")
    figure.savefig(path, dpi=100)

    used = [
        np.mean(np.abs(m) > 0.1 * np.abs(m).max(axis=1, keepdims=True))
        for m in (model.components_, pca.components_)
    ]
    print(f"pixels in a part of NMF: {used[0]:.0%}")
    print(f"pixels in a component of PCA: {used[1]:.0%}")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
