"""Measured properties of a mixture, the advice that follows, and `auto`, which follows the advice."""

import json

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, read, separate
from nmfaudio.errors import OptionError
from nmfaudio.models.wrappers import ModelWrapper
from nmfaudio.separators.auto import separator as auto_module
from nmfaudio.separators.auto.advice import Advice, Facts, advise, listen
from nmfaudio.separators.auto.separator import Auto
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.separators.drums.separator import Drums
from nmfaudio.separators.stereo.panning import Panning
from nmfaudio.sound.blocks import Blocks
from nmfaudio.sound.stft import STFT
from nmfaudio.testing import check_separator

PANS = [(0.5, 0.85), (0.7, 0.7), (0.7, 0.7)]  # gains of hi-hat, kick and snare in the two channels


def facts(audio):
    return listen(Blocks(audio, STFT(2048)))


def panning(*angles, mass=0.4, purity=0.9, single=0.8, overlap=0.3, rest=0.2):
    count = len(angles)
    return Panning(
        np.array(angles, float), np.full(count, mass), np.full(count, purity), single, overlap, rest
    )


def test_drums_music_and_noise_are_distinguished(samples):
    drums, music = (facts(read(samples / f"{name}.flac")) for name in ("drum_loop", "piano_and_flute"))
    noise = facts(Audio(np.random.default_rng(0).standard_normal((1, 3 * 44100)) / 8, 44100))
    assert drums.is_drums
    assert not drums.is_noisy
    assert not music.is_drums
    assert not music.is_noisy
    assert noise.is_noisy
    assert not noise.is_drums
    assert music.percussive < noise.percussive < drums.percussive


@pytest.mark.parametrize(
    ("steady", "smooth", "expected"),
    [(0.5, 0.99, "noise"), (0.2, 0.99, "blind"), (0.9, 0.9, "blind")],
    ids=["sounds over noise", "music", "dense music that never pauses"],
)
def test_noise_is_steady_and_has_a_smooth_spectrum(steady, smooth, expected):
    assert advise(Facts(1, 60.0, 0.2, steady, smooth, None), sources=2).separator == expected


def test_noise_under_a_loud_narrow_band_is_found():
    rng = np.random.default_rng(0)
    tones = np.sin(2 * np.pi * 0.05 * np.cumsum(np.repeat(rng.uniform(0.5, 1.5, 20), 1600)))
    swells = np.repeat(rng.uniform(0, 1, 20), 1600)
    music, hiss = swells * tones, 0.05 * rng.standard_normal(32000)
    assert facts(Audio((music + hiss)[None], 16000)).is_noisy
    assert not facts(Audio(music[None], 16000)).is_noisy


@pytest.mark.parametrize(
    ("found", "sources", "expected"),
    [
        (panning(45, mass=0.7, purity=0.7, rest=0.5), None, "stereo"),
        (panning(45, mass=0.7, purity=0.7, rest=0.5), 2, "stereo"),
        (panning(45, mass=0.7, purity=0.7, rest=0.5), 3, "blind"),
        (panning(45, mass=0.7, purity=0.4, rest=0.5), 2, "blind"),
        (panning(45, mass=1.0, purity=1.0, rest=0.0), 2, "blind"),
    ],
    ids=["number unknown", "two", "three", "impure", "nothing but the source"],
)
def test_one_panned_source_over_a_rest_leads_to_stereo(found, sources, expected):
    assert advise(Facts(2, 60.0, 0.2, 0.0, 0.2, found), sources=sources).separator == expected


def test_a_drum_kit_at_two_positions_is_separated_into_drums():
    kit = Facts(2, 8.0, 0.7, 0.0, 0.1, panning(45, 60))
    assert advise(kit).separator == "drums"
    assert "--stereo" in [arguments for arguments, _ in advise(kit).others]
    wide = Facts(2, 8.0, 0.7, 0.0, 0.1, panning(20, 45, 70))
    assert advise(wide).separator == "stereo"
    assert "--drums" in [arguments for arguments, _ in advise(wide).others]


def test_panning_positions_are_named_for_two_channels(samples):
    assert facts(read(samples / "night_bus.flac")).places == ("left60", "middle", "right60")
    assert facts(read(samples / "drum_loop.flac")).panning is None


@pytest.mark.parametrize("gain", [1e-12, 1e6])
def test_the_level_does_not_matter(gain):
    plain, scaled = (facts(Audio(sound(2, channels=2) * g, 8000)) for g in (1.0, gain))
    assert scaled.percussive == pytest.approx(plain.percussive, abs=1e-4)
    assert scaled.steady == pytest.approx(plain.steady, abs=1e-4)


