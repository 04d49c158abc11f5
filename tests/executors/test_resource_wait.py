"""What is said while nothing runs, and when it ends the job."""

import pytest

from foldwise.errors import ClusterError
from foldwise.executors.capacity import Capacity
from foldwise.executors.resource_wait import ResourceWait
from foldwise.plan.resources import Resources

FULL = Capacity(Resources(), ({"CPU": 4.0},))
EMPTY = Capacity(Resources(), ())
NOTHING = {}


def waiting(limit=None, capacity=FULL, has_free=False):
    return ResourceWait(limit, capacity, has_free=has_free, now=0.0)


def test_a_short_silence_is_not_worth_a_word():
    assert not waiting().is_silent(4.9)
    assert waiting().is_silent(5.0)
    assert waiting(1.0).is_silent(1.0)


def test_others_that_hold_everything_are_named():
    wait = waiting()
    assert wait.reason(FULL, NOTHING, 5.0) == "waiting for cpu: 4 of 4 are taken by other jobs"
    assert wait.reason(FULL, None, 5.0) is None, "fits may run unseen"


def test_workers_that_start_are_not_taken_for_other_jobs():
    wait = waiting(1.0, has_free=True)
    assert wait.reason(FULL, NOTHING, 29.0) is None
    assert wait.reason(FULL, NOTHING, 30.0) is not None
    assert wait.reason(FULL, {"CPU": 1.0}, 31.0) is None, "there is room"
    assert wait.reason(FULL, NOTHING, 32.0) is None, "which a worker of its own may have taken"
    wait.note_running(70.0)
    assert wait.reason(FULL, NOTHING, 75.0) is not None, "they are long started"


def test_workers_that_start_on_a_new_node_are_not_either():
    wait = waiting(capacity=EMPTY)
    wait.note_capacity(EMPTY, 10.0)
    assert wait.reason(EMPTY, NOTHING, 10.0) is not None
    wait.note_capacity(FULL, 11.0)
    assert wait.reason(FULL, NOTHING, 40.0) is None
    wait.note_capacity(FULL, 40.0)
    assert wait.reason(FULL, NOTHING, 41.0) is not None


def test_the_last_node_that_left_is_told_from_one_that_never_was():
    wait = waiting()
    never = wait.reason(EMPTY, None, 5.0)
    assert never == "waiting for a node with cpu 1 (the most that one has: 0)"
    wait.note_running(6.0)
    assert wait.reason(EMPTY, None, 11.0) == f"{never}; the last that could run a fit has left"


def test_figures_that_change_all_the_time_are_not_news():
    wait = waiting()
    first = wait.reason(FULL, NOTHING, 5.0)
    assert wait.reason(FULL, {"CPU": 0.5}, 14.0) == first
    assert wait.reason(FULL, {"CPU": 0.5}, 16.0) == "waiting for cpu: 3.5 of 4 are taken by other jobs"
    assert "node with" in wait.reason(EMPTY, NOTHING, 16.5), "another cause is"


def test_waiting_ends_the_job_after_its_limit_counted_from_when_something_ran():
    wait = waiting(60.0)
    wait.note_running(100.0)
    wait.check("waiting for a node", 160.0)
    with pytest.raises(ClusterError, match=r"within 60 s \(limits\.wait_seconds\), got none: still waiting for a node$"):
        wait.check("waiting for a node", 160.1)
    waiting().check("waiting for a node", 1e6)


def test_it_is_said_what_will_come_of_it():
    assert waiting(60.0).prospect() == "the job fails after 60 s of it (limits.wait_seconds)"
    assert "goes on once it is there" in waiting().prospect()
