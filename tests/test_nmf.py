import multiprocessing
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import factorize as naive_factorize
from threadpoolctl import threadpool_info, threadpool_limits

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import (
    Divergence,
    Penalties,
    Stream,
    activate,
    descend,
    factorize,
    kernels,
    layout,
    logarithm_kernels,
    stream,
)
from nmfaudio.nmf.initialize import STARTS
from nmfaudio.nmf.problem import Problem

BETAS = [-1, 0, 0.5, 1, 1.5, 2, 2.5, 3]


def matrix(bins=60, frames=170, rank=4, seed=0, dtype=np.float32):
    """A product of sparse factors under multiplicative noise."""
    generator = np.random.default_rng(seed)
    V = generator.random((bins, rank)) ** 4 @ generator.random((rank, frames)) ** 4
    return (V * generator.gamma(4, 0.25, V.shape)).astype(dtype)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("solver", ["accelerated", "mu"])
def test_the_objective_never_rises(beta, init, solver):
    found = factorize(matrix(), 5, divergence=beta, init=init, solver=solver, iterations=150, tolerance=0)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])
    assert found.objective[-1] < 0.9 * found.objective[0]


@pytest.mark.parametrize("beta", BETAS)
def test_the_objective_never_rises_with_zeros_in_the_data(beta):
    V = matrix()
    V[np.median(V) > V] = 0
    found = factorize(V, 5, divergence=beta, iterations=100, tolerance=0)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])


@pytest.mark.parametrize("beta", BETAS)
def test_fifty_iterations_agree_with_the_reference_loops(beta):
    V = matrix(bins=12, frames=40, rank=3)
    generator = np.random.default_rng(1)
    W, H = generator.random((12, 3)), generator.random((3, 40))
    found = factorize(V, 3, divergence=beta, init=(W, H), solver="mu", iterations=50, tolerance=0)
    floor = Divergence.of(beta).floor * 2.0 ** int(np.frexp(V.mean(dtype=np.float64))[1])
    W, H, curve = naive_factorize(V, W, H, beta, 50, floor)
    np.testing.assert_allclose(found.W @ found.H, W @ H, rtol=1e-3, atol=1e-3 * V.mean())
    np.testing.assert_allclose(found.objective[-1], curve[-1], rtol=1e-3)


