"""When a run stands back for others, on a clock of the test's."""

import pytest

from foldwise.executors.turns import Turns


def look(turns, now, *, n_running=4, waits=True, free=False):
    turns.look(n_running, 4, lambda: waits, lambda: free, now)
    return turns.is_ours


@pytest.fixture
def back():
    """A run that stands back since second 15."""
    turns = Turns(0.0)
    assert not look(turns, 15.0)
    return turns


def test_a_run_that_holds_more_than_half_stands_back_after_its_turn_while_others_wait():
    assert not look(Turns(0.0), 15.0)
    assert not look(Turns(0.0), 15.0, n_running=3)


def test_it_goes_on_if_it_is_early_or_nobody_waits_or_half_is_left_to_others():
    assert look(Turns(0.0), 14.9)
    assert look(Turns(0.0), 15.0, waits=False)
    assert look(Turns(0.0), 15.0, n_running=2)


def test_it_asks_after_others_once_a_second_at_most_when_its_turn_is_over():
    turns, asked = Turns(0.0), []
    for now in (1.0, 14.0, 15.0, 15.9, 16.0, 16.5, 17.0):
        turns.look(4, 4, lambda now=now: asked.append(now), lambda: False, now)
    assert asked == [15.0, 16.0, 17.0]


def test_the_turn_of_others_is_as_long_as_its_own(back):
    assert not look(back, 29.9)
    assert look(back, 31.0)
    assert look(back, 45.9), "and the next one is its own again"
    assert not look(back, 47.0)


def test_it_goes_on_a_little_after_nobody_waits(back):
    assert not look(back, 17.0, waits=False)
    assert not look(back, 19.0, waits=True), "somebody was between two requests"
    assert not look(back, 20.0, waits=False)
    assert look(back, 23.0, waits=False)


def test_it_goes_on_if_what_is_free_is_left_unused(back):
    assert not look(back, 17.0, free=True)
    assert not look(back, 19.0, free=False), "it was used"
    assert not look(back, 20.0, free=True)
    assert not look(back, 22.0, free=True)
    assert look(back, 23.0, free=True)
