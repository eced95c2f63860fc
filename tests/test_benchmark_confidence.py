"""The benchmark of confidence: what it counts, and limits chosen on other cases."""

import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from benchmark_confidence import Judgement, chosen_limit, cross_validated, table


def judgement(case, gain, separability, spread=0.0, verdict="sure"):
    return Judgement("auto", case, "", "stem", gain, verdict, separability, spread)


# Right from 6 dB of separability on, wrong below.
SIMPLE = [judgement(case, 5.0, 6.0 + n) for case in "abc" for n in range(3)]
SIMPLE += [judgement(case, 0.5, 2.0 + n, verdict="unsure") for case in "abc" for n in range(3)]


def test_limits_exclude_the_stems_that_are_wrong():
    assert 4 < chosen_limit(SIMPLE) <= 6


def test_without_right_stems_none_is_sure():
    assert chosen_limit([judgement("a", 0.0, 9.0)]) == float("inf")


def test_cross_validation_uses_the_limits_of_the_other_cases():
    deceiving = [*SIMPLE, *(judgement("d", -3.0, 9.0) for _ in range(3))]
    assert "3 of 21 stems sure (14%), 0% of them right" in cross_validated(deceiving)
    assert "9 of 18 stems sure (50%), 100% of them right" in cross_validated(SIMPLE)


@pytest.mark.parametrize(("gain", "right"), [(1.0, 1), (0.9, 0)])
def test_the_table_counts_stems_that_gain_a_decibel(gain, right):
    assert f"| all | 1 | {right} | 1 | 100% | {right:.0%} |" in table([judgement("a", gain, 9.0)])