@pytest.mark.parametrize("beta", [0, 0.5, 1, 2])
@pytest.mark.parametrize(("bins", "frames", "rank"), [(1, 1, 1), (16, 8, 8), (17, 9, 5), (15, 67, 9)])
def test_sizes_that_do_not_fill_whole_tiles_agree_with_the_reference_loops(beta, bins, frames, rank):
    generator = np.random.default_rng(2)
    V, W, H = (
        generator.random((bins, frames)),
        generator.random((bins, rank)),
        generator.random((rank, frames)),
    )
    # The kernels do not clear all the memory they take: what they find there must not reach the result.
    for part in kernels.make_workspace(min(frames, layout.BLOCK_FRAMES), bins, rank):
        part.fill(np.nan)
    found = factorize(V, rank, divergence=beta, init=(W, H), solver="mu", iterations=3, tolerance=0)
    W, H, curve = naive_factorize(V, W, H, beta, 3)
    np.testing.assert_allclose(found.W @ found.H, W @ H, rtol=1e-4)
    np.testing.assert_allclose(found.objective[-1], curve[-1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_the_objective_is_the_divergence_of_the_result(beta):
    V = matrix()
    found = factorize(V, 4, divergence=beta, iterations=30)
    floor = found.divergence.floor * V.mean()
    model = found.W.astype(np.float64) @ found.H + floor
    np.testing.assert_allclose(found.objective[-1], found.divergence.between(V + floor, model), rtol=1e-4)


@pytest.mark.parametrize("beta", [0, 1, 2, 0.5])
def test_any_number_of_threads_gives_the_same_bits(beta):
    V = matrix(frames=700)
    one, two, three = (factorize(V, 6, divergence=beta, iterations=40, threads=n) for n in (1, 2, 3))
    for other in (two, three):
        assert np.array_equal(one.W, other.W)
        assert np.array_equal(one.H, other.H)
        assert np.array_equal(one.objective, other.objective)
    fixed = [activate(V, one.W, divergence=beta, threads=n).H for n in (1, 2)]
    assert np.array_equal(*fixed)


@pytest.mark.parametrize("beta", BETAS)
def test_acceleration_needs_fewer_iterations(beta):
    V = matrix(rank=8)
    found = {
        s: factorize(V, 8, divergence=beta, solver=s, iterations=200, tolerance=0)
        for s in ("mu", "accelerated")
    }
    fast = found["accelerated"]
    reached = fast.measured_iterations[fast.objective <= found["mu"].objective[-1] * (1 + 1e-6)]
    assert reached.size
    assert reached[0] <= 150


@pytest.mark.parametrize("bad", [0.0, 50.0, np.inf, np.nan])
def test_extrapolation_that_leads_astray_is_undone(bad, monkeypatch):
    def astray(x0, x1, x2, bound):
        return (x2[0].with_entries(x2[0].entries * np.float32(bad)), x2[1] * np.float32(bad)), bound

    monkeypatch.setattr(descend, "_extrapolated", astray)
    V = matrix()
    lost = factorize(V, 5, iterations=121, tolerance=0)
    plain = factorize(V, 5, solver="mu", iterations=30, tolerance=0)
    assert np.all(np.diff(lost.objective) <= 1e-6 * lost.objective[:-1])
    assert lost.objective[-1] <= plain.objective[-1]
    assert np.isfinite(lost.W).all()
    assert np.isfinite(lost.H).all()


@pytest.mark.parametrize("solver", ["accelerated", "mu"])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 11])
def test_no_more_iterations_are_made_than_asked_for(solver, count):
    found = factorize(matrix(), 4, solver=solver, iterations=count, tolerance=0)
    assert count - 1 <= found.iterations <= count


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("solver", ["accelerated", "mu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frozen_templates_come_back_bit_by_bit(beta, solver, dtype):
    V = matrix(dtype=dtype)
    frozen = (np.random.default_rng(3).random((60, 2)) ** 3 * 7).astype(dtype)
    found = factorize(V, 5, divergence=beta, frozen=frozen, solver=solver, iterations=40, tolerance=0)
    assert np.array_equal(found.W[:, :2], frozen)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])
    np.testing.assert_allclose(found.W[:, 2:].sum(axis=0), 1, rtol=1e-5)
    floor = found.divergence.floor * V.mean()
    model = found.W.astype(np.float64) @ found.H + floor
    np.testing.assert_allclose(found.objective[-1], found.divergence.between(V + floor, model), rtol=1e-3)


def test_all_templates_frozen_is_activating():
    V = matrix()
    W = factorize(V, 4).W
    both = (
        factorize(V, 4, frozen=W, iterations=300, tolerance=0).H,
        activate(V, W, iterations=300, tolerance=0).H,
    )
    np.testing.assert_allclose(*both, rtol=0.01, atol=1e-3 * both[0].max())


def test_a_known_template_is_told_from_free_ones():
    generator = np.random.default_rng(5)
    W, H = generator.random((40, 3)) ** 4, generator.random((3, 200)) ** 4
    W /= W.sum(axis=0)
    found = factorize(W @ H, 3, frozen=W[:, :1], iterations=2000, tolerance=0)
    np.testing.assert_allclose(found.H[0], H[0], atol=0.1 * H[0].max())


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("solver", ["accelerated", "mu"])
@pytest.mark.parametrize(
    "penalties",
    [
        Penalties(l1_W=0.5, l1_H=0.5),
        Penalties(l2_W=0.5, l2_H=[0.1, 0.2, 0.3, 0.4, 0.5]),
        Penalties(l1_W=0.1, l2_W=0.1, l1_H=0.2, l2_H=0.2),
        Penalties(sparsity=[0.0, 0.1, 0.2, 0.3, 0.4]),
        Penalties(continuity=0.03),
        Penalties(group_sparsity=3.0, groups=[0, 0, 1, 1, 1]),
        Penalties(
            sparsity=0.1, continuity=0.01, group_sparsity=1.0, groups=[0, 0, 1, 1, 2], l1_W=0.1, l2_H=0.1
        ),
    ],
    ids=["linear", "quadratic", "both", "sparse", "continuous", "grouped", "all"],
)
def test_penalised_objectives_never_rise_and_are_what_they_say(beta, solver, penalties):
    V = matrix(dtype=np.float64) * 30
    found = factorize(V, 5, divergence=beta, penalties=penalties, solver=solver, iterations=100, tolerance=0)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])
    floor = found.divergence.floor * V.mean()
    lift = floor if beta < 1 else 0
    expected = found.divergence.between(V + lift, found.W @ found.H + floor)
    for factor, l1, l2 in ((found.W, "l1_W", "l2_W"), (found.H.T, "l1_H", "l2_H")):
        expected += np.sum(
            getattr(penalties, l1) * factor + np.multiply(getattr(penalties, l2), factor**2) / 2
        )
    levels = found.H.T * found.W.sum(axis=0)
    norms = np.linalg.norm(found.W, axis=0)
    expected += np.sum(penalties.sparsity * norms * found.H.T)
    expected += np.sum(penalties.continuity * np.diff(levels, axis=0) ** 2)
    if penalties.group_sparsity:
        small = 1e-3 * V.sum(axis=0).mean()
        groups = np.stack([levels[:, np.array(penalties.groups) == g].sum(axis=1) for g in range(3)])
        expected += penalties.group_sparsity * np.log1p(groups / small).sum()
    np.testing.assert_allclose(found.objective[-1], expected, rtol=1e-4)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    "penalties",
    [
        Penalties(sparsity=0.5, l2_H=0.1),
        Penalties(continuity=0.1),
        Penalties(group_sparsity=2.0, groups=[0, 0, 1, 1]),
    ],
    ids=["sparse", "continuous", "grouped"],
)
def test_penalised_activating_never_rises(beta, penalties):
    V = matrix(dtype=np.float64) * 30
    W = factorize(V, 4, divergence=beta, iterations=30).W * [1, 2, 3, 4]
    found = activate(V, W, divergence=beta, penalties=penalties, iterations=60, tolerance=0)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])


