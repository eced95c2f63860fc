import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from naive import divergence as naive_divergence

from nmfaudio import NMF
from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import (
    Divergence,
    Penalties,
    activate,
    factorize,
    layout,
    sparse,
    sparse_kernels,
    sparse_products,
)
from nmfaudio.nmf.intrinsics import PANEL
from nmfaudio.nmf.sparse import portions

FORMATS = [
    scipy.sparse.csr_array,
    scipy.sparse.csc_array,
    scipy.sparse.coo_array,
    scipy.sparse.csr_matrix,
    scipy.sparse.csc_matrix,
    scipy.sparse.coo_matrix,
    scipy.sparse.lil_array,
]


def counts(bins=60, frames=170, rank=4, seed=0, dtype=np.float64, mean=0.3):
    """Poisson counts around a product of sparse factors; most are zero."""
    generator = np.random.default_rng(seed)
    P = generator.random((bins, rank)) ** 6 @ generator.random((rank, frames)) ** 6
    return generator.poisson(P * mean / P.mean()).astype(dtype)


def start(bins=60, frames=170, rank=4):
    generator = np.random.default_rng(1)
    return generator.random((bins, rank)) + 0.1, generator.random((rank, frames)) + 0.1


@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_sparse_matrix_gives_the_factors_of_the_dense_one(beta, kind):
    V = counts()
    options = {"divergence": beta, "init": start(), "solver": "mu", "iterations": 40, "tolerance": 0}
    dense, thin = factorize(V, 4, **options), factorize(kind(V), 4, **options)
    np.testing.assert_allclose(thin.W @ thin.H, dense.W @ dense.H, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(thin.objective, dense.objective, rtol=1e-5)
    assert thin.W.dtype == thin.H.dtype == np.float64


@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize("rank", [1, 7, 40])
@pytest.mark.parametrize("solver", ["accelerated", "mu"])
def test_the_objective_never_rises_and_is_the_divergence_of_the_result(beta, rank, solver):
    V = counts()
    found = factorize(scipy.sparse.csr_array(V), rank, divergence=beta, solver=solver, tolerance=0)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])
    assert found.objective[-1] < found.objective[0]
    model = found.W @ found.H + 1e-12 * V.mean()
    np.testing.assert_allclose(found.objective[-1], naive_divergence(V, model, beta), rtol=1e-4)


@pytest.mark.parametrize("beta", [0, 0.5, 1.5, 3])
def test_other_divergences_see_the_zeros(beta):
    V = counts() + (beta <= 0) * 0.01
    options = {"divergence": beta, "init": start(), "iterations": 20, "tolerance": 0}
    dense, thin = factorize(V, 4, **options), factorize(scipy.sparse.csr_array(V), 4, **options)
    np.testing.assert_allclose(thin.objective, dense.objective, rtol=1e-5)
    np.testing.assert_array_equal(thin.W, dense.W)


@pytest.mark.parametrize("beta", [1, 2])
def test_any_number_of_threads_gives_the_same_bits(beta, monkeypatch):
    monkeypatch.setattr(sparse, "_PORTION_ENTRIES", 5000)  # else a small matrix is one portion
    V = scipy.sparse.csc_array(counts(400, 900))
    one, two, three = (factorize(V, 6, divergence=beta, iterations=30, threads=n) for n in (1, 2, 3))
    for other in (two, three):
        assert np.array_equal(one.W, other.W)
        assert np.array_equal(one.H, other.H)
        assert np.array_equal(one.objective, other.objective)
    fixed = [activate(V, one.W, divergence=beta, threads=n).H for n in (1, 2)]
    assert np.array_equal(*fixed)


@pytest.mark.parametrize("init", ["random", "nndsvd", "frames", "sketch", None])
@pytest.mark.parametrize("beta", [1, 2])
def test_every_start_leads_down(init, beta):
    V = scipy.sparse.csr_array(counts())
    found = factorize(V, 4, divergence=beta, init=init, iterations=200)
    best = factorize(V.toarray(), 4, divergence=beta, init="random", restarts=4).objective[-1]
    assert found.objective[-1] < 1.05 * best


