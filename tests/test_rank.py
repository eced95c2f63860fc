import json

import numpy as np
import pytest
from conftest import sound
from PIL import Image

import nmfaudio
from nmfaudio import Audio, count_components, plot_rank
from nmfaudio.errors import AudioFileError, MatrixError, OptionError
from nmfaudio.nmf import Factorization, factorize, recommend, relevant_rank, stability
from nmfaudio.nmf.consensus import agreement
from nmfaudio.nmf.prior import Prior, estimated_dispersion

NOISE = {  # data around a model, with the dispersion 0.2
    0: lambda P, generator: P * generator.gamma(5, 0.2, P.shape),
    1: lambda P, generator: generator.poisson(5 * P) / 5,
    2: lambda P, generator: np.maximum(P + np.sqrt(0.2) * generator.standard_normal(P.shape), 0),
}


def noisy(rank, beta, seed=0, bins=60, frames=200, norm=1):
    """A product of factors as the prior of that norm has them, under noise."""
    generator = np.random.default_rng(seed)
    draw = generator.exponential if norm == 1 else lambda scale, size: abs(generator.normal(0, scale, size))
    P = draw(1, (bins, rank)) @ draw(1, (rank, frames)) + 1e-9
    return NOISE[beta](P, generator)


def parts(rank=3, seed=0, bins=40, frames=90):
    """A product of sparse factors that has one factorization alone."""
    generator = np.random.default_rng(seed)
    return generator.random((bins, rank)) ** 8 @ generator.random((rank, frames)) ** 8


@pytest.mark.parametrize("beta", [0, 1, 2])
@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("rank", [2, 4])
def test_relevance_recovers_the_rank_of_the_data(beta, norm, rank):
    V = noisy(rank, beta, norm=norm)
    found = relevant_rank(V, 10, divergence=beta, norm=norm, dispersion=0.2)
    assert found.rank == found.factorization.rank == rank
    assert np.all(found.weights[:rank] > 5)
    assert np.all(found.weights[rank:] < 2)
    alone = factorize(V, rank, divergence=beta, restarts=3)
    assert found.factorization.objective[-1] < 1.02 * alone.objective[-1]


@pytest.mark.parametrize("beta", [0, 0.5, 1, 2, 2.5])
@pytest.mark.parametrize("norm", [1, 2])
def test_the_objective_of_relevance_never_rises(beta, norm):
    found = relevant_rank(noisy(3, 1) + 0.1, 8, divergence=beta, norm=norm, sweeps=60)
    assert np.all(np.diff(found.objective) <= 1e-5 * np.abs(found.objective[:-1]))
    assert found.objective[-1] < found.objective[0]


def test_the_objective_of_relevance_is_that_of_the_paper():
    V, states = noisy(3, 1), []
    prior = Prior.of(V, 5, shape=10.0, norm=1)
    found = relevant_rank(V, 5, dispersion=0.2, sweeps=1, callback=lambda *seen: states.append(seen))
    assert states == [(n + 1, value) for n, value in enumerate(found.objective)]
    start = factorize(V, 5, init="random", iterations=5)
    W, H = prior.balanced(start.W, start.H)
    np.testing.assert_allclose(W @ H, start.W @ start.H, rtol=1e-6)
    np.testing.assert_allclose(W.sum(axis=0), H.sum(axis=1), rtol=1e-6)
    scales = (W.sum(axis=0) + H.sum(axis=1) + prior.b) / (60 + 200 + 10 + 1)
    penalties = prior.penalties(scales, 0.2)
    step = factorize(V, 5, init=(W, H), penalties=penalties, iterations=5, tolerance=0, solver="mu")
    W, H = prior.balanced(step.W, step.H)
    sizes = W.sum(axis=0) + H.sum(axis=1) + prior.b
    scales = sizes / prior.c
    expected = step.divergence.between(V, W @ H) / 0.2 + np.sum(sizes / scales + prior.c * np.log(scales))
    np.testing.assert_allclose(found.objective[0], expected, rtol=1e-5)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_the_dispersion_is_that_of_the_noise(beta):
    V = noisy(3, beta, bins=150, frames=400)
    assert estimated_dispersion(V, factorize(V, 3, divergence=beta)) == pytest.approx(0.2, rel=0.15)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_relevance_and_stability_do_not_depend_on_the_level(beta):
    V = noisy(3, beta).astype(np.float32)
    quiet, loud = (relevant_rank(V * np.float32(2.0**e), 6, divergence=beta, sweeps=20) for e in (-40, 40))
    np.testing.assert_allclose(quiet.weights, loud.weights, rtol=1e-3)
    quiet, loud = (stability(V * np.float32(2.0**e), [3], divergence=beta, restarts=2) for e in (-40, 40))
    np.testing.assert_allclose(quiet.means, loud.means, rtol=1e-3)


def test_stability_is_highest_at_the_rank_of_the_data():
    found = stability(parts(3), range(2, 7), restarts=4)
    assert found.ranks[found.means.argmax()] == 3
    assert found.means[1] > 0.98
    assert [len(each) for each in found.components] == [2, 3, 4, 5, 6]
    assert all(((each >= 0) & (each <= 1 + 1e-9)).all() for each in found.components)
    for best, lowest in zip(found.best, found.lowest, strict=True):
        assert best.objective[-1] == lowest