@pytest.mark.parametrize("samples_", [np.zeros((2, 8000)), np.ones((1, 1)) / 2])
def test_silence_and_a_single_sample_have_advice(samples_):
    found = facts(Audio(samples_, 8000))
    assert advise(found).separator == "blind"
    assert np.isfinite([found.percussive, found.steady]).all()


def test_panned_sources_lead_to_stereo():
    found = advise(Facts(2, 60.0, 0.2, 0.0, 0.2, panning(20, 70)))
    assert found.separator == "stereo"
    assert "2 panning positions: left56, right56" in found.reason
    assert advise(Facts(2, 60.0, 0.2, 0.0, 0.2, panning(20, 70)), sources=2).options == {"sources": 2}


@pytest.mark.parametrize(
    ("found", "sources", "message"),
    [
        (None, None, "mono, so"),
        (panning(45), None, "1 panning position found"),
        (panning(20, 70), 3, "2 panning positions found"),
        (panning(20, 70, single=0.1), None, "only 10% of the sound comes from a single position"),
        (panning(20, 70, mass=0.1), None, "only 20% of the sound from single positions"),
        (panning(20, 70, overlap=0.01), None, "the 2 panning positions found differ by frequency"),
    ],
)
def test_without_panning_timbre_decides_and_the_reason_says_why(found, sources, message):
    advice = advise(Facts(1 if found is None else 2, 60.0, 0.2, 0.0, 0.2, found), sources=sources)
    assert advice.separator == "blind"
    assert message in advice.reason


@pytest.mark.parametrize(
    ("sources", "seconds", "expected"),
    [(None, 8.0, "drums"), (3, 8.0, "drums"), (2, 8.0, "blind"), (None, 3600.0, "blind")],
)
def test_drums_are_chosen_where_number_and_length_allow_it(sources, seconds, expected):
    assert advise(Facts(1, seconds, 0.7, 0.0, 0.1, None), sources=sources).separator == expected


@pytest.mark.parametrize(
    ("percussive", "contrast", "energy", "sources", "expected"),
    [
        (0.45, 3.5, 0.3, 2, "harmonic-percussive"),
        (0.45, 2.0, 0.3, 2, None),
        (0.45, 3.5, 0.6, 2, None),
        (0.3, 3.5, 0.3, 2, None),
        (0.65, 3.5, 0.3, 2, None),
        (0.45, 3.5, 0.3, None, None),
        (0.45, 0.0, 0.3, 3, "drums"),
        (0.35, 0.0, 0.3, 3, None),
        (0.65, 0.0, 0.3, 4, None),
    ],
    ids=[
        "speech over strings",
        "not clear",
        "hardly anything sustained",
        "hardly percussive",
        "drums",
        "number unknown",
        "song",
        "melodies",
        "drums of four kinds",
    ],
)
def test_percussive_sounds_guide_the_grouping(percussive, contrast, energy, sources, expected):
    found = Facts(1, 60.0, percussive, 0.0, 0.2, None, contrast, energy)
    advice = advise(found, sources=sources)
    assert advice.separator == "blind"
    assert advice.guide == expected
    assert advice.reason.endswith("so sources are grouped by timbre") is (expected is None)
    assert advise(found, sources=sources, guided=False).guide is None


def test_a_song_that_is_too_long_for_drums_has_no_guide():
    assert advise(Facts(1, 3600.0, 0.45, 0.0, 0.2, None), sources=3).guide is None


def test_noise_and_panned_sources_have_no_guide():
    noisy = Facts(1, 60.0, 0.45, 0.7, 0.99, None, 3.5, 0.3)
    panned = Facts(2, 60.0, 0.45, 0.0, 0.2, panning(20, 70), 3.5, 0.3)
    assert [(a.separator, a.guide) for a in (advise(noisy, sources=2), advise(panned, sources=2))] == [
        ("noise", None),
        ("stereo", None),
    ]


def test_clicks_and_tones_are_clear_and_a_sweep_is_not():
    time = np.arange(2 * 8000) / 8000
    tone, clicks = np.sin(2 * np.pi * 440 * time), np.zeros(16000)
    clicks[1000::4000] = 15
    clear = facts(Audio((tone + clicks)[None], 8000))
    unclear = facts(Audio(np.sin(2 * np.pi * (200 * time + 300 * time**2))[None], 8000))
    assert clear.contrast > 5
    assert unclear.contrast < 0
    assert 0.1 < clear.percussive_energy < 0.5


