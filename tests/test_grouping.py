"""Grouping of components into sources: properties of every factorization, then examples."""

from __future__ import annotations

import re

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from nmfaudio.separators.blind import grouping
from nmfaudio.separators.blind.grouping import Grouping, group_components, mel_filters, timbres

Matrix = NDArray[np.float32]
FREQUENCIES = np.linspace(0, 22050, 513)
LOW, MIDDLE, HIGH = 700.0, 2500.0, 9000.0


def random_factorization(seed: int, components: int = 12) -> tuple[Matrix, Matrix]:
    rng = np.random.default_rng(seed)
    W = rng.gamma(0.3, size=(len(FREQUENCIES), components))
    H = rng.gamma(0.5, size=(components, 40))
    return (W / W.sum(axis=0)).astype(np.float32), H.astype(np.float32)


def notes(formant: float, pitches: list[float]) -> Matrix:
    """One template a pitch: harmonics and breath under a resonance at `formant`, both in Hz."""
    columns = [
        np.exp(-0.5 * (np.log2(np.maximum(FREQUENCIES, 1) / formant) / 0.7) ** 2)
        * (0.3 + np.exp(-0.5 * (((FREQUENCIES + pitch / 2) % pitch - pitch / 2) / 40) ** 2))
        for pitch in pitches
    ]
    W = np.stack(columns, axis=1)
    return np.asarray(W / W.sum(axis=0), np.float32)


def ensemble(*formants: float, levels: tuple[float, ...] = ()) -> tuple[Matrix, Matrix, list[int]]:
    """Four notes of each instrument, interleaved, with the instrument of each component."""
    pitches = [131.0, 147.0, 165.0, 196.0]
    W = np.stack([notes(formant, pitches) for formant in formants], axis=2)
    owner = np.tile(np.arange(len(formants)), len(pitches))
    W = W.reshape(len(FREQUENCIES), -1)
    gains = np.array(levels or [1.0] * len(formants))[owner] / np.linalg.norm(W, axis=0)
    H = gains[:, None] * np.random.default_rng(0).uniform(0.5, 1.5, (len(owner), 30))
    return W, H.astype(np.float32), owner.tolist()


def same_partition(a: NDArray[np.intp], b: list[int] | NDArray[np.intp]) -> bool:
    table = np.zeros((int(max(a)) + 1, int(max(b)) + 1), int)
    np.add.at(table, (np.asarray(a), np.asarray(b)), 1)
    rows, columns = linear_sum_assignment(-table)
    return bool(table[rows, columns].sum() == len(a))


def check_labels(found: Grouping, components: int) -> None:
    assert found.labels.shape == (components,)
    assert found.labels.dtype == np.intp
    assert sorted(set(found.labels.tolist())) == list(range(found.sources))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("sources", [1, 2, 3, 5, 12])
def test_every_source_has_a_component(seed: int, sources: int) -> None:
    found = group_components(*random_factorization(seed), FREQUENCIES, sources=sources)
    check_labels(found, 12)
    assert found.sources == sources


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("sources", [2, 3, 5])
def test_sources_come_in_order_of_falling_energy(seed: int, sources: int) -> None:
    W, H = random_factorization(seed)
    labels = group_components(W, H, FREQUENCIES, sources=sources).labels
    energies = (W**2).sum(axis=0) * (H**2).sum(axis=1)
    totals = np.bincount(labels, energies)
    assert np.all(np.diff(totals) <= 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_components_does_not_matter(seed: int) -> None:
    W, H = random_factorization(seed)
    order = np.random.default_rng(seed).permutation(12)
    plain = group_components(W, H, FREQUENCIES, sources=3).labels
    shuffled = group_components(W[:, order], H[order], FREQUENCIES, sources=3).labels
    np.testing.assert_array_equal(shuffled, plain[order])


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-6, 1e6, 1e20])
@pytest.mark.parametrize("which", ["templates", "activations"])
def test_the_level_does_not_matter(scale: float, which: str) -> None:
    W, H, _ = ensemble(LOW, MIDDLE, HIGH)
    expected = group_components(W, H, FREQUENCIES, sources=3).labels
    if which == "templates":
        W = W * np.float32(scale)
    else:
        H = H * np.float32(scale)
    found = group_components(W, H, FREQUENCIES, sources=3).labels
    np.testing.assert_array_equal(found, expected)


def test_read_only_input_is_accepted_and_left_unchanged() -> None:
    W, H = random_factorization(0)
    before = W.copy(), H.copy(), FREQUENCIES.copy()
    frequencies = FREQUENCIES.copy()
    W.setflags(write=False)
    H.setflags(write=False)
    frequencies.setflags(write=False)
    first = group_components(W, H, frequencies)
    np.testing.assert_array_equal(first.labels, group_components(W, H, frequencies).labels)
    np.testing.assert_array_equal(W, before[0])
    np.testing.assert_array_equal(H, before[1])
    np.testing.assert_array_equal(frequencies, before[2])


