"""Several factorizations at once."""

import time
from functools import partial

import numpy as np
import pytest

from nmfaudio import factorize
from nmfaudio.nmf.side_by_side import side_by_side

V = np.random.default_rng(0).random((60, 300)).astype(np.float32)


def found(seed, threads, callback):
    return factorize(
        V, 4, seed=seed, iterations=40, tolerance=0, solver="mu", threads=threads, callback=callback
    )


def test_they_find_what_each_finds_alone_and_tell_of_all():
    told = []
    together = side_by_side([partial(found, seed) for seed in range(5)], lambda *seen: told.append(seen))
    for seed, one in enumerate(together):
        alone = found(seed, 2, None)
        np.testing.assert_array_equal(one.W, alone.W)
        np.testing.assert_array_equal(one.H, alone.H)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == 5 * 40
    assert told[-1][1] > 0


def endless(ended, _, callback):
    while not callback(1, 1.0):
        time.sleep(0.001)
    ended.append(True)


def test_what_raises_in_a_task_stops_all(monkeypatch):
    monkeypatch.setattr("nmfaudio.nmf.side_by_side.available_threads", lambda: 2)
    ended = []

    def fail(_, __):
        time.sleep(0.1)
        raise ValueError("no")

    began = time.perf_counter()
    with pytest.raises(ValueError, match="no"):
        side_by_side([partial(endless, ended), fail], lambda *_: None)
    assert time.perf_counter() - began < 5
    until(lambda: ended)


def test_what_raises_in_telling_stops_all_and_leaves_at_once():
    ended = []

    def tell(_, __):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side([partial(endless, ended)] * 4, tell)
    until(lambda: ended)


def until(true):
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("not in ten seconds")


def test_the_tasks_of_the_last_round_share_the_cores(monkeypatch):
    monkeypatch.setattr("nmfaudio.nmf.side_by_side.available_threads", lambda: 4)
    counts = side_by_side([lambda threads, _: threads for _ in range(6)], lambda *_: None)
    assert counts == [1, 1, 1, 1, 2, 2]