def test_auto_splits_the_drums_off_a_song(samples):
    names = ("drum_loop", "night_bus/bass", "night_bus/clarinet")
    clips = [read(samples / f"{n}.flac").samples[:, : 3 * 44100].mean(axis=0) for n in names]
    song = sum(0.05 * clip / clip.std() for clip in clips)[None]
    found = separate(Audio(song, 44100), sources=3)
    assert next(iter(found.stems)) == "drums"
    assert "drums are split off" in found.result.messages[0]


def bursts(low, high):
    """Four seconds of tones and of bursts of noise, both in a low and a high register by turns."""
    time, rng = np.arange(4 * 8000) / 8000, np.random.default_rng(0)
    tones = [
        np.sin(2 * np.pi * pitch * time) * (np.floor(time) % 2 == n) for n, pitch in enumerate((low, high))
    ]
    clicks = np.zeros(len(time))
    for n, start in enumerate(range(500, len(time) - 1000, 1700)):
        noise = rng.standard_normal(600) * np.exp(-np.arange(600) / 80)
        clicks[start : start + 600] += noise if n % 2 else np.convolve(noise, np.hanning(32), "same") / 4
    return np.sum(tones, axis=0) / 20, clicks / 10


def test_auto_groups_by_percussive_sounds_where_timbre_groups_otherwise():
    tones, clicks = bursts(300, 3000)
    found = separate(Audio((tones + clicks)[None], 8000), sources=2)
    assert list(found.stems) == ["percussive", "harmonic"]
    rest = found.stems["harmonic"].samples[0] - tones
    assert np.linalg.norm(rest) < 0.4 * np.linalg.norm(tones)


def test_auto_groups_by_timbre_where_percussive_sounds_would_group_alike(monkeypatch):
    monkeypatch.setattr(auto_module, "are_single_sounds", lambda *_: False)
    tones, clicks = bursts(3000, 3000)
    mixture = Audio((tones + clicks)[None], 8000)
    assert advise(facts(mixture), sources=2).guide == "harmonic-percussive"
    found = separate(mixture, sources=2)
    assert "harmonic" not in found.stems
    assert found.result.messages[0].endswith("so sources are grouped by timbre")


def test_auto_names_drums(samples):
    found = separate(samples / "drum_loop.flac")
    assert list(found.stems) == ["kick", "snare", "hihat"]
    assert found.result.messages[0].endswith("percussive, so it was treated as drums")


def test_auto_makes_as_many_stems_as_are_asked_for(samples):
    hihat = read(samples / "drum_loop" / "hihat.flac").samples[:, : 3 * 44100]
    found = separate(Audio(hihat, 44100), sources=3)
    assert len(found.stems) == 3


def test_alternatives_come_with_their_condition():
    few = advise(Facts(1, 1.0, 0.2, 0.7, 0.99, None))
    assert [arguments for arguments, _ in few.others] == ["--sources N", "--separator blind", "a longer part"]
    assert advise(Facts(1, 60.0, 0.2, 0.0, 0.2, None), sources=2).others == ()


def test_auto_keeps_the_contract():
    assert len(check_separator(Auto(sources=2))) > 5


def test_auto_follows_the_advice(samples):
    stereo = separate(samples / "night_bus.flac")
    assert (
        stereo.result.messages[0]
        == "stereo was chosen: the sources have 3 panning positions: left60, middle, right60"
    )
    assert list(stereo.stems) == ["left60", "middle", "right60"]
    mixed = read(samples / "night_bus.flac").samples.mean(axis=0, keepdims=True)
    mono = separate(Audio(mixed, 44100), sources=3)
    assert mono.result.messages[0].startswith("blind was chosen: mono, so")


def test_auto_refuses_wrong_options():
    with pytest.raises(OptionError, match="sources=0"):
        Auto(sources=0)
    with pytest.raises(OptionError, match="seed=-1"):
        Auto(seed=-1)


def test_the_command_advises(nmfaudio, samples):
    done = nmfaudio("advise", samples / "night_bus.flac", check=0)
    assert "places        left60, middle, right60" in done.stdout
    assert "uses stereo: the sources have 3 panning positions" in done.stdout
    printed = json.loads(
        nmfaudio("advise", samples / "drum_loop.flac", "--sources", 3, "--json", check=0).stdout
    )
    assert printed["advice"]["separator"] == "drums"
    assert printed["advice"]["options"] == {}
    assert printed["percussive"] > 0.6
    assert printed["places"] is None


