"""Render the audio samples: mixtures with their true stems.

FluidSynth plays each part of the pieces in ``audio_sample_scores.py`` in a run of its own, without reverb and
chorus. The stems are written as 16-bit FLAC. The integers of a mixture are exactly the sum of the integers of
its stems.

    python scripts/make_audio_samples.py [--soundfont PATH] [--out DIR]
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile as sf
from audio_sample_scores import PIECES, Part, Piece
from numpy.typing import NDArray

SAMPLE_RATE = 44_100
PEAK_DBFS = -1.0
FADE_SECONDS = 0.005
# Silence before the first note, so that the fade-in does not change its attack.
LEAD_IN_SECONDS = 0.02
TICKS_PER_BEAT = 480
DRUM_CHANNEL = 9  # channel 10, counted from one
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
OUT = Path(__file__).resolve().parent.parent / "audio_samples"


class MissingToolError(RuntimeError):
    """A program or file that this script needs is not installed; the message says how to install it."""


def check_tools(soundfont: Path) -> None:
    """Raise MissingToolError with every missing tool and its package."""
    missing = []
    if shutil.which("fluidsynth") is None:
        missing.append("fluidsynth is missing: apt-get install fluidsynth")
    if not soundfont.is_file():
        missing.append(
            f"no soundfont at {soundfont}: apt-get install fluid-soundfont-gm, or pass --soundfont PATH"
        )
    if missing:
        raise MissingToolError("\n".join(missing))


def midi_messages(piece: Piece, part: Part) -> list[tuple[int, str, int, int]]:
    """Return (tick, message, pitch, velocity) for the start and the end of each note."""
    lead_in = LEAD_IN_SECONDS * piece.beats_per_minute / 60
    messages = []
    for note in part.notes:
        start = round(TICKS_PER_BEAT * (lead_in + note.start))
        end = start + round(TICKS_PER_BEAT * note.beats)
        messages.append((start, "note_on", note.pitch, note.velocity))
        messages.append((end, "note_off", note.pitch, 0))
    # "note_off" is sorted before "note_on", so a repeated note ends before it starts again.
    return sorted(messages)


def seconds(piece: Piece) -> float:
    """Return the length of the rendered piece, including the lead-in and the decay."""
    notes = piece.beats * 60 / piece.beats_per_minute
    return LEAD_IN_SECONDS + notes + piece.ring_seconds


def write_midi(piece: Piece, part: Part, path: Path) -> None:
    """Write one part as a MIDI file that lasts as long as the whole piece."""
    channel = DRUM_CHANNEL if part.program is None else 0
    track = mido.MidiTrack()
    tempo = mido.bpm2tempo(piece.beats_per_minute)
    track.append(mido.MetaMessage("set_tempo", tempo=tempo))
    track.append(mido.Message("program_change", channel=channel, program=part.program or 0))
    now = 0
    for tick, kind, pitch, velocity in midi_messages(piece, part):
        fields = {"note": pitch, "velocity": velocity, "time": tick - now}
        track.append(mido.Message(kind, channel=channel, **fields))
        now = tick
    # FluidSynth stops at the end of the track, which is therefore placed after the last decay.
    end = round(mido.second2tick(seconds(piece), TICKS_PER_BEAT, tempo))
    track.append(mido.MetaMessage("end_of_track", time=end - now))
    mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT, tracks=[track]).save(path)


def run_fluidsynth(midi: Path, wav: Path, soundfont: Path) -> None:
    """Render a MIDI file as a WAV file without effects, ignoring the settings of the user."""
    options = ["-n", "-i", "-q", "-f", os.devnull, "-R", "0", "-C", "0", "-g", "0.5"]
    # Otherwise, FluidSynth silently uses another soundfont if it cannot read this one.
    options += ["-o", "synth.default-soundfont="]
    # Float samples, because FluidSynth dithers integers and can clip them.
    output = ["-F", str(wav), "-T", "wav", "-O", "float", "-r", str(SAMPLE_RATE)]
    files = [str(soundfont), str(midi)]
    subprocess.run(
        ["fluidsynth", *options, *output, *files],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def fade_edges(audio: NDArray[np.float64], ring_seconds: float) -> NDArray[np.float64]:
    """Return a copy with a fade-in of 5 ms and a fade-out over the last half of the decay."""
    rise = round(FADE_SECONDS * SAMPLE_RATE)
    fall = round(max(FADE_SECONDS, ring_seconds / 2) * SAMPLE_RATE)
    envelope = np.ones(len(audio))
    envelope[:rise] = np.linspace(0, 1, rise)
    envelope[-fall:] = 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall))
    return audio * envelope


def render_part(piece: Piece, part: Part, soundfont: Path) -> NDArray[np.float64]:
    """Return one part alone, mono, at its level, shape (frames,)."""
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "part.mid"), Path(folder, "part.wav")
        write_midi(piece, part, midi)
        run_fluidsynth(midi, wav, soundfont)
        audio, _ = sf.read(wav, dtype="float64", always_2d=True)
    if not audio.any():
        raise RuntimeError(
            f"{piece.name}/{part.name} is silent: check that {soundfont.name} "
            f"has the General MIDI instrument {part.instrument!r}"
        )
    # FluidSynth renders whole blocks of 64 samples: cut or pad the result to the length of the piece.
    mono = np.zeros(round(seconds(piece) * SAMPLE_RATE))
    frames = min(len(mono), len(audio))
    mono[:frames] = audio[:frames].mean(axis=1)
    return fade_edges(part.level * mono, piece.ring_seconds)


def pan_gains(pan: float, channels: int) -> NDArray[np.float64]:
    """Return the gain of each channel; in stereo, the gains have constant power.

    >>> pan_gains(0.0, 2).round(4).tolist()
    [0.7071, 0.7071]
    """
    if channels == 1:
        return np.ones(1)
    angle = (pan + 1) * np.pi / 4
    return np.array([np.cos(angle), np.sin(angle)])


def quantise(stems: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.int16]]:
    """Round stems to 16 bits, with one gain for all such that the peak of their sum is PEAK_DBFS."""
    peak = np.abs(np.sum(list(stems.values()), axis=0)).max()
    gain = 10 ** (PEAK_DBFS / 20) * np.iinfo(np.int16).max / peak
    return {name: to_int16(gain * stem) for name, stem in stems.items()}


def to_int16(audio: NDArray[np.float64]) -> NDArray[np.int16]:
    """Round to 16-bit integers; raise OverflowError where samples would clip."""
    rounded = np.rint(audio)
    if np.abs(rounded).max() > np.iinfo(np.int16).max:
        raise OverflowError("a stem is louder than its mixture: lower its level")
    return rounded.astype(np.int16)


def write_flac(path: Path, audio: NDArray[np.int16]) -> None:
    """Write 16-bit FLAC with the strongest compression."""
    sf.write(path, audio, SAMPLE_RATE, subtype="PCM_16", compression_level=1.0)


def synthesiser() -> str:
    """Return the name and version of FluidSynth; other versions can round differently."""
    completed = subprocess.run(["fluidsynth", "--version"], check=True, capture_output=True, text=True)
    version = completed.stdout.partition("version ")[2].split()[0]
    return f"FluidSynth {version}"


def describe_soundfont(soundfont: Path) -> dict[str, str]:
    """Return the name and digest of the soundfont, and the licence of the default one."""
    digest = hashlib.sha256(soundfont.read_bytes()).hexdigest()
    description = {"name": soundfont.name, "sha256": digest}
    if soundfont.name != SOUNDFONT.name:
        return description | {"licence": "not known to this script"}
    return description | {
        "author": "Frank Wen",
        "copyright": "Copyright 2000-2002, 2008 Frank Wen; 2008 Toby Smithe",
        "licence": "MIT",
        "debian_package": "fluid-soundfont-gm",
    }


def describe_part(part: Part, channels: int) -> dict[str, Any]:
    """Return the metadata of one stem."""
    gains = pan_gains(part.pan, channels).round(6).tolist()
    return {"name": part.name, "instrument": part.instrument, "pan_gains": gains}


def describe(piece: Piece, frames: int, soundfont: dict[str, str]) -> dict[str, Any]:
    """Return the metadata of a piece."""
    return {
        "title": piece.title,
        "composer": "the nmfaudio authors",
        "licence": "MIT",
        "beats_per_minute": piece.beats_per_minute,
        "sample_rate": SAMPLE_RATE,
        "channels": piece.channels,
        "frames": frames,
        "stems": [describe_part(part, piece.channels) for part in piece.parts],
        "mixture": "the exact sum of the stems' 16-bit integers",
        "rendered": (
            "by scripts/make_audio_samples.py: one run of FluidSynth for each stem, without reverb and "
            "chorus, averaged to mono; each channel is the mono stem times its gain"
        ),
        "synthesiser": synthesiser(),
        "soundfont": soundfont,
    }


def render_piece(piece: Piece, soundfont: Path) -> dict[str, NDArray[np.int16]]:
    """Return the stems of a piece by name: ndarrays, shape (frames, channels)."""
    stems = {}
    for part in piece.parts:
        gains = pan_gains(part.pan, piece.channels)
        stems[part.name] = np.outer(render_part(piece, part, soundfont), gains)
    return quantise(stems)


def write_piece(
    piece: Piece,
    stems: dict[str, NDArray[np.int16]],
    soundfont: dict[str, str],
    out: Path,
) -> None:
    """Write the mixture, the stems and the metadata of one piece under `out`."""
    folder = out / piece.name
    folder.mkdir(parents=True, exist_ok=True)
    mixture = np.stack(list(stems.values())).sum(axis=0, dtype=np.int16)
    write_flac(out / f"{piece.name}.flac", mixture)
    for name, stem in stems.items():
        write_flac(folder / f"{name}.flac", stem)
    metadata = json.dumps(describe(piece, len(mixture), soundfont), indent=2)
    (folder / "metadata.json").write_text(metadata + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Render every piece; return the exit status."""
    parser = argparse.ArgumentParser(description="Render the audio samples.")
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT, metavar="PATH")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        check_tools(options.soundfont)
    except MissingToolError as error:
        print(error, file=sys.stderr)
        return 1
    description = describe_soundfont(options.soundfont)
    for piece in PIECES:
        stems = render_piece(piece, options.soundfont)
        write_piece(piece, stems, description, options.out)
        print(f"{piece.name}: {seconds(piece):.1f} s, stems {', '.join(stems)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
