"""The queue: equal fits once, results to all who asked."""

import pytest

from foldwise.loop.queue import FitQueue, Waiter
from foldwise.trial import Fit, FitResult


def waiter(ticket=None, study=""):
    return Waiter("trials", study, ticket)


def fit(key):
    return Fit(key, "rows", (), {}, 0)


def test_equal_fits_are_queued_once_while_they_wait_and_while_they_run():
    queue = FitQueue()
    assert queue.add(fit("a"), waiter(1))
    assert not queue.add(fit("a"), waiter(2))
    assert len(queue) == 1
    assert [one.key for one in queue.next_chunk(1)] == ["a"]
    assert not queue.add(fit("a"), waiter(3))
    assert (len(queue), queue.n_chunks) == (0, 1)
    assert queue.running("a").key == "a"
    assert [one.ticket for one in queue.settle(FitResult("a", {}, 0.0))] == [1, 2, 3]
    assert queue.n_chunks == 0
    assert queue.add(fit("a"), waiter())


def test_what_is_withdrawn_leaves_the_queue_unless_somebody_else_wants_it_or_it_runs():
    queue = FitQueue()
    for key in "abc":
        queue.add(fit(key), waiter(1))
    queue.add(fit("b"), waiter(2))
    queue.withdraw(fit("a"), waiter(1))
    queue.withdraw(fit("b"), waiter(1))
    queue.withdraw(fit("b"), waiter(1))  # twice: nothing more
    queue.withdraw(fit("none"), waiter(1))
    assert len(queue) == 2
    assert queue.next_chunk(1)[0].key == "b"
    queue.withdraw(fit("b"), waiter(2))
    assert queue.settle(FitResult("b", {}, 0.0)) == []
    queue.withdraw(fit("c"), waiter(1))
    assert (len(queue), queue.n_chunks) == (0, 0)
    assert queue.add(fit("a"), waiter(1))
    assert queue.next_chunk(1)[0].key == "a"


def test_what_is_put_aside_can_be_withdrawn():
    queue = FitQueue()
    queue.add(fit("a"), waiter())
    queue.put_aside(queue.next_chunk(1))
    queue.withdraw(fit("a"), waiter())
    queue.take_up()
    assert (len(queue), queue.n_aside, queue.n_chunks) == (0, 0, 0)


def test_fits_leave_in_the_order_asked_and_clearing_names_what_runs():
    queue = FitQueue()
    for key in "abc":
        queue.add(fit(key), waiter())
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
        queue.add(of_rows(f"a{number}", "odd" if number % 2 else "even"), waiter())
    (first,) = queue.next_chunk(1)
    queue.settle(done(first.key, 0.01))
    chunk = queue.next_chunk(1)
    assert len(chunk) > 1
    assert {fit.train for fit in chunk} == {"even"}


@pytest.mark.parametrize(("seconds", "size"), [(10.0, 1), (0.3, 4), (0.05, 20), (1e-9, 500)])
def test_chunks_follow_measured_time(seconds, size):
    queue = FitQueue()
    for number in range(5000):
        queue.add(of_rows(f"a{number}", "rows"), waiter())
    assert len(queue.next_chunk(2)) == 1  # nothing is measured yet
    queue.settle(done("a0", seconds))
    assert len(queue.next_chunk(2)) == queue.chunk_size == size


@pytest.mark.parametrize(("seconds", "last"), [(0.03, 1), (1e-4, 99)])
def test_chunks_shrink_as_the_queue_drains_but_not_below_what_their_journey_costs(seconds, last):
    queue = FitQueue()
    for number in range(200):
        queue.add(of_rows(f"a{number}", "rows"), waiter())
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
        queue.add(of_rows(f"a{number}", "rows"), waiter())
    (first,) = queue.next_chunk(2)
    queue.settle(FitResult(first.key, {}, 0.0, fit_seconds=3.5, shared_seconds=3.0))  # a prefix of 3 s, a tail of 0.5 s
    assert len(queue.next_chunk(2)) == 6  # and without what they share: two


def test_a_lane_is_not_left_with_fits_too_few_to_repay_what_they_share():
    queue = FitQueue()
    for number in range(64):
        queue.add(of_rows(f"a{number}", f"rows{number % 8}"), waiter())
    (first,) = queue.next_chunk(2)
    queue.settle(FitResult(first.key, {}, 0.0, fit_seconds=3.5, shared_seconds=3.0))
    assert [len(queue.next_chunk(2)) for _ in range(3)] == [7, 8, 8]  # not six, and two for later


def test_a_lane_that_no_worker_is_busy_with_comes_first():
    queue = FitQueue()
    for number in range(6):
        queue.add(of_rows(f"a{number}", f"rows{number % 2}"), waiter())
    assert [queue.next_chunk(2)[0].train for _ in range(3)] == ["rows0", "rows1", "rows0"]


def test_what_unblocks_a_study_comes_first():
    queue = FitQueue()
    for number in range(8):
        queue.add(of_rows(f"a{number}", "many"), waiter(study="outer-0"))
    queue.add(of_rows("refit", "one"), waiter(study="outer-1"))
    assert queue.next_chunk(2)[0].key == "refit"


def test_fits_with_equal_prefixes_leave_together():
    queue = FitQueue(order_of=lambda params: params["p"])
    for number in range(12):
        queue.add(Fit(f"a{number}", "rows", (), {"p": number % 3}, 0), waiter())
    left = []
    while len(queue):
        left += [fit.params["p"] for fit in queue.next_chunk(2)]
    assert left == sorted(left)


def test_a_chunk_is_with_a_worker_until_all_its_fits_are_settled():
    queue = FitQueue()
    for number in range(20):
        queue.add(of_rows(f"a{number}", "rows"), waiter())
    (first,) = queue.next_chunk(1)
    queue.settle(done(first.key, 0.1))
    chunk = queue.next_chunk(1)
    assert len(chunk) > 1
    for fit in chunk:
        assert queue.n_chunks == 1
        queue.settle(done(fit.key, 0.1))
    assert queue.n_chunks == 0