@pytest.mark.parametrize("shape", [(1, 3), (15, 1), (16, 40), (33, 7)])
def test_the_largest_entry_of_each_column(shape):
    matrix = np.random.default_rng(2).random(shape).astype(np.float32)
    np.testing.assert_array_equal(layout.largest_entries(matrix), matrix.max(axis=0))


@pytest.mark.parametrize("added", [0, 70])
@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_rows_are_multiplied_by_quotients(added, exponent):
    X, above, below, *penalty = np.random.default_rng(3).random((5, 70, 5), np.float32)
    entries, pull = (rows[:added] for rows in penalty)
    if not added:
        below[0, 1] = 0  # with no penalty on component 1 its denominator is zero
    linear, quadratic, least = np.float32([[0.5, 0, 0.5, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0.3, 0]])
    denominator = below + linear + quadratic * X + (entries if added else 0)
    numerator = above + (pull if added else 0)
    ratio = np.divide(numerator, denominator, out=np.full(X.shape, 2, np.float32), where=denominator > 0)
    expected = X * ratio**exponent
    expected[expected < least] = 0
    change = layout.Change(layout.Penalty(linear, quadratic, entries, pull), least, exponent, 2.0)
    sparse_kernels.multiply_rows(X, above, below, change)
    np.testing.assert_allclose(X, expected, rtol=1e-6)


def moved(beta, matrix, X, Y, change):
    """Return the factor after one update, and the objective before it, in float64."""
    penalty, model = change.penalty, X @ Y.T + 0.01 * (beta == 1)
    if beta == 1:
        above, below = (matrix / model) @ Y, np.tile(Y.sum(axis=0), (len(X), 1))
    else:
        above, below = matrix @ Y, X @ (Y.T @ Y)
    above = above + (penalty.pull if len(penalty.pull) else 0)
    below = below + (penalty.entries if len(penalty.entries) else 0)
    ratio = (above / (below + penalty.linear + penalty.quadratic * X)) ** change.exponent
    return np.where(X * ratio < change.least, 0, X * ratio), naive_divergence(matrix, model, beta)


@pytest.mark.parametrize("rank", [1, 5, 16, 37, 70])
@pytest.mark.parametrize("added", [0, 101])
@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize(("exponent", "keep"), [(0.5, True), (1.0, False)])
def test_rows_are_updated_as_by_dense_products(rank, added, beta, exponent, keep):
    generator = np.random.default_rng(4)
    matrix = generator.random((101, 40)) * (generator.random((101, 40)) < 0.5)
    matrix[7] = 0
    Y, X = generator.random((40, rank), np.float32), generator.random((101, rank), np.float32)
    weights, penalty = generator.random((3, rank), np.float32), generator.random((2, added, rank), np.float32)
    change = layout.Change(layout.Penalty(weights[0], weights[1], *penalty), weights[2] / 10, exponent, 0.0)
    thin, bounds = scipy.sparse.csr_array(matrix, dtype=np.float32), [(0, 50), (50, 101)]
    if beta == 1:
        update = sparse_products.Quotients(thin, Y, bounds, 0.01)
    else:
        update = sparse_products.Products(thin, Y, bounds, (matrix**2).sum, keep=keep)
    expected, first = X.astype(np.float64), X.copy()
    for step in range(4):
        expected, objective = moved(beta, matrix, expected, Y.astype(np.float64), change)
        if step == 0:
            before = objective
    found = update.multiply(X, change, 2, None, measure=True) + update.constant(first)
    assert found == pytest.approx(before, rel=1e-5)
    for steps in (1, 0, 1):
        update.multiply(X, change, steps, None)
    np.testing.assert_allclose(X, expected, rtol=1e-4)


