"""Counters that threads share, and portions of frames that threads take by them."""

import threading
import time

import numba
import numpy as np
import pytest

from nmfaudio.nmf import counter_kernels
from nmfaudio.nmf.frame_partition import FramePartition
from nmfaudio.nmf.layout import FINISHED, TAKEN
from nmfaudio.nmf.threads import workers


def _take_all(add):
    def take_all(counters, most, taken):
        count = 0
        number = add(counters, 0, 1)
        while number < most:
            taken[count] = number
            count += 1
            number = add(counters, 0, 1)

    return take_all


_ways = [numba.njit(nogil=True)(_take_all(counter_kernels.add)), _take_all(counter_kernels._plain_add)]


@pytest.mark.parametrize("take_all", _ways, ids=["compiled", "plain"])
def test_each_number_is_taken_by_one_thread_only(take_all):
    counters, most = np.zeros(2, np.int64), 20000
    taken = np.full((4, most), -1)
    threads = [threading.Thread(target=take_all, args=(counters, most, taken[n])) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(np.sort(taken[taken >= 0]), np.arange(most))
    assert counters.tolist() == [most + 4, 0]


def test_waiting_ends_when_another_thread_counts():
    counters = np.zeros(1, np.int64)
    waiting = threading.Thread(target=counter_kernels.wait_for, args=(counters, 0, 1, 10**15), daemon=True)
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    counters[0] = 1
    waiting.join(10)
    assert not waiting.is_alive()


def test_waiting_ends_after_so_many_looks():
    counters = np.zeros(1, np.int64)
    counter_kernels.wait_for(counters, 0, 1, counter_kernels.looks_at_full_speed())
    assert counters[0] == 0


def take_portions(portions, portion, blocks, leads):
    """Do what a compiled update does, one portion in each call."""
    portion = counter_kernels._plain_add(portions.counters, TAKEN, 1)
    if portion >= len(portions.bounds):
        return len(portions.bounds)
    start, stop = portions.bounds[portion]
    portions.objectives[portion] = stop - start
    counter_kernels._plain_add(portions.counters, FINISHED, 1)
    return -1


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_all_portions_are_done_once_in_each_run(threads):
    with workers(threads) as pool:
        partition = FramePartition(1000, 1e6, pool)
        assert len(partition.bounds) > 1
        for _ in range(50):
            assert partition.run_compiled(take_portions) == 1000


def test_an_exception_in_another_thread_comes_through_and_ends_the_run():
    both = threading.Barrier(2, timeout=10)

    def fail(portions, portion, blocks, leads):
        if not leads:
            counter_kernels._plain_add(portions.counters, TAKEN, 1)
            both.wait()
            raise MemoryError("no room")
        if portions.counters[FINISHED] == 0:
            both.wait()
        return take_portions(portions, portion, blocks, leads)

    with workers(2) as pool, pytest.raises(MemoryError, match="no room"):
        FramePartition(1000, 1e6, pool).run_compiled(fail)


def test_after_an_interrupt_the_other_threads_take_no_more_portions():
    both, taken = threading.Barrier(2, timeout=10), []

    def interrupted(portions, portion, blocks, leads):
        if leads:
            both.wait()
            raise KeyboardInterrupt
        if not taken:
            both.wait()
            time.sleep(0.1)
        taken.append(portions.counters[TAKEN])
        return take_portions(portions, portion, blocks, leads)

    with workers(2) as pool, pytest.raises(KeyboardInterrupt):
        FramePartition(1000, 1e6, pool).run_compiled(interrupted)
    assert len(taken) == 1