def test_the_command_names_a_file_that_cannot_be_read(nmfaudio, tmp_path):
    (tmp_path / "song.wav").write_text("no sound")
    done = nmfaudio("advise", "song.wav", "--json", check=1)
    assert done.stderr.startswith("nmfaudio: song.wav: ")
    assert json.loads(done.stdout)["ok"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stereo", "--drums"], "--drums and --stereo ask for different separators"),
        (["--stereo", "--separator", "blind"], "--separator blind and --stereo ask for different"),
        (["--midi", "song.mid", "--vocals"], "--vocals and --midi ask for different separators"),
    ],
)
def test_two_ways_at_once_are_refused(nmfaudio, make_file, arguments, message):
    done = nmfaudio("separate", make_file(), *arguments, check=2)
    assert message in done.stderr


def test_a_preset_stands_for_its_separator(nmfaudio, make_file):
    done = nmfaudio("separate", make_file(channels=2), "--stereo", "--sources", 2, "--json", check=0)
    assert json.loads(done.stdout)["separator"] == "stereo"


def test_auto_filters_stems_across_channels_where_drums_are_panned(samples):
    names = ("hihat", "kick", "snare")
    stems = [read(samples / "drum_loop" / f"{name}.flac").samples[0, : 3 * 44100] for name in names]
    truth = dict(zip(names, (np.outer(g, s) for g, s in zip(PANS, stems, strict=True)), strict=True))
    mixture = Audio(sum(truth.values()), 44100)
    plain, filtered = separate(mixture, Drums()), separate(mixture)
    assert list(filtered.stems) == ["kick", "snare", "hihat"]
    errors = [[np.sum((r.stems[n].samples - truth[n]) ** 2) for n in names] for r in (plain, filtered)]
    assert np.mean(10 * np.log10(np.divide(*errors))) > 1


def test_auto_takes_the_mean_of_masks_and_filter_for_grouped_components(monkeypatch):
    stems_are_rough = []

    def filtered(model, mixture, *, rough=False):
        stems_are_rough.append(rough)
        return model

    monkeypatch.setattr(auto_module, "with_spatial_filter", filtered)
    monkeypatch.setattr(
        auto_module, "advise", lambda *_, **__: Advice("blind", "a test asks for it", {}, (), None)
    )
    separate(Audio(sound(channels=2), 8000), Auto(sources=2))
    assert stems_are_rough == [True]


@pytest.mark.parametrize(("filters", "exponent"), [(True, 1.0), (False, 1.5)])
def test_auto_sharpens_the_mean_of_masks_only_without_a_filter(monkeypatch, filters, exponent):
    exponents = []

    def filtered(model, mixture, *, rough):
        exponents.append(model.mean_exponent)
        return ModelWrapper(model) if filters else model

    monkeypatch.setattr(auto_module, "with_spatial_filter", filtered)
    grouped = Blind(sources=2, components=6, iterations=3, starts=1).grouped(
        Blocks(Audio(sound(channels=2), 8000), STFT(256))
    )
    model = auto_module._filtered(grouped, None)
    assert exponents == [1.0]
    assert (model.model if filters else model).mean_exponent == exponent


def test_auto_compares_stems_of_masks_that_are_not_sharpened(monkeypatch):
    compared = []

    def agreement(guided, by_timbre, mixture):
        compared.append(by_timbre.mean_exponent)
        return 1.0

    monkeypatch.setattr(auto_module, "agreement", agreement)
    monkeypatch.setattr(auto_module, "are_single_sounds", lambda *_: False)
    mixture = Blocks(Audio(sound(), 8000), STFT(256))
    model, guided = auto_module.Auto()._guided("percussive", 2, mixture)
    assert compared == [1.0]
    assert not guided
    assert model.mean_exponent == 1.5


def test_auto_searches_once_for_single_sounds(monkeypatch):
    searches, search = [], Blind.search
    monkeypatch.setattr(Blind, "search", lambda self, mixture: searches.append(1) or search(self, mixture))
    monkeypatch.setattr(auto_module, "are_single_sounds", lambda *_: True)
    mixture = Blocks(Audio(sound(), 8000), STFT(256))
    model, guided = auto_module.Auto()._guided("percussive", 2, mixture)
    assert len(searches) == 1
    assert not guided
    assert model.factorization.factorization.rank == len(model.sources) == 2