def test_each_penalty_does_what_its_name_says():
    V = matrix(rank=4)
    free = factorize(V, 4, iterations=150, tolerance=0)

    def penalised(**weights):
        return factorize(V, 4, penalties=Penalties(**weights), iterations=150, tolerance=0).H

    def roughness(H):
        return np.sum(np.diff(H, axis=1) ** 2) / np.sum(H**2)

    def share_of_smaller_group(H):
        groups = H[:2].sum(axis=0), H[2:].sum(axis=0)
        return np.minimum(*groups).sum() / np.sum(groups)

    assert (penalised(sparsity=0.5) < 1e-3).mean() > (free.H < 1e-3).mean() + 0.05
    assert roughness(penalised(continuity=1.0)) < 0.5 * roughness(free.H)
    grouped = penalised(group_sparsity=3.0, groups=[0, 0, 1, 1])
    assert share_of_smaller_group(grouped) < 0.8 * share_of_smaller_group(free.H)


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
def test_levels_are_penalised_in_the_units_of_the_data(scale):
    V = matrix()
    one = factorize(V, 4, penalties=Penalties(sparsity=0.3), iterations=30).H
    scaled = factorize(V * np.float32(scale), 4, penalties=Penalties(sparsity=0.3), iterations=30).H
    np.testing.assert_allclose(scaled, one * scale, rtol=1e-3, atol=1e-5 * scale)


def test_penalties_make_factors_smaller():
    V = matrix()
    sums = [factorize(V, 5, penalties=Penalties(l1_W=p, l1_H=p)).H.sum() for p in (0.01, 1.0)]
    assert sums[1] < sums[0]
    W = factorize(V, 5).W
    held = [activate(V, W, penalties=Penalties(l1_H=p)).H.sum() for p in (0.0, 0.5, 2.0)]
    assert held[0] > held[1] > held[2]


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_penalised_activations_minimise_what_they_say(beta):
    generator = np.random.default_rng(6)
    V, W = generator.random((6, 1)) * 5 + 1, generator.random((6, 1)) * 3 + 0.1
    penalties = Penalties(l1_H=0.3, l2_H=0.2)
    found = activate(V, W, divergence=beta, penalties=penalties, iterations=2000, tolerance=0).H[0, 0]
    grid = np.linspace(0.5, 1.5, 2001) * found
    divergence = Divergence.of(beta)
    costs = [divergence.between(V, W * h) + 0.3 * h + 0.1 * h * h for h in grid]
    assert grid[np.argmin(costs)] == pytest.approx(found, rel=2e-3)


def test_zeros_of_a_start_stay_zeros():
    V = matrix()
    generator = np.random.default_rng(7)
    W, H = generator.random((60, 4)), generator.random((4, 170))
    W[10:20, 1] = H[2, 50:] = 0
    found = factorize(V, 4, init=(W, H), iterations=50, tolerance=0)
    assert not found.W[10:20, 1].any()
    assert not found.H[2, 50:].any()


