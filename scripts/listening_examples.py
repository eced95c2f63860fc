"""Separate the audio samples with every separator, for the pages of the site: scores, and files to listen to.

    python scripts/listening_examples.py FOLDER [SEPARATOR ...]

Each mixture is the sum of sounds that are known, so the gain of each stem can be measured: its SI-SDR minus
that of the mixture. Ogg files and `scores.json` are written to the folder.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from audio_sample_scores import PIANO_AND_FLUTE
from numpy.typing import NDArray

import nmfaudio
from nmfaudio import Audio

SAMPLES = Path(__file__).resolve().parent.parent / "audio_samples"
LEARNED_SECONDS = 5.0  # of each instrument alone, before the mixture begins
Sounds = dict[str, Audio]


@dataclass(frozen=True)
class Example:
    """A mixture, and how it is separated.

    Attributes
    ----------
    mixture : str
        What the mixture is, in words.
    sounds : callable
        Returns the sounds that are added, by name.
    options : mapping
        Options of the separator.
    learned : bool
        Whether the first seconds of each sound are not in the mixture but learned as a dictionary.
    """

    mixture: str
    sounds: Callable[[], Sounds]
    options: Mapping[str, Any] = field(default_factory=dict)
    learned: bool = False


def piece(name: str) -> Sounds:
    """Return the instruments of an audio sample."""
    return {path.stem: nmfaudio.read(path) for path in sorted((SAMPLES / name).glob("*.flac"))}


def drums() -> Sounds:
    """Return kick, snare and hi-hat."""
    return piece("drum_loop")


def band() -> Sounds:
    """Return bass, clarinet and marimba in two channels."""
    return piece("night_bus")


def duo() -> Sounds:
    """Return flute and piano."""
    return piece("piano_and_flute")


def added(sounds: Mapping[str, Audio]) -> Audio:
    """Return the sum of sounds."""
    first = next(iter(sounds.values()))
    return Audio(np.sum([sound.samples for sound in sounds.values()], axis=0), first.sample_rate)


def of_length(audio: Audio, length: int) -> NDArray[np.float64]:
    """Return the samples of a sound, cut or repeated to a length."""
    return np.asarray(np.resize(audio.samples, (audio.channels, length)), np.float64)


def hissing_duo() -> Sounds:
    """Return flute and piano as one sound, and hiss at the same level."""
    music = added(duo())
    hiss = np.random.default_rng(0).standard_normal(music.samples.shape)
    hiss *= np.sqrt(np.mean(music.samples**2))
    return {"sound": music, "noise": Audio(hiss, music.sample_rate)}


def duo_over_drums() -> Sounds:
    """Return flute and piano as tones, and the drum loop as beats."""
    music, loop = added(duo()), added(drums())
    beats = of_length(loop.cut(0, int(8.1 * loop.sample_rate)), music.length)
    return {"harmonic": music, "percussive": Audio(beats, music.sample_rate)}


def flute_over_loop() -> Sounds:
    """Return a flute, and one bar of drums that repeats."""
    flute, loop = duo()["flute"], added(drums())
    bar = loop.cut(0, round(4 * 60 / 118 * loop.sample_rate))
    return {"foreground": flute, "repeating": Audio(of_length(bar, flute.length), flute.sample_rate)}


def melody_and_rest() -> Sounds:
    """Return the flute as the voice, and the piano as its accompaniment."""
    sounds = duo()
    return {"voice": sounds["flute"], "accompaniment": sounds["piano"]}


EXAMPLES: dict[str, Example] = {
    "auto": Example("kick, snare and hi-hat; nothing is told to the separator", drums),
    "blind": Example("kick, snare and hi-hat; the number of stems is told", drums, {"sources": 3}),
    "dictionary": Example(
        f"bass, clarinet and marimba in one channel; the first {LEARNED_SECONDS:.0f} seconds of each were "
        "learned, and the mixture begins after them",
        lambda: {name: mono(sound) for name, sound in band().items()},
        learned=True,
    ),
    "stereo": Example(
        "bass, clarinet and marimba at different positions; the number of stems is told", band, {"sources": 3}
    ),
    "noise": Example("piano and flute in hiss of the same level", hissing_duo),
    "drums": Example("kick, snare and hi-hat", drums),
    "score": Example("piano and flute; the notes of both are told", duo, {"midi": "notes.csv"}),
    "harmonic-percussive": Example("piano and flute over the drum loop", duo_over_drums),
    "repeating": Example("a flute over one bar of drums that repeats", flute_over_loop),
    "voice": Example("a flute, taken as the voice, over a piano", melody_and_rest, {"high": 1600.0}),
}


def mono(audio: Audio) -> Audio:
    """Return the mean of all channels."""
    return Audio(audio.samples.mean(axis=0), audio.sample_rate)


def write_notes(path: Path) -> None:
    """Write the notes of piano and flute as a table."""
    seconds = 60 / PIANO_AND_FLUTE.beats_per_minute
    rows = [
        f"{note.start * seconds:.4f},{(note.start + note.beats) * seconds:.4f},{note.pitch},{part.name}"
        for part in PIANO_AND_FLUTE.parts
        for note in part.notes
    ]
    path.write_text("\n".join(["onset,end,pitch,track", *rows]), "utf-8")


def prepared(example: Example, folder: Path) -> tuple[Sounds, dict[str, Any]]:
    """Return the sounds of the mixture and the options of the separator."""
    sounds, options = example.sounds(), dict(example.options)
    if example.learned:
        rate = next(iter(sounds.values())).sample_rate
        split = int(LEARNED_SECONDS * rate)
        options["dictionary"] = nmfaudio.Dictionary.join(
            [nmfaudio.learn(sound.cut(0, split), name) for name, sound in sounds.items()]
        )
        sounds = {name: sound.cut(split, sound.length) for name, sound in sounds.items()}
    if "midi" in options:
        options["midi"] = str(folder / options["midi"])
        write_notes(Path(options["midi"]))
    return sounds, options


def run(name: str, example: Example, folder: Path) -> dict[str, Any]:
    """Separate one mixture, write what is heard and return the scores."""
    with tempfile.TemporaryDirectory() as scratch:
        truth, options = prepared(example, Path(scratch))
        mixture = added(truth)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nmfaudio.NmfaudioWarning)
            stems = nmfaudio.separate(mixture, name, **options).stems
    files = {"mixture": written(mixture, folder / name / "mixture.ogg")}
    rows = []
    for sound, stem in nmfaudio.best_names(truth, stems).items():
        before, after = (nmfaudio.si_sdr(truth[sound].samples, s.samples) for s in (mixture, stems[stem]))
        files[stem] = written(stems[stem], folder / name / f"{stem}.ogg")
        rows.append(
            {"sound": sound, "stem": stem, "before": round(before, 1) + 0.0, "after": round(after, 1) + 0.0}
        )
    return {"mixture": example.mixture, "rows": rows, "files": files}


def tenths(decibels: float) -> float:
    """Return a score to one decimal, without a negative zero."""
    return round(decibels, 1) + 0.0


def written(audio: Audio, path: Path) -> str:
    """Write a sound as Ogg and return the name of its folder and file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = audio.samples / max(audio.peak, 1.0)
    soundfile.write(path, samples.T, audio.sample_rate, format="OGG", subtype="VORBIS")
    return f"{path.parent.name}/{path.name}"


def main(folder: str, *names: str) -> None:
    """Run the examples and write their scores."""
    scores = {}
    for name in names or EXAMPLES:
        scores[name] = run(name, EXAMPLES[name], Path(folder))
        for row in scores[name]["rows"]:
            before, after = f"{row['before']} dB in the mixture", f"{row['after']} dB in {row['stem']}"
            print(f"{name}: {row['sound']} {before}, {after}")
    (Path(folder) / "scores.json").write_text(json.dumps(scores, indent=1), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
