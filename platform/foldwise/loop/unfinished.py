"""Step 7: what a search in memory had finished when it was interrupted, so that the next call goes on."""

from __future__ import annotations

from typing import Any

from foldwise.ledger import Ledger, MemoryLedger
from foldwise.plan.plan import Plan


class Unfinished:
    """Finished fits of a call that did not come to its end, and the seed that it drew.

    Where the next call is given something else it asks for other fits, and finds none of these.
    """

    def __init__(self) -> None:
        self._ledger = MemoryLedger()
        self._seed: int | None = None

    def open(self, plan: Plan, random_state: Any) -> Ledger:
        """Return the fits that a plan may find, less those that failed: they are tried again, since their cause may be gone."""
        self._seed = None if _is_fixed(random_state) else plan.problem.settings.seed
        self._ledger.forget_failed(plan)
        return self._ledger

    def random_state_for(self, random_state: Any) -> Any:
        """Return the caller's random state or, where it would draw another seed, the one that was drawn."""
        return random_state if self._seed is None or _is_fixed(random_state) else self._seed


def _is_fixed(random_state: Any) -> bool:
    """Tell whether a random state gives the same seed each time it is asked."""
    return random_state is not None and not hasattr(random_state, "randint")