def masks(frozen=0):
    """Comb-like templates, one of which may be nothing at all, that take turns."""
    W, H = np.ones((60, 5), bool), np.ones((5, 170), bool)
    for k in range(4):
        W[k::5, k] = False
        H[k, 30 * k : 30 * k + 20] = False
    W[:, 1] = False
    W[:, :frozen] = True
    return W, H


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("frozen", [0, 1])
def test_entries_that_are_not_allowed_stay_zero_and_the_objective_never_rises(beta, init, frozen):
    V, (W, H) = matrix(), masks(frozen)
    held = V[:, :frozen] + 1
    settings = {"init": init, "frozen": held if frozen else None, "iterations": 60, "tolerance": 0}
    found = factorize(V, 5, divergence=beta, allowed=(W, H), restarts=2, **settings)
    assert not found.W[~W].any()
    assert not found.H[~H].any()
    assert np.array_equal(found.W[:, :frozen], held)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])
    assert (found.W[W] > 0).mean() > 0.9
    assert found.objective[-1] < found.objective[0]


def test_masks_leave_penalties_and_given_starts_as_they_are():
    V, (W, H) = matrix(), masks()
    penalties = Penalties(sparsity=0.1, continuity=0.01, l1_W=0.1)
    generator = np.random.default_rng(3)
    start = generator.random((60, 5)), generator.random((5, 170))
    found = factorize(V, 5, init=start, allowed=(W, H), penalties=penalties, iterations=60)
    same = factorize(V, 5, init=(start[0] * W, start[1] * H), penalties=penalties, iterations=60)
    assert np.array_equal(found.W, same.W)
    assert np.array_equal(found.H, same.H)


def test_either_mask_may_be_left_out():
    V, (W, H) = matrix(), masks()
    assert factorize(V, 5, allowed=(None, H), iterations=20).W[~W].any()
    assert factorize(V, 5, allowed=(W, None), iterations=20).H[~H].any()
    free, none = (factorize(V, 5, allowed=a, iterations=20).W for a in (None, (None, None)))
    assert np.array_equal(free, none)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_activations_that_are_not_allowed_stay_zero(beta):
    V, (_, H) = matrix(), masks()
    W = factorize(V, 5, divergence=beta, iterations=30).W
    found = activate(V, W, divergence=beta, allowed=H, iterations=60, tolerance=0)
    assert not found.H[~H].any()
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[:-1])
    everywhere = activate(V, W, divergence=beta, iterations=60, tolerance=0)
    assert found.objective[-1] > everywhere.objective[-1]


def test_masks_that_do_not_fit_are_refused_by_name():
    V, (W, H) = matrix(), masks()
    with pytest.raises(OptionError, match=r"mask of W.*\(60, 5\)"):
        factorize(V, 5, allowed=(W[1:], H))
    with pytest.raises(OptionError, match=r"mask of H.*of bool, with shape \(5, 170\)"):
        factorize(V, 5, allowed=(W, H.astype(float)))
    with pytest.raises(OptionError, match="pair of masks"):
        factorize(V, 5, allowed=W)
    with pytest.raises(OptionError, match=r"allowed is of bool and has shape \(170, 5\)"):
        activate(V, np.ones((60, 5)), allowed=H.T)


def test_several_threads_may_factorize_at_once():
    V = matrix(frames=700)
    expected = factorize(V, 6, iterations=30).W
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: factorize(V, 6, iterations=30, threads=2).W, range(8)))
    assert all(np.array_equal(W, expected) for W in found)


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_the_blas_keeps_its_threads():
    with threadpool_limits(3, user_api="blas"):
        seen = []
        factorize(matrix(), 4, iterations=5, callback=lambda *_: seen.append(blas_threads()))
        assert seen[0] == {1}
        assert blas_threads() == {3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_may_factorize():
    V = matrix(frames=700)
    expected = factorize(V, 6, iterations=30, threads=2).W
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.starmap_async(_templates_of, [(V, 6)] * 4).get(timeout=60)
    assert all(np.array_equal(W, expected) for W in found)


def _templates_of(V, rank):
    return factorize(V, rank, iterations=30, threads=2).W


def test_a_matrix_on_disk_is_used_in_place(tmp_path):
    V = matrix(frames=900)
    disk = np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, (900, 60))
    disk[:] = V.T
    assert np.array_equal(factorize(disk.T, 4, iterations=20).W, factorize(V, 4, iterations=20).W)
    assert np.shares_memory(Problem.of(disk.T, Divergence.of("kl")).V, disk)


