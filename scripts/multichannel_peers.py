"""Blind separation of several microphones with pyroomacoustics; for `benchmark_separation.py`.

``multichannel_peers.py ilrma|fastmnmf2 MIXTURE OUT --stems N``

ilrma      a demixing matrix for each frequency; as many components as microphones
fastmnmf2  a Wiener filter across the microphones, with any number of sources

pyroomacoustics returns ILRMA at one microphone. Here each component is projected to all microphones, as
nmfaudio gives stems with the channels of the mixture.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyroomacoustics
import scipy.signal
import soundfile
from numpy.typing import NDArray

WINDOW_SECONDS = 0.256  # longer than most of the reverberation; usual for both methods
UPDATES = 100
ILRMA_TEMPLATES, MNMF_TEMPLATES = 4, 8  # for each source
SEED = 0

Spectra = NDArray[Any]


def transform(rate: int) -> scipy.signal.ShortTimeFFT:
    """Return the STFT: windows of 256 ms that overlap by three quarters."""
    length = 1 << round(np.log2(WINDOW_SECONDS * rate))
    return scipy.signal.ShortTimeFFT(scipy.signal.windows.hann(length, sym=False), length // 4, fs=rate)


def ilrma(X: Spectra, _: int) -> Spectra:
    """Separate (frames, bins, microphones) into (sources, microphones, frames, bins)."""
    Y = pyroomacoustics.bss.ilrma(X, n_iter=UPDATES, n_components=ILRMA_TEMPLATES, proj_back=False)
    x, y = (np.moveaxis(a, 0, 2) for a in (X, Y))  # (bins, channels, frames)
    y_h = y.conj().swapaxes(1, 2)
    mixing = np.linalg.solve((y @ y_h).swapaxes(1, 2), (x @ y_h).swapaxes(1, 2)).swapaxes(1, 2)
    return np.asarray(np.einsum("fms,fst->smtf", mixing, y))


def fastmnmf2(X: Spectra, sources: int) -> Spectra:
    """Separate (frames, bins, microphones) into (sources, microphones, frames, bins)."""
    images = pyroomacoustics.bss.fastmnmf2(
        X, n_src=sources, n_iter=UPDATES, n_components=MNMF_TEMPLATES, mic_index="all"
    )
    return np.asarray(np.moveaxis(images, 3, 0))


METHODS = {"ilrma": ilrma, "fastmnmf2": fastmnmf2}


def main() -> None:
    """Separate with one of the two methods."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("mixture", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--stems", type=int, required=True)
    options = parser.parse_args()
    np.random.seed(SEED)  # noqa: NPY002 - pyroomacoustics starts from the global generator
    samples, rate = soundfile.read(options.mixture, always_2d=True)
    stft = transform(rate)
    X = np.moveaxis(stft.stft(samples.T), 0, 2).swapaxes(0, 1)
    for number, image in enumerate(METHODS[options.method](np.ascontiguousarray(X), options.stems)):
        stem = stft.istft(image.swapaxes(1, 2), k1=len(samples))
        soundfile.write(options.out / f"source{number + 1}.wav", stem.T, rate, subtype="FLOAT")


if __name__ == "__main__":
    main()
