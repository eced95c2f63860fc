"""Confidence: sure where a stem hardly overlaps the rest and no other start gives another stem."""

import math

import pytest

from nmfaudio.pipeline.confidence import LEAST_CERTAINTY, Confidence, Evidence, judged

CLEAR = Evidence(0.5, LEAST_CERTAINTY + 3, 0.01)


def verdict(evidence):
    return judged({"stem": evidence}, "learn it")["stem"]


def test_a_stem_that_hardly_overlaps_the_rest_is_sure():
    found = verdict(CLEAR)
    assert found.is_sure
    assert found.way_out == ""
    assert "overlaps" in found.reason


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (Evidence(0.5, LEAST_CERTAINTY - 0.1), "overlaps the other stems"),
        (Evidence(0.5, 40.0, 0.5), "other random numbers"),
        (Evidence(0.0, 40.0), "silent"),
        (Evidence(1.0, 40.0), "whole mixture"),
    ],
)
def test_a_doubtful_stem_has_a_reason_and_a_way_out(evidence, reason):
    found = verdict(evidence)
    assert found.verdict == "unsure"
    assert reason in found.reason
    assert found.way_out == "learn it"


def test_a_doubt_of_the_model_holds_for_every_stem():
    found = judged({"stem": CLEAR}, "learn it", "the melody is too high")["stem"]
    assert (found.verdict, found.reason) == ("unsure", "the melody is too high")


def test_separability_is_that_of_the_masks():
    # Two points with the energies 4 and 1, of which the stem takes the parts 1/2 and 1.
    found = Evidence.of_energies(mixture=5.0, stem=2.0, product=3.0, total=4.0)
    assert found.separability == pytest.approx(0.0)  # the rest has the energy 1, and so has the product
    assert found.share == 0.5


@pytest.mark.parametrize(("stem", "product"), [(0.0, 0.0), (5.0, 5.0)])
def test_a_silent_stem_and_the_whole_mixture_have_no_separability(stem, product):
    assert Evidence.of_energies(mixture=5.0, stem=stem, product=product, total=5.0).separability == 0


def test_stems_without_overlap_have_the_highest_separability():
    assert Evidence.of_energies(mixture=2.0, stem=1.0, product=1.0, total=2.0).separability == 60


def test_the_certainty_counts_overlap_and_twice_the_spread():
    assert Evidence(0.5, 10.0, 0.2).certainty == pytest.approx(-10 * math.log10(0.1 + 2 * 0.2))
    assert Evidence(0.5, 10.0).certainty == pytest.approx(10)


def test_an_entry_of_a_manifest_gives_the_same_confidence():
    found = verdict(CLEAR)
    assert Confidence.of(found.entry) == found
