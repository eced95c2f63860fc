import numpy as np
import pytest

from nmfaudio.errors import MatrixError, OptionError
from nmfaudio.nmf import CrossValidation, cross_validate

NOISE = {
    0: lambda P, generator: P * generator.gamma(5, 0.2, P.shape),
    1: lambda P, generator: generator.poisson(5 * P) / 5,
    2: lambda P, generator: np.maximum(P + 0.3 * generator.standard_normal(P.shape), 0),
}


def noisy(rank, beta, seed=0):
    generator = np.random.default_rng(seed)
    P = generator.exponential(1, (50, rank)) @ generator.exponential(1, (rank, 90)) + 1e-6
    return NOISE[beta](P, generator)


@pytest.mark.parametrize("beta", [0, 1, 2])
@pytest.mark.parametrize("rank", [1, 3])
def test_hidden_entries_tell_the_rank_of_the_data(beta, rank):
    found = cross_validate(noisy(rank, beta), range(1, 6), divergence=beta)
    assert found.rank == rank
    assert found.means[4] > found.means[rank - 1]
    assert found.errors.shape == (5, 5)


def test_the_smallest_rank_that_is_as_good_as_the_best_is_chosen():
    ranks = np.array([1, 2, 3])
    errors = np.array([[5.0, 5.0, 5.0], [1.0, 1.2, 1.1], [1.1, 1.0, 1.1]])
    assert CrossValidation(ranks, errors).rank == 2
    errors[1] += 1
    assert CrossValidation(ranks, errors).rank == 3


def test_the_seed_decides_and_the_input_is_never_changed():
    V = noisy(2, 1)
    V.flags.writeable = False
    first, again, other = (cross_validate(V, [2], seed=seed, iterations=5).errors for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_callback_sees_every_step():
    seen = []
    cross_validate(noisy(1, 1), [1, 2], folds=2, iterations=2, callback=lambda *step: seen.append(step))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("V", [np.zeros((6, 9)), np.ones((5, 2)), np.eye(4)])
@pytest.mark.parametrize("beta", [0, 1, 2])
def test_awkward_matrices_get_an_answer(V, beta):
    found = cross_validate(V, [1, 2], divergence=beta, folds=2, iterations=5)
    assert np.isfinite(found.errors).all()
    assert found.rank in (1, 2)


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(OptionError, match="folds=1"):
        cross_validate(noisy(1, 1), [1], folds=1)
    with pytest.raises(OptionError, match="ranks is empty"):
        cross_validate(noisy(1, 1), [])
    with pytest.raises(MatrixError, match=r"V\[0, 0\] is nan"):
        cross_validate([[np.nan, 1.0]], [1])
