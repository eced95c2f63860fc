"""The painter of the benchmark of regions."""

import itertools
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import benchmark_regions
from separation_cases import find_cases

from nmfaudio.separators.regions.region import Region

RATE = 8000


@pytest.fixture
def case(tmp_path):
    """A case of two tones that sound at the same time, one of them only in the middle."""
    time = np.arange(RATE) / RATE
    stems = {
        "high": 0.3 * np.sin(2 * np.pi * 2000 * time) * ((time > 0.4) & (time < 0.6)),
        "low": 0.4 * np.sin(2 * np.pi * 200 * time),
    }
    folder = tmp_path / "cases" / "tones"
    (folder / "stems").mkdir(parents=True)
    for name, samples in stems.items():
        soundfile.write(folder / "stems" / f"{name}.flac", samples, RATE, subtype="PCM_24")
    soundfile.write(folder / "mixture.flac", sum(stems.values()), RATE, subtype="PCM_24")
    return find_cases(tmp_path / "cases")[0]


def test_the_best_rectangle_is_found():
    values = np.random.default_rng(0).normal(-0.2, 1, (5, 7))
    corners = itertools.product(range(5), range(1, 6), range(7), range(1, 8))
    sums = {c: values[c[0] : c[1], c[2] : c[3]].sum() for c in corners if c[0] < c[1] and c[2] < c[3]}
    best = max(sums, key=lambda c: sums[c])
    found, rectangle = benchmark_regions.best_rectangle(values)
    assert rectangle == best
    assert found == pytest.approx(sums[best])


def test_the_painter_paints_the_error(case):
    painter, painting = benchmark_regions.Painter(case), benchmark_regions.Painting()
    stems = {"high": np.zeros((1, RATE)), "low": case.sound[0]}  # the low stem has everything
    painter.paint(stems, 1, painting)
    (text,) = painting.region
    region = Region.parse(text)
    assert region.source == "high"
    assert region.low < 2000 < region.high
    assert region.low > 220
    assert region.start == pytest.approx(0.4, abs=0.11)
    assert region.stop == pytest.approx(0.6, abs=0.11)


def test_regions_gain_and_the_table_shows_it(case):
    found = benchmark_regions.measured(case, benchmark_regions.by_blind(case), (1,))
    assert np.isfinite(found["gained"][1])
    lines = benchmark_regions.table({"tones, blind": found}, (1,)).splitlines()
    assert lines[2].startswith("| tones | blind |")
    assert lines[3].startswith("| mean | blind |")
