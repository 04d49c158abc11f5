"""Step 7, the loop: ask -> map -> reduce -> tell, until every study is judged.

One flat queue holds the fits of all studies; the loop lives here, in the driver, and nothing on a worker waits. A command
line, a notebook and a cluster job drive the same `Run`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from foldwise.errors import RunError, StudyFailedError, causes_counted, failed
from foldwise.events import Counts, EarlyEnd, EndedBy, Event, Listener, RunEnded, RunStarted, RunWaits, StudyEnded, TrialEnded
from foldwise.executors import Executor, runs_schedules
from foldwise.ledger import Ledger, NoLedger
from foldwise.loop.account import Account
from foldwise.loop.fit_pool import FitPool
from foldwise.loop.plain_trials import PlainTrials
from foldwise.loop.scheduled_trials import ScheduledTrials
from foldwise.loop.studies import LiveStudy
from foldwise.loop.trial_map import EndedTrial, TrialMap
from foldwise.plan.plan import Plan
from foldwise.plan.scoring import Scoring
from foldwise.plan.study import FINAL, Study
from foldwise.plan.summary import PlanSummary, ScoringSummary
from foldwise.reduce.archive import Archive, count_distinct, count_judged
from foldwise.reduce.provenance import Provenance
from foldwise.reduce.reduce import choose, end_trial, judge, named_alike, reduce_trial
from foldwise.trial import FitResult, Trial

_PATIENCE = 1.0  # seconds between looks at what keeps an executor waiting
_GRACE = 5.0  # seconds in which what runs may finish, once the run is to end early
_REFITS = "refits"


class Interrupted(KeyboardInterrupt):
    """The run was interrupted; ``archive`` holds the outer folds that are complete, ``run`` all that is finished."""

    def __init__(self, archive: Archive, run: Run) -> None:
        super().__init__("interrupted")
        self.archive, self.run = archive, run


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
    >>> run.archive().counts.run
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
        self.ended: EarlyEnd | None = None
        self.model: FitResult | None = None
        self.trouble: list[Exception] = []  # what went wrong as it was closed, when all was done
        self._executor, self._n_jobs, self._stop = executor, n_jobs, stop
        self._ledger = NoLedger() if ledger is None else ledger
        self._listeners = tuple(listeners)
        self._account = Account(plan)
        self._summary = PlanSummary.of(plan)
        self._provenance = Provenance.here(plan.identity.digester.distributions)  # which the summary has met
        self._pool = FitPool(plan, executor, self._account, self._emit)
        self._trials = _trial_map(plan, executor, self._pool, self._account, self._emit)
        self._started = self._seconds = 0.0
        self._deadline = math.inf
        self._is_open = False
        self._waited: str | None = None
        self.studies = {study.name: self._live(study) for study in plan.studies}

    @property
    def counts(self) -> Counts:
        """Fits so far."""
        return self._account.counts

    @property
    def scoring(self) -> Scoring:
        """The problem's scoring; a callable names its metrics with its first scores."""
        return self._account.scoring

    # --- driving ---

    def execute(self) -> Archive:
        """Run to the end and return what is left; not all of it if the run is told to stop, or its time is over.

        Raises
        ------
        StudyFailedError
            If no trial of a study finished, or the first fits all failed alike.
        FitFailedError
            If a fit failed and the problem's ``error_score`` is "raise".
        Interrupted
            If interrupted from the keyboard; it carries the archive of what is complete.
        """
        try:
            while self.step():
                pass
            return self.archive()
        except KeyboardInterrupt as error:
            self.abort(error)
            raise Interrupted(self.archive(), self) from None
        except BaseException as error:
            self.abort(error)
            raise

    def step(self) -> bool:
        """Ask, map, take, reduce and tell once; returns whether anything is left to do."""
        if self._is_over:
            return False
        self._begin_step()
        if self.ended is None:
            for live in self._final_first():
                asked = live.ask(self._trials.n_wanted(is_idle=live.is_idle))
                if asked:
                    self._trials.map(live.study, asked)
                if live.asker.done:
                    self._trials.end_study(live.study)
            self._pool.submit()
        for ended in self._trials.take(min(_PATIENCE, self._seconds_left)):
            live = self.studies[ended.study]
            trial = self._reduced(ended)
            live.tell(trial)
            self._emit(TrialEnded(ended.study, trial, self.counts))
            if live.is_searched:
                self._choose(live)
        for study, result in self._pool.take(_REFITS):
            self._judge(self.studies[study], result)
        return self._end_step()

    def abort(self, error: BaseException | None = None) -> None:
        """Stop asking, give up what runs, and keep what is finished."""
        if self._is_open:
            interrupted = error is None or isinstance(error, KeyboardInterrupt)
            self.ended = EarlyEnd(EndedBy.INTERRUPT) if interrupted else EarlyEnd(EndedBy.ERROR, type(error).__name__)
            self._pool.give_up()
            self._close(error)

    def archive(self) -> Archive:
        """Return what the run has found so far: the trials that are reduced, the outer folds that are complete."""
        studies, causes = self.studies, self._account.causes
        outer = tuple(live.outer for live in studies.values() if live.outer is not None)
        return Archive(
            plan=replace(self._summary, scoring=ScoringSummary.of(self.scoring)),
            trials={name: tuple(live.trials) for name, live in studies.items()},
            outer=outer,
            choice=studies[FINAL].choice,
            n_asked={name: live.n_asked for name, live in studies.items()},
            n_params=count_distinct(studies[FINAL].trials),
            n_rows_judged=count_judged(self.plan, outer, self.scoring.zero_one),
            counts=self.counts,
            seconds=time.monotonic() - self._started if self._is_open else self._seconds,
            complete=self._is_done,
            ended=None if self._is_done or self.ended is None else str(self.ended),
            model_error=None if self.model is None else self.model.error,
            warned=self._account.warned.most_common(),
            causes=tuple(sorted(causes.items(), key=lambda pair: (-pair[1], pair[0]))),
            provenance=self._provenance,
        )

    # --- reduce and choose ---

    def _final_first(self) -> list[LiveStudy]:
        """Return the studies, the final one first: its fits are everyone's outer refits, and the final model waits for it."""
        return sorted(self.studies.values(), key=lambda live: live.study.judged is not None)

    def _reduced(self, ended: EndedTrial) -> Trial:
        """Reduce what came of a trial's inner folds."""
        scoring, problem = self.scoring, self.plan.problem
        reduced = reduce_trial(
            ended.trial, self.studies[ended.study].study.folds, ended.results, metrics=scoring.metrics,
            objective=scoring.objective, error_score=self._error_score, train_scores=problem.settings.return_train_score,
            judging=scoring.metrics if callable(scoring.refit) else (),
        )  # fmt: skip
        return reduced if ended.end is None else end_trial(reduced, ended.end)

    def _choose(self, live: LiveStudy) -> None:
        """Choose among a study's trials, and want the choice refitted: to be judged or, in the final study, on all rows."""
        scoring, train_scores = self.scoring, self.plan.problem.settings.return_train_score
        live.trials = named_alike(live.trials, scoring.metrics, error_score=self._error_score, train_scores=train_scores)
        choice = None
        if any(trial.has_scores for trial in live.trials):
            refit = scoring.refit if callable(scoring.refit) else scoring.objective
            choice = choose(live.trials, refit, single=scoring.single)
        if choice is None:
            raise self._study_failed(live)
        live.choice, chosen, judged = choice, choice.trial, live.study.judged
        if judged is None:
            self._emit(StudyEnded(live.study.name, chosen, tuple(live.trials), None))
        if judged is not None or self.plan.problem.settings.has_final_model:
            train = self.plan.whole if judged is None else judged.train
            refit = self.plan.fit(chosen.params, train, keep_model=judged is None, lineage=chosen.lineage)
            self._pool.want(_REFITS, live.study.name, [(refit, live.study.name)])

    def _judge(self, live: LiveStudy, result: FitResult) -> None:
        """Judge a study's choice by its refit; the final study's refit is the final model."""
        judged, chosen = live.study.judged, live.chosen
        if judged is None:
            self.model = result
            return
        assert chosen is not None
        live.outer = judge(
            self.plan.studies.index(live.study), judged, self.plan.rows, chosen, live.trials, result,
            metrics=self.scoring.metrics, objective=live.metric(self.scoring),
        )  # fmt: skip
        self._emit(StudyEnded(live.study.name, chosen, tuple(live.trials), live.outer))

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
        return LiveStudy(study, problem.settings.search.open(problem.space, problem.n_trials, self.plan.search_seed))

    def _open(self) -> None:
        self._started = time.monotonic()
        self._pool.entries = self._ledger.open(self.plan)
        self._emit(RunStarted(self.plan, time.time()))
        self._is_open = True
        self._executor.open(self.plan, self._n_jobs)

    @property
    def _is_over(self) -> bool:
        return self._is_done or (self.ended is not None and not self._is_open)

    def _begin_step(self) -> None:
        """Open what a run needs, once, and see whether it must end early: what runs may still finish then."""
        if not self._is_open:
            self._open()
        if self.ended is None:
            self.ended = self._early_end()
            self._deadline = math.inf if self.ended is None else time.monotonic() + _GRACE

    def _early_end(self) -> EarlyEnd | None:
        limit = self.plan.problem.settings.limits.seconds
        if limit is not None and time.monotonic() - self._started > limit:
            return EarlyEnd(EndedBy.TIME, f"limits.seconds: {limit:g}")
        return EarlyEnd(EndedBy.INTERRUPT) if self._stop is not None and self._stop() else None

    @property
    def _seconds_left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)

    def _end_step(self) -> bool:
        """Close what was opened if the run is over; returns whether it goes on."""
        self._say_waiting()
        if not self._is_done and (self.ended is None or (self._trials.n_running and self._seconds_left)):
            return True
        if self.ended is not None:
            self._pool.give_up()
        self._close(None)
        return False

    @property
    def _is_done(self) -> bool:
        judged = all(live.choice and (live.outer or live.study.judged is None) for live in self.studies.values())
        return judged and (self.model is not None or not self.plan.problem.settings.has_final_model)

    def _close(self, error: BaseException | None) -> None:
        """Close what was opened, and say that the run has ended, whatever goes wrong with closing."""
        self._seconds = time.monotonic() - self._started
        self._is_open = False
        late: BaseException | None = None
        for close in (self._executor.close, self._pool.entries.close):
            try:
                close()
            except Exception as trouble:  # what is finished is no less finished
                self.trouble.append(trouble)
            except BaseException as interrupt:  # told once all is closed
                late = interrupt
        interrupted = self.ended is not None and self.ended.by is EndedBy.INTERRUPT and not self._is_done
        self._emit(RunEnded(self.archive(), self.model, interrupted, error))
        if late is not None:
            raise late

    @property
    def _error_score(self) -> float:
        score = self.plan.problem.settings.error_score
        return math.nan if isinstance(score, str) else score

    def _say_waiting(self) -> None:
        reason = self._executor.waits_for()
        if reason is not None and reason != self._waited:
            self._emit(RunWaits(reason))
        self._waited = reason

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


def _trial_map(
    plan: Plan, executor: Executor, pool: FitPool, account: Account, emit: Callable[[Event], None]
) -> TrialMap:  # fmt: skip
    """Make the map that a plan's trials take."""
    if plan.problem.settings.schedule is None:
        return PlainTrials(plan, pool)
    return ScheduledTrials(plan, runs_schedules(executor), pool, account, emit)


def native_studies(run: Run) -> dict[str, Any]:
    """Map studies to their searches as they ended: for Optuna its own study objects."""
    return {name: live.asker.native for name, live in run.studies.items()}
