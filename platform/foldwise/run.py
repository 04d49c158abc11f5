"""Step 8, the loop: ask -> map -> reduce -> tell, until every study is judged.

One flat queue holds the fits of all studies; the loop lives here, in the driver, and nothing on a worker waits. A command
line, a notebook and a cluster job drive the same `Run`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from foldwise.errors import NON_FINITE, Failure, FitFailedError, RunError, StudyFailedError, causes_counted, failed
from foldwise.events import Counts, Event, FitEnded, Listener, RunEnded, RunStarted, RunWaits, StudyEnded, TrialEnded
from foldwise.executors import Executor
from foldwise.first_failures import FirstFailures
from foldwise.ledger import Entries, Ledger, MemoryLedger, NoLedger
from foldwise.plan import FINAL, Plan, Study
from foldwise.queue import FitQueue, Waiter
from foldwise.reduce import WarningCounts, choose, judge, reduce_trial
from foldwise.report import Report, make_report
from foldwise.studies import LiveStudy
from foldwise.trial import Fit, FitResult, Trial

_PATIENCE = 1.0  # seconds between looks at what keeps an executor waiting
_LOOK = 0.1  # seconds between looks at what another process is at
_GRACE = 5.0  # seconds in which what runs may finish, once the run is to end early
INTERRUPTED = "interrupted"
_LEAST_BLOCK = 32
"""Trials that a study which does not adapt is asked for at once, so that chunks find fits that share a prefix."""


class Interrupted(KeyboardInterrupt):
    """The run was interrupted; ``report`` gives the outer folds that are complete."""

    def __init__(self, report: Report) -> None:
        super().__init__("interrupted")
        self.report = report


class Run:
    """A plan being carried out.

    Parameters
    ----------
    plan : Plan
        What to run.
    executor : Executor
        Where fits run; opened and closed here.
    ledger : Ledger, optional
        Finished fits of other runs, and where this one's are kept; None: they live as long as the run.
    listeners : iterable of callable
        Each is handed every event.
    n_jobs : int, optional
        At most so many fits at once.
    stop : callable, optional
        Asked between steps; once it says True, nothing more is begun, and the run ends in good order.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> import foldwise as fw
    >>> search = fw.NestedSearchCV(SVC(), {"C": [1, 10]}, search="grid", executor="serial")
    >>> run = Run(search.plan(*load_iris(return_X_y=True)), fw.SerialExecutor())
    >>> while run.step():
    ...     pass
    >>> run.report().n_fits
    31
    """

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        ledger: Ledger | None = None,
        listeners: Iterable[Listener] = (),
        n_jobs: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self.plan = plan
        self.ended: str | None = None  # why it ended before its end
        self.counts = Counts(at_most=plan.n_fits_at_most)
        self.model: FitResult | None = None
        self._executor, self._n_jobs = executor, n_jobs
        self._ledger = NoLedger() if ledger is None else ledger
        self._entries: Entries = NoLedger()  # the ledger's, once it is open
        self._seen = MemoryLedger().open(plan)  # what this run knows: the same answer until its end
        self._listeners = tuple(listeners)
        self._queue = FitQueue(plan.prefixes.order_of if plan.prefixes.transformers else None)
        self._first = FirstFailures(plan.problem.space)
        self._stop = stop
        self.scoring = plan.problem.scoring  # a callable names its metrics with its first scores
        self._warned = WarningCounts()
        self._started = self._seconds = 0.0
        self._is_open = False
        self._waited: str | None = None
        self.studies = {study.name: self._live(study) for study in plan.studies}

    # --- driving ---

    def execute(self) -> Report:
        """Run to the end and return the report; a partial one if it is told to stop, or its time is over.

        Raises
        ------
        StudyFailedError
            If no trial of a study finished, or the first fits all failed alike.
        FitFailedError
            If a fit failed and the problem's ``error_score`` is "raise".
        Interrupted
            If interrupted from the keyboard; it carries the report of what is complete.
        """
        try:
            while self.step():
                pass
        except KeyboardInterrupt as error:
            self.abort(error)
            raise Interrupted(self.report()) from None
        except BaseException as error:
            self.abort(error)
            raise
        return self.report()

    def step(self) -> bool:
        """Ask, map, reduce and tell once; returns whether anything is left to do."""
        if self._is_done or self.ended is not None:
            return False
        if not self._is_open:
            self._open()
        self.ended = self._why_end()
        if self.ended is not None:
            self._wind_up()
            return False
        self._ask()
        self._submit()
        self._take(self._executor.results(timeout=_LOOK if self._queue.n_aside else _PATIENCE))
        if self._queue.n_aside and not self._queue.n_chunks:
            time.sleep(_LOOK)
        self._entries.renew()
        self._say_waiting()
        if not self._is_done:
            return True
        self._close(None)
        return False

    def abort(self, error: BaseException | None = None) -> None:
        """Stop asking, give up what runs, and keep what is finished."""
        if self._is_open:
            interrupted = error is None or isinstance(error, KeyboardInterrupt)
            self.ended = INTERRUPTED if interrupted else type(error).__name__
            self._executor.cancel(self._queue.clear())
            self._close(error, interrupted=interrupted)

    def report(self) -> Report:
        """Report the outer folds that are complete; flagged as partial if any is missing."""
        outer = [live.outer for live in self.studies.values() if live.outer is not None]
        return make_report(
            self.plan,
            scoring=self.scoring,
            outer=outer,
            final=self.studies[FINAL].chosen,
            n_asked={name: live.n_asked for name, live in self.studies.items()},
            counts=self.counts,
            seconds=time.monotonic() - self._started if self._is_open else self._seconds,
            partial=not self._is_done,
            ended=None if self._is_done else self.ended,
            model_error=None if self.model is None else self.model.error,
            warned=self._warned.most_common(),
        )

    # --- ask ---

    def _ask(self) -> None:
        """Ask studies for trials: whole batches where the search adapts, else blocks that keep the queue filled.

        The final study comes first, since its fits are everyone's outer refits and the final model waits for it alone.
        """
        final_first = sorted(self.studies.values(), key=lambda live: live.study.judged is not None)
        adapts, batch = self.plan.problem.search.adapts, self.plan.problem.batch
        asked = True
        while asked:
            asked = False
            for live in final_first:
                enough = 2 * self._executor.slots * self._queue.chunk_size
                if live.asker.done or not (live.is_idle if adapts else len(self._queue) < enough):
                    continue
                fits = live.ask(batch if adapts else max(_LEAST_BLOCK, self._queue.chunk_size), self.plan)
                asked = asked or bool(fits)
                self._want(live, [(fit, partial(self._settle, live, number, fold)) for number, fold, fit in fits])

    def _want(self, live: LiveStudy, wanted: Sequence[tuple[Fit, Waiter]]) -> None:
        """Answer fits of a study that are known, and queue the others, each once for all who want it."""
        known, n_found = self._look_up([fit for fit, _ in wanted])
        n_queued = sum(self._queue.add(fit, waiter, live.study.name) for fit, waiter in wanted if fit.key not in known)
        self._count(shared=len(wanted) - n_found - n_queued)
        for fit, waiter in wanted:
            if fit.key in known:
                waiter(known[fit.key])

    def _look_up(self, fits: Sequence[Fit]) -> tuple[dict[str, FitResult], int]:
        """Return what this run or the ledger knows of some fits, and of how many the run did not know it."""
        known = self._seen.find(fits)
        found = self._entries.find([fit for fit in fits if fit.key not in known])
        new = {fit.key: fit for fit in fits if fit.key in found}
        self._seen.put((fit, found[key]) for key, fit in new.items())
        self._count(found=len(new))
        for key, fit in new.items():
            self._hear(fit, found[key])
        return known | found, len(new)

    # --- map ---

    def _submit(self) -> None:
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
        elsewhere = self._entries.claim(chunk)
        known, n_found = self._look_up(chunk)
        self._count(shared=len(known) - n_found)
        for result in known.values():
            self._answer(result)
        left = [fit for fit in chunk if fit.key not in known]
        self._queue.put_aside(fit for fit in left if fit.key in elsewhere)
        return tuple(fit for fit in left if fit.key not in elsewhere)

    def _take(self, results: Sequence[FitResult]) -> None:
        """Keep results, all at once, and only then tell those who wait for them."""
        finished = [(self._queue.running(result.key), result) for result in results]
        raises = self.plan.problem.error_score == "raise"  # then a failure ends the run, and the next one tries again
        self._entries.put(one for one in finished if not (raises and _failures(one[1])))
        self._seen.put(finished)
        for fit, result in finished:
            self._count(run=1, retries=result.retries)
            self._hear(fit, result)
            self._emit(FitEnded(result, fit.params, self.counts))
            self._answer(result)

    def _hear(self, fit: Fit, result: FitResult) -> None:
        """Take in what is new to this run, whether it ran the fit or found it."""
        if self.plan.problem.error_score == "raise":
            _raise_failure(result)
        scores = next((one for one in result.scores.values() if one), None)
        if not self.scoring.metrics and scores is not None:
            self.scoring = self.scoring.named(tuple(scores))
        self._warned.add(result)
        self._count(failed=int(result.failure_on(*fit.held_out) is not None))
        self._first.hear(fit, result)

    def _answer(self, result: FitResult) -> None:
        for waiter in self._queue.settle(result):
            waiter(result)

    # --- reduce and tell ---

    def _settle(self, live: LiveStudy, number: int, fold: int, result: FitResult) -> None:
        trial = live.settle(number, fold, result)
        if trial is None:
            return
        live.tell()
        self._emit(TrialEnded(live.study.name, trial, self.counts))
        if live.is_searched:
            self._choose(live)

    def _choose(self, live: LiveStudy) -> None:
        """Choose among a study's trials, and have the choice judged or, in the final study, fitted on all rows."""
        refit = self.scoring.refit if callable(self.scoring.refit) else self.scoring.objective
        chosen = choose(live.trials, refit, single=self.scoring.single)
        if chosen is None:
            raise self._study_failed(live)
        live.chosen = chosen
        judged = live.study.judged
        if judged is not None:
            fit = self.plan.fit(chosen.params, judged.train)
            self._want(live, [(fit, lambda result: self._judge(live, chosen, result))])
            return
        self._emit(StudyEnded(live.study.name, chosen, tuple(live.trials), None))
        if self.plan.problem.refit:
            self._want(live, [(self.plan.fit(chosen.params, self.plan.whole, keep_model=True), self._keep_model)])

    def _judge(self, live: LiveStudy, chosen: Trial, result: FitResult) -> None:
        assert live.study.judged is not None
        live.outer = judge(
            self.plan.studies.index(live.study), live.study.judged, self.plan.rows, chosen, live.trials, result,
            metrics=self.scoring.metrics, objective=self.scoring.objective,
        )  # fmt: skip
        self._emit(StudyEnded(live.study.name, chosen, tuple(live.trials), live.outer))

    def _keep_model(self, result: FitResult) -> None:
        self.model = result

    def _study_failed(self, live: LiveStudy) -> RunError:
        causes = [trial.error for trial in live.trials if trial.error is not None]
        listed = causes_counted(causes)
        return failed(
            StudyFailedError,
            f"none of the {len(live.trials)} trials of study {live.study.name} has a score: {listed or 'all scores are NaN'}",
            causes,
        )

    # --- opening, closing, telling ---

    def _live(self, study: Study) -> LiveStudy:
        problem = self.plan.problem

        def reduce(trial: Trial, results: Sequence[FitResult]) -> Trial:
            score = problem.error_score
            return reduce_trial(
                trial, study.folds, results, metrics=self.scoring.metrics, objective=self.scoring.objective,
                error_score=math.nan if isinstance(score, str) else score, train_scores=problem.return_train_score,
            )  # fmt: skip

        return LiveStudy(study, problem.search.open(problem.space, problem.n_trials, self.plan.search_seed), reduce)

    def _open(self) -> None:
        self._started = time.monotonic()
        self._entries = self._ledger.open(self.plan)
        self._emit(RunStarted(self.plan, time.time()))
        self._is_open = True
        self._executor.open(self.plan, self._n_jobs)

    def _why_end(self) -> str | None:
        """Say why to end before the end, if that is so."""
        limit = self.plan.problem.limits.seconds
        if limit is not None and time.monotonic() - self._started > limit:
            return f"its time is over (limits.seconds: {limit:g})"
        return INTERRUPTED if self._stop is not None and self._stop() else None

    def _wind_up(self) -> None:
        """Take what is finished soon, give the rest up, and close."""
        deadline = time.monotonic() + _GRACE
        while self._queue.n_chunks and (left := deadline - time.monotonic()) > 0:
            self._take(self._executor.results(timeout=min(left, _PATIENCE)))
        self._executor.cancel(self._queue.clear())
        self._close(None, interrupted=self.ended == INTERRUPTED and not self._is_done)

    @property
    def _is_done(self) -> bool:
        judged = all(live.chosen and (live.outer or live.study.judged is None) for live in self.studies.values())
        return judged and (self.model is not None or not self.plan.problem.refit)

    def _close(self, error: BaseException | None, *, interrupted: bool = False) -> None:
        self._seconds = time.monotonic() - self._started
        self._is_open = False
        self._executor.close()
        self._entries.close()
        self._emit(RunEnded(self.report(), self.model, interrupted, error))

    def _count(self, **more: int) -> None:
        self.counts = replace(self.counts, **{name: getattr(self.counts, name) + n for name, n in more.items()})

    def _say_waiting(self) -> None:
        reason = self._executor.waits_for()
        if reason is not None and reason != self._waited:
            self._emit(RunWaits(reason))
        self._waited = reason

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


def _raise_failure(result: FitResult) -> None:
    """Raise what a fit or a scorer raised."""
    for failure in _failures(result):
        raise failed(FitFailedError, f"a fit failed: {failure}\n{failure.traceback}", [failure])


def _failures(result: FitResult) -> list[Failure]:
    """Return what was raised; a score that is not finite was not."""
    causes = (result.error, *result.score_errors.values())
    return [cause for cause in causes if cause is not None and cause.kind != NON_FINITE]


def native_studies(run: Run) -> dict[str, Any]:
    """Map studies to their searches as they ended: for Optuna its own study objects."""
    return {name: live.asker.native for name, live in run.studies.items()}
