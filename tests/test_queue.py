"""The queue: equal fits once, results to all who asked."""

import pytest

from foldwise.queue import FitQueue
from foldwise.trial import Fit, FitResult


def fit(key):
    return Fit(key, "rows", (), {}, 0)


def test_equal_fits_are_queued_once_while_they_wait_and_while_they_run():
    queue, heard = FitQueue(), []
    assert queue.add(fit("a"), lambda result: heard.append(1))
    assert not queue.add(fit("a"), lambda result: heard.append(2))
    assert len(queue) == 1
    assert [one.key for one in queue.next_chunk(1)] == ["a"]
    assert not queue.add(fit("a"), lambda result: heard.append(3))
    assert (len(queue), queue.n_chunks) == (0, 1)
    assert queue.running("a").key == "a"
    result = FitResult("a", {}, 0.0)
    for waiter in queue.settle(result):
        waiter(result)
    assert heard == [1, 2, 3]
    assert queue.n_chunks == 0
    assert queue.add(fit("a"), heard.append)


def test_fits_leave_in_the_order_asked_and_clearing_names_what_runs():
    queue = FitQueue()
    for key in "abc":
        queue.add(fit(key), print)
    assert [queue.next_chunk(1)[0].key for _ in range(2)] == ["a", "b"]
    assert set(queue.clear()) == {"a", "b"}
    assert len(queue) == 0


def of_rows(key, train):
    return Fit(key, train, (), {}, 0)


def done(key, seconds):
    return FitResult(key, {}, 0.0, fit_seconds=seconds)


def test_a_chunk_holds_fits_on_the_same_train_rows_only():
    queue = FitQueue()
    for number in range(100):
        queue.add(of_rows(f"a{number}", "odd" if number % 2 else "even"), print)
    (first,) = queue.next_chunk(1)
    queue.settle(done(first.key, 0.01))
    chunk = queue.next_chunk(1)
    assert len(chunk) > 1
    assert {fit.train for fit in chunk} == {"even"}


@pytest.mark.parametrize(("seconds", "size"), [(10.0, 1), (0.25, 2), (0.05, 10), (1e-9, 500)])
def test_chunks_follow_measured_time(seconds, size):
    queue = FitQueue()
    for number in range(5000):
        queue.add(of_rows(f"a{number}", "rows"), print)
    assert len(queue.next_chunk(2)) == 1  # nothing is measured yet
    queue.settle(done("a0", seconds))
    assert len(queue.next_chunk(2)) == queue.chunk_size == size


def test_chunks_shrink_as_the_queue_drains():
    queue = FitQueue()
    for number in range(100):
        queue.add(of_rows(f"a{number}", "rows"), print)
    (first,) = queue.next_chunk(2)
    queue.settle(done(first.key, 1e-6))
    sizes = []
    while len(queue):
        sizes.append(len(queue.next_chunk(2)))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 25
    assert sizes[-1] == 1
    assert sum(sizes) == 99


def test_a_chunk_is_with_a_worker_until_all_its_fits_are_settled():
    queue = FitQueue()
    for number in range(20):
        queue.add(of_rows(f"a{number}", "rows"), print)
    (first,) = queue.next_chunk(1)
    queue.settle(done(first.key, 0.1))
    chunk = queue.next_chunk(1)
    assert len(chunk) > 1
    for fit in chunk:
        assert queue.n_chunks == 1
        queue.settle(done(fit.key, 0.1))
    assert queue.n_chunks == 0
