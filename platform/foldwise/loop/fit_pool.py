"""Step 7, the loop's fits: those that are wanted, each known already or run once for all who want it. It knows no trials."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from foldwise.events import Event, FitEnded
from foldwise.executors import Executor
from foldwise.ledger import Finished, LedgerView, MemoryLedger, NoLedger
from foldwise.loop.account import Account
from foldwise.loop.first_failures import FirstFailures
from foldwise.loop.queue import FitQueue, Waiter
from foldwise.plan.plan import Plan
from foldwise.trial import Fit, FitResult

LOOK = 0.1
"""Seconds between looks at what another process is at, or at trials while fits run beside them."""


class FitPool:
    """Fits wanted and fits answered: one flat queue for all studies, before the executor and behind what is known.

    Parameters
    ----------
    plan : Plan
        What is run.
    executor : Executor
        Where.
    account : Account
        Of the run.
    emit : callable
        Handed each event.

    Attributes
    ----------
    entries : LedgerView
        The ledger's, once it is open.
    """

    def __init__(self, plan: Plan, executor: Executor, account: Account, emit: Callable[[Event], None]) -> None:
        self.entries: LedgerView = NoLedger()
        self._executor, self._account, self._emit = executor, account, emit
        self._seen = MemoryLedger().open(plan)  # what this run knows: the same answer until its end
        self._queue = FitQueue(plan.prefixes.order_of if plan.prefixes.transformers else None)
        self._first = FirstFailures(plan.problem.space)
        self._answers: defaultdict[str, list[tuple[Any, FitResult]]] = defaultdict(list)

    @property
    def n_chunks(self) -> int:
        """Chunks that are with a worker."""
        return self._queue.n_chunks

    @property
    def chunk_size(self) -> int:
        """Fits that make a chunk, while there are many."""
        return self._queue.chunk_size

    @property
    def has_enough(self) -> bool:
        """Whether nothing more needs to be wanted for now: fits wait for workers, or answers wait to be taken."""
        return self.has_answers or len(self._queue) >= 2 * self._executor.slots * self._queue.chunk_size

    @property
    def has_answers(self) -> bool:
        """Whether answers wait to be taken."""
        return any(self._answers.values())

    # --- wanting and taking ---

    def want(self, owner: str, study: str, wanted: Sequence[tuple[Fit, Any]]) -> None:
        """Answer fits that are known, and queue the others, each once for all who want it.

        Parameters
        ----------
        owner : str
            Who takes the answers.
        study : str
            For which study: those that want the fewest fits are served first.
        wanted : sequence of (Fit, object)
            Each fit with a ticket, by which its owner knows the answer again.
        """
        known, n_found = self._look_up([fit for fit, _ in wanted])
        left = [(fit, ticket) for fit, ticket in wanted if fit.key not in known]
        n_queued = sum(self._queue.add(fit, Waiter(owner, study, ticket)) for fit, ticket in left)
        self._account.count(shared=len(wanted) - n_found - n_queued)
        self._answers[owner] += [(ticket, known[fit.key]) for fit, ticket in wanted if fit.key in known]

    def withdraw(self, owner: str, study: str, wanted: Sequence[tuple[Fit, Any]]) -> None:
        """Take back what was wanted, as far as it is not answered; what runs goes on, and is kept."""
        for fit, ticket in wanted:
            self._queue.withdraw(fit, Waiter(owner, study, ticket))

    def take(self, owner: str) -> list[tuple[Any, FitResult]]:
        """Return the answers to what an owner wanted, each once, as (ticket, result)."""
        return self._answers.pop(owner, [])

    def remember(self, finished: Sequence[Finished]) -> None:
        """Know from now on what came of fits."""
        self._seen.put(finished)

    def _look_up(self, fits: Sequence[Fit]) -> tuple[dict[str, FitResult], int]:
        """Return what this run or the ledger knows of some fits, and of how many the run did not know it."""
        known = self._seen.find(fits)
        found = self.entries.find([fit for fit in fits if fit.key not in known])
        new = {fit.key: fit for fit in fits if fit.key in found}
        self.remember([(fit, found[key]) for key, fit in new.items()])
        self._account.count(found=len(new))
        for key, fit in new.items():
            self._hear(fit, found[key])
        return known | found, len(new)

    # --- running ---

    def submit(self) -> None:
        """Send chunks, as far as the executor has slots for them."""
        self.entries.renew()
        self._queue.take_up()
        while len(self._queue) and self._queue.n_chunks < self._n_slots:
            chunk = self._left_of(self._queue.next_chunk(self._executor.n_at_once))
            if chunk:
                self._first.begin(chunk)
                self._executor.submit(chunk)

    @property
    def _n_slots(self) -> int:
        slots = self._executor.slots
        return slots if self._queue.is_measured else min(slots, self._executor.n_at_once)

    def _left_of(self, chunk: Sequence[Fit]) -> tuple[Fit, ...]:
        """Return what no other process has finished meanwhile, which is answered, or is at, which is put aside."""
        elsewhere = self.entries.claim(chunk)
        known, n_found = self._look_up(chunk)
        self._account.count(shared=len(known) - n_found)
        for result in known.values():
            self._answer(result)
        left = [fit for fit in chunk if fit.key not in known]
        self._queue.put_aside(fit for fit in left if fit.key in elsewhere)
        return tuple(fit for fit in left if fit.key not in elsewhere)

    def wait(self, timeout: float) -> None:
        """Wait, for ``timeout`` seconds at most, until a fit is answered. Results are kept, all at once, before they are."""
        if self.has_answers:
            return
        is_elsewhere = self._queue.n_aside > 0
        finished = self._kept(self._executor.results(timeout=min(timeout, LOOK) if is_elsewhere else timeout))
        for fit, result in finished:
            self._account.count(run=1, retries=result.retries)
            self._hear(fit, result)
            self._emit(FitEnded(result, fit.params, self._account.counts))
            self._answer(result)
        if is_elsewhere and not self.n_chunks:
            time.sleep(LOOK)

    def _kept(self, results: Sequence[FitResult]) -> list[Finished]:
        """Keep results, all at once."""
        finished = [(self._queue.running(result.key), result) for result in results]
        self.entries.put(one for one in finished if self._account.may_keep(one[1]))
        self.remember(finished)
        return finished

    def give_up(self) -> None:
        """Keep what is finished, forget what waits, and cancel what runs."""
        with suppress(Exception):  # the run ends for a reason of its own
            self._kept(self._executor.finished())
        self._executor.cancel(self._queue.clear())

    def _hear(self, fit: Fit, result: FitResult) -> None:
        self._account.hear(fit, result)
        self._first.hear(fit, result, self._account.scoring.objective)

    def _answer(self, result: FitResult) -> None:
        for waiter in self._queue.settle(result):
            self._answers[waiter.owner].append((waiter.ticket, result))
