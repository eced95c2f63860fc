"""Separation with librosa and scikit-learn, and with ideal masks; for `benchmark_separation.py`.

``separation_peers.py blind|dictionary|oracle MIXTURE OUT --stems N | --clips FILE... | --truth FILE...``

blind       as many components as stems; each component is a stem
dictionary  20 templates learned from each recording and held fixed; scikit-learn fixes all or none
oracle      the ideal ratio mask, computed from the true stems
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
from numpy.typing import NDArray
from sklearn.decomposition import NMF, non_negative_factorization

TEMPLATES, UPDATES = 20, 200
SETTINGS = {"solver": "mu", "beta_loss": "kullback-leibler", "max_iter": UPDATES, "tol": 0}
FLOOR = 1e-10

Matrix = NDArray[Any]


class Mixture:
    """Spectrogram of a mixture, and a method that writes stems from masks of it."""

    def __init__(self, path: Path, out: Path) -> None:
        samples, self.rate = soundfile.read(path, always_2d=True)
        self.n_fft = 1024 if self.rate <= 24000 else 2048
        self.length, self.out = len(samples), out
        self.X = self.spectrogram(samples)
        self.V = np.abs(self.X).mean(axis=0) + FLOOR

    def spectrogram(self, samples: Matrix) -> Matrix:
        """Return the STFT of (samples, channels) as (channels, bins, frames)."""
        return np.stack([librosa.stft(np.ascontiguousarray(c), n_fft=self.n_fft) for c in samples.T])

    def read(self, path: Path) -> Matrix:
        """Return the STFT of another file."""
        return self.spectrogram(soundfile.read(path, always_2d=True)[0])

    def write(self, estimates: dict[str, Matrix]) -> None:
        """Write stems; the mask of each stem is its estimate over the sum of all estimates."""
        total = sum(estimates.values()) + FLOOR
        for name, estimate in estimates.items():
            masked = self.X * (estimate / total)
            stem = [librosa.istft(x, n_fft=self.n_fft, length=self.length) for x in masked]
            soundfile.write(self.out / f"{name}.wav", np.stack(stem, axis=1), self.rate, subtype="FLOAT")


def blind(mixture: Mixture, stems: int) -> dict[str, Matrix]:
    """Return an estimate of each stem, with one component for each."""
    model = NMF(stems, init="nndsvda", random_state=0, **SETTINGS)
    activations = model.fit_transform(mixture.V.T)
    return {f"component{k}": np.outer(model.components_[k], activations[:, k]) for k in range(stems)}


def dictionary(mixture: Mixture, clips: Sequence[Path]) -> dict[str, Matrix]:
    """Learn templates from each recording, then find all activations with fixed templates."""
    template_sets = []
    for clip in clips:
        V = np.abs(mixture.read(clip)).mean(axis=0) + FLOOR
        rank = max(1, min(TEMPLATES, V.shape[1] // 4))
        template_sets.append(NMF(rank, init="nndsvda", random_state=0, **SETTINGS).fit(V.T).components_)
    W = np.concatenate(template_sets)
    W /= W.sum(axis=1, keepdims=True) + FLOOR
    activations, _, _ = non_negative_factorization(
        mixture.V.T, H=W, n_components=len(W), update_H=False, **SETTINGS
    )
    ends = np.cumsum([0, *map(len, template_sets)])
    return {
        clip.stem: (activations[:, a:b] @ W[a:b]).T for clip, a, b in zip(clips, ends, ends[1:], strict=False)
    }


def oracle(mixture: Mixture, truth: Sequence[Path]) -> dict[str, Matrix]:
    """Return the magnitudes of the true stems as estimates."""
    return {path.stem: np.abs(mixture.read(path)) for path in truth}


def main() -> None:
    """Separate in one of the three ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("way", choices=["blind", "dictionary", "oracle"])
    parser.add_argument("mixture", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--stems", type=int, default=2)
    parser.add_argument("--clips", nargs="+", type=Path, default=[])
    parser.add_argument("--truth", nargs="+", type=Path, default=[])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    mixture = Mixture(options.mixture, options.out)
    if options.way == "blind":
        mixture.write(blind(mixture, options.stems))
    elif options.way == "dictionary":
        mixture.write(dictionary(mixture, options.clips))
    else:
        mixture.write(oracle(mixture, options.truth))


if __name__ == "__main__":
    main()