@pytest.mark.parametrize("beta", [0, 1, 2])
@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1), (np.float64, 1e-100)])
def test_a_stream_gives_the_bits_of_the_whole_matrix(beta, init, dtype, scale, monkeypatch):
    monkeypatch.setattr(stream, "_ENTRIES", 60 * 48)  # of which this matrix has many pieces
    V, read = matrix(frames=900, dtype=dtype) * dtype(scale), []

    def block(start, stop):
        read.append(stop - start)
        return V[:, start:stop]

    settings = {"divergence": beta, "init": init, "iterations": 20, "threads": 2}
    whole, streamed = (factorize(data, 4, **settings) for data in (V, Stream(60, 900, block)))
    assert max(read) <= 48
    assert streamed.W.dtype == dtype
    for name in ("W", "H", "objective"):
        assert np.array_equal(getattr(streamed, name), getattr(whole, name))
    held = [activate(data, whole.W, divergence=beta).H for data in (V, Stream(60, 900, block))]
    assert np.array_equal(*held)


def test_a_stream_that_is_not_what_it_says_is_refused_by_its_block():
    V = matrix()
    with pytest.raises(MatrixError, match=r"block\(0, 170\) has shape \(59, 170\): it must be \(60, 170\)"):
        factorize(Stream(60, 170, lambda start, stop: V[1:, start:stop]), 3)
    with pytest.raises(MatrixError, match=r"block\(0, 170\) has an entry that is negative"):
        factorize(Stream(60, 170, lambda start, stop: -V[:, start:stop]), 3)
    with pytest.raises(OptionError, match="frames=0"):
        Stream(60, 0, lambda start, stop: V)


def test_the_kernels_are_plain_python_too():
    """Without the compiler the same source gives the same numbers, but for the order of sums."""
    code = "import numpy as np; import test_nmf; np.save('plain.npy', test_nmf._few())"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=environment)
        plain = np.load(Path(folder) / "plain.npy")
    np.testing.assert_allclose(plain, _few(), rtol=1e-3, atol=1e-6)


def _few():
    V = matrix(bins=9, frames=20, rank=2)
    return np.stack([factorize(V, 3, divergence=beta, iterations=5, tolerance=0).W for beta in BETAS])


def test_the_seed_decides():
    V = matrix()
    first, again, other = (factorize(V, 4, seed=seed, iterations=20) for seed in (3, 3, 4))
    assert np.array_equal(first.W, again.W)
    assert not np.array_equal(first.W, other.W)


def test_of_several_restarts_the_best_is_kept():
    V = matrix(rank=8)
    alone = [factorize(V, 8, iterations=50, seed=seed) for seed in range(4)]
    best = [factorize(V, 8, iterations=50, seed=seed, restarts=6) for seed in range(4)]
    assert all(b.objective[-1] <= a.objective[-1] for a, b in zip(alone, best, strict=True))
    moved = next(b for b, seed in zip(best, range(4), strict=True) if b.seed != seed)
    assert np.array_equal(factorize(V, 8, iterations=50, seed=moved.seed).W, moved.W)


@pytest.mark.parametrize("beta", [0, 1, 2])
@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60])
def test_a_scaled_matrix_gives_the_same_factors_scaled(beta, init, scale):
    V = matrix()
    found = factorize(V, 4, divergence=beta, init=init, iterations=30)
    scaled = factorize(V * np.float32(scale), 4, divergence=beta, init=init, iterations=30)
    np.testing.assert_allclose(scaled.W, found.W, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(scaled.H, found.H * scale, rtol=1e-3, atol=1e-5 * found.H.max() * scale)
    np.testing.assert_allclose(scaled.objective[-1], found.objective[-1] * scale**beta, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1e20, 1e300])
