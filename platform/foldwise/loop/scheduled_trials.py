"""Step 7, the loop's map of scheduled trials: found in the ledger, or handed over whole to an executor that judges them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from foldwise.events import Event, FitEnded
from foldwise.executors import ScheduledExecutor
from foldwise.keys import digest
from foldwise.loop.account import Account
from foldwise.loop.first_failures import FirstFailures
from foldwise.loop.fit_pool import LOOK, FitPool
from foldwise.loop.trial_map import EndedTrial, TrialMap
from foldwise.plan.plan import Plan
from foldwise.plan.study import Study
from foldwise.trial import Fit, FitResult, Trial, TrialEnd, TrialState


@dataclass(frozen=True, slots=True)
class _Open:
    """A trial that is under way."""

    key: str
    study: Study
    trial: Trial


class ScheduledTrials(TrialMap):
    """Trials that train in epochs and are judged on the way.

    An inner fold of a trial is a fit with the trial's lineage, so it is kept and counted like any other.

    Parameters
    ----------
    plan : Plan
        What is run.
    executor : ScheduledExecutor
        Where.
    pool : FitPool
        Knows the run's fits.
    account : Account
        Of the run.
    emit : callable
        Handed each event.
    """

    def __init__(
        self, plan: Plan, executor: ScheduledExecutor, pool: FitPool, account: Account, emit: Callable[[Event], None]
    ) -> None:
        self._plan, self._executor, self._pool, self._account, self._emit = plan, executor, pool, account, emit
        self._open: dict[tuple[str, int], _Open] = {}
        self._found: list[EndedTrial] = []
        self._studies_ended: set[str] = set()
        self._first = FirstFailures(plan.problem.space, of="trials")
        self._n_begun = 0

    @property
    def n_running(self) -> int:  # noqa: D102
        return len(self._open) + self._pool.n_chunks

    def n_wanted(self, *, is_idle: bool) -> int:
        """Return a whole batch where the search adapts, else all trials, since siblings judge each other."""
        problem = self._plan.problem
        return (problem.settings.batch if is_idle else 0) if problem.settings.search.adapts else problem.n_trials

    def map(self, study: Study, trials: Sequence[Trial]) -> None:
        """Look trials up in the ledger, and submit the others."""
        opened = [_Open(self._plan.trial_key(study.name, trial), study, trial) for trial in trials]
        ends = self._pool.entries.find_trials([one.key for one in opened])
        left = [one for one in opened if one.key not in ends]
        self._open |= {(study.name, one.trial.number): one for one in left}
        found = [ends[one.key] for one in opened if one.key in ends]
        if found:
            self._executor.recall(found)
            self._executor.confirm(found)  # a driver may have died between keeping an end and confirming it
        first = left[: max(self._executor.n_at_once - self._n_begun, 0)]  # the only ones that run from the start
        self._n_begun += len(first)
        self._first.begin(self._token(one) for one in first)
        if left:
            self._executor.submit_trials(study.name, [one.trial for one in left])
        named = [self._named(one, ends[one.key]) for one in opened if one.key in ends]
        self._found += self._counted(named, is_new=False)

    def end_study(self, study: Study) -> None:
        """Tell the executor, once, that a study submits no more trials."""
        if study.name not in self._studies_ended:
            self._studies_ended.add(study.name)
            self._executor.end_study(study.name)

    def take(self, timeout: float) -> list[EndedTrial]:
        """Return the trials that have ended; refits, which the pool runs beside them, are waited for too."""
        found, self._found = self._found, []
        if found:
            return found
        if not self._open:
            self._pool.wait(timeout)
            return []
        if self._pool.n_chunks or self._pool.has_answers:  # there is no waiting for both at once
            self._pool.wait(min(timeout, LOOK))
            timeout = 0.0
        return self._ended(timeout)

    def _ended(self, timeout: float) -> list[EndedTrial]:
        """Wait for ends; keep them, all at once, and only then return them."""
        ends = self._executor.trial_ends(timeout=timeout)
        ended = [self._named(self._open.pop((end.study, end.number)), end) for end in ends]
        self._pool.entries.put_trials(
            (one.opened.key, one.fits, one.end) for one in ended if self._account.may_keep(*one.end.results)
        )
        self._executor.confirm(ends)
        return self._counted(ended, is_new=True)

    # --- what came of a trial ---

    def _named(self, opened: _Open, end: TrialEnd) -> _Ended:
        """Name the fits that a trial's folds are; they were scored on no rows but those that the study asks for.

        Those of a trial that failed stand for nobody else's: its folds went as far as each came, not as its lineage says.
        """
        fits = []
        for number, fold in enumerate(opened.study.folds):
            fit = self._plan.fit(opened.trial.params, fold.train, lineage=end.lineage)
            key = digest(opened.key, number) if end.state is TrialState.FAILED else fit.key
            fits.append(replace(fit, key=key, held_out=self._plan.asked_of(fold)))
        results = tuple(replace(result, key=fit.key) for fit, result in zip(fits, end.results, strict=True))
        return _Ended(opened, tuple(fits), replace(end, results=results))

    def _counted(self, ended: Iterable[_Ended], *, is_new: bool) -> list[EndedTrial]:
        """Count the fits that trials' folds are, emit those that were run, and return the trials for the loop."""
        trials = []
        for one in ended:
            self._pool.remember(one.folds)
            for fit, result in one.folds:
                self._account.count(**({"run": 1, "retries": result.retries} if is_new else {"found": 1}))
                self._account.hear(fit, result)
                if is_new:
                    self._emit(FitEnded(result, fit.params, self._account.counts))
            objective = self._account.scoring.objective
            self._first.hear(self._token(one.opened), one.as_a_whole(objective), objective)
            trials.append(EndedTrial(one.opened.study.name, one.opened.trial, one.end.results, one.end))
        return trials

    def _token(self, opened: _Open) -> Fit:
        """Stand for a trial as a whole, where a cause that all share is sought; folds take turns to name the train rows."""
        fold = opened.study.folds[opened.trial.number % len(opened.study.folds)]
        fit = self._plan.fit(opened.trial.params, fold.train)
        return replace(fit, key=opened.key, held_out=self._plan.asked_of(fold))


@dataclass(frozen=True, slots=True)
class _Ended:
    """A trial that has ended, and the fits that its folds are."""

    opened: _Open
    fits: tuple[Fit, ...]
    end: TrialEnd

    @property
    def folds(self) -> list[tuple[Fit, FitResult]]:
        return list(zip(self.fits, self.end.results, strict=True))

    def as_a_whole(self, objective: str) -> FitResult:
        """Return a result that failed if the objective judges none of them."""
        failures = [result.failure_on(fit.held_out[0], metric=objective) for fit, result in self.folds]
        return replace(self.end.results[0], error=failures[0] if all(failures) else None, score_errors={})
