from dataclasses import replace

import numpy as np
import pytest

from nmfaudio import factorize
from nmfaudio.models.labelled import LabelledFactorization
from nmfaudio.separators.blind.region_names import regrouped_by_regions
from nmfaudio.separators.regions.region import Regions

FREQUENCIES, TIMES = np.arange(8) * 100.0, np.arange(6) * 0.1


@pytest.fixture
def components():
    """Four components, each in one bin and one or two frames; the third is in the wrong group."""
    W, H = np.zeros((8, 4), np.float32), np.zeros((4, 6), np.float32)
    W[[1, 2, 6, 7], range(4)] = 1
    H[0, 0], H[1, 1], H[2, 2:4], H[3, 5] = 4, 3, 2, 5
    found = replace(factorize(np.ones((8, 6)), 4, iterations=1), W=W, H=H)
    return LabelledFactorization(found, 1, np.array([0, 0, 0, 1]))


def owners(found, names):
    """Return the name of the source of each component, by its bin."""
    one = found[0]
    return {int(one.templates[:, k].argmax()): names[one.labels[k]] for k in range(4)}


def test_sources_get_names_and_the_components_of_their_regions(components):
    regions = Regions.parse(["hat=0.2-0.6@550-750"])
    found, names = regrouped_by_regions([components], ("low1", "high1"), regions, FREQUENCIES, TIMES)
    assert names == ("low1", "hat")
    assert owners(found, names) == {1: "low1", 2: "low1", 6: "hat", 7: "hat"}


def test_names_that_exist_change_no_component(components):
    regions = Regions.parse(["high1=0.2-0.4@550-750"])
    found, names = regrouped_by_regions([components], ("low1", "high1"), regions, FREQUENCIES, TIMES)
    assert names == ("low1", "high1")
    assert owners(found, names) == {1: "low1", 2: "low1", 6: "low1", 7: "high1"}


def test_a_source_is_not_where_a_region_says_so(components):
    regions = Regions.parse((), ["bass=0.5-0.6@650-750"])
    _, names = regrouped_by_regions([components], ("low1", "high1"), regions, FREQUENCIES, TIMES)
    assert names == ("bass", "high1")


def test_no_source_loses_all_its_components(components):
    regions = Regions.parse(["a=0-1@50-750"])
    found, names = regrouped_by_regions([components], ("low1", "high1"), regions, FREQUENCIES, TIMES)
    assert set(owners(found, names).values()) == set(names)