def test_float64_of_any_level_is_finite_and_fits(scale):
    V = matrix(dtype=np.float64) * scale
    found = factorize(V, 4)
    assert found.W.dtype == found.H.dtype == np.float64
    np.testing.assert_allclose((found.W @ found.H).sum(), V.sum(), rtol=1e-3)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize(
    "V",
    [
        np.zeros((6, 9)),
        np.ones((5, 1)),
        np.ones((1, 5)),
        np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3.0, 0.0]]),
        np.eye(4),
    ],
    ids=["silence", "one frame", "one bin", "zero rows and columns", "rank above need"],
)
def test_awkward_matrices_are_ordinary_input(beta, init, V):
    found = factorize(V, 6, divergence=beta, init=init, iterations=40)
    assert np.isfinite(found.W).all()
    assert np.isfinite(found.H).all()
    assert np.isfinite(found.objective).all()
    assert (found.W >= 0).all()
    assert (found.H >= 0).all()
    np.testing.assert_allclose(found.W.sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_silent_frames_stay_silent(beta):
    V = matrix()
    V[:, 20:30] = 0
    assert not factorize(V, 4, divergence=beta).H[:, 20:30].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_input_is_never_changed(dtype, order):
    V = np.array(matrix(dtype=dtype), order=order)
    W = np.random.default_rng(0).random((60, 4))
    H = np.random.default_rng(0).random((4, 170))
    copies = [a.copy() for a in (V, W, H)]
    for array in (V, W, H):
        array.flags.writeable = False
    factorize(V, 4, init=(W, H), iterations=5)
    activate(V, W, iterations=5)
    for array, copy in zip((V, W, H), copies, strict=True):
        assert np.array_equal(array, copy)


def test_memory_layout_and_type_do_not_change_the_answer():
    V = matrix()
    expected = factorize(V, 3, iterations=20).W
    for other in (np.asfortranarray(V), V.astype(np.float64), V.T.copy().T, V.tolist()):
        np.testing.assert_allclose(factorize(other, 3, iterations=20).W, expected, rtol=1e-5, atol=1e-8)


def test_integers_are_taken_as_numbers():
    assert factorize(np.arange(12).reshape(3, 4), 2).objective[-1] < 0.1


@pytest.mark.parametrize("beta", BETAS)
def test_activate_finds_the_activations_it_was_made_from(beta):
    generator = np.random.default_rng(2)
    W, H = generator.random((40, 3)) ** 3, generator.random((3, 25)) + 0.1
    found = activate(W @ H, W, divergence=beta, iterations=3000, tolerance=0)
    np.testing.assert_allclose(found.H, H, rtol=0.02, atol=0.01)
    assert found.W is W or np.array_equal(found.W, W)
    assert np.all(np.diff(found.objective) <= 1e-6 * found.objective[0])  # it ends at zero, in float32


def test_activate_without_tolerance_treats_each_frame_alone():
    V = matrix()
    W = factorize(V, 4).W
    whole = activate(V, W, tolerance=0).H
    part = activate(V[:, 50:90] / 1, W, tolerance=0).H
    np.testing.assert_allclose(whole[:, 50:90], part, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("beta", [0, 0.5, 1, 1.5, 2])
def test_frames_activated_in_parts_at_one_level_are_the_bits_of_the_whole(beta):
    V = matrix() * np.linspace(1e-4, 1, matrix().shape[1])  # so that the parts' own means differ
    W = factorize(V, 4).W
    given = {"divergence": beta, "iterations": 20, "tolerance": 0, "level": 1.0}
    whole = activate(V, W, **given).H
    parts = [activate(V[:, cut], W, **given).H for cut in (slice(0, 13), slice(13, 70), slice(70, None))]
    assert np.array_equal(np.hstack(parts), whole)


def test_a_level_that_is_none_is_refused():
    for level in (-1.0, np.inf, np.nan):
        with pytest.raises(OptionError, match="level"):
            activate(np.ones((2, 3)), np.eye(2), level=level)


def test_a_silent_template_gets_no_activation():
    W = np.array([[1.0, 0.0], [2.0, 0.0]])
    assert activate(np.ones((2, 3)), W).H[1].tolist() == [0, 0, 0]


def test_the_callback_sees_the_objective_and_may_stop():
    seen = []
    stop = {"tolerance": 0, "callback": lambda i, o: seen.append((i, o)) or i >= 20}
    found = factorize(matrix(), 4, solver="mu", **stop)
    assert [i for i, _ in seen] == [1, 10, 20] == found.measured_iterations.tolist()
    assert [o for _, o in seen] == found.objective.tolist()
    assert found.iterations == 20
    assert not found.converged


def test_an_interrupt_in_the_callback_comes_through():
    def interrupt(_, __):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        factorize(matrix(), 4, threads=2, callback=interrupt)


def test_tolerance_stops_early():
    V = matrix()
    loose, tight = (factorize(V, 4, tolerance=t, iterations=2000) for t in (1e-2, 1e-5))
    assert loose.converged
    assert loose.iterations < tight.iterations


def test_acceleration_copes_with_a_start_that_knows_nothing_of_the_data():
    generator = np.random.default_rng(0)
    V = generator.random((513, 16)) ** 4 @ generator.random((16, 400)) ** 4
    V *= generator.gamma(4, 0.25, V.shape)
    level = np.sqrt(V.mean() / 16)
    start = tuple(level * np.abs(generator.standard_normal(shape)) for shape in ((513, 16), (16, 400)))
    plain, fast = (
        factorize(V, 16, divergence="is", init=start, solver=solver, tolerance=0)
        for solver in ("mu", "accelerated")
    )
    assert fast.objective[-1] < plain.objective[-1]


def test_a_tolerance_of_zero_never_stops():
    generator = np.random.default_rng(2)
    W, H = generator.random((40, 3)) ** 3, generator.random((3, 25)) + 0.1
    # The fit is soon exact but for float32, and from then on the objective goes up and down in its last bits.
    assert activate(W @ H, W, divergence=2, iterations=3000, tolerance=0).iterations == 3000


@pytest.mark.parametrize(
    ("V", "message"),
    [
        ([[1.0, -2.0]], r"V\[0, 1\] is -2.0"),
        ([[np.inf]], r"V\[0, 0\] is inf"),
        ([1.0, 2.0], r"shape \(2,\).*V\[:, None\]"),
        (np.ones((2, 3, 4)), r"shape \(2, 3, 4\).*numpy.hstack\(V\)"),
        (np.empty((3, 0)), r"shape \(3, 0\)"),
        (3.0, r"shape \(\)"),
        ([[1 + 2j, 0.5]], r"V is complex: take abs\(V\)"),
        (np.ma.masked_array([[1 + 2j, 0.5]], mask=[[True, False]]), r"V is complex: take abs\(V\)"),
        ([["loud", "quiet"]], "V is an array of type <U5: its entries must be real numbers"),
        (np.array([[None, 1.0]]), "V is an array of type object"),
    ],
)
def test_a_matrix_that_cannot_be_factored_is_refused_by_name(V, message):
    with pytest.raises(MatrixError, match=message):
        factorize(V, 1)
    with pytest.raises(MatrixError, match=message):
        activate(V, [[1.0]])


@pytest.mark.parametrize(
    ("W", "message"),
    [
        ([[np.nan]], r"W\[0, 0\] is nan"),
        ([[1j]], r"W is complex: take abs\(W\)"),
        (scipy.sparse.eye_array(2), r"W is sparse.*W.toarray\(\)"),
        (np.ma.masked_array([[1.0]], mask=True), "W has masked entries"),
    ],
)
def test_templates_that_cannot_be_used_are_refused_by_name(W, message):
    with pytest.raises(MatrixError, match=message):
        activate([[1.0]], W)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank=0"),
        ({"iterations": 0}, "iterations=0"),
        ({"restarts": 0}, "restarts=0"),
        ({"threads": 0}, "threads=0"),
        ({"seed": -1}, "seed=-1"),
        ({"divergence": "manhattan"}, "manhattan"),
        ({"divergence": 3.5}, "beta=3.5"),
        ({"init": "best"}, "init='best'"),
        ({"solver": "newton"}, "solver='newton'"),
    ],
)
def test_options_out_of_range_are_refused_by_name(settings, message):
    with pytest.raises(OptionError, match=message):
        factorize(matrix(), **{"rank": 2, **settings})


