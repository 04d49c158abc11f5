"""Step 9: start a plan's run with its executor and its listeners, for both faces alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from foldwise.events import Listener, RunWaits
from foldwise.executors import Executor
from foldwise.ledger import Ledger
from foldwise.listeners.progress import log_waiting
from foldwise.loop.run import Interrupted, Run
from foldwise.plan.plan import Plan
from foldwise.reduce.archive import Tracked
from foldwise.report import Report

DEFAULT_EXPERIMENT = "foldwise"
_WORTH_A_WORD = 100


def run_plan(
    plan: Plan,
    executor: Executor,
    *,
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
    listeners = listeners or (log_waiting,)
    tracker = None
    if tracking is not None:
        from foldwise.listeners.tracking import MlflowTracker, active_run  # lazily: only tracked runs need MLflow

        parent, parents_experiment = active_run(tracking) or (None, None)
        home = experiment or parents_experiment or DEFAULT_EXPERIMENT
        nested = parent if home == parents_experiment else None
        tracker = MlflowTracker(tracking, home, job_text=job_text, parent_run_id=nested)
    run = Run(
        plan, executor, ledger, listeners=[*listeners, *([tracker] if tracker else [])], n_jobs=plan.problem.settings.n_jobs,
        stop=stop,
    )  # fmt: skip
    try:
        try:
            archive = run.execute()
        finally:
            if tracker is not None:
                _close(tracker, listeners, run.trouble)
    except Interrupted:
        raise
    except KeyboardInterrupt:  # the run is over, and its tracker was not done
        raise Interrupted(run.archive(), run) from None
    for trouble in run.trouble:
        shown = f"{type(trouble).__name__}: {trouble}"
        warnings.warn(f"the search is done, and what it found is here; but it could not be closed: {shown}", RuntimeWarning, 2)
    if tracker is None:
        return run, Report(archive), None
    tracked = Tracked(tracker.run_id, tracker.address, tracker.missing)
    return run, Report(replace(archive, tracked=tracked)), tracked.run_id


def _close(tracker: Any, listeners: Sequence[Listener], trouble: list[Exception]) -> None:
    """Let a tracker finish; what goes wrong with it does not undo the run."""
    if tracker.n_waiting > _WORTH_A_WORD:
        for listener in listeners:
            listener(RunWaits(f"waiting for MLflow to take {tracker.n_waiting} more trials"))
    try:
        tracker.close(timeout=60)
    except Exception as error:  # the tracker's storage may be anything
        trouble.append(error)
