"""Parts of handwritten digits
===========================

You will see a picture of 16 parts of handwritten digits, and how many pixels each part uses.

NMF finds strokes, which are added. PCA finds whole shapes, which are added and subtracted.

::

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

PARTS, SIDE = 16, 4  # components; rows and columns of each panel


def draw_panel(panel: Figure, title: str, images: NDArray[np.float64], colours: str) -> None:
    """Draw 16 images of 8 x 8 pixels, each with a colour range of its own."""
    panel.suptitle(title)
    for axes, image in zip(panel.subplots(SIDE, SIDE).flat, images, strict=True):
        peak = np.abs(image).max()
        low = -peak if colours == "RdBu_r" else 0
        axes.imshow(image.reshape(8, 8), cmap=colours, vmin=low, vmax=peak)
        axes.set(xticks=[], yticks=[])


def main() -> None:
    """Learn from all digits and draw the result."""
    path = sys.argv[1] if len(sys.argv) > 1 else "digits.png"
    X = load_digits().data
    model = nmfaudio.NMF(PARTS, beta_loss="kullback-leibler", init="random", random_state=0, max_iter=1000)
    W = model.fit_transform(X)
    pca = PCA(PARTS, random_state=0).fit(X)

    figure = plt.figure(figsize=(10, 10.4), layout="constrained")
    panels = np.ravel(np.asarray(figure.subfigures(2, 2)))
    draw_panel(panels[0], "NMF: parts, which are added", model.components_, "gray_r")
    draw_panel(panels[1], "PCA: components, which are added and subtracted", pca.components_, "RdBu_r")
    draw_panel(panels[2], "Digits", X[:PARTS], "gray_r")
    draw_panel(panels[3], f"Digits from NMF's {PARTS} parts", model.inverse_transform(W[:PARTS]), "gray_r")
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
