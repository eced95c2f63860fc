"""Work that several threads share."""

import threading

import pytest

from nmfaudio.nmf.threads import share_out, workers


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_each_number_is_done_once_and_results_keep_their_order(threads, count):
    done = []

    def task(number):
        done.append(number)
        return -number

    with workers(threads) as pool:
        assert share_out(task, count, pool) == [-number for number in range(count)]
    assert sorted(done) == list(range(count))


def test_the_calling_thread_takes_part():
    meeting, names = threading.Barrier(2, timeout=10), set()

    def task(_):
        meeting.wait()  # passes only when two threads work at the same time
        names.add(threading.current_thread())

    with workers(2) as pool:
        share_out(task, 2, pool)
    assert threading.current_thread() in names
    assert len(names) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_after_an_exception_no_thread_takes_another_number(threads):
    taken = []

    def task(number):
        taken.append(number)
        if number == 0:
            raise KeyboardInterrupt
        threading.Event().wait(0.05)

    with workers(threads) as pool, pytest.raises(KeyboardInterrupt):
        share_out(task, 100, pool)
    assert len(taken) < 10
