import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from nmfaudio import NMF
from nmfaudio.errors import MatrixError
from nmfaudio.nmf import Divergence, Penalties, Stream, activate, factorize

BETAS = [-1, 0, 0.5, 1, 1.5, 2, 3]


def matrix(bins=40, frames=90, rank=3, seed=0):
    """A product of sparse factors under multiplicative noise."""
    generator = np.random.default_rng(seed)
    V = generator.random((bins, rank)) ** 4 @ generator.random((rank, frames)) ** 4 + 1e-3
    return V * generator.gamma(10, 0.1, V.shape)


def hidden(shape=(40, 90), part=0.2):
    return np.random.default_rng(5).random(shape) < part


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("solver", ["accelerated", "mu"])
def test_the_objective_never_rises_and_is_the_weighted_divergence(beta, solver):
    V, weights = matrix(), np.random.default_rng(1).random((40, 90)) * 3
    found = factorize(V, 3, weights=weights, divergence=beta, solver=solver, iterations=80, tolerance=0)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])
    assert found.objective[-1] < found.objective[0]
    floor = found.divergence.floor * V.mean()
    each = found.divergence.entries(V + (floor if beta < 1 else 0), found.W @ found.H + floor)
    np.testing.assert_allclose(found.objective[-1], np.vdot(weights, each), rtol=1e-3)


@pytest.mark.parametrize("beta", BETAS)
def test_equal_weights_change_nothing_but_the_unit_of_the_objective(beta):
    generator = np.random.default_rng(1)
    start = generator.random((40, 3)) + 0.1, generator.random((3, 90)) + 0.1
    options = {"divergence": beta, "init": start, "solver": "mu", "iterations": 20, "tolerance": 0}
    plain, weighted = (
        factorize(matrix(), 3, **options),
        factorize(matrix(), 3, weights=np.full((40, 90), 5.0), **options),
    )
    np.testing.assert_allclose(weighted.W @ weighted.H, plain.W @ plain.H, rtol=1e-3)
    np.testing.assert_allclose(weighted.objective, 5 * plain.objective, rtol=1e-4)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_what_is_hidden_has_no_say(beta):
    V, mask = matrix(), hidden()
    broken = np.where(mask, 1e6, V)
    weights = np.where(mask, 0.0, 1.0)
    expected = factorize(V, 3, weights=weights, divergence=beta, iterations=40)
    ways = {
        "another value": factorize(broken, 3, weights=weights, divergence=beta, iterations=40),
        "bool": factorize(V, 3, weights=~mask, divergence=beta, iterations=40),
        "NaN": factorize(np.where(mask, np.nan, V), 3, divergence=beta, iterations=40),
        "masked": factorize(np.ma.masked_array(broken, mask=mask), 3, divergence=beta, iterations=40),
        "negative": factorize(np.where(mask, -1, V), 3, weights=weights, divergence=beta, iterations=40),
    }
    for name, found in ways.items():
        assert np.array_equal(found.W, expected.W), name
        assert np.array_equal(found.H, expected.H), name


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_hidden_entries_are_predicted(beta):
    V, mask = matrix(), hidden()
    found = factorize(np.where(mask, np.nan, V), 3, divergence=beta)
    error = Divergence(beta).between(V[mask], (found.W @ found.H)[mask])
    flat = Divergence(beta).between(V[mask], np.full(mask.sum(), V[~mask].mean()))
    assert error < 0.3 * flat


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_activations_do_without_what_is_hidden(beta):
    V, mask = matrix(), hidden()
    W = factorize(V, 3, divergence=beta).W
    broken = np.where(mask, np.nan, V)
    found = activate(broken, W, divergence=beta, tolerance=0)
    np.testing.assert_array_equal(found.H, activate(V, W, weights=~mask, divergence=beta, tolerance=0).H)
    whole = activate(V, W, divergence=beta, tolerance=0)
    assert np.abs(found.H - whole.H).mean() < 0.3 * whole.H.mean()
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_any_number_of_threads_gives_the_same_bits(beta):
    V = matrix(frames=700)
    V[hidden(V.shape)] = np.nan
    one, two, three = (factorize(V, 4, divergence=beta, iterations=20, threads=n) for n in (1, 2, 3))
    for other in (two, three):
        assert np.array_equal(one.W, other.W)
        assert np.array_equal(one.H, other.H)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_the_level_of_data_and_weights_changes_nothing(beta):
    V, weights = matrix(), np.random.default_rng(1).random((40, 90))
    penalties = [Penalties(l1_H=0.1 * w * s ** (beta - 1)) for w, s in ((1, 1), (1e-12, 1e10))]
    options = {"divergence": beta, "iterations": 30, "tolerance": 0, "init": "random"}
    expected = factorize(V, 3, weights=weights, penalties=penalties[0], **options)
    found = factorize(V * 1e10, 3, weights=weights * 1e-12, penalties=penalties[1], **options)
    scale = 1e10**beta * 1e-12
    np.testing.assert_allclose(found.objective / scale, expected.objective, rtol=1e-3)


