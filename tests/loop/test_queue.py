"""The queue: equal fits once, results to all who asked."""

import pytest

from foldwise.loop.queue import FitQueue
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


@pytest.mark.parametrize(("seconds", "size"), [(10.0, 1), (0.3, 4), (0.05, 20), (1e-9, 500)])
def test_chunks_follow_measured_time(seconds, size):
    queue = FitQueue()
    for number in range(5000):
        queue.add(of_rows(f"a{number}", "rows"), print)
    assert len(queue.next_chunk(2)) == 1  # nothing is measured yet
    queue.settle(done("a0", seconds))
    assert len(queue.next_chunk(2)) == queue.chunk_size == size


@pytest.mark.parametrize(("seconds", "last"), [(0.03, 1), (1e-4, 99)])
def test_chunks_shrink_as_the_queue_drains_but_not_below_what_their_journey_costs(seconds, last):
    queue = FitQueue()
    for number in range(200):
        queue.add(of_rows(f"a{number}", "rows"), print)
    (first,) = queue.next_chunk(2)
    queue.settle(done(first.key, seconds))
    sizes = []
    while len(queue):
        sizes.append(len(queue.next_chunk(2)))
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == 199
    assert sizes[0] <= 100
    assert sizes[-1] <= last
    assert len(sizes) > 10 or seconds < 0.001


def test_a_chunk_is_not_cut_smaller_than_repays_what_its_fits_share():
    queue = FitQueue()
    for number in range(41):
        queue.add(of_rows(f"a{number}", "rows"), print)
    (first,) = queue.next_chunk(2)
    queue.settle(FitResult(first.key, {}, 0.0, fit_seconds=3.5, shared_seconds=3.0))  # a prefix of 3 s, a tail of 0.5 s
    assert len(queue.next_chunk(2)) == 6  # and without what they share: two


def test_a_lane_is_not_left_with_fits_too_few_to_repay_what_they_share():
    queue = FitQueue()
    for number in range(64):
        queue.add(of_rows(f"a{number}", f"rows{number % 8}"), print)
    (first,) = queue.next_chunk(2)
    queue.settle(FitResult(first.key, {}, 0.0, fit_seconds=3.5, shared_seconds=3.0))
    assert [len(queue.next_chunk(2)) for _ in range(3)] == [7, 8, 8]  # not six, and two for later


def test_a_lane_that_no_worker_is_busy_with_comes_first():
    queue = FitQueue()
    for number in range(6):
        queue.add(of_rows(f"a{number}", f"rows{number % 2}"), print)
    assert [queue.next_chunk(2)[0].train for _ in range(3)] == ["rows0", "rows1", "rows0"]


def test_what_unblocks_a_study_comes_first():
    queue = FitQueue()
    for number in range(8):
        queue.add(of_rows(f"a{number}", "many"), print, "outer-0")
    queue.add(of_rows("refit", "one"), print, "outer-1")
    assert queue.next_chunk(2)[0].key == "refit"


def test_fits_with_equal_prefixes_leave_together():
    queue = FitQueue(order_of=lambda params: params["p"])
    for number in range(12):
        queue.add(Fit(f"a{number}", "rows", (), {"p": number % 3}, 0), print)
    left = []
    while len(queue):
        left += [fit.params["p"] for fit in queue.next_chunk(2)]
    assert left == sorted(left)


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
