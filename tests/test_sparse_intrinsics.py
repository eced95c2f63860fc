"""The compiled steps over stored entries agree with their plain twins, and both with what they document."""

import numba
import numpy as np
import pytest

from nmfaudio.nmf import sparse_intrinsics
from nmfaudio.nmf.intrinsics import PANEL


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("panels", [1, 3])
@pytest.mark.parametrize("count", [1, PANEL - 1, PANEL + 2])
def test_entries_are_compared_with_their_models(panels, kind, count):
    generator, width, floor = np.random.default_rng(0), panels * PANEL, np.float32(0.1)
    positions = generator.integers(0, 9, PANEL + 3).astype(kind)
    values, X = generator.random(PANEL + 3, np.float32), generator.random((2, width), np.float32)
    Y, above = generator.random((9, width), np.float32), generator.random((4, width), np.float32)
    compare = sparse_intrinsics.compiled_compare_entries

    @numba.njit
    def compiled(positions, values, X, Y, above, quotients):
        compare(positions, values, 3, count, X, width, Y, width, floor, above, 2 * width, quotients)

    results, quotients = np.array([above, above]), np.ones((2, PANEL), np.float32)
    compiled(positions, values, X, Y, results[0], quotients[0])
    plain = sparse_intrinsics.plain_compare_entries
    plain(positions, values, 3, count, X, width, Y, width, floor, results[1], 2 * width, quotients[1])
    models = Y[positions[3:]] @ X[1] + floor
    expected = np.where(np.arange(PANEL) < count, values[3:] / models, 0)
    for quotient, result in zip(quotients, results, strict=True):
        np.testing.assert_allclose(quotient, expected, rtol=1e-5)
        np.testing.assert_allclose(result[2], above[2] + expected @ Y[positions[3:]], rtol=1e-5)
        np.testing.assert_array_equal(result[[0, 1, 3]], above[[0, 1, 3]])


@pytest.mark.parametrize("rows", [1, 5])
def test_rows_are_folded(rows):
    source, width = np.random.default_rng(3).random(8 * PANEL, np.float32)[1:], PANEL
    start = np.random.default_rng(4).random(width, np.float32)
    fold = sparse_intrinsics.compiled_fold_rows

    @numba.njit
    def compiled(source, sums, largest):
        fold(source, 2, rows, width, sums, largest)

    sums, largest = np.ones((2, width), np.float32), np.array([start, start])
    compiled(source, sums[0], largest[0])
    sparse_intrinsics.plain_fold_rows(source, 2, rows, width, sums[1], largest[1])
    block = source[2 : 2 + rows * width].reshape(rows, width)
    for found in sums:
        np.testing.assert_allclose(found, block.sum(axis=0), rtol=1e-6)
    for found in largest:
        np.testing.assert_array_equal(found, np.maximum(start, block.max(axis=0)))


@pytest.mark.parametrize("count", [-1, 0, 1, PANEL - 1, PANEL, PANEL + 1])
def test_a_panel_is_copied_up_to_a_count(count):
    source = np.random.default_rng(1).random(PANEL + 2, np.float32)
    copy = sparse_intrinsics.compiled_copy_panel

    @numba.njit
    def compiled(source, target, count):
        copy(source, 1, target, 2, count)

    results = np.ones((2, PANEL + 3), np.float32)
    compiled(source, results[0], count)
    sparse_intrinsics.plain_copy_panel(source, 1, results[1], 2, count)
    expected = np.ones(PANEL + 3)
    expected[2:-1] = np.where(np.arange(PANEL) < count, source[1:-1], 0)
    for result in results:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("panels", [1, 2, 4])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_a_sparse_row_is_its_plain_twin_and_what_it_documents(panels, kind):
    generator = np.random.default_rng(0)
    columns = panels * PANEL
    B = generator.random((6, columns + 3), np.float32)
    positions, values = np.array([9, 4, 0, 5, 9], kind), generator.random(5, np.float32)
    row = sparse_intrinsics.compiled_sparse_row(panels)

    @numba.njit
    def compiled(positions, values, B, C):
        row(positions, values, 1, 4, B, 2, columns + 3, C, 1)

    results = np.zeros((2, columns + 2), np.float32)
    compiled(positions, values, B, results[0])
    sparse_intrinsics.plain_sparse_row(panels)(positions, values, 1, 4, B, 2, columns + 3, results[1], 1)
    expected = values[1:4] @ B[[4, 0, 5], 2 : 2 + columns]
    for result in results:
        np.testing.assert_allclose(result[1:-1], expected, rtol=1e-6)
        assert result[0] == result[-1] == 0
