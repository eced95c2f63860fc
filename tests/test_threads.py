"""Work that several threads share."""

import threading

import numpy as np
import pytest

import nmfaudio.nmf.threads as threads_module
from nmfaudio.nmf.threads import available_threads, limited_threads, share_out, work_ahead, workers


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


@pytest.mark.parametrize("most", [1, 2, 8])
def test_work_ahead_keeps_the_order_and_takes_items_in_the_calling_thread(most, monkeypatch):
    monkeypatch.setattr(threads_module, "_cores", lambda: most)
    takers = set()

    def items():
        for number in range(9):
            takers.add(threading.current_thread())
            yield number

    def task(number):
        threading.Event().wait(0.01 * (number % 2 == 0))  # later items are ready before earlier ones
        return -number

    assert list(work_ahead(task, items())) == [-number for number in range(9)]
    assert takers == {threading.current_thread()}


def test_tasks_of_work_ahead_run_at_the_same_time_on_one_core_each(monkeypatch):
    monkeypatch.setattr(threads_module, "_cores", lambda: 2)
    meeting, cores = threading.Barrier(2, timeout=10), []

    def task(_):
        meeting.wait()  # passes only when two threads work at the same time
        cores.append(available_threads())

    list(work_ahead(task, range(4)))
    assert cores == [1] * 4
    with limited_threads(1):
        meeting = threading.Barrier(1)
        assert list(work_ahead(lambda _: threading.current_thread(), [0])) == [threading.current_thread()]


def test_few_items_are_in_work_at_a_time(monkeypatch):
    monkeypatch.setattr(threads_module, "_cores", lambda: 64)
    taken = []
    results = work_ahead(lambda number: number, (taken.append(n) or n for n in range(100)))
    assert next(results) == 0
    assert len(taken) <= 4


def test_an_error_in_work_ahead_reaches_the_caller_and_ends_the_work(monkeypatch):
    monkeypatch.setattr(threads_module, "_cores", lambda: 2)
    begun = []

    def task(number):
        begun.append(number)
        if number == 1:
            raise OSError("no more")
        return number

    results = work_ahead(task, range(100))
    assert next(results) == 0
    with pytest.raises(OSError, match="no more"):
        list(results)
    assert len(begun) < 10


def test_tasks_of_work_ahead_find_the_settings_of_the_caller(monkeypatch):
    monkeypatch.setattr(threads_module, "_cores", lambda: 2)
    with np.errstate(divide="raise"):
        assert list(work_ahead(lambda _: np.geterr()["divide"], range(3))) == ["raise"] * 3