def test_penalties_that_cannot_be_are_refused_by_name():
    with pytest.raises(OptionError, match="l1_H=-1"):
        Penalties(l1_H=-1)
    with pytest.raises(OptionError, match="needs groups="):
        Penalties(group_sparsity=1.0)
    with pytest.raises(OptionError, match=r"groups=\[0, 1, 2\]"):
        factorize(matrix(), 2, penalties=Penalties(group_sparsity=1.0, groups=[0, 1, 2]))
    with pytest.raises(OptionError, match=r"l2_W has shape \(3,\)"):
        factorize(matrix(), 2, penalties=Penalties(l2_W=[1, 2, 3]))


def test_starts_and_templates_of_another_shape_are_refused():
    with pytest.raises(MatrixError, match=r"frozen has shape \(60, 4\)"):
        factorize(matrix(), 3, frozen=np.ones((60, 4)))
    with pytest.raises(MatrixError, match=r"frozen has shape \(59, 1\)"):
        factorize(matrix(), 3, frozen=np.ones((59, 1)))
    with pytest.raises(MatrixError, match=r"\(60, 3\)"):
        factorize(matrix(), 3, init=(np.ones((60, 2)), np.ones((2, 170))))
    with pytest.raises(MatrixError, match="59 bins"):
        activate(matrix(), np.ones((59, 2)))


