"""The queue: equal fits once, results to all who asked."""

from foldwise.queue import FitQueue
from foldwise.trial import Fit, FitResult


def fit(key):
    return Fit(key, "rows", (), {}, 0)


def test_equal_fits_are_queued_once_while_they_wait_and_while_they_run():
    queue, heard = FitQueue(), []
    assert queue.add(fit("a"), lambda result: heard.append(1))
    assert not queue.add(fit("a"), lambda result: heard.append(2))
    assert len(queue) == 1
    assert [one.key for one in queue.next_chunk()] == ["a"]
    assert not queue.add(fit("a"), lambda result: heard.append(3))
    assert (len(queue), queue.n_running) == (0, 1)
    assert queue.running("a").key == "a"
    result = FitResult("a", {}, 0.0)
    for waiter in queue.settle(result):
        waiter(result)
    assert heard == [1, 2, 3]
    assert queue.n_running == 0
    assert queue.add(fit("a"), heard.append)


def test_fits_leave_in_the_order_asked_and_clearing_names_what_runs():
    queue = FitQueue()
    for key in "abc":
        queue.add(fit(key), print)
    assert [queue.next_chunk()[0].key for _ in range(2)] == ["a", "b"]
    assert set(queue.clear()) == {"a", "b"}
    assert len(queue) == 0