def run(W, H):
    found = factorize(np.ones((2, 2)), 1, iterations=1)
    return Factorization(W, H, found.divergence, found.objective, found.measured_iterations, False, 0)


def test_agreement_needs_templates_and_activations_and_no_order():
    generator = np.random.default_rng(0)
    W, H = generator.random((30, 3)), generator.random((3, 50))
    order = [2, 0, 1]
    np.testing.assert_allclose(agreement([run(W, H), run(3 * W[:, order], H[order] / 7)]), 1)
    assert agreement([run(W, H), run(W, generator.random((3, 50)))]).max() < 0.5
    assert agreement([run(W, H), run(generator.random((30, 3)), H)]).max() < 0.5
    other = W.copy()
    other[:, 1] = generator.random(30)
    assert np.array_equal(agreement([run(W, H), run(other, H)]) > 0.9, [True, False, True])
    silent = H.copy()
    silent[1] = 0
    np.testing.assert_allclose(agreement([run(W, silent), run(W, silent)]), [1, 0, 1])


def evidence(means, objectives, relevant, most=12):
    """Evidence with these figures, at ranks from 1 on."""
    one = stability(np.eye(2), [1], restarts=2)
    each = tuple(np.full(rank + 1, mean) for rank, mean in enumerate(means))
    ranks = np.arange(1, len(means) + 1)
    stable = type(one)(ranks, each, np.array(objectives, float)[:, None], one.best * len(means))
    weights = np.where(np.arange(most) < relevant, 50.0, 1.0)
    found = relevant_rank(np.eye(2), 1, sweeps=1)
    return type(found)(weights, weights[None], np.zeros(1), 1.0, found.factorization, True), stable


@pytest.mark.parametrize(
    ("means", "objectives", "relevant", "rank", "reason"),
    [
        ([1, 0.7, 0.99, 0.8, 0.7], [100, 70, 40, 35, 30], 9, 3, "with 4 the stability falls to 0.80"),
        ([1, 0.7, 0.99, 0.98, 0.7], [100, 70, 40, 35, 31], 9, 3, "one more adds only 7 %"),
        ([1, 0.7, 0.95, 0.99, 0.7], [100, 70, 60, 30, 29], 9, 4, "explain 99 % of what 5 do"),
        ([1, 1, 0.6, 0.5, 0.4], [100, 80, 50, 30, 20], 7, 7, "7 of 12 components are relevant"),
        ([1, 0.6, 0.6, 0.5, 0.4], [100, 80, 50, 30, 20], 12, 12, "all 12 .* and more may be"),
        ([1, 0.9, 0.99, 0.9, 0.4], [100, 70, 40, 35, 30], 2, 2, "more are irrelevant"),
        ([1, 1, 1, 1, 1], [100, 70, 40, 35, 30], 1, 1, "a single component"),
    ],
    ids=["stable", "bend", "larger", "leaves out too much", "no end", "irrelevant", "one"],
)
def test_the_recommendation_follows_the_evidence(means, objectives, relevant, rank, reason):
    found = recommend(*evidence(means, objectives, relevant))
    assert found.rank == rank
    assert pytest.approx(0) == found.explained[0] or relevant == 1
    with pytest.raises(ValueError, match=reason):
        raise ValueError(found.reason)


@pytest.mark.parametrize("V", [np.zeros((6, 9)), np.ones((5, 1)), np.ones((1, 5)), np.eye(4)])
@pytest.mark.parametrize("beta", [0, 1, 2])
def test_awkward_matrices_get_an_answer(V, beta):
    relevance = relevant_rank(V, 3, divergence=beta, sweeps=10)
    stable = stability(V, [1, 2], divergence=beta, restarts=2, iterations=10)
    found = recommend(relevance, stable)
    assert np.isfinite(relevance.weights).all()
    assert np.isfinite(relevance.objective).all()
    assert np.isfinite(stable.means).all()
    assert found.rank >= 1
    assert plot_rank(found).axes


def test_input_is_never_changed_and_the_seed_decides():
    V = parts()
    V.flags.writeable = False
    first, again, other = (relevant_rank(V, 5, seed=seed, sweeps=5).path for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    first, again, other = (stability(V, [4], seed=seed, restarts=2).objectives for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"most": 0}, "most=0"),
        ({"shape": 2.0}, "shape=2.0: it must be above 2"),
        ({"dispersion": 0.0}, "dispersion=0.0: it must be above 0"),
        ({"norm": 3}, "norm=3: it must be 1 or 2"),
        ({"sweeps": 0}, "sweeps=0"),
    ],
)
def test_options_out_of_range_are_refused_by_name(options, message):
    with pytest.raises(OptionError, match=message):
        relevant_rank(parts(), **{"most": 3, **options})


