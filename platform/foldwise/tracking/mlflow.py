"""MlflowTracker: a listener that writes what happens to MLflow, in a thread of its own.

One run for the job, below it one per study, below these one per trial. What they hold:

===== ================================================================================================================
trial params; metrics ``inner_<metric>``, ``inner_<metric>_std``, ``fold_<metric>`` (step = inner fold), ``seconds``
study the chosen params; metrics ``inner_best``, ``outer_<metric>`` (of an outer study), ``n_trials``, ``seconds``
job   params ``search``, ``n_trials``, ``outer_folds``, ``inner_folds``, ``seed``, ``estimator``, ``metric`` and
      ``best_<param>``; per metric ``<metric>_nested`` (the outer scores' mean), ``<metric>_std``,
      ``<metric>_interval_low``, ``<metric>_interval_high``, ``<metric>_flat_best`` and ``<metric>_optimism`` (not of a
      partial report, whose numbers nobody should quote); ``n_fits``, ``n_fits_shared``, ``n_fits_failed``,
      ``n_fits_plain``, ``n_retries``, ``seconds``; artifacts ``job.yaml``, ``plan.txt``, ``trials.parquet``, ``report.json``,
      ``report.txt``; the data as an input and the final model as an output
===== ================================================================================================================

Each also carries the tags ``foldwise.key``, ``.job``, ``.study``, ``.trial``, ``.state``, ``.model`` and ``.search``, as far
as they apply. Numbers that are not finite are left out: MLflow's database keeps a NaN as a zero that filters find.
"""

from __future__ import annotations

import queue
import threading
import time

from foldwise.events import Event, RunEnded, RunStarted, StudyEnded, TrialEnded
from foldwise.tracking.projection import Projection
from foldwise.tracking.store import Store

_Item = tuple[Event, float]


class MlflowTracker:
    """Write the events of one run to MLflow; calling it with an event neither waits nor raises.

    Parameters
    ----------
    uri : str or None
        Where to: a server (``http://...``), a database (``sqlite:///mlflow.db``), or None for MLflow's own choice.
    experiment : str
        Name of the experiment; it is made, or restored if it was deleted.
    job_text : str, optional
        The job file as it was written; kept as ``job.yaml``.
    parent_run_id : str, optional
        A run, of the same experiment, to nest the job's run below.

    Examples
    --------
    >>> tracker = MlflowTracker("sqlite:///mlflow.db", "digits")
    >>> tracker.run_id is None and tracker.untracked == 0  # until a run starts
    True
    """

    def __init__(
        self, uri: str | None, experiment: str, *, job_text: str | None = None, parent_run_id: str | None = None
    ) -> None:
        self._store = Store(uri, experiment)
        self._projection = Projection(self._store, job_text=job_text, parent_run_id=parent_run_id)
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._tried_to_start = threading.Event()
        self._is_closed = False
        self._left_over = 0
        self._why_left_over = ""

    def __call__(self, event: Event) -> None:
        """Take note of an event, to be written soon."""
        if self._is_closed or not isinstance(event, RunStarted | TrialEnded | StudyEnded | RunEnded):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="foldwise-mlflow", daemon=True)
            self._thread.start()
        self._waiting.put((event, time.time()))

    def close(self, timeout: float = 60.0) -> None:
        """Write what is left, until so many seconds pass without anything written; what is left then counts as untracked."""
        if self._thread is None or self._is_closed:
            return
        self._is_closed = True
        self._waiting.put(None)
        n_left = self._waiting.qsize() + 1
        while self._thread.is_alive() and self._waiting.qsize() < n_left:
            n_left = self._waiting.qsize()
            deadline = time.monotonic() + timeout
            while self._thread.is_alive() and self._waiting.qsize() == n_left and time.monotonic() < deadline:
                self._thread.join(0.2)
        if self._thread.is_alive():
            self._left_over = self._waiting.qsize()  # the mark put above stands for the event that is being written
            self._why_left_over = f"MLflow took nothing for {timeout:g} s"

    def wait_for_run_id(self, timeout: float | None = None) -> str | None:
        """Return the job's run id once it is known; None if it cannot be had, or not within so many seconds."""
        if self._thread is not None:
            self._tried_to_start.wait(timeout)
        return self.run_id

    @property
    def n_waiting(self) -> int:
        """Events that are still to be written."""
        return self._waiting.qsize()

    @property
    def run_id(self) -> str | None:
        """Id of the job's run, once it is known."""
        return self._projection.run_id

    @property
    def address(self) -> str | None:
        """Where the job's run can be seen, once it is known; without passwords."""
        return self._projection.address

    @property
    def untracked(self) -> int:
        """How many runs, artifacts and events could not be written so far."""
        return len(self._projection.missing) + self._left_over

    @property
    def problem(self) -> str | None:
        """Why something is untracked, in one line; None if nothing is."""
        causes = list(self._projection.missing.values())
        return causes[-1] if causes else self._why_left_over or None

    def _write_all(self) -> None:
        while (item := self._waiting.get()) is not None:
            self._projection.take(*item)
            self._tried_to_start.set()