@pytest.mark.parametrize("rank", [1, 15, 16, 19, 50])
@pytest.mark.parametrize("rows", [2, 32, 70])
def test_what_an_update_needs_of_the_other_factor(rank, rows):
    Y = np.random.default_rng(6).random((rows, rank), np.float32)
    width = -(-rank // 16) * 16
    padded, largest = np.full((rows + 3, width), np.nan, np.float32), np.zeros(width, np.float32)
    sums = np.zeros(width)
    products = np.zeros((width // PANEL, width, PANEL))
    sparse_kernels.prepare_rows(Y, padded, largest, sums, products.reshape(-1))
    expected = np.pad(Y, ((0, -rows % 4), (0, width - rank)))
    np.testing.assert_array_equal(padded[: len(expected)], expected)
    np.testing.assert_array_equal(largest, expected.max(axis=0))
    np.testing.assert_allclose(sums, expected.sum(axis=0), rtol=1e-6)
    found = products.swapaxes(0, 1).reshape(width, width)
    np.testing.assert_allclose(found, expected.T @ expected, rtol=1e-5)


def test_the_default_start_is_the_one_from_singular_vectors():
    V = scipy.sparse.csr_array(counts(100, 300))
    default, named, noise = (factorize(V, 4, init=init, iterations=1) for init in (None, "nndsvd", "random"))
    assert np.array_equal(default.H, named.H)
    assert default.objective[-1] < 0.95 * noise.objective[-1]


def test_singular_vectors_of_a_sparse_matrix_start_as_those_of_the_dense_one():
    V = counts(40, 90)
    dense, thin = (factorize(v, 4, init="nndsvd", iterations=3) for v in (V, scipy.sparse.csr_array(V)))
    np.testing.assert_allclose(dense.objective, thin.objective, rtol=1e-4)


@pytest.mark.parametrize("beta", [1, 2])
def test_activations_are_those_of_the_dense_matrix(beta):
    V, W = counts(), start()[0]
    dense, thin = (activate(v, W, divergence=beta, tolerance=0) for v in (V, scipy.sparse.csc_array(V)))
    np.testing.assert_allclose(thin.H, dense.H, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(thin.objective, dense.objective, rtol=1e-5)
    assert np.array_equal(thin.W, W)


@pytest.mark.parametrize("beta", [1, 2])
def test_a_frame_is_activated_the_same_whatever_stands_beside_it(beta):
    V, W = scipy.sparse.csc_array(counts()), start()[0]
    options = {"divergence": beta, "tolerance": 0, "level": 1.0, "iterations": 30}
    whole = activate(V, W, **options).H
    for frames in (slice(0, 1), slice(40, 77)):
        np.testing.assert_allclose(activate(V[:, frames], W, **options).H, whole[:, frames], rtol=1e-6)


@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize(
    "penalties",
    [
        Penalties(l1_H=0.1, l1_W=0.1),
        Penalties(l2_H=0.1, l2_W=0.1),
        Penalties(sparsity=0.1),
        Penalties(continuity=0.01),
        Penalties(group_sparsity=0.1, groups=[0, 0, 1, 1]),
    ],
    ids=["linear", "quadratic", "sparse", "continuous", "grouped"],
)
def test_penalties_are_those_of_the_dense_matrix(beta, penalties):
    V = counts()
    options = {"divergence": beta, "init": start(), "solver": "mu", "iterations": 30, "tolerance": 0}
    dense, thin = (factorize(v, 4, penalties=penalties, **options) for v in (V, scipy.sparse.csr_array(V)))
    np.testing.assert_allclose(thin.objective, dense.objective, rtol=1e-4)
    assert np.all(np.diff(thin.objective) <= 1e-6 * thin.objective[:-1])
    dense, thin = (
        activate(v, start()[0], divergence=beta, penalties=penalties, tolerance=0)
        for v in (V, scipy.sparse.csr_array(V))
    )
    np.testing.assert_allclose(thin.objective, dense.objective, rtol=1e-4)


def test_frozen_templates_and_masks_hold():
    V, frozen = counts(), start()[0][:, :2].astype(np.float32)
    allowed = np.random.default_rng(0).random((4, 170)) < 0.7
    allowed[3] = True
    found = factorize(scipy.sparse.csr_array(V), 4, frozen=frozen, allowed=(None, allowed), iterations=20)
    assert np.array_equal(found.W[:, :2], frozen)
    assert not found.H[~allowed].any()
    assert found.H[allowed].any()


def test_entries_that_vanish_become_zero_and_cost_no_time():
    found = factorize(scipy.sparse.csr_array(counts(300, 500)), 12, iterations=400, tolerance=0)
    for factor in (found.W, found.H):
        assert (factor == 0).any()
        assert not ((factor > 0) & (factor < np.finfo(np.float32).tiny)).any()


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("beta", [1, 2])
def test_the_level_changes_nothing(scale, beta):
    V = scipy.sparse.csr_array(counts())
    options = {"divergence": beta, "init": "nndsvd", "iterations": 30, "tolerance": 0}
    expected, found = factorize(V, 4, **options), factorize(V * scale, 4, **options)
    np.testing.assert_allclose(found.W, expected.W, atol=1e-4)
    np.testing.assert_allclose(found.objective / scale**beta, expected.objective, rtol=1e-4)


@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize("V", [np.zeros((6, 9)), np.eye(1), np.eye(5)[:, :1], np.eye(4)])
def test_awkward_matrices_get_an_answer(V, beta):
    for init in ("random", "frames", "nndsvd", "sketch", None):
        found = factorize(scipy.sparse.csr_array(V), 2, divergence=beta, init=init, iterations=50)
        assert np.isfinite(found.W).all()
        assert np.isfinite(found.H).all()
        assert found.objective[-1] <= found.objective[0]


def test_duplicates_are_summed_and_stored_zeros_ignored_without_a_change_of_the_input():
    values, rows, columns = [1.0, 2.0, 0.0, 4.0], [0, 0, 1, 2], [0, 0, 1, 1]
    V = scipy.sparse.coo_array((values, (rows, columns)), (3, 2))
    found = factorize(V, 2, init="random", iterations=20)
    expected = factorize(scipy.sparse.csr_array(V.toarray()), 2, init="random", iterations=20)
    assert np.array_equal(found.W, expected.W)
    assert V.nnz == 4
    wrong = scipy.sparse.csr_array((values, [0, 0, 1, 1], [0, 2, 3, 4]), (3, 2))
    factorize(wrong, 1)
    assert wrong.data.tolist() == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, -2.0], r"V\[2, 1\] is -2.0: entries must be finite and not negative"),
        ([1.0, np.inf], r"V\[2, 1\] is inf"),
        ([1.0, np.nan], r"V\[2, 1\] is nan.*pass a dense one with NaN"),
        ([1.0, 2j], r"V is complex: take abs\(V\)"),
    ],
)
@pytest.mark.parametrize("kind", FORMATS[:3])
def test_entries_that_cannot_be_are_refused_by_name(values, message, kind):
    V = kind(scipy.sparse.coo_array((values, ([0, 2], [0, 1])), (3, 4)))
    with pytest.raises(MatrixError, match=message):
        factorize(V, 1)
    with pytest.raises(MatrixError, match=message):
        activate(V, np.ones((3, 1)))


