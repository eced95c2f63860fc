import numpy as np
import pytest

from nmfaudio.nmf.group_gains import fit_group_gains

BASIS = np.repeat(np.eye(3), 4, axis=0)  # three steps over twelve rows


def problem(seed=0):
    """Data whose first two templates have gains 1, 2, 4 over the rows, and whose third has none."""
    generator = np.random.default_rng(seed)
    W = generator.random((12, 3)) ** 4
    gains = BASIS @ np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 1.0], [4.0, 4.0, 1.0]])
    return (W * gains) @ generator.exponential(1, (3, 40)), W, np.array([0, 0, -1])


def test_the_gains_of_a_group_are_found_up_to_a_factor():
    V, W, labels = problem()
    gains = fit_group_gains(V, W, labels, BASIS, hold=1e-6, iterations=500)
    assert gains.values.shape == (1, 3)
    assert np.allclose(gains.values[0] / gains.values[0, 0], [1, 2, 4], rtol=0.02)


@pytest.mark.parametrize("beta", [-1.0, 0.0, 1.0, 1.7, 3.0])
def test_the_objective_never_rises_and_nothing_is_changed_in_place(beta):
    V, W, labels = problem(1)
    for array in (V, W, labels):
        array.setflags(write=False)
    objective = fit_group_gains(V, W, labels, BASIS, beta=beta, iterations=15).objective
    assert np.all(np.diff(objective) <= 1e-9 * np.abs(objective[:-1]))
    assert objective[-1] < objective[0]


def test_silence_has_no_gains():
    V, W, labels = problem()
    gains = fit_group_gains(0 * V, W, labels, BASIS)
    assert np.isfinite(gains.values).all()