@pytest.mark.parametrize("formants", [(LOW, HIGH), (LOW, MIDDLE, HIGH)])
@pytest.mark.parametrize("number_given", [True, False])
def test_notes_of_one_instrument_form_one_source(formants: tuple[float, ...], number_given: bool) -> None:
    W, H, owner = ensemble(*formants)
    sources = len(formants) if number_given else None
    found = group_components(W, H, FREQUENCIES, sources=sources)
    assert same_partition(found.labels, owner)


def test_the_loudest_instrument_is_source_zero() -> None:
    W, H, owner = ensemble(LOW, MIDDLE, HIGH, levels=(1.0, 2.0, 1.4))
    labels = group_components(W, H, FREQUENCIES, sources=3).labels
    np.testing.assert_array_equal(labels, np.array([2, 0, 1])[owner])


def test_a_faint_component_is_no_source_and_joins_the_nearest_one() -> None:
    W, H, owner = ensemble(LOW, 1.5 * LOW)
    faint = (FREQUENCIES > 15000).astype(np.float32)[:, None]
    W = np.hstack([W, faint / faint.sum()])
    H = np.vstack([H, np.full((1, H.shape[1]), 1e-3, np.float32)])
    labels = group_components(W, H, FREQUENCIES, sources=2).labels
    assert same_partition(labels[:-1], owner)
    points = timbres(W, FREQUENCIES)
    centres = [points[:-1][labels[:-1] == source].mean(axis=0) for source in (0, 1)]
    assert labels[-1] == np.argmin([np.linalg.norm(points[-1] - centre) for centre in centres])


@pytest.mark.parametrize("sources", [None, 1, 2, 4])
@pytest.mark.parametrize("silent", ["W", "H", "both", "one of H"])
def test_silent_components_get_labels(sources: int | None, silent: str) -> None:
    W, H = random_factorization(0, components=6)
    if silent in ("W", "both"):
        W = np.zeros_like(W)
    if silent in ("H", "both"):
        H = np.zeros_like(H)
    if silent == "one of H":
        H[2] = 0
    check_labels(group_components(W, H, FREQUENCIES, sources=sources), 6)


@pytest.mark.parametrize("sources", [None, 1, 3, 5])
def test_identical_templates_are_still_split(sources: int | None) -> None:
    W, H = random_factorization(0, components=5)
    found = group_components(np.repeat(W[:, :1], 5, axis=1), H, FREQUENCIES, sources=sources)
    check_labels(found, 5)


@pytest.mark.parametrize("sources", [None, 1])
def test_one_component_is_one_source(sources: int | None) -> None:
    W, H = random_factorization(0, components=1)
    found = group_components(W, H, FREQUENCIES, sources=sources)
    assert (found.sources, found.labels.tolist()) == (1, [0])


@pytest.mark.parametrize("bins", [1, 2, 3, 9])
def test_few_bins_and_one_frame(bins: int) -> None:
    rng = np.random.default_rng(0)
    W, H = rng.random((bins, 4)), rng.random((4, 1))
    check_labels(group_components(W, H, np.linspace(0, 8000, bins), sources=2), 4)


