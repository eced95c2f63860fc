from dataclasses import replace

import numpy as np
import pytest
from conftest import sound

from nmfaudio import STFT, Audio, Blocks, Convolution, Divergence, make, read, separate, soft_masks
from nmfaudio.errors import OptionError
from nmfaudio.separators.drums.evidence import weigh_evidence
from nmfaudio.separators.drums.separator import Drums, DrumsModel, onsets, varied_frames
from nmfaudio.sound.frames import stacked_channels
from nmfaudio.testing import check_separator

RATE = 22050


def hit(kind, seconds=0.4, seed=0):
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time))
    if kind == "kick":
        return np.sin(2 * np.pi * 55 * time) * np.exp(-time * 9)
    if kind == "snare":
        return 0.4 * (noise + np.sin(2 * np.pi * 190 * time)) * np.exp(-time * 16)
    return 0.3 * np.diff(noise, 2, prepend=[0, 0]) * np.exp(-time * 40)


def loop(**times):
    """Hits of each kind at these times, (samples,) each."""
    tracks = {kind: np.zeros(4 * RATE) for kind in times}
    for kind, starts in times.items():
        for number, start in enumerate(starts):
            found, first = hit(kind, seed=number), int(start * RATE)
            tracks[kind][first : first + len(found)] += 0.3 * found[: 4 * RATE - first]
    return tracks


BEAT = {
    "kick": [0.1, 1.1, 1.6, 2.1, 3.1],
    "snare": [0.6, 1.6, 2.6, 3.6],
    "hihat": np.arange(0.1, 3.9, 0.25),
}


def gains(tracks, stems):
    """SNR of each stem over that of the mixture, dB."""
    mixture = sum(tracks.values())
    return {
        name: 10 * np.log10(np.sum((mixture - t) ** 2) / np.sum((stems[name].samples[0] - t) ** 2))
        for name, t in tracks.items()
    }


@pytest.mark.parametrize("options", [{}, {"kit": ("kick", "cymbal")}, {"others": 4}])
def test_the_contract_is_kept(options):
    assert len(check_separator(Drums(**options, iterations=10))) > 5


def test_drums_come_apart_under_their_names():
    tracks = loop(**BEAT)
    found = separate(Audio(sum(tracks.values()), RATE), "drums")
    assert list(found.stems) == ["kick", "snare", "hihat"]
    assert min(gains(tracks, found.stems).values()) > 8


def test_drums_of_the_sample_come_apart(samples):
    stems = separate(samples / "drum_loop.flac", "drums").stems
    truth = {n: read(samples / "drum_loop" / f"{n}.flac").samples[0] for n in ("kick", "snare", "hihat")}
    assert min(gains(truth, stems).values()) > 8


def test_a_drum_that_explains_nothing_is_left_out_and_said():
    mixture = Blocks(Audio(sound(1, RATE), RATE), STFT(256))
    W = np.full((3, mixture.stft.bins, 2), 1 / mixture.stft.bins / 2)
    hits = np.zeros((3, mixture.frames))
    hits[0, 10::40], hits[1, 10::40], hits[2, 30::40] = 1.0, 1e-3, 0.1
    none = np.zeros(1)
    found = Convolution(W, hits, Divergence(1.0), none, none.astype(int), False, 0)
    V = np.sum([found.model(k, 0, mixture.frames) for k in range(3)], axis=0)
    model = DrumsModel.of(mixture, ("kick", "snare", "hihat"), (V, W, found), 2.0)
    assert model.sources == ("kick", "hihat")
    assert "no snare" in model.messages[0]
    assert model.members == ((0, 1), (2,))
    assert list(model.separate(mixture.whole())) == ["kick", "hihat"]


