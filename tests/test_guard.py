"""A fit is kept to its time where it runs."""

import contextlib
import signal
import time

import pytest

from foldwise.guard import FitGuard, TimeLimitExceeded


def spin(seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pass


def test_what_takes_too_long_is_ended_and_what_does_not_is_left_alone():
    with FitGuard(60):
        spin(0.01)
    with pytest.raises(TimeLimitExceeded, match=r"longer than 0.1 s \(limits.fit_seconds\)"), FitGuard(0.1):
        spin(5)
    spin(0.2)  # no alarm is left


def test_without_a_limit_nothing_is_touched():
    before = signal.getsignal(signal.SIGALRM)
    with FitGuard():
        assert signal.getsignal(signal.SIGALRM) is before
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_code_that_catches_exceptions_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr("foldwise.guard._AGAIN", 0.1)

    def stubborn():
        for _ in range(1000):
            with contextlib.suppress(Exception):
                spin(5)

    with pytest.raises(TimeLimitExceeded), FitGuard(0.1):
        stubborn()


def test_an_alarm_that_was_set_before_still_comes():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with FitGuard(10):
            spin(0.05)
        assert not rung
        spin(0.4)
        assert rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
