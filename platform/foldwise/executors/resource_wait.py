"""How long none of a run's fits has run, and which resources they wait for."""

from __future__ import annotations

import math

from foldwise.errors import ClusterError
from foldwise.executors.capacity import Amounts, Capacity

_PATIENCE = 5.0
"""Seconds without a running fit after which a reason is given."""
_STARTING = 30.0
"""Seconds that workers may take to start. They hold their resources meanwhile."""
_SAME_WORDS = 10.0
"""Seconds for which a reason keeps its figures, so that it does not change whenever another job takes or leaves something."""


class ResourceWait:
    """What a run's fits wait for.

    Parameters
    ----------
    limit : float or None
        Seconds after which waiting ends the job.
    capacity : Capacity
        The nodes as they are now.
    has_free : bool
        Whether a fit would find room now.
    now : float
        The monotonic clock.
    """

    def __init__(self, limit: float | None, capacity: Capacity, *, has_free: bool, now: float) -> None:
        self.has_begun = False
        self._limit, self._n_fits = limit, capacity.n_fits
        self._free_at = now if has_free else -math.inf
        self._said: tuple[bool, float, str] | None = None
        self.reset(now)

    def note_running(self, now: float) -> None:
        """Note that something ran until now."""
        self.has_begun = True
        self.reset(now)

    def reset(self, now: float) -> None:
        """Note that nothing was waited for until now."""
        self._ran_at, self._said = now, None

    def note_capacity(self, capacity: Capacity, now: float) -> None:
        """Note what nodes there are: on new ones, workers start."""
        if capacity.n_fits > self._n_fits:
            self._free_at = now
        self._n_fits = capacity.n_fits

    def is_silent(self, now: float) -> bool:
        """Tell whether nothing has run for so long that a reason is given."""
        return now - self._ran_at >= self._patience

    def reason(self, capacity: Capacity, free: Amounts | None, now: float) -> str | None:
        """Say what keeps fits from running, while it is silent; None if that cannot be told.

        Parameters
        ----------
        capacity : Capacity
            The nodes.
        free : mapping or None
            What they have left; None where fits may run unseen, so that it may be these that took it.
        now : float
            The monotonic clock.
        """
        is_lacking = capacity.n_fits == 0
        if free is not None and capacity.has_free(free):
            self._free_at = now
        may_start = now - self._free_at < _STARTING  # then it may be workers of its own that hold what was free
        if not is_lacking and (free is None or may_start):
            return None
        if self._said is None or self._said[0] != is_lacking or now - self._said[1] > _SAME_WORDS:
            self._said = is_lacking, now, self._words(capacity, free)
        return f"waiting for {self._said[2]}"

    def prospect(self) -> str:
        """Say what will come of it, if nothing changes."""
        if self._limit is None:
            return "the job goes on once it is there (no limits.wait_seconds is set)"
        return f"the job fails after {self._limit:g} s of it (limits.wait_seconds)"

    def check(self, reason: str, now: float) -> None:
        """Give up on resources that do not come.

        Raises
        ------
        ClusterError
            If the limit is over.
        """
        limit = self._limit
        if limit is not None and now - self._ran_at > limit:
            raise ClusterError(f"expected resources within {limit:g} s (limits.wait_seconds), got none: still {reason}")

    @property
    def _patience(self) -> float:
        return _PATIENCE if self._limit is None else min(_PATIENCE, self._limit)

    def _words(self, capacity: Capacity, free: Amounts | None) -> str:
        if lacks := capacity.lacks():
            return f"{lacks}; the last that could run a fit has left" if self.has_begun else lacks
        return capacity.taken(free or {})
