"""Matching of rows to columns: one to one, and with the largest total of all permutations."""

from itertools import permutations

import numpy as np
import pytest

from nmfaudio.matching import best_pairs


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 4), (5, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_the_total_similarity_is_the_largest(shape, seed):
    similarity = np.random.default_rng(seed).standard_normal(shape)
    rows, columns = best_pairs(similarity)
    assert len(rows) == len(columns) == min(shape)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(set(columns.tolist())) == len(columns)
    table = similarity if shape[0] <= shape[1] else similarity.T
    choices = permutations(range(max(shape)), min(shape))
    best = max(sum(table[row, column] for row, column in enumerate(choice)) for choice in choices)
    assert similarity[rows, columns].sum() == pytest.approx(best)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_nothing_is_matched_where_one_side_is_empty(shape):
    rows, columns = best_pairs(np.zeros(shape))
    assert len(rows) == len(columns) == 0


def test_lists_are_accepted_and_arrays_are_left_unchanged():
    similarity = np.eye(3)[::-1].copy()
    similarity.setflags(write=False)
    assert best_pairs(similarity)[1].tolist() == [2, 1, 0]
    assert best_pairs(similarity.tolist())[1].tolist() == [2, 1, 0]