@pytest.mark.parametrize("exponent", [1.0, 3.0])
def test_stems_are_masked_by_the_sums_of_their_components_to_the_exponent(exponent):
    mixture = Blocks(Audio(sum(loop(**BEAT).values()), RATE), STFT(512))
    model = replace(Drums(iterations=5, mask_exponent=exponent).fit(mixture), members=((0, 2), (1,)))
    block = mixture.with_stft(model.stft).block(30, 90)
    found = replace(model, sources=("kick", "snare")).separate(block)
    one, other, third = (model.convolution.model(k, 30, 90)[None] for k in range(3))
    expected = soft_masks(block, {"kick": one + third, "snare": other}, mask_exponent=exponent)
    for name, stem in expected.items():
        np.testing.assert_allclose(found[name].values, stem.values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["kick", "snare", "hihat"])
def test_a_drum_alone_is_the_only_one_that_is_found(samples, kind):
    found = separate(samples / "drum_loop" / f"{kind}.flac", "drums", end=4)
    assert list(found.stems) == [kind]
    absent = {"kick", "snare", "hihat"} - {kind}
    assert all(f"no {name}" in found.result.messages[0] for name in absent)


def test_drums_that_are_asked_for_and_not_there_are_not_found(samples):
    kit = ("kick", "snare", "hihat", "tom", "cymbal")
    found = separate(samples / "drum_loop.flac", "drums", kit=kit)
    assert list(found.stems) == ["kick", "snare", "hihat"]
    truth = {n: read(samples / "drum_loop" / f"{n}.flac").samples[0] for n in found.stems}
    assert min(gains(truth, found.stems).values()) > 8


@pytest.mark.parametrize("name", ["piano_and_flute.flac", "piano_and_flute/flute.flac"])
def test_other_instruments_are_not_called_drums(samples, name):
    result = separate(samples / name, "drums", end=4).result
    assert not any("found" in message for message in result.messages)
    assert any("not drums alone" in warning for warning in result.warnings)


def test_evidence_reads_long_recordings_piece_by_piece(monkeypatch):
    tracks = loop(**BEAT)
    mixture = Blocks(Audio(sum(tracks.values()), RATE), STFT(1024))
    model = Drums(iterations=5).fit(mixture)
    V = stacked_channels(mixture.with_stft(model.stft))
    of_all = weigh_evidence(V, model.convolution, 3)
    monkeypatch.setattr("nmfaudio.separators.drums.evidence._FRAMES_AT_A_TIME", 50)
    in_pieces = weigh_evidence(V, model.convolution, 3)
    assert (of_all.found, of_all.joined) == (in_pieces.found, in_pieces.joined)
    assert of_all.fit == pytest.approx(in_pieces.fit)


def test_channels_have_templates_of_their_own():
    tracks = loop(**BEAT)
    pans = {"kick": (1, 1), "snare": (1, 0.2), "hihat": (0.2, 1)}
    panned = {name: np.outer(pans[name], track) for name, track in tracks.items()}
    stems = separate(Audio(sum(panned.values()), RATE), "drums").stems
    left = {name: track[0] for name, track in panned.items()}
    assert min(gains(left, stems).values()) > 8


def test_one_shots_name_and_start_the_stems(make_file):
    for kind in BEAT:
        single = np.concatenate([np.zeros(3000), hit(kind, seed=50), np.zeros(9000)])
        path = make_file(f"shots/{kind} 1.wav", 0.5 * single / np.abs(single).max(), rate=RATE)
    (path.parent / "notes.txt").write_text("not a recording")
    tracks = loop(**BEAT)
    found = separate(Audio(sum(tracks.values()), RATE), "drums", oneshots=str(path.parent))
    assert list(found.stems) == ["hihat 1", "kick 1", "snare 1"]
    assert min(gains({f"{k} 1": t for k, t in tracks.items()}, found.stems).values()) > 8


def test_other_instruments_become_a_stem_of_their_own():
    tracks = loop(**BEAT)
    length = len(tracks["kick"])
    time = np.arange(length) / RATE
    notes = np.array([262, 330, 392, 294])[np.minimum((time * 2).astype(int) % 4, 3)]
    phase = 2 * np.pi * np.cumsum(notes) / RATE
    melody = 0.1 * sum(np.sin(h * phase) / h for h in range(1, 8))
    mixture, drums = sum(tracks.values()) + melody, sum(tracks.values())
    stems = separate(Audio(mixture, RATE), "drums", others=8).stems
    assert list(stems) == ["kick", "snare", "hihat", "other"]
    together = sum(stem.samples[0] for name, stem in stems.items() if name != "other")
    alone = sum(stem.samples[0] for stem in separate(Audio(mixture, RATE), "drums").stems.values())
    found = {"drums": Audio(together, RATE), "other": stems["other"]}
    assert min(gains({"drums": drums, "other": melody}, found).values()) > 6
    assert np.abs(alone - mixture).max() < 1e-9  # without, all of the melody is in the drums