def test_stability_refuses_what_cannot_be_compared():
    with pytest.raises(OptionError, match="restarts=1"):
        stability(parts(), [2], restarts=1)
    with pytest.raises(OptionError, match="ranks is empty"):
        stability(parts(), [])
    with pytest.raises(MatrixError, match=r"V\[0, 0\] is -1"):
        stability([[-1.0]], [1])


def test_callbacks_see_every_step_and_may_stop():
    seen = []
    stability(parts(), [1, 2], restarts=2, callback=lambda *step: seen.append(step))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    found = relevant_rank(parts(), 4, sweeps=50, callback=lambda sweep, _: sweep >= 3)
    assert len(found.objective) == 3


@pytest.mark.parametrize("channels", [1, 2])
def test_two_notes_are_two_components(channels):
    stages = set()
    audio = Audio(sound(3, channels=channels), 8000)
    found = count_components(audio, most=4, restarts=4, report=lambda step: stages.add(step.stage))
    assert found.stability.means[1] > 0.95
    assert found.rank in (2, 3)  # the third: the noise
    assert stages == {"reading", "comparing random starts", "measuring relevance"}


@pytest.mark.parametrize(
    "samples", [np.zeros((1, 4000)), np.full((1, 1), 0.5)], ids=["silence", "one sample"]
)
def test_silence_and_single_samples_get_an_answer(samples):
    found = count_components(Audio(samples, 8000), most=3, restarts=2)
    assert found.rank >= 1
    assert plot_rank(found).axes


def test_long_recordings_are_judged_by_some_frames():
    found = count_components(Audio(sound(40), 8000), most=2, restarts=2)
    assert 256 <= found.relevance.factorization.H.shape[1] <= 512


def test_the_drum_loop_has_three(samples):
    assert count_components(nmfaudio.read(samples / "drum_loop.flac"), most=7).rank == 3


def test_the_figure_shows_the_evidence_with_units():
    found = recommend(*evidence([1, 0.7, 0.99, 0.8], [100, 70, 40, 35], 5))
    left, stable, divergence = plot_rank(found, name="loop").axes
    assert left.get_yscale() == "log"
    assert "lower bound" in left.get_ylabel()
    assert "0 to 1" in stable.get_ylabel()
    assert "%" in divergence.get_ylabel()
    colors = [bar.get_facecolor() for bar in left.patches]
    assert len(set(colors[:5])) == len(set(colors[5:])) == 1
    assert colors[0] != colors[5]
    for axes in (stable, divergence):
        marked = [line.get_xdata() for line in axes.lines if line.get_label() == "recommended"]
        assert marked == [[3, 3]]
    texts = [text.get_text() for text in stable.figure.texts]
    assert any("loop: 3 components" in text for text in texts)
    assert any("stability falls" in text for text in texts)


FAST = ("--most", "3", "--restarts", "2")


def test_the_command_shows_evidence_and_reason(nmfaudio, make_file, tmp_path):
    done = nmfaudio("rank", make_file(), *FAST, "-o", "rank.png", check=0)
    assert "stability" in done.stdout
    assert "evenly spaced" in done.stdout
    assert "written to rank.png" in done.stdout
    assert np.asarray(Image.open(tmp_path / "rank.png").convert("L")).std() > 20


def test_the_commands_json_is_one_object(nmfaudio, make_file):
    settings = ("--set", "divergence=is", "--set", "window=0.03", "--seed", "5")
    told = json.loads(nmfaudio("rank", make_file(), *FAST, *settings, "--json", check=0).stdout)
    assert told["ok"]
    assert told["options"] == {"most": 3, "restarts": 2, "seed": 5, "divergence": "is", "window": 0.03}
    assert [row["rank"] for row in told["ranks"]] == [1, 2, 3]
    assert len(told["relevance"]["weights"]) == 6
    assert told["rank"] >= 1
    assert told["picture"] is None
    done = nmfaudio("rank", "none.wav", "--json", check=1)
    assert not json.loads(done.stdout)["ok"]
    assert "none.wav: cannot be opened" in done.stderr


def test_the_quiet_command_says_nothing(nmfaudio, make_file):
    done = nmfaudio("rank", make_file(), *FAST, "-q", check=0)
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--most", "0"], "most=0: it must be at least 1", 2),
        (["--restarts", "1"], "restarts=1: it must be at least 2", 2),
        (["--seed", "-1"], "seed=-1", 2),
        (["--set", "colour=red"], "no option 'colour': use one of divergence, window", 2),
        (["--set", "window=wide"], "window='wide'", 2),
        (["--set", "window=-1"], "window=-1: it must be above 0", 2),
        (["--set", "divergence=manhattan"], "manhattan", 2),
        (["-o", "c.doc"], "c.doc: not a picture", 1),
        (["-o", "none/c.png"], "none does not exist", 1),
    ],
)
def test_wrong_usage_is_told_in_one_line(nmfaudio, make_file, arguments, message, code):
    done = nmfaudio("rank", make_file(), "-q", *arguments, check=code)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_without_sound_is_refused_by_name(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioFileError, match=r"text\.wav"):
        count_components(nmfaudio.read(tmp_path / "text.wav"))
