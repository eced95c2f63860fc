"""Simulated rooms: image sources of a box, and reverberation that decays exponentially."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

ROOM = (6.2, 5.1, 2.9)  # metres
HEIGHTS = (1.4, 1.7)  # metres: of sources, and of microphones
MIDDLE = (3.1, 1.2)  # metres: place of the microphones
SPEED_OF_SOUND = 343.0
ORDER = 6  # reflections at the walls of each direction
REVERBERATION_SECONDS = 0.6

Signal = NDArray[np.float64]


def recorded_in_room(
    sound: Signal, rate: int, place: tuple[float, float], distance: float, reflection: float
) -> Signal:
    """Return what two microphones in a room record of a sound.

    Parameters
    ----------
    sound : ndarray, shape (samples,)
    rate : int
        Sample rate in Hz.
    place : (float, float)
        Place of the source in metres.
    distance : float
        Distance of the microphones in metres. With 0, they are cardioids that point 45 degrees to the left
        and to the right; otherwise they record all directions alike.
    reflection : float
        Part of the pressure that a wall reflects.

    Returns
    -------
    ndarray, shape (2, samples)

    References
    ----------
    J. B. Allen and D. A. Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65(4),
    1979.
    """
    images, gains = _images((*place, HEIGHTS[0]), reflection)
    channels = []
    for side in (-1, 1):
        microphone = np.array([MIDDLE[0] + side * distance / 2, MIDDLE[1], HEIGHTS[1]])
        offsets = images - microphone
        lengths = np.linalg.norm(offsets, axis=1)
        directivity = np.ones(len(images))
        if distance == 0:
            axis = np.array([side, 1, 0]) / np.sqrt(2)
            directivity = 0.5 + 0.5 * (offsets @ axis) / lengths
        response = _response(lengths / SPEED_OF_SOUND * rate, directivity * gains / lengths)
        channels.append(fftconvolve(sound, response)[: len(sound)])
    recorded = np.stack(channels)
    return np.asarray(sound.std() * recorded / recorded.std())


def _images(source: tuple[float, ...], reflection: float) -> tuple[Signal, Signal]:
    """Return the places of the image sources and the part of the pressure that each keeps."""
    numbers = range(-ORDER, ORDER + 1)
    axes = []
    for size, x in zip(ROOM, source, strict=True):
        axes.append([(2 * (n // 2) * size + (x if n % 2 == 0 else 2 * size - x), abs(n)) for n in numbers])
    images = list(product(*axes))
    places = np.array([[coordinate for coordinate, _ in image] for image in images])
    gains = np.array([reflection ** sum(count for _, count in image) for image in images])
    return places, gains


def _response(delays: Signal, gains: Signal) -> Signal:
    """Return an impulse response; each impulse is divided between the two nearest samples."""
    response = np.zeros(int(delays.max()) + 2)
    first = np.floor(delays).astype(int)
    np.add.at(response, first, gains * (1 - delays + first))
    np.add.at(response, first + 1, gains * (delays - first))
    return response


def decaying_reverberation(sound: Signal, rate: int, level: float, seed: int) -> Signal:
    """Return diffuse reverberation of a sound in two channels, with a level in dB relative to the sound.

    Parameters
    ----------
    sound : ndarray, shape (samples,)
    rate : int
        Sample rate in Hz.
    level : float
    seed : int
        Seed of the noise that the impulse responses consist of.

    Returns
    -------
    ndarray, shape (2, samples)
    """
    times = np.arange(round(REVERBERATION_SECONDS * rate)) / rate
    decay = 10 ** (-3 * times / REVERBERATION_SECONDS)
    responses = np.random.default_rng(seed).standard_normal((2, times.size)) * decay
    tail = np.stack([fftconvolve(sound, response)[: sound.size] for response in responses])
    return np.asarray(10 ** (level / 20) * sound.std() / np.sqrt(2) * tail / tail.std())
