"""Recordings for which the right decision of `auto` is known: one list, so one file.

They are mixed from the stems of cases, from the instruments beside them and from the audio samples: panned by
a mixer, recorded in simulated rooms, or both. Recordings whose material is missing are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from decision_rooms import decaying_reverberation, recorded_in_room
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 6.0
PLACE, REST, DRUMS, NOISE, TIMBRE = "place", "place and rest", "drums", "noise", "timbre"

Signal = NDArray[np.float64]
Build = Callable[["Material"], dict[str, Signal]]


@dataclass(frozen=True)
class Recording:
    """A mixture, its true stems, and the decisions that are right for it.

    Attributes
    ----------
    name : str
    wanted : frozenset of str
        Decisions that are right.
    stems : dict of str to ndarray, shape (channels, samples)
    rate : int
        Sample rate in Hz.
    """

    name: str
    wanted: frozenset[str]
    stems: dict[str, Signal]
    rate: int

    @cached_property
    def mixture(self) -> Signal:
        """Sum of the stems."""
        return np.asarray(np.sum(list(self.stems.values()), axis=0))


class MaterialMissingError(Exception):
    """A sound that a recording needs is not there."""


class Material:
    """Sounds by name, all at one sample rate, equally loud, and of the same length."""

    def __init__(self, cases: Path | None, rate: int) -> None:
        self._cases, self.rate = cases, rate

    def __call__(self, name: str, start: float = 0.0) -> Signal:
        """Return a sound (channels, samples) with a standard deviation of 0.05."""
        sound = self.original(name, start)
        return np.asarray(0.05 * sound / sound.std())

    def original(self, name: str, start: float = 0.0) -> Signal:
        """Return a sound (channels, samples) at its own level.

        Parameters
        ----------
        name : str
            Path without its ending in the folder of cases, or in the audio samples.
        start : float
            Seconds to leave out at the beginning; the sound is repeated where it is too short.
        """
        folders = [ROOT / "audio_samples", *([self._cases] if self._cases else [])]
        found = [path for folder in folders if (path := folder / f"{name}.flac").is_file()]
        if not found:
            raise MaterialMissingError(name)
        samples, rate = soundfile.read(found[0], always_2d=True)
        divisor = int(np.gcd(rate, self.rate))
        sound = resample_poly(samples.T, self.rate // divisor, rate // divisor, axis=1)
        length = round(SECONDS * self.rate)
        sound = np.roll(sound, -round(start * self.rate), axis=1)
        return np.asarray(np.tile(sound, -(-length // sound.shape[1]))[:, :length])

    def mono(self, name: str, start: float = 0.0) -> Signal:
        """Return the mean of the channels of a sound, shape (samples,)."""
        mean = self(name, start).mean(axis=0)
        return np.asarray(0.05 * mean / mean.std())

    def noise(self, seed: int = 0) -> Signal:
        """Return white noise, shape (samples,)."""
        return 0.05 * np.random.default_rng(seed).standard_normal(round(SECONDS * self.rate))


def panned(sound: Signal, pan: float, level: float = 0.0) -> Signal:
    """Return a sound at a pan position from -1 (left) to 1 (right), with a level in dB."""
    angle = np.pi / 4 * (pan + 1)
    return np.outer([np.cos(angle), np.sin(angle)], 10 ** (level / 20) * np.sqrt(2) * sound)


def scaled(sound: Signal, level: float) -> Signal:
    """Return a sound with another level, in dB."""
    return np.asarray(10 ** (level / 20) * sound)


def _coded(sound: Signal, rate: int) -> Signal:
    """Return a sound after lossy coding with Vorbis."""
    file = BytesIO()
    soundfile.write(file, sound.T, rate, format="OGG", subtype="VORBIS")
    file.seek(0)
    return np.asarray(soundfile.read(file, always_2d=True)[0].T)


TUNES = ("guitar_tune", "violin_tune", "cello_tune", "flute_tune", "trumpet_tune", "clarinet_tune")


def _tunes(m: Material, pans: Mapping[str, float], level: float = 0.0) -> dict[str, Signal]:
    """Return instruments panned by a mixer; the level in dB is that of the last one."""
    last = list(pans)[-1]
    return {
        name: panned(m.mono(f"instruments/{name}"), pan, level if name == last else 0.0)
        for name, pan in pans.items()
    }


def panned_recordings() -> Iterator[tuple[str, set[str], int, Build]]:
    """Yield recordings whose sources were panned by a mixer."""
    pans: dict[str, dict[str, float]] = {
        "two wide": {"guitar_tune": -0.6, "double_bass_scale": 0.6},
        "two near": {"violin_tune": -0.1, "flute_tune": 0.2},
        "left and right only": {"cello_tune": -1, "clarinet_tune": 1},
        "middle and right": {"trumpet_tune": 0, "guitar_scale": 0.7},
        "three": {"violin_tune": -0.7, "cello_tune": 0, "clarinet_tune": 0.6},
        "four": {"guitar_tune": -0.8, "trumpet_tune": -0.2, "flute_tune": 0.3, "cello_tune": 0.9},
        "five": dict(zip(TUNES[:5], (-0.9, -0.4, 0, 0.4, 0.9), strict=True)),
    }
    for name, places in pans.items():
        yield f"panned, {name}", {PLACE}, 44100, partial(_tunes, pans=places)
    yield "panned, one 12 dB weaker", {PLACE}, 44100, partial(_tunes, pans=pans["three"], level=-12)
    yield (
        "panned, coded with Vorbis",
        {PLACE},
        44100,
        partial(_coded_tunes, pans=pans["two wide"]),
    )
    for level, wanted in ((-30, {PLACE}), (-20, {PLACE}), (-10, {PLACE, TIMBRE, REST})):
        yield f"panned, reverberation {level} dB", wanted, 32000, partial(_reverberant, level=level)
    yield "panned, speech and speech over music", {PLACE}, 22050, _speech_and_music
    yield "karaoke: accompaniment left, voice right", {PLACE}, 44100, _karaoke
    yield "panned, voice and saxophone", {PLACE}, 44100, _voice_and_saxophone
    yield "panned, bird and weather", {PLACE}, 32000, _bird_and_weather


def _coded_tunes(m: Material, pans: Mapping[str, float]) -> dict[str, Signal]:
    return {name: _coded(sound, m.rate) for name, sound in _tunes(m, pans).items()}


def _reverberant(m: Material, level: float) -> dict[str, Signal]:
    dry = _tunes(m, {"violin_tune": -0.5, "trumpet_tune": 0.4})
    return {
        n: s + decaying_reverberation(s.sum(axis=0), m.rate, level, seed)
        for seed, (n, s) in enumerate(dry.items())
    }


def _speech_and_music(m: Material) -> dict[str, Signal]:
    speech, music = m.mono("s06_speech_orchestra/stems/speech"), m.mono("s06_speech_orchestra/stems/music")
    return {"speech": panned(speech, -0.5), "music": panned(music, 0.5)}


def _karaoke(m: Material) -> dict[str, Signal]:
    voice, guitar = m.mono("s10_singing_guitar/stems/voice"), m.mono("s16_pop_falcon69_stereo/stems/other")
    return {"accompaniment": panned(guitar, -1), "voice": panned(voice, 1)}


def _voice_and_saxophone(m: Material) -> dict[str, Signal]:
    voice, sax = m.mono("s10_singing_guitar/stems/voice"), m.mono("s14_sax_guitar/stems/sax")
    return {"voice": panned(voice, 0), "saxophone": panned(sax, -0.6)}


def _bird_and_weather(m: Material) -> dict[str, Signal]:
    bird, weather = (m.mono(f"s13_bird_rain_wind/stems/{n}") for n in ("bird", "weather"))
    return {"bird": panned(bird, 0.5), "weather": panned(weather, -0.5)}


def room_recordings() -> Iterator[tuple[str, set[str], int, Build]]:
    """Yield recordings with microphones in simulated rooms, and with close microphones."""
    for distance in (0.0, 0.17, 0.5, 2.0):
        for damped in (0.5, 0.85):
            name = f"room, microphones {distance} m apart, reflection {damped}"
            yield name, {TIMBRE}, 22050, partial(_room, distance=distance, reflection=damped)
    for instrument in ("double_bass_scale", "guitar_scale", "trumpet_tune"):
        for distance in (0.0, 0.05, 0.3):
            name = f"close microphones {distance} m apart, {instrument} alone"
            yield name, {TIMBRE}, 22050, partial(_close, distance=distance, name=instrument)
        name = f"{instrument} alone, radiated differently at each frequency"
        yield name, {TIMBRE}, 22050, partial(_radiating, name=instrument)
    for distance in (0.0, 0.17, 0.6):
        name = f"drums and bass in a room, microphones {distance} m apart, trumpet in the middle"
        yield name, {TIMBRE, REST}, 22050, partial(_room_and_middle, distance=distance)
    yield "drums in a room, bass and guitar in the middle", {TIMBRE, REST}, 22050, _drums_in_room


def _room(m: Material, distance: float, reflection: float) -> dict[str, Signal]:
    places = {"violin_tune": (2.0, 3.5), "cello_tune": (3.1, 3.9), "trumpet_tune": (4.2, 3.4)}
    return {
        name: recorded_in_room(m.mono(f"instruments/{name}"), m.rate, xy, distance, reflection)
        for name, xy in places.items()
    }


def _close(m: Material, distance: float, name: str) -> dict[str, Signal]:
    return {
        name: recorded_in_room(m.mono(f"instruments/{name}"), m.rate, (2.8, 1.7), distance, 0.6),
    }


def _radiating(m: Material, name: str) -> dict[str, Signal]:
    """Return an instrument whose balance between the channels changes smoothly with frequency."""
    sound = m.mono(f"instruments/{name}")
    frequencies = np.fft.rfftfreq(sound.size, 1 / m.rate)
    octaves = np.log2(np.maximum(frequencies, 30) / 30)
    rng = np.random.default_rng(len(name))
    pans = np.interp(octaves, np.arange(0, 10, 0.5), rng.uniform(-0.4, 0.4, 20))
    angles = np.pi / 4 * (pans + 1)
    spectrum = np.sqrt(2) * np.fft.rfft(sound)
    sides = [np.fft.irfft(gain * spectrum, sound.size) for gain in (np.cos(angles), np.sin(angles))]
    return {name: np.stack(sides)}


def _drum_kit(m: Material) -> dict[str, Signal]:
    return {n: m.mono(f"s02_drum_loop/stems/{n}") for n in ("kick", "snare", "hihat")}


def _room_and_middle(m: Material, distance: float) -> dict[str, Signal]:
    kit = np.sum(list(_drum_kit(m).values()), axis=0) / 2
    drums = recorded_in_room(kit, m.rate, (2.2, 2.0), distance, 0.6)
    bass = recorded_in_room(m.mono("instruments/double_bass_scale"), m.rate, (2.4, 2.2), distance, 0.6)
    return {"drums and bass": drums + bass, "trumpet": panned(m.mono("instruments/trumpet_tune"), 0)}


def _drums_in_room(m: Material) -> dict[str, Signal]:
    kit = np.sum(list(_drum_kit(m).values()), axis=0) / 2
    bass, guitar = m.mono("instruments/double_bass_scale"), m.mono("instruments/guitar_tune")
    return {
        "drums": recorded_in_room(kit, m.rate, (3.3, 3.0), 1.0, 0.8),
        "bass": panned(bass, 0),
        "guitar": panned(guitar, 0),
    }


def real_recordings() -> Iterator[tuple[str, set[str], int, Build]]:
    """Yield real stereo recordings, alone and with sources that a mixer panned into them."""
    song, metal, orchestra = (
        "s16_pop_falcon69_stereo/mixture",
        "s12_metal_guitars_stereo/mixture",
        "s11_orchestra_singer_stereo/stems/orchestra",
    )
    for name, path in (("pop song", song), ("metal song", metal), ("orchestra", orchestra)):
        yield f"announcer over a {name}", {TIMBRE, REST}, 22050, partial(_announcer, path=path)
    for start in (0, 2, 4):
        yield (
            f"two seconds of a song from {start} s",
            {TIMBRE, REST},
            44100,
            partial(_short, path=song, start=start),
        )
    for name in ("bass", "drums", "other", "vocals"):
        path = f"s16_pop_falcon69_stereo/stems/{name}"
        wanted = {TIMBRE, DRUMS} if name == "drums" else {TIMBRE, REST}
        yield f"{name} of a pop song alone", wanted, 44100, partial(_one, path=path)
    yield "orchestra alone", {TIMBRE}, 32000, partial(_one, path=orchestra)
    yield (
        "band of a metal song alone",
        {TIMBRE, REST},
        44100,
        partial(_one, path="s12_metal_guitars_stereo/stems/band"),
    )
    yield (
        "double-tracked guitars alone",
        {TIMBRE, PLACE},
        44100,
        partial(_one, path="s12_metal_guitars_stereo/stems/guitars"),
    )
    yield "vocals and accompaniment of a pop song", {TIMBRE, REST}, 44100, _vocals_and_rest
    yield "violin in the middle of an orchestra", {REST, TIMBRE}, 32000, _soloist
    yield "saxophone panned into an orchestra", {REST, TIMBRE}, 32000, partial(_soloist, pan=-0.5)


def _one(m: Material, path: str) -> dict[str, Signal]:
    return {path.rpartition("/")[2]: m(path)}


def _announcer(m: Material, path: str) -> dict[str, Signal]:
    speech = m.mono("s06_speech_orchestra/stems/speech")
    return {"announcer": panned(speech, 0), "music": m(path)}


def _short(m: Material, path: str, start: float) -> dict[str, Signal]:
    return {"song": m(path, start)[:, : 2 * m.rate]}


def _vocals_and_rest(m: Material) -> dict[str, Signal]:
    parts = {n: m(f"s16_pop_falcon69_stereo/stems/{n}") for n in ("vocals", "drums", "bass", "other")}
    return {"vocals": parts.pop("vocals"), "accompaniment": sum(parts.values(), np.zeros(1)) / 2}


def _soloist(m: Material, pan: float = 0.0) -> dict[str, Signal]:
    solo = m.mono("s14_sax_guitar/stems/sax" if pan else "instruments/violin_tune")
    return {"solo": panned(solo, pan), "orchestra": m("s11_orchestra_singer_stereo/stems/orchestra")}


def drum_recordings() -> Iterator[tuple[str, set[str], int, Build]]:
    """Yield loops of drums, with and without a panned hi-hat."""
    for pan in (0.0, 0.2, 0.35, 0.5):
        wanted = {DRUMS} if pan else {DRUMS, TIMBRE}
        yield f"drum loop, hi-hat at {pan}", wanted, 44100, partial(_loop, pan=pan)
        yield f"other drum loop, hi-hat at {pan}", wanted, 44100, partial(_sample_loop, pan=pan)
    yield "drum loop, each drum panned", {PLACE, DRUMS}, 44100, partial(_loop, pan=0.6, snare=-0.6)


def _loop(m: Material, pan: float, snare: float = 0.0) -> dict[str, Signal]:
    kit = _drum_kit(m)
    pans = {"kick": 0.0, "snare": snare, "hihat": pan}
    return {name: panned(kit[name], pans[name], -6 if name == "hihat" else 0) for name in kit}


def _sample_loop(m: Material, pan: float) -> dict[str, Signal]:
    kit = {n: m.mono(f"drum_loop/{n}") for n in ("kick", "snare", "hihat")}
    return {n: panned(s, pan if n == "hihat" else 0, -6 if n == "hihat" else 0) for n, s in kit.items()}


def noisy_recordings() -> Iterator[tuple[str, set[str], int, Build]]:
    """Yield recordings of sounds in noise, and recordings that only resemble noise."""
    yield (
        "speech in white noise",
        {NOISE},
        16000,
        _speech_in_noise,
    )
    for level in (-10, -20):
        yield f"old record, noise {level} dB", {NOISE}, 22050, partial(_old_record, level=level)
    yield "piano on tape with hiss", {NOISE}, 22050, _tape
    yield (
        "bird in rain and wind",
        {NOISE, TIMBRE},
        32000,
        partial(_case, names=("bird", "weather"), case="s13_bird_rain_wind"),
    )
    yield (
        "speech and exercise bike",
        {NOISE, TIMBRE},
        16000,
        partial(_case, names=("speech", "noise"), case="s05_speech_bike"),
    )
    yield "metal song, mono", {TIMBRE}, 44100, _mono_metal
    yield (
        "pop song, mono",
        {TIMBRE},
        44100,
        partial(_mono, path="s16_pop_falcon69_stereo/mixture"),
    )
    yield (
        "orchestra, mono",
        {TIMBRE},
        22050,
        partial(_mono, path="s06_speech_orchestra/stems/music"),
    )
    yield (
        "rock trio, mono",
        {TIMBRE},
        44100,
        partial(_case, names=("drums", "bass", "guitar"), case="s01_rock_trio"),
    )


def _case(m: Material, case: str, names: tuple[str, ...]) -> dict[str, Signal]:
    return _folder(m, f"{case}/stems", names)


def _folder(m: Material, folder: str, names: tuple[str, ...]) -> dict[str, Signal]:
    return {name: m(f"{folder}/{name}") for name in names}


def _mono(m: Material, path: str) -> dict[str, Signal]:
    return {"sound": m.mono(path)[None]}


def _speech_in_noise(m: Material) -> dict[str, Signal]:
    return {"speech": m.mono("s05_speech_bike/stems/speech")[None], "noise": m.noise()[None]}


def _mono_metal(m: Material) -> dict[str, Signal]:
    return {n: m.mono(f"s12_metal_guitars_stereo/stems/{n}")[None] for n in ("band", "guitars")}


def _old_record(m: Material, level: float) -> dict[str, Signal]:
    """Return music of a narrow band with hiss and clicks, both as loud as the level says."""
    band = butter(4, [250, 4000], "bandpass", fs=m.rate, output="sos")
    music = sosfilt(band, m.mono("s06_speech_orchestra/stems/music"))
    hiss = sosfilt(butter(2, 6000, fs=m.rate, output="sos"), m.noise())
    rng = np.random.default_rng(1)
    clicks = np.where(rng.random(hiss.size) < 20 / m.rate, rng.standard_normal(hiss.size), 0)
    surface = hiss / hiss.std() + 0.3 * clicks / clicks.std()
    return {"music": music[None], "noise": scaled(surface * music.std() / surface.std(), level)[None]}


def _tape(m: Material) -> dict[str, Signal]:
    return {"piano": m.mono("piano_and_flute/piano")[None], "noise": scaled(m.noise(), -12)[None]}


def _whole_case(m: Material, case: str, names: tuple[str, ...]) -> dict[str, Signal]:
    """Return the stems of a case at their own levels, without those that are silent."""
    stems = {name: m.original(f"{case}/stems/{name}") for name in names}
    return {name: stem for name, stem in stems.items() if stem.any()}


def case_recordings() -> Iterator[tuple[str, set[str], int, Build]]:
    """Yield an audio sample and the cases of two channels, all as long as the other recordings."""
    names = ("bass", "clarinet", "marimba")
    yield "night bus", {PLACE}, 44100, partial(_folder, names=names, folder="night_bus")
    cases: dict[str, tuple[set[str], int, tuple[str, ...]]] = {
        "s08_guitar_bass_stereo": ({PLACE}, 44100, ("bass", "guitar")),
        "s09_ensemble": ({TIMBRE, REST}, 44100, ("drums", "guitar", "harp", "piccolo", "strings")),
        "s11_orchestra_singer_stereo": ({TIMBRE, REST}, 32000, ("orchestra", "singer")),
        "s12_metal_guitars_stereo": ({TIMBRE, REST}, 44100, ("band", "guitars")),
        "s16_pop_falcon69_stereo": ({TIMBRE, REST}, 44100, ("bass", "drums", "other", "vocals")),
    }
    for case, (wanted, rate, stems) in cases.items():
        yield case, wanted, rate, partial(_whole_case, names=stems, case=case)


KINDS = (
    panned_recordings,
    room_recordings,
    real_recordings,
    drum_recordings,
    noisy_recordings,
    case_recordings,
)


def recordings(cases: Path | None) -> Iterator[Recording]:
    """Yield all recordings whose material is there."""
    for kind in KINDS:
        for name, wanted, rate, build in kind():
            try:
                stems = build(Material(cases, rate))
            except MaterialMissingError:
                continue
            yield Recording(name, frozenset(wanted), stems, rate)
