"""Make cases of sources in a reverberant room: ``room_cases.py RECORDINGS OUT``.

RECORDINGS is a folder of dry recordings, each of one instrument. Each case takes some of them, places them in
a room that pyroomacoustics simulates, and records them with 2 or 4 omnidirectional microphones that stand
apart. The true stems are what the microphones record of each source alone, with its reverberation. The cases
are for ``benchmark_separation.py --cases OUT --ways blind dictionary multichannel oracle``; the training
recordings are dry. `pip install pyroomacoustics` first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import pyroomacoustics
import soundfile
from numpy.typing import NDArray

RATE = 16000  # Hz; the multichannel peers take minutes at higher rates
SECONDS = 8.0  # length of a case; the rest of each recording is for training
ROOM = (6.2, 5.1, 2.9)  # metres
HEIGHT = 1.4  # metres: of sources and microphones
ARRAY = (3.0, 1.6)  # metres: place of the middle of the microphones
SPACING = {2: 0.5, 4: 0.2}  # metres between neighbouring microphones, by their number
DISTANCE = 1.7  # metres from the middle of the microphones to each source
DIRECTIONS = {2: (-35.0, 30.0), 3: (-50.0, 5.0, 45.0)}  # degrees from the front, by number of sources
LEVEL = 0.05  # standard deviation of each source over all microphones

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """One kind of case: number of microphones and sources, and reverberation time in seconds."""

    microphones: int
    sources: int
    reverberation: float

    @property
    def name(self) -> str:
        """Name of the folders of these cases, without the names of the sources."""
        return f"{self.microphones}mics_{round(1000 * self.reverberation)}ms"


LAYOUTS = (Layout(2, 2, 0.25), Layout(2, 2, 0.5), Layout(4, 3, 0.25), Layout(4, 3, 0.5))


def microphones(count: int) -> Signal:
    """Return the places of a row of microphones in metres, shape (3, count)."""
    offsets = SPACING[count] * (np.arange(count) - (count - 1) / 2)
    return np.stack([ARRAY[0] + offsets, np.full(count, ARRAY[1]), np.full(count, HEIGHT)])


def source_place(degrees: float) -> list[float]:
    """Return the place of a source in metres."""
    angle = np.deg2rad(degrees)
    return [ARRAY[0] + DISTANCE * np.sin(angle), ARRAY[1] + DISTANCE * np.cos(angle), HEIGHT]


def recorded(sound: Signal, degrees: float, layout: Layout) -> Signal:
    """Return what the microphones record of a sound, (channels, samples), at the level of all sources."""
    absorption, order = pyroomacoustics.inverse_sabine(layout.reverberation, ROOM)
    room = pyroomacoustics.ShoeBox(
        ROOM,
        fs=RATE,
        materials=pyroomacoustics.Material(absorption),
        max_order=order,
        air_absorption=True,
    )
    room.add_source(source_place(degrees), signal=sound)
    room.add_microphone_array(microphones(layout.microphones))
    room.simulate()
    signals = np.asarray(room.mic_array.signals)[:, : sound.size]
    return np.asarray(LEVEL * signals / signals.std())


def passage(recording: Signal, number: int) -> tuple[Signal, Signal]:
    """Return the passage of a case and the rest: sources in turn take the start and the end."""
    length = round(SECONDS * RATE)
    if number % 2 == 0:
        return recording[:length], recording[length:]
    return recording[-length:], recording[:-length]


def write_case(folder: Path, layout: Layout, paths: Sequence[Path]) -> None:
    """Write one case: the true stems, their sum as the mixture, and the training recordings."""
    for part in ("stems", "train"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    stems = []
    for number, path in enumerate(paths):
        recording, _ = librosa.load(path, sr=RATE, dtype=np.float64)
        sound, rest = passage(recording, number)
        stems.append(recorded(sound, DIRECTIONS[layout.sources][number], layout))
        soundfile.write(folder / "stems" / f"{path.stem}.flac", stems[-1].T, RATE, subtype="PCM_24")
        soundfile.write(folder / "train" / f"{path.stem}.flac", rest, RATE)
    soundfile.write(folder / "mixture.flac", np.sum(stems, axis=0).T, RATE, subtype="PCM_24")


def main() -> None:
    """Write the cases of all layouts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recordings", type=Path, help="folder of dry recordings (*.flac)")
    parser.add_argument("out", type=Path, help="folder for the cases")
    parser.add_argument("--each", type=int, default=3, help="number of cases of each layout (default: 3)")
    options = parser.parse_args()
    files = sorted(options.recordings.glob("*.flac"))
    if len(files) < max(layout.sources for layout in LAYOUTS):
        parser.error(f"{options.recordings} has {len(files)} recordings (*.flac): at least 3 are needed")
    for layout in LAYOUTS:
        for number in range(options.each):
            chosen = [files[(2 * number + 3 * source) % len(files)] for source in range(layout.sources)]
            write_case(options.out / f"{layout.name}_{number + 1}", layout, chosen)


if __name__ == "__main__":
    main()
