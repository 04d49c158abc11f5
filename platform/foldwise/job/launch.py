"""Step 8: start a plan's run with its executor and its listeners, for both faces alike."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from foldwise.errors import InputError, InputTypeError
from foldwise.events import Listener, RunWaits
from foldwise.executors import Executor, check_can_run
from foldwise.inputs.checks import is_integer
from foldwise.ledger import Ledger
from foldwise.listeners.progress import log_waiting
from foldwise.loop.run import Interrupted, Run
from foldwise.plan.plan import Plan
from foldwise.report import Report

DEFAULT_EXPERIMENT = "foldwise"
_WORTH_A_WORD = 100


def n_at_once(n_jobs: Any) -> int | None:
    """Read ``n_jobs`` as scikit-learn's users mean it.

    Returns
    -------
    int or None
        At most so many fits at once; None (for None and -1): as many as there is room for.

    Examples
    --------
    >>> n_at_once(2), n_at_once(-1)
    (2, None)
    """
    if n_jobs is None or n_jobs == -1:
        return None
    if not is_integer(n_jobs):
        raise InputTypeError("n_jobs", f"expected an integer or None, got {n_jobs!r}")
    if n_jobs == 0:
        raise InputError("n_jobs", "expected an integer other than 0, got 0; use None or -1 for all cores")
    return int(n_jobs) if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + int(n_jobs))


def run_plan(
    plan: Plan,
    executor: Executor,
    *,
    n_jobs: int | None = None,
    listeners: Sequence[Listener] = (),
    tracking: str | None = None,
    experiment: str | None = None,
    job_text: str | None = None,
    ledger: Ledger | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[Run, Report, str | None]:
    """Run a plan to its end, tracked if wanted.

    Parameters
    ----------
    plan : Plan
        What to run.
    executor : Executor
        Where.
    n_jobs : int, optional
        At most so many fits at once.
    listeners : sequence of callable
        Each hears every event. Where there is none, the logger ``foldwise`` still says what the run waits for.
    tracking : str, optional
        MLflow URI; None: not tracked.
    experiment : str, optional
        MLflow experiment; None: that of the run that is active in the caller, else "foldwise".
    job_text : str, optional
        The job file, which is kept beside the results.
    ledger : Ledger, optional
        Finished fits; None: they are forgotten after the run.
    stop : callable, optional
        Asked between steps; once it says True, the run ends in good order.

    Returns
    -------
    run, report, run_id
        The run as it ended, its report, and its MLflow run.
    """
    check_can_run(executor, plan.problem)
    listeners = listeners or (log_waiting,)
    tracker = None
    if tracking is not None:
        from foldwise.listeners.tracking import MlflowTracker, active_run  # lazily: only tracked runs need MLflow

        parent, parents_experiment = active_run(tracking) or (None, None)
        home = experiment or parents_experiment or DEFAULT_EXPERIMENT
        nested = parent if home == parents_experiment else None
        tracker = MlflowTracker(tracking, home, job_text=job_text, parent_run_id=nested)
    run = Run(plan, executor, ledger, listeners=[*listeners, *([tracker] if tracker else [])], n_jobs=n_jobs, stop=stop)
    try:
        try:
            report = run.execute()
        finally:
            if tracker is not None:
                _close(tracker, listeners, run.trouble)
    except Interrupted:
        raise
    except KeyboardInterrupt:  # the run is over, and its tracker was not done
        raise Interrupted(run.report(), run) from None
    for trouble in run.trouble:
        shown = f"{type(trouble).__name__}: {trouble}"
        warnings.warn(f"the search is done, and what it found is here; but it could not be closed: {shown}", RuntimeWarning, 2)
    if tracker is None:
        return run, report, None
    tracked = replace(report, mlflow_run_id=tracker.run_id, mlflow_address=tracker.address, mlflow_missing=tracker.missing)
    return run, tracked, tracker.run_id


def _close(tracker: Any, listeners: Sequence[Listener], trouble: list[Exception]) -> None:
    """Let a tracker finish; what goes wrong with it does not undo the run."""
    if tracker.n_waiting > _WORTH_A_WORD:
        for listener in listeners:
            listener(RunWaits(f"waiting for MLflow to take {tracker.n_waiting} more trials"))
    try:
        tracker.close(timeout=60)
    except Exception as error:  # the tracker's storage may be anything
        trouble.append(error)
