"""When a run that holds most of a cluster pauses for other jobs.

Ray serves equal requests in turn, so jobs whose fits hold the same amounts share the cluster by themselves. It passes over
requests of other amounts for as long as ours keep coming: a large one finds no node empty, and of two that fit Ray prefers
the same one every time. So a run that holds more than half of the cluster, while others wait, leaves them the next turn.
"""

from __future__ import annotations

from collections.abc import Callable

_TURN = 15.0
"""Seconds of a turn."""
_UNUSED = 3.0
"""Seconds for which others can leave their turn unused, before it ends: they may be waiting for a whole node."""
_LOOK = 1.0
"""Seconds between looks."""


class Turns:
    """Whose turn it is.

    Parameters
    ----------
    now : float
        The monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self.is_ours = True
        self._since = self._looked_at = now
        self._left_since: float | None = None

    def look(
        self, n_running: int, n_fits: int, others_wait: Callable[[], bool], is_free: Callable[[], bool], now: float
    ) -> None:
        """Give the turn away, or take it back, if it is time.

        Parameters
        ----------
        n_running, n_fits : int
            Fits of ours that run at once, and how many could.
        others_wait : callable
            Whether somebody waits for other amounts.
        is_free : callable
            Whether a fit of ours would find room now.
        now : float
            The monotonic clock.
        """
        if now - self._looked_at < _LOOK:
            return
        self._looked_at = now
        is_over = now - self._since >= _TURN
        if self.is_ours:
            if is_over and 2 * n_running > n_fits and others_wait():
                self._begin(ours=False, now=now)
            return
        self._left_since = (self._left_since or now) if is_free() or not others_wait() else None
        if is_over or (self._left_since is not None and now - self._left_since >= _UNUSED):
            self._begin(ours=True, now=now)

    def _begin(self, *, ours: bool, now: float) -> None:
        self.is_ours, self._since, self._left_since = ours, now, None
