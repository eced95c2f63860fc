"""The compiled tiles agree with their plain twins, and both with the product that they document."""

import numba
import numpy as np
import pytest

from nmfaudio.nmf import intrinsics
from nmfaudio.nmf.intrinsics import ACROSS, PANEL, ROWS


def in_panels(B, panels):
    return np.ascontiguousarray(B.reshape(len(B), panels, PANEL).swapaxes(0, 1)).reshape(panels, -1)


@pytest.mark.parametrize(("rows", "panels"), [(8, 1), (ROWS, 2), (ROWS, 3)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_tile_is_its_plain_twin_and_the_product(rows, panels, transposed):
    generator = np.random.default_rng(0)
    depth, columns = 8, panels * PANEL
    c_row = columns + 5
    left = generator.random((rows + 3, depth), np.float32)
    right = generator.random((depth, columns), np.float32)
    C = generator.random((rows + 1, c_row), np.float32)
    expected = C.copy()
    product = left[2 : 2 + rows] @ right
    expected[1:, 4 : 4 + columns] = product + (expected[1:, 4 : 4 + columns] if transposed else 0)
    A = np.ascontiguousarray(left.T) if transposed else left
    B = right if transposed else in_panels(right, panels)
    a, a_row, b_panel = (2, rows + 3, columns) if transposed else (2 * depth, depth, depth * PANEL)
    tile = intrinsics.compiled_product(rows, panels, transposed)

    @numba.njit
    def compiled(A, B, C):
        tile(A, a, a_row, B, 0, b_panel, C, c_row + 4, c_row, PANEL, depth)

    results = C.copy(), C.copy()
    compiled(A, B, results[0])
    plain = intrinsics.plain_product(rows, panels, transposed)
    plain(A, a, a_row, B, 0, b_panel, results[1], c_row + 4, c_row, PANEL, depth)
    for result in results:
        np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("ending", [intrinsics.QUOTIENT, intrinsics.TWO_QUOTIENTS, intrinsics.MODEL])
def test_a_comparison_is_its_plain_twin_and_what_it_documents(ending):
    generator = np.random.default_rng(0)
    depth, v_row, c_row = 8, ACROSS + 7, ACROSS + 2
    H, T = generator.random((ROWS, depth), np.float32), generator.random((depth, ACROSS), np.float32)
    V = generator.random((2 * ROWS, v_row), np.float32)
    panels, scale, floor = in_panels(T, 3), np.float32(0.5), np.float32(0.1)
    compare = intrinsics.compiled_compare

    @numba.njit
    def compiled(H, T, V, C, inverse, scale, floor):
        compare(
            H, 0, depth, T, 0, depth * PANEL, V, 2, v_row, C, inverse, 1, c_row, depth, scale, floor, ending
        )

    results = np.zeros((2, 2, ROWS, c_row), np.float32)
    compiled(H, panels, V, *results[0], scale, floor)
    intrinsics.plain_compare(
        H, 0, depth, panels, 0, depth * PANEL, V, 2, v_row, *results[1], 1, c_row, depth, scale, floor, ending
    )  # fmt: skip
    model, data = H @ T + floor, V[:ROWS, 2 : 2 + ACROSS] * scale
    expected = {
        intrinsics.QUOTIENT: data / model,
        intrinsics.TWO_QUOTIENTS: (data + floor) / model**2,
        intrinsics.MODEL: model,
    }[ending]
    for C, inverse in results:
        np.testing.assert_allclose(C[:, 1 : 1 + ACROSS], expected, rtol=1e-6)
        if ending == intrinsics.TWO_QUOTIENTS:
            np.testing.assert_allclose(inverse[:, 1 : 1 + ACROSS], 1 / model, rtol=1e-6)
        else:
            assert not inverse.any()
