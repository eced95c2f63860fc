"""Factorization of arrays of Dask: the same bits for any number of workers, and as good as of one matrix."""

import numpy as np
import pytest

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")

import dask.array  # noqa: E402
from dask_processes import THREADS  # noqa: E402

from nmfaudio import factorize  # noqa: E402
from nmfaudio.cluster.arrays import factorize_array  # noqa: E402
from nmfaudio.errors import MatrixError, OptionError  # noqa: E402


@pytest.fixture(scope="module")
def matrix():
    generator = np.random.default_rng(0)
    return (generator.random((30, 4)) @ generator.random((4, 200)) ** 3).astype(np.float32)


def in_chunks(matrix):
    return dask.array.from_array(matrix, chunks=(15, 60))


def test_bits_do_not_depend_on_the_workers(matrix):
    alone = factorize_array(in_chunks(matrix), 4, iterations=4)
    for count in (1, 3):
        with (
            distributed.LocalCluster(**THREADS, n_workers=count) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            found = factorize_array(in_chunks(matrix), 4, iterations=4, client=client)
            H = client.compute(found.H).result()
        assert np.array_equal(found.W, alone.W)
        assert np.array_equal(H, alone.H.compute())
    assert found.objective == alone.objective


def test_the_model_fits_about_as_well_as_that_of_one_matrix(matrix):
    told = []
    found = factorize_array(in_chunks(matrix), 4, iterations=40, report=lambda *one: told.append(one))
    plain = factorize(matrix, 4, init="random", solver="mu", iterations=40, tolerance=0)
    assert found.objective[-1] < 1.2 * plain.objective[-1]
    assert found.H.chunks[1] == (60, 60, 60, 20)
    np.testing.assert_allclose(found.W @ found.H.compute(), matrix, atol=0.2 * matrix.max())
    assert told == list(enumerate(found.objective))


def test_what_cannot_be_factorized_is_told(matrix):
    with pytest.raises(MatrixError, match=r"V has the shape \(30,\)"):
        factorize_array(in_chunks(matrix)[:, 0], 2)
    with pytest.raises(OptionError, match="rank=201: use 1 to 200"):
        factorize_array(in_chunks(matrix), 201)
    with pytest.raises(MatrixError, match="negative or not finite"):
        factorize_array(in_chunks(-matrix), 2)
    with pytest.raises(MatrixError, match="only zeros"):
        factorize_array(in_chunks(0 * matrix), 2)