def test_what_a_sparse_matrix_cannot_have_is_refused_with_the_way_out():
    V = scipy.sparse.csr_array(counts())
    with pytest.raises(MatrixError, match="V is sparse, and weights need .* dense array"):
        factorize(V, 2, weights=np.ones(V.shape))
    with pytest.raises(MatrixError, match=r"shape \(0, 3\).*not empty"):
        factorize(scipy.sparse.csr_array((0, 3)), 2)
    with pytest.raises(OptionError, match="rank=0"):
        factorize(V, 0)


def test_counts_of_whole_numbers_are_taken():
    V = counts()
    whole = factorize(scipy.sparse.csr_array(V.astype(np.int64)), 3, iterations=10)
    assert np.array_equal(whole.W, factorize(scipy.sparse.csr_array(V), 3, iterations=10).W)


@pytest.mark.parametrize("beta", [1, 2])
def test_memory_follows_the_stored_entries(beta):
    V = scipy.sparse.random_array((4000, 6000), density=1e-3, format="csr", random_state=0)
    tracemalloc.start()
    factorize(V, 4, divergence=beta, iterations=3)
    model = NMF(4, beta_loss=beta, init="random", max_iter=3, tol=0).fit(V)
    model.transform(V)
    model.score(V)
    model.partial_fit(V[:100])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    factors = 8 * 4 * sum(V.shape)
    assert peak < 20 * V.nnz * 8 + 20 * factors < 0.15 * V.shape[0] * V.shape[1] * 4


