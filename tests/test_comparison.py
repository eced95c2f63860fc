import json
import shutil
import warnings

import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits

from nmfaudio import Audio
from nmfaudio.errors import InputError
from nmfaudio.studies.comparison import IDEAL, MIXTURE, STEMS, compare
from nmfaudio.studies.score_tables import COLUMNS, document, markdown, table

RATE = 8000
RATIOS = ("sdr", "isr", "sir", "sar")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Small systems of equations are slower with several threads while other processes work."""
    with threadpool_limits(1):
        yield


def noises(sources=3, seconds=2, channels=1, seed=0):
    """Coloured noises, (sources, channels, samples)."""
    white = np.random.default_rng(seed).standard_normal((sources, channels, seconds * RATE))
    smooth = np.cumsum(white[:1], axis=-1) * 0.98 ** np.arange(white.shape[-1])[::-1].clip(0, 60)
    white[:1] = 0.5 * white[:1] + 0.5 * smooth / np.abs(smooth).max()
    return white / 8


def sources(values, names="abc"):
    return {name: Audio(value, RATE) for name, value in zip(names, values, strict=False)}


@pytest.fixture(scope="module")
def pair():
    return references_and_estimates()


def references_and_estimates(sources=3, channels=1):
    """Return references and estimates with leaks between sources and channels, a delay, noise and gains."""
    R = noises(sources, channels=channels)
    E = R * np.array([0.8, 1.1, 1.0])[:sources, None, None] + 0.2 * R[::-1]
    E += 0.02 * noises(sources, channels=channels, seed=1)
    E[1] = np.roll(E[1], 2, axis=-1)
    E[0] += 0.1 * R[0, ::-1]
    return R, E


@pytest.fixture(scope="module")
def comparison(pair):
    return compare(*map(sources, pair))


def as_museval(R, E, window):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from museval import metrics

        scores = metrics.bss_eval(R.swapaxes(1, 2), E.swapaxes(1, 2), window=window, hop=window)
    return np.array(scores[:4])


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="museval needs the program ffmpeg")
def test_scores_are_those_of_museval():
    pair = references_and_estimates(2, channels=2)
    comparison = compare(*map(sources, pair))
    frames, whole = as_museval(*pair, RATE), as_museval(*pair, np.inf)
    for j, scores in enumerate(comparison.rows[STEMS].values()):
        ours = [[getattr(frame.ratios, ratio) for frame in scores.frames] for ratio in RATIOS]
        assert np.abs(np.array(ours) - frames[:, j]).max() < 0.01
        assert [getattr(scores.whole, ratio) for ratio in RATIOS] == pytest.approx(whole[:, j, 0], abs=0.01)
        assert [getattr(scores.median, ratio) for ratio in RATIOS] == pytest.approx(
            np.median(frames[:, j], axis=1), abs=0.01
        )


def test_si_sdr_and_version_3_are_those_of_arrays(pair, comparison):
    from nmfaudio import evaluate

    arrays = evaluate(*(dict(zip("abc", values, strict=True)) for values in pair))
    for name, scores in comparison.rows[STEMS].items():
        assert scores.si_sdr == pytest.approx(arrays[name].si_sdr, abs=1e-6)
        assert scores.filtered_sdr == pytest.approx(arrays[name].sdr, abs=0.01)


def test_mixture_and_ideal_mask_stand_beside(pair, comparison):
    R, _ = pair
    assert list(comparison.rows) == [STEMS, MIXTURE, IDEAL]
    mixture = compare(sources(R), sources(np.broadcast_to(R.sum(axis=0), R.shape))).rows[STEMS]
    for name in "abc":
        found = comparison.rows[MIXTURE][name]
        assert found.si_sdr == pytest.approx(mixture[name].si_sdr)
        assert found.whole.sdr + 2 < comparison.rows[IDEAL][name].whole.sdr
    with_more = compare(sources(R[:2]), sources(R[:2]), mixture=Audio(R.sum(axis=0), RATE))
    assert with_more.rows[MIXTURE]["a"].whole.sdr == pytest.approx(comparison.rows[MIXTURE]["a"].whole.sdr)


def test_pieces_of_a_file_change_nothing(pair, comparison, monkeypatch):
    from nmfaudio.studies import comparison as module
    from nmfaudio.studies import correlations

    monkeypatch.setattr(module, "_BLOCK", 777)
    monkeypatch.setattr(correlations, "_LONGEST_TRANSFORM", 3000)
    pieces = compare(*map(sources, pair))
    for kind, scores in comparison.rows.items():
        for name, one in scores.items():
            assert pieces.rows[kind][name].whole.sdr == pytest.approx(one.whole.sdr, abs=1e-6)
            assert pieces.rows[kind][name].median.sir == pytest.approx(one.median.sir, abs=1e-4)


def test_stems_of_other_names_are_matched_by_their_sound(pair):
    R, E = (values[:, :1] for values in pair)
    found = compare(sources(R), sources(E[::-1], "xyz"))
    assert found.matches == {"a": "z", "b": "y", "c": "x"}
    assert "matched to references by their sound" in found.notes[0]
    with pytest.raises(InputError, match="no stem has the name of a reference: stems are x, y, z"):
        compare(sources(R), sources(E, "xyz"), matching="names")
    swapped = compare(sources(R), sources(E[[1, 0, 2]]), matching="best")
    assert swapped.matches == {"a": "b", "b": "a", "c": "c"}


def test_silence_missing_and_further_stems_are_told_and_nothing_is_nan(pair):
    R, E = (values[:, :1].copy() for values in pair)
    R[2] = 0
    found = compare(sources(R), {"a": Audio(E[0], RATE), "x": Audio(E[1], RATE)})
    assert list(found.rows[STEMS]) == ["a", "b"]
    notes = " ".join(found.notes)
    assert "'c' is silent" in notes
    assert "'b' has no stem, so it is scored as silence" in notes
    assert "not scored: x" in notes
    assert found.rows[STEMS]["b"].si_sdr == -60
    json.dumps(document(found), allow_nan=False)
    with pytest.raises(InputError, match="all references are silent"):
        compare(sources(0 * R), sources(E))


def test_frames_with_silence_are_left_out(pair):
    R, E = (values[:, :1].copy() for values in pair)
    R[0, :, :RATE] = 0
    found = compare(sources(R), sources(E))
    assert [frame.time for frame in found.rows[STEMS]["b"].frames] == [1.0]
    E[1, :, RATE:] = 0
    nothing = compare(sources(R), sources(E))
    assert nothing.rows[STEMS]["a"].median is None
    assert "in no second" in nothing.notes[-1]
    assert "| - |" in markdown(nothing)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: Audio(e.samples, 44100), "44100 Hz.*convert"),
        (lambda e: e.cut(0, 100), "100 samples.*cut both"),
        (lambda e: Audio(np.repeat(e.samples, 2, axis=0), RATE), "2 channels.*mono to stereo"),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(pair, change, message):
    a = Audio(pair[0][0, :1], RATE)
    with pytest.raises(InputError, match=f"stem 'a' has {message}"):
        compare({"a": a}, {"a": change(a)})


def test_tables_are_whole_and_names_are_text(pair, comparison):
    rows = table(comparison)
    assert len(rows) == 3 * (3 + 1)
    assert all(len(values) == len(COLUMNS) for _, _, values in rows)
    means = [values for _, name, values in rows if name == "mean"]
    assert means[0][0] == pytest.approx(np.mean([values[0] for _, _, values in rows[:3]]))
    R, E = pair
    odd = "<script>|x"
    assert "&lt;script&gt;\\|x" in markdown(compare({odd: Audio(R[0], RATE)}, {odd: Audio(E[0], RATE)}))


@pytest.fixture
def folders(tmp_path, pair):
    for folder, values in zip(("references", "stems"), pair, strict=True):
        (tmp_path / folder).mkdir()
        for name, value in zip("abc", values, strict=True):
            soundfile.write(tmp_path / folder / f"{name}.wav", value.T, RATE, subtype="DOUBLE")
    return tmp_path


def test_the_command_prints_the_schema_of_museval_and_draws(nmfaudio, folders, comparison):
    done = nmfaudio("evaluate", "stems", "references", "--json", "--plot", "scores.png", check=0)
    found = json.loads(done.stdout)
    assert (folders / "scores.png").read_bytes().startswith(b"\x89PNG")
    for target in found["targets"]:
        ours = comparison.rows[STEMS][target["name"]]
        assert [set(frame) for frame in target["frames"]] == [{"time", "duration", "metrics"}] * 2
        assert target["frames"][1]["metrics"]["SIR"] == pytest.approx(ours.frames[1].ratios.sir, abs=1e-4)
    (folders / "stems" / "a.wav").rename(folders / "stems" / "voice.wav")
    failed = nmfaudio("evaluate", "stems/voice.wav", "nowhere", check=1)
    assert "nowhere: it does not exist" in failed.stderr
    assert "### " not in failed.stdout