@pytest.mark.parametrize("limits", [(2, 6), (3, 4), (5, 5), (1, 1), (1, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_a_chosen_number_lies_within_the_limits(limits: tuple[int, int], seed: int) -> None:
    W, H = random_factorization(seed)
    found = group_components(W, H, FREQUENCIES, limits=limits)
    assert limits[0] <= found.sources <= limits[1]
    check_labels(found, 12)


def test_limits_may_exceed_the_number_of_components() -> None:
    W, H = random_factorization(0, components=3)
    assert group_components(W, H, FREQUENCIES, limits=(5, 6)).sources == 3


def test_the_reason_names_the_number_and_the_alternatives() -> None:
    W, H, _ = ensemble(LOW, MIDDLE, HIGH)
    requested = group_components(W, H, FREQUENCIES, sources=1)
    assert requested.reason == "1 source requested"
    guessed = group_components(W, H, FREQUENCIES, limits=(2, 4))
    score = r"-?\d\.\d\d"
    split = rf"3 sources: .* 12 components \(silhouette {score}; 2: {score}, 4: {score}\)"
    assert re.fullmatch(split, guessed.reason)
    forced = group_components(W, H, FREQUENCIES, limits=(3, 3))
    assert forced.reason == "3 sources: no other number fits limits=(3, 3) and 12 components"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": 13}, "sources=13, but there are 12 components: use 1 to 12 sources"),
        ({"sources": 0}, "sources=0, but"),
        ({"limits": (4, 2)}, r"limits=\(4, 2\): pass \(fewest, most\)"),
        ({"limits": (0, 2)}, r"limits=\(0, 2\)"),
        ({"H": np.ones((11, 40), np.float32)}, r"H \(11, 40\).*do not fit together"),
        ({"channels": 3}, r"H \(12, 40\) does not hold 3 channels"),
        ({"H": np.full((12, 40), np.nan)}, "NaN or infinity"),
        ({"W": np.full((513, 12), np.inf)}, "NaN or infinity"),
        ({"W": np.ones((513, 0)), "H": np.ones((0, 40))}, "do not fit together"),
        ({"frequencies": FREQUENCIES[:-1]}, r"frequencies \(512,\) do not fit together"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(change: dict[str, object], message: str) -> None:
    W, H = random_factorization(0)
    arguments: dict[str, object] = {"W": W, "H": H, "frequencies": FREQUENCIES} | change
    with pytest.raises(ValueError, match=message):
        group_components(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("bins", [3, 257, 513, 2049])
def test_mel_filters_are_means_that_rise_in_frequency(bins: int) -> None:
    frequencies = np.linspace(0, 22050, bins)
    filters = mel_filters(frequencies)
    sums = filters.sum(axis=0)
    assert filters.min() >= 0
    assert np.all(np.isclose(sums, 1) | (sums == 0))
    centres = (frequencies @ filters)[sums > 0]
    assert np.all(np.diff(centres) >= 0)
    assert bins < 513 or np.all(sums > 0)
    assert bins < 513 or 2500 < np.median(centres) < 4000  # the middle of 22050 Hz in mel: 3300 Hz


def test_timbre_depends_on_the_envelope_and_not_on_the_level() -> None:
    W, _, owner = ensemble(LOW, HIGH)
    points = timbres(W, FREQUENCIES)
    assert points.shape == (8, grouping.COEFFICIENTS)
    np.testing.assert_allclose(timbres(W * 8, FREQUENCIES), points, atol=1e-12)
    distances = squareform(pdist(points))
    same = np.equal.outer(owner, owner)
    assert distances[same].max() < distances[~same].min()


def test_more_sources_need_a_clearly_better_split(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {2: 0.40, 3: 0.44, 4: 0.50, 5: 0.53, 6: 0.30}
    monkeypatch.setattr(grouping, "_silhouette", lambda points, labels: scores[max(labels) + 1])
    W, H = random_factorization(0)
    assert group_components(W, H, FREQUENCIES).sources == 4


@pytest.mark.parametrize("seed", range(4))
def test_the_silhouette_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(9, 3)), np.array([0, 0, 1, 1, 1, 2, 0, 2, 3])
    expected = silhouette_score(points, labels)
    assert grouping._silhouette(points, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bands", [10, 20, 40])
def test_mel_filters_are_those_of_librosa(bands: int) -> None:
    expected = librosa.filters.mel(
        sr=44100, n_fft=4096, n_mels=bands, htk=True, norm=None, dtype=np.float64
    ).T
    filters = mel_filters(np.linspace(0, 22050, 2049), bands)
    # librosa's triangles have straight sides in Hz, these have straight sides in mel: edges and peaks agree.
    np.testing.assert_allclose(filters, expected / expected.sum(axis=0), atol=0.05 * filters.max())
    np.testing.assert_array_equal(filters > 1e-12, expected > 1e-12)


def panned(angles: NDArray[np.float64]) -> tuple[Matrix, Matrix]:
    """Notes of one timbre, each panned to an angle between left (0) and right (90) degrees."""
    W, H, _ = ensemble(MIDDLE, MIDDLE)
    turned = np.deg2rad(angles)
    channels = H[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=1)[:, :, None]
    return W, channels.reshape(len(H), -1).astype(np.float32)


def test_notes_of_one_timbre_are_separated_if_they_are_panned_apart() -> None:
    sides = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    W, H = panned(np.array([15.0, 75.0])[sides] + np.arange(8))
    assert same_partition(group_components(W, H, FREQUENCIES, channels=2, sources=2).labels, sides)


@pytest.mark.parametrize("spread", [0.0, 8.0])
def test_small_differences_of_panning_are_ignored(spread: float) -> None:
    sides = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    W, H = panned(45 + spread * (2 * sides - 1))
    found = group_components(W, H, FREQUENCIES, channels=2, sources=2)
    alone = group_components(W, H[:, : H.shape[1] // 2] * np.sqrt(2), FREQUENCIES, sources=2)
    if spread == 0:
        assert found.labels.tolist() == alone.labels.tolist()
    assert not same_partition(found.labels, sides)


def test_a_silent_component_does_not_change_the_grouping_of_the_others() -> None:
    sides = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    W, H = panned(np.array([15.0, 75.0])[sides])
    H[3] = 0
    labels = group_components(W, H, FREQUENCIES, channels=2, sources=2).labels
    assert same_partition(np.delete(labels, 3), np.delete(sides, 3))
