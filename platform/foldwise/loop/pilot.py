"""Step 7: a pilot. A few fits of a plan are timed, to say what the whole will cost."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from statistics import fmean

from foldwise.errors import FitFailedError, failed
from foldwise.executors import Executor
from foldwise.inputs.words import counted
from foldwise.plan.plan import Plan
from foldwise.reduce.values import duration
from foldwise.trial import Fit, FitResult, Params, Segment

_N_PARAMS = 3
_MOST_LOOKED_AT = 1000
_PATIENCE = 600.0  # seconds until the first fit must have started


@dataclass(frozen=True)
class Pilot:
    """What a plan is expected to cost, as a few of its fits go.

    Parameters
    ----------
    n_fits : int
        Fits that were timed.
    n_cores : int
        Fits that run at once.
    cpu_seconds : float
        Expected of all fits.
    wall_seconds : float
        Expected on so many cores.
    peak_bytes : int
        Most memory that a worker held; 0 where the system does not say.
    is_at_most : bool
        Whether it costs less where a schedule stops trials.
    """

    n_fits: int
    n_cores: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    is_at_most: bool = False

    def to_dict(self) -> dict[str, float]:
        """Return it for machines."""
        return asdict(self)

    def explain(self) -> str:
        """Say it in a line."""
        memory = f", {self.peak_bytes / 2**20:.0f} MiB of memory per worker" if self.peak_bytes else ""
        most = "at most " if self.is_at_most else ""
        return (
            f"expected   {most}{duration(self.cpu_seconds)} of CPU time, {duration(self.wall_seconds)} on "
            f"{counted(self.n_cores, 'core')}{memory}; from {counted(self.n_fits, 'fit')}"
        )


def fly(plan: Plan, executor: Executor, n_jobs: int | None = None) -> Pilot:
    """Time a few fits of a plan where they would run, and reckon what the whole will cost.

    A few params are fitted on the train rows of an inner fold and on those of an outer fold; with a schedule for its grace
    epochs, from which the cost of all epochs is reckoned. A fit's own time counts once
    per fit (the final model's as one on an outer fold's rows), what fits share once per distinct prefix and train rows.

    Parameters
    ----------
    plan : Plan
        What would run.
    executor : Executor
        Where.
    n_jobs : int, optional
        At most so many fits at once.

    Raises
    ------
    FitFailedError
        If all pilot fits failed.
    """
    asked = _first_asked(plan)
    some = _spread(asked)
    n_prefixes = plan.prefixes.count_fits(asked)[1] / len(asked) * plan.n_trials
    per_prefix = n_prefixes / max(plan.prefixes.count_fits(some)[1], 1) if n_prefixes else 1.0
    final, n_sets = plan.studies[-1], plan.n_train_sets
    n_outer = plan.n_trials * len(final.folds) + plan.problem.settings.has_final_model
    loops = {
        plan.studies[0].folds[0].train: (max(plan.n_fits_at_most - n_outer, 0), n_sets - len(final.folds)),
        final.folds[0].train: (n_outer, len(final.folds)),
    }
    executor.open(_apart(plan), n_jobs)
    try:
        n_cores = executor.n_at_once
        timed = {train: _run(executor, [_pilot_fit(plan, one, train) for one in some]) for train in loops}
    finally:
        executor.close()
    schedule = plan.problem.settings.schedule
    times = 1.0 if schedule is None else schedule.max_epochs / schedule.grace_epochs
    cpu = math.fsum(
        n_fits * times * fmean(map(_own_seconds, timed[train]))
        + n_rows * per_prefix * math.fsum(r.shared_seconds for r in timed[train])
        for train, (n_fits, n_rows) in loops.items()
    )
    flown = [result for results in timed.values() for result in results]
    longest = max(times * _own_seconds(result) + result.shared_seconds for result in flown)
    peak = max(result.peak_bytes for result in flown)
    return Pilot(len(flown), n_cores, cpu, max(cpu / n_cores, longest), peak, is_at_most=schedule is not None)


def _apart(plan: Plan) -> Plan:
    """Name a plan apart from its job, of which trials may have kept states to go on from, or may be running now."""
    problem, apart = copy(plan.problem), copy(plan)
    problem.__dict__["key"] = f"pilot-{uuid.uuid4().hex}"
    apart.__dict__["problem"] = problem
    return apart


def _first_asked(plan: Plan) -> list[Params]:
    """Return the params that a study asks for before it must be told, as far as they need be looked at."""
    asker = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, plan.search_seed)
    most = plan.problem.settings.batch if plan.problem.settings.search.adapts else _MOST_LOOKED_AT
    return [trial.params for trial in asker.ask(min(most, plan.n_trials))]


def _spread(asked: Sequence[Params]) -> list[Params]:
    """Take params from the start, the middle and the end."""
    places = {round(i * (len(asked) - 1) / (_N_PARAMS - 1)) for i in range(_N_PARAMS)}
    return [asked[place] for place in sorted(places)]


def _pilot_fit(plan: Plan, params: Params, train: str) -> Fit:
    schedule = plan.problem.settings.schedule
    return plan.fit(params, train, lineage=() if schedule is None else (Segment(params, schedule.grace_epochs),))


def _run(executor: Executor, fits: Sequence[Fit]) -> list[FitResult]:
    executor.submit(fits)
    results: list[FitResult] = []
    started = time.monotonic()
    while len(results) < len(fits):
        results += executor.results(timeout=1.0)
        reason = executor.waits_for()
        if reason is not None and time.monotonic() - started > _PATIENCE:
            raise failed(FitFailedError, f"the pilot's fits did not start within {_PATIENCE:g} s: {reason}", [])
    causes = [result.error for result in results if result.error is not None]
    if len(causes) == len(results):
        raise failed(FitFailedError, f"all {len(results)} pilot fits failed: {causes[0]}", causes)
    return [result for result in results if result.error is None]


def _own_seconds(result: FitResult) -> float:
    return result.fit_seconds + math.fsum(result.score_seconds.values()) - result.shared_seconds