@given(st.lists(st.floats(2.0**-100, 2.0**100, width=32), min_size=1, max_size=50))
@settings(deadline=None, max_examples=50)
def test_the_fast_logarithm_is_that_of_numpy(values):
    x = np.array(values, np.float32)
    found = [logarithm_kernels.logarithm(each) for each in x]
    np.testing.assert_allclose(found, np.log(x.astype(np.float64)), rtol=3e-7, atol=1e-7)


def test_extrapolation_is_that_of_the_logarithms():
    generator = np.random.default_rng(0)
    x0, x1, x2 = (layout.padded(generator.random((5, 7)).astype(np.float32) + 1) for _ in range(3))
    a, b, c = (np.log(x[:5, :7].astype(np.float64)) for x in (x0, x1, x2))
    first, second = b - a, c - 2 * b + a
    weights = x1[:5, :7].astype(np.float64)
    expected = [(weights * first**2).sum(), (weights * second**2).sum(), weights.sum()]
    np.testing.assert_allclose(logarithm_kernels.squared_differences(x0, x1, x2), expected, rtol=1e-5)
    found = np.full_like(x0, np.nan)
    logarithm_kernels.extrapolate(x0, x1, x2, 3.0, found)
    ahead = np.clip(a + 6 * first + 9 * second, c - 1.2, c + 2)
    np.testing.assert_allclose(found[:5, :7], np.exp(ahead), rtol=1e-5)
    assert not found[5:].any()
    assert not found[:, 7:].any()


@pytest.mark.parametrize(("beta", "scale"), [(2, 1e-200), (2, 1e200), (-1, 1e-304), (3, 1e-110)])
def test_data_whose_objective_is_no_number_are_refused(beta, scale):
    V = matrix().astype(np.float64)
    with pytest.raises(MatrixError, match="out of the range of float64: multiply V by a constant"):
        factorize(V * scale, 3, divergence=beta)
    with pytest.raises(MatrixError, match="multiply V by a constant"):
        activate(
            Stream(60, 170, lambda start, stop: V[:, start:stop] * scale), np.ones((60, 1)), divergence=beta
        )


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_data_far_from_one_are_as_good_as_others_where_the_objective_is_a_number(scale):
    V = matrix().astype(np.float64)
    # From noise: least squares multiply how the two differ by rounding.
    far, near = (factorize(data, 3, init="random", iterations=20, tolerance=0) for data in (V * scale, V))
    np.testing.assert_allclose(far.H / scale, near.H, rtol=1e-3, atol=1e-6 * near.H.max())
    with pytest.raises(OptionError, match="l2_H=0.1 is out of range"):
        factorize(V * scale**1.5, 3, penalties=Penalties(l2_H=0.1), divergence=0)


@pytest.mark.parametrize("beta", [0, 0.5, 1, 2])
@pytest.mark.parametrize("solver", ["mu", "accelerated"])
def test_entries_that_vanish_become_zero_before_they_are_subnormal(beta, solver):
    rng = np.random.default_rng(0)
    W, H = rng.random((40, 3)), rng.random((3, 120)) * (rng.random((3, 120)) < 0.3)
    W[:20, 0] = W[20:, 1] = 0
    found = factorize(
        W @ H, 3, divergence=beta, init="random", solver=solver, iterations=600, tolerance=0, seed=1
    )
    for factor in (found.W, found.H):
        positive = factor[factor > 0]
        assert positive.min() > 1e-30


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_activations_that_vanish_become_zero_before_they_are_subnormal(beta):
    rng = np.random.default_rng(0)
    W = rng.random((40, 6))
    H = rng.random((6, 120)) * (rng.random((6, 120)) < 0.3)
    found = activate(W @ H, W, divergence=beta, iterations=3000, tolerance=0).H
    assert found[found > 0].min() > 1e-30