def test_onsets_are_found_piece_by_piece(monkeypatch):
    V = np.random.default_rng(0).random((5, 50), np.float32)
    of_all = onsets(V)
    monkeypatch.setattr("nmfaudio.separators.drums.separator._FRAMES_AT_A_TIME", 7)
    np.testing.assert_allclose(onsets(V), of_all, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_frames_are_drawn_from_each_note_and_not_from_onsets(seed):
    notes = np.eye(4, dtype=np.float32)[:, np.repeat([0, 1, 2, 3], [60, 20, 10, 10])]
    V = np.concatenate([notes, np.zeros((100, 100), np.float32)])
    V[4:, 30::40] = 3  # hits
    drawn = varied_frames(V, 4, np.random.default_rng(seed))
    assert sorted(V[:4, drawn].argmax(axis=0)) == [0, 1, 2, 3]
    assert not V[4:, drawn].any()


@pytest.mark.parametrize("V", [np.zeros((3, 5), np.float32), np.ones((3, 5), np.float32)])
def test_as_many_frames_are_drawn_where_none_differ(V):
    drawn = varied_frames(V, 7, np.random.default_rng(0))
    assert len(drawn) == 7
    assert set(drawn) <= set(range(5))


def test_frames_of_a_long_recording_are_drawn_from_its_whole_length(monkeypatch):
    monkeypatch.setattr("nmfaudio.separators.drums.separator._MOST_CANDIDATES", 8)
    V = np.random.default_rng(0).random((5, 50)).astype(np.float32)
    drawn = varied_frames(V, 8, np.random.default_rng(0))
    assert set(drawn) <= set(range(0, 50, 7))
    assert max(drawn) > 25


def test_one_shots_of_another_rate_are_converted(make_file):
    path = make_file("shots/kick.wav", hit("kick")[::2], rate=RATE // 2)
    assert list(separate(Audio(sound(1, RATE), RATE), "drums", oneshots=str(path.parent)).stems) == ["kick"]


@pytest.mark.parametrize("others", [0, 3])
def test_a_budget_bounds_memory_and_changes_no_bit(check_budget, others):
    audio = Audio(sound(10, 8000, channels=2), 8000)
    (whole,) = check_budget(Drums(iterations=2, others=others), audio, tolerance=0.25)
    assert whole == 4 * 2 * 257 * STFT(512).frames(80000)


def test_bad_options_are_named(tmp_path, make_file):
    for options, match in [
        ({"kit": ("kick", "gong")}, "kit='gong' is not known: use some of kick"),
        ({"kit": ()}, "at least one"),
        ({"kit": ("kick", "kick")}, "each once"),
        ({"oneshots": str(tmp_path / "none")}, "is not a folder"),
        ({"iterations": 0}, "iterations=0"),
        ({"others": -1}, "others=-1"),
        ({"window": 0}, "window=0"),
        ({"seed": -1}, "seed=-1"),
    ]:
        with pytest.raises(OptionError, match=match):
            make("drums", **options)
    audio = Audio(sound(), 8000)
    with pytest.raises(OptionError, match="holds no audio file"):
        separate(audio, "drums", oneshots=str(tmp_path))
    silent = make_file("shots/kick.wav", np.zeros((1, 8000)))
    with pytest.raises(OptionError, match="is silent"):
        separate(audio, "drums", oneshots=str(silent.parent))
    silent.write_bytes(b"no sound")
    with pytest.raises(OptionError, match="oneshots"):
        separate(audio, "drums", oneshots=str(silent.parent))