def test_bins_and_frames_without_anything_visible_get_zeros():
    V = matrix()
    V[3], V[:, 7] = np.nan, np.nan
    found = factorize(V, 3, iterations=30)
    assert not found.W[3].any()
    assert not found.H[:, 7].any()
    assert found.W.sum(axis=0) == pytest.approx(1)


def test_frozen_templates_stay():
    frozen = matrix()[:, :1].astype(np.float32)
    found = factorize(matrix().astype(np.float32), 3, frozen=frozen, weights=~hidden(), iterations=20)
    assert np.array_equal(found.W[:, :1], frozen)


def test_input_is_never_changed():
    V, weights = matrix(), np.ones((40, 90))
    V[hidden()] = np.nan
    V.flags.writeable = weights.flags.writeable = False
    factorize(V, 2, weights=weights, iterations=5)
    assert weights.all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((3, 4)), r"weights have shape \(3, 4\): it must be that of V, \(40, 90\)"),
        (np.full((40, 90), -1.0), r"weights\[0, 0\] is -1.0"),
        (np.full((40, 90), np.nan), r"weights\[0, 0\] is nan"),
        (np.full((40, 90), 1e300), r"weights\[0, 0\] is 1e\+300"),
        (np.full((40, 90), 1j), "weights are of type complex128"),
        (np.zeros((40, 90)), "every entry of V is missing or has the weight 0"),
    ],
)
def test_weights_that_cannot_be_are_refused_by_name(weights, message):
    with pytest.raises(MatrixError, match=message):
        factorize(matrix(), 2, weights=weights)
    with pytest.raises(MatrixError, match=message):
        activate(matrix(), np.ones((40, 1)), weights=weights)


def test_what_cannot_have_weights_is_refused_with_the_way_out():
    V = matrix()
    stream = Stream(40, 90, lambda start, stop: V[:, start:stop])
    with pytest.raises(MatrixError, match="V is a stream, and weights need .* dense array"):
        factorize(stream, 2, weights=np.ones(V.shape))
    with pytest.raises(MatrixError, match="every entry of V is missing"):
        factorize(np.full((3, 4), np.nan), 1)


@pytest.mark.parametrize("init", [None, "random", "nndsvd", "sketch"])
def test_the_estimator_takes_missing_entries(init):
    X, mask = matrix().T, hidden((90, 40))
    options = {"init": init, "beta_loss": 1, "tol": 0.0, "random_state": 0}
    found = NMF(3, **options).fit(np.where(mask, np.nan, X))
    masked = NMF(3, **options).fit(np.ma.masked_array(X, mask=mask))
    assert np.array_equal(found.components_, masked.components_)
    W = found.transform(np.where(mask, np.nan, X))
    flat = Divergence(1).between(X[mask], np.full(mask.sum(), X.mean()))
    assert Divergence(1).between(X[mask], (W @ found.components_)[mask]) < 0.3 * flat
    with pytest.raises(MatrixError, match="partial_fit needs all entries; use fit"):
        NMF(3, **options).partial_fit(np.where(mask, np.nan, X))


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_the_score_chooses_the_rank_of_the_data(beta):
    X = matrix(bins=60, frames=150).T
    model = NMF(beta_loss=beta, init="nndsvda", tol=0, max_iter=200, random_state=0)
    ranks = [1, 2, 3, 12] if beta else [1, 2, 3]  # at beta 0, too large a rank predicts only 1 % worse
    search = GridSearchCV(model, {"n_components": ranks}, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 3}
    scores = search.cv_results_["mean_test_score"]
    assert np.all(scores < 0)
    assert np.argmax(scores) == 2


def test_a_score_needs_two_features():
    model = NMF(1, tol=0).fit(np.ones((5, 1)))
    with pytest.raises(MatrixError, match="X has 1 feature: a score needs at least 2"):
        model.score(np.ones((5, 1)))
