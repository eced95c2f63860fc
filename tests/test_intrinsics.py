import numba
import numpy as np
import pytest

from nmfaudio.nmf import intrinsics


@pytest.mark.parametrize(("rows", "columns"), [(4, 16), (6, 16), (8, 16), (12, 8)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_tile_is_its_plain_twin_and_the_product(rows, columns, turned):
    generator = np.random.default_rng(0)
    depth, below, under = 5, 16, 20
    A = generator.random((depth, rows + 3) if turned else (rows + 3, depth), np.float32)
    down, right = (1, rows + 3) if turned else (depth, 1)
    B, C = generator.random((depth + 2, below), np.float32), generator.random((rows + 1, under), np.float32)
    first = 2 * down
    product = (A.T if turned else A)[2 : 2 + rows] @ B[1 : 1 + depth, :columns]
    tile, plain = intrinsics._compiled_tile(rows, columns), intrinsics.plain_tile(rows, columns)

    @numba.njit
    def compiled(A, B, C, add):
        tile(A, first, down, right, B, below, below, C, under + 4, under, depth, add)

    for add in (False, True):
        expected = C.copy()
        expected[1:, 4 : 4 + columns] = product + (expected[1:, 4 : 4 + columns] if add else 0)
        found, slow = C.copy(), C.copy()
        compiled(A, B, found, add)
        plain(A, first, down, right, B, below, below, slow, under + 4, under, depth, add)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        np.testing.assert_allclose(slow, expected, rtol=1e-6)


def test_a_number_is_split_as_its_plain_twin_splits_it():
    exponent_of, mantissa_of = intrinsics._compiled_exponent, intrinsics._compiled_mantissa

    @numba.njit
    def split(x):
        return exponent_of(x), mantissa_of(x)

    for number in (1.0, 0.7, 0.75, 1.5, 3e-30, 6.5e20, 2.0**-126):
        x = np.float32(number)
        exponent, mantissa = split(x)
        assert (exponent, mantissa) == (intrinsics.plain_exponent(x), intrinsics.plain_mantissa(x))
        assert np.float32(mantissa * 2.0**exponent) == x
        assert 0.5**0.5 <= mantissa < 2**0.5
