"""Step 8, the loop's map of plain trials: expanded to fits, each known already or run once for all who want it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from foldwise.events import Event, FitEnded
from foldwise.executors import Executor
from foldwise.ledger import Entries, Finished, MemoryLedger, NoLedger
from foldwise.loop.account import Account
from foldwise.loop.first_failures import FirstFailures
from foldwise.loop.queue import FitQueue, Waiter
from foldwise.loop.studies import Settle, TrialMap
from foldwise.plan.plan import Plan, Study
from foldwise.trial import Fit, FitResult, Trial

_LEAST_BLOCK = 32
"""Trials that a study which does not adapt is asked for at once, so that chunks find fits that share a prefix."""


class FitMap(TrialMap):
    """One flat queue of fits for all studies, before the executor and behind what is known.

    Parameters
    ----------
    plan : Plan
        What is run.
    executor : Executor
        Where.
    account : Account
        Of the run.
    emit : callable
        Handed what happens.

    Attributes
    ----------
    entries : Entries
        The ledger's, once it is open.
    """

    def __init__(self, plan: Plan, executor: Executor, account: Account, emit: Callable[[Event], None]) -> None:
        self.entries: Entries = NoLedger()
        self._plan, self._executor, self._account, self._emit = plan, executor, account, emit
        self._seen = MemoryLedger().open(plan)  # what this run knows: the same answer until its end
        self._queue = FitQueue(plan.prefixes.order_of if plan.prefixes.transformers else None)
        self._first = FirstFailures(plan.problem.space)

    @property
    def n_aside(self) -> int:
        """Fits that another process is at."""
        return self._queue.n_aside

    @property
    def n_chunks(self) -> int:
        """Chunks that are with a worker."""
        return self._queue.n_chunks

    # --- taking in ---

    def n_wanted(self, *, is_idle: bool) -> int:
        """Say how many trials to ask for: a whole batch where the search adapts, else a block that keeps the queue filled."""
        if self._plan.problem.search.adapts:
            return self._plan.problem.batch if is_idle else 0
        has_enough = len(self._queue) >= 2 * self._executor.slots * self._queue.chunk_size
        return 0 if has_enough else max(_LEAST_BLOCK, self._queue.chunk_size)

    def map(self, study: Study, trials: Sequence[Trial], settle: Settle) -> None:
        """Expand trials to fits, one per inner fold."""
        wanted: list[tuple[Fit, Waiter]] = []
        for trial in trials:
            gathered = _Gathered(trial, [None] * len(study.folds), settle)
            fits = (self._plan.fit(trial.params, fold.train) for fold in study.folds)
            wanted += [(fit, partial(gathered.put, number)) for number, fit in enumerate(fits)]
        self.want(study, wanted)

    def end_study(self, study: Study) -> None:
        """Nothing needs to be known of it: what it asked for waits in the queue."""

    def want(self, study: Study, wanted: Sequence[tuple[Fit, Waiter]]) -> None:
        """Answer fits that are known, and queue the others, each once for all who want it."""
        known, n_found = self._look_up([fit for fit, _ in wanted])
        n_queued = sum(self._queue.add(fit, waiter, study.name) for fit, waiter in wanted if fit.key not in known)
        self._account.count(shared=len(wanted) - n_found - n_queued)
        for fit, waiter in wanted:
            if fit.key in known:
                waiter(known[fit.key])

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
        """Send chunks, as far as there is room for them."""
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

    def take(self, timeout: float) -> None:
        """Wait for results; keep them, all at once, and only then tell those who wait for them."""
        finished = self._kept(self._executor.results(timeout=timeout))
        for fit, result in finished:
            self._account.count(run=1, retries=result.retries)
            self._hear(fit, result)
            self._emit(FitEnded(result, fit.params, self._account.counts))
            self._answer(result)

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
            waiter(result)


@dataclass
class _Gathered:
    """A trial whose fits are under way; results stand in fold order, whatever came first."""

    trial: Trial
    results: list[FitResult | None]
    settle: Settle

    def put(self, fold: int, result: FitResult) -> None:
        self.results[fold] = result
        whole = [one for one in self.results if one is not None]
        if len(whole) == len(self.results):
            self.settle(self.trial, whole, None)