def test_portions_have_about_as_many_entries_each():
    frequent = np.minimum(1, 30 / np.arange(1, 3001))[:, None]  # as of words in texts
    V = scipy.sparse.csr_array(np.random.default_rng(0).random((3000, 5000)) < frequent)
    entries = [V.indptr[stop] - V.indptr[start] for start, stop in portions(V)]
    assert sum(entries) == V.nnz
    assert len(entries) > 2
    assert max(entries) < 2 * V.nnz / len(entries)
    assert portions(scipy.sparse.csr_array((2, 5))) == [(0, 2)]


@pytest.mark.parametrize("beta", [2, 1, 0])
def test_the_estimator_works_with_sparse_samples(beta):
    X = counts(120, 30) + (beta == 0) * 0.01
    options = {"beta_loss": beta, "solver": "mu", "tol": 0.0, "random_state": 0, "max_iter": 50}
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array):
        dense, thin = (NMF(4, **options) for _ in range(2))
        W = dense.fit_transform(X)
        np.testing.assert_allclose(thin.fit_transform(kind(X)), W, rtol=1e-3, atol=1e-4 * W.max())
        assert thin.reconstruction_err_ == pytest.approx(dense.reconstruction_err_, rel=1e-3)
        assert thin.score(kind(X)) == pytest.approx(dense.score(X), rel=1e-3)
        for model, batch in ((dense, X[:50]), (thin, kind(X).tocsr()[:50])):
            model.partial_fit(batch)
        np.testing.assert_allclose(thin.components_, dense.components_, rtol=1e-2, atol=1e-4)
        fresh = [NMF(4, **options).partial_fit(data).partial_fit(data) for data in (X, kind(X))]
        np.testing.assert_allclose(fresh[1].components_, fresh[0].components_, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("beta", [1, 2])
def test_a_sparse_sample_is_transformed_the_same_whatever_stands_beside_it(beta):
    X = scipy.sparse.csr_array(counts(900, 30))
    model = NMF(4, beta_loss=beta, max_iter=30, tol=0).fit(X)
    np.testing.assert_allclose(model.transform(X[-31:]), model.transform(X)[-31:], rtol=1e-5)


@pytest.fixture
def little_memory(monkeypatch, tmp_path):
    (tmp_path / "free").write_text("MemAvailable:       64 kB\n", "ascii")
    monkeypatch.setattr(sparse, "_MEMORY", tmp_path / "free")


@pytest.mark.usefixtures("little_memory")
def test_memory_for_the_dense_matrix_is_not_needed():
    X = scipy.sparse.csr_matrix(counts(2000, 30))
    model = NMF(2, max_iter=3, tol=0).fit(X)
    assert model.partial_fit(X).transform(X).shape == (2000, 2)


@pytest.mark.usefixtures("little_memory")
def test_a_batch_that_must_be_dense_and_does_not_fit_is_refused_with_the_way_out():
    X = scipy.sparse.csr_matrix(counts(2000, 30) + 1)
    model = NMF(2, beta_loss="itakura-saito", max_iter=3, tol=0).fit(X)
    with pytest.raises(MatrixError, match="240000 bytes, and 65536 are free: pass batches of fewer rows"):
        model.partial_fit(X)


def test_matrices_too_large_for_the_memory_are_refused_with_the_way_out():
    X = scipy.sparse.csr_matrix(([1.0], ([3], [5])), shape=(2**20, 2**40))
    with pytest.raises(MatrixError, match="W and H for n_components=2 take .* bytes, and .* are free"):
        NMF(2).fit(X)
    with pytest.raises(MatrixError, match="bytes, and .* are free: drop features"):
        factorize(X.T, 2, divergence="is")


def test_memory_that_is_not_known_is_no_obstacle(monkeypatch, tmp_path):
    monkeypatch.setattr(sparse, "_MEMORY", tmp_path / "none")
    X = scipy.sparse.csr_matrix(counts() + 1)
    assert NMF(2, beta_loss=0, tol=0, max_iter=20).fit(X).n_iter_ >= 19


def test_the_divergence_of_each_entry_sums_to_that_of_all():
    V, P = counts() + 0.5, counts(seed=3) + 1.0
    for beta in (-1, 0, 0.5, 1, 2, 3):
        d = Divergence.of(beta)
        assert d.entries(V, P).shape == V.shape
        assert d.between(V, P) == pytest.approx(naive_divergence(V, P, beta), rel=1e-9)
