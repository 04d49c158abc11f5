"""Whom a loss counts against."""

import pytest

from foldwise.executors.losses import InFlight, Loss, after_loss
from foldwise.trial import Fit, FitResult


def fits(n):
    return tuple(Fit(f"fit-{i}", "rows", (), {}, 0) for i in range(n))


@pytest.mark.parametrize("loss", list(Loss))
def test_a_chunk_is_split_and_nobody_is_blamed(loss):
    again, given_up = after_loss(InFlight(fits(5)), loss, "why", 0.0)
    assert [one.chunk for one in again] == [(fit,) for fit in fits(5)]
    assert {(one.losses, one.retries) for one in again} == {((), 1)}
    assert given_up == []


@pytest.mark.parametrize(("loss", "most", "kind"), [
    (Loss.WORKER, 3, "WorkerLost"), (Loss.MEMORY, 3, "OutOfMemory"), (Loss.NODE, 10, "NodeLost"), (Loss.DATA, 10, "DataLost"),
])  # fmt: skip
def test_a_fit_that_is_lost_alone_fails_after_so_many_losses(loss, most, kind):
    in_flight, n_tries = InFlight(fits(1)), 0
    while True:
        n_tries += 1
        again, given_up = after_loss(in_flight, loss, "killed", 0.0)
        if given_up:
            break
        (in_flight,) = again
    assert n_tries == most
    (result,) = given_up
    assert (result.key, result.error.kind, result.retries) == ("fit-0", kind, most - 1)
    assert f"{most} times while it ran this fit alone: killed" in result.error.message


def test_nodes_that_are_lost_do_not_count_as_lost_workers():
    in_flight = InFlight(fits(1))
    for loss in [Loss.NODE, Loss.WORKER, Loss.NODE, Loss.WORKER, Loss.NODE]:
        ((in_flight,), given_up) = after_loss(in_flight, loss, "", 0.0)
        assert not given_up
    assert after_loss(in_flight, Loss.WORKER, "", 0.0)[1]


def test_a_fit_that_was_ended_for_memory_waits_longer_each_time():
    in_flight, waits = InFlight(fits(1)), []
    for _ in range(2):
        ((in_flight,), _) = after_loss(in_flight, Loss.MEMORY, "", 100.0)
        waits.append(in_flight.not_before - 100.0)
    assert waits == [2.0, 4.0]


def test_results_tell_of_their_retries():
    results = [FitResult("fit-0", {}, 0.0)]
    assert InFlight(fits(1)).settle(results) == results
    assert [one.retries for one in InFlight(fits(1), retries=2).settle(results)] == [2]
