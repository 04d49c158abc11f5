"""Step 8: start a plan's run with its executor and its listeners, for both faces alike."""

from __future__ import annotations

import numbers
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from foldwise.errors import InputError, InputTypeError
from foldwise.events import Listener
from foldwise.executors import Executor
from foldwise.plan import Plan
from foldwise.report import Report
from foldwise.run import Run


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
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral):
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
    experiment: str = "foldwise",
    job_text: str | None = None,
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
        Each hears every event.
    tracking : str, optional
        MLflow URI; None: not tracked.
    experiment : str
        MLflow experiment.
    job_text : str, optional
        The job file, which is kept beside the results.

    Returns
    -------
    run, report, run_id
        The run as it ended, its report, and its MLflow run.
    """
    executor.check(plan.problem.resources)
    tracker = None
    if tracking is not None:
        from foldwise.tracking import MlflowTracker  # lazily: only tracked runs need MLflow

        tracker = MlflowTracker(tracking, experiment, job_text=job_text, parent_run_id=_active_run(tracking))
    run = Run(plan, executor, listeners=[*listeners, *([tracker] if tracker else [])], n_jobs=n_jobs)
    try:
        report = run.execute()
    finally:
        if tracker is not None:
            tracker.close(timeout=60)
    if tracker is None:
        return run, report, None
    return run, replace(report, mlflow_run_id=tracker.run_id, mlflow_address=tracker.address), tracker.run_id


def _active_run(tracking: str) -> str | None:
    """Return the run that is active in the caller, if MLflow is loaded there and it is on the same server."""
    mlflow = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow is not None else None
    if mlflow is None or active is None or mlflow.get_tracking_uri() != tracking:
        return None
    return str(active.info.run_id)
