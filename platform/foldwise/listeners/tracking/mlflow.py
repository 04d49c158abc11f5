"""MlflowTracker: a listener that writes what happens to MLflow, in a thread of its own.

One run for the job, below it one per study, below these one per trial. What they hold:

===== ================================================================================================================
trial params; metrics ``inner_<metric>``, ``inner_<metric>_std``, ``fold_<metric>`` (step = inner fold), ``seconds``; of a
      scheduled one also ``epochs``, and ``inner_<metric>`` of the metric that chooses at each epoch (step = epoch)
study the chosen params; metrics ``inner_best``, ``outer_<metric>`` (of an outer study), ``n_trials``, ``seconds``; with a
      schedule also ``epochs`` (of the choice) and ``n_stopped``
job   params ``search``, ``n_trials``, ``outer_folds``, ``inner_folds``, ``seed``, ``estimator``, ``metric`` and
      ``best_<param>``; per metric ``<metric>_nested`` (the outer scores' mean), ``<metric>_std``,
      ``<metric>_interval_low``, ``<metric>_interval_high``, ``<metric>_flat_best`` and ``<metric>_optimism`` (not of a
      partial report, whose numbers nobody should quote); ``n_fits``, ``n_fits_found``, ``n_fits_shared``,
      ``n_fits_failed``, ``n_fits_plain``, ``n_retries``, ``seconds``; with a schedule params ``schedule`` and ``max_epochs``,
      metrics ``n_stopped``, ``n_epochs`` and ``n_epochs_full``; artifacts ``job.yaml``, ``plan.txt``, the archive
      (``archive.json``, ``trials.parquet``, ``outer.parquet``), ``report.json``, ``report.txt``; the data as an input and the
      final model as an output
===== ================================================================================================================

Each also carries the tags ``foldwise.key``, ``.job``, ``.study``, ``.trial``, ``.state``, ``.model`` and ``.search``, as far
as they apply, and ``.lineage`` where params changed in training. Numbers that are not finite are left out: MLflow's database
keeps a NaN as a zero that filters find.
"""

from __future__ import annotations

import queue
import threading
import time

from foldwise.events import Event, RunEnded, RunStarted, StudyEnded, TrialEnded
from foldwise.listeners.tracking.notes import Notes
from foldwise.listeners.tracking.projection import Projection
from foldwise.listeners.tracking.spool import UNTRACKED, address_of, write_spool
from foldwise.listeners.tracking.store import Store, cause
from foldwise.listeners.tracking.sync_spool import sync

_PATIENCE_WITH_THE_DEAD = 5.0
"""Seconds that a store which cannot be reached is waited for at the end."""
_LEAST_DRAIN = 60.0
"""Seconds that writing may go on after the run; if the run took longer, then as long as it did."""
_LOOK = 0.05
_JOB, _WHOLE = "", -1


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
        self._uri, self._experiment = uri, experiment
        self._root = UNTRACKED.absolute()
        self._notes = Notes()
        self._projection = Projection(Store(uri, experiment), self._notes, job_text=job_text, parent_run_id=parent_run_id)
        self._waiting: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._tried_to_start = threading.Event()
        self._began = time.monotonic()
        self._is_closed = False
        self._why_left_over = ""
        self._kept: str | None = None

    def __call__(self, event: Event) -> None:
        """Take note of an event, to be written soon."""
        if self._is_closed or not isinstance(event, RunStarted | TrialEnded | StudyEnded | RunEnded):
            return
        self._notes.add(event, time.time())
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="foldwise-mlflow", daemon=True)
            self._thread.start()
        match event:
            case TrialEnded():
                self._waiting.put((event.study, event.trial.number))
            case StudyEnded():
                self._waiting.put((event.study, _WHOLE))
            case _:
                self._waiting.put((_JOB, int(isinstance(event, RunEnded))))

    def close(self, timeout: float = 60.0) -> None:
        """Write what is left; what then is not written is kept on disk for ``foldwise sync``, or the next run.

        This takes at most as long as the run did, or a minute; it ends before where nothing is written for ``timeout``
        seconds, or for five where the store cannot be reached.
        """
        if self._thread is None or self._is_closed:
            return
        self._is_closed = True
        self._waiting.put(None)
        self._drain(self._thread, timeout)
        self._projection.stop()
        if self._projection.can_be_completed:
            self._keep()

    def _drain(self, thread: threading.Thread, timeout: float) -> None:
        """Wait until all is written, or for as long as that makes sense."""
        now = last = time.monotonic()
        latest, n_written = now + max(_LEAST_DRAIN, now - self._began), self._projection.n_written
        while thread.is_alive():
            patience = min(timeout, _PATIENCE_WITH_THE_DEAD) if self._projection.why_away else timeout
            if now - last >= patience or now >= latest:
                silent = f"MLflow took nothing for {patience:g} s"
                self._why_left_over = silent if now < latest else "MLflow is too slow"
                return
            thread.join(_LOOK)
            now = time.monotonic()
            if self._projection.n_written > n_written:
                last, n_written = now, self._projection.n_written

    def _keep(self) -> None:
        """Keep on disk what is not in MLflow."""
        try:
            about = self._projection.about(address_of(self._uri), self._experiment)
            write_spool(self._root, about, self._projection.left())
            self._kept = "foldwise sync, or the next run that is tracked there, completes it"
        except Exception as error:  # a full disk, a model that nothing can store: told, like all that is not tracked
            self._kept = f"not all of it could be kept for foldwise sync: {cause(error)}"

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
        """How many runs, files and the like are not in MLflow as they are to be by now."""
        return self._projection.n_missing

    @property
    def problem(self) -> str | None:
        """Why something is untracked, in one line; None if nothing is."""
        if not self.untracked:
            return None
        return self._projection.problem or self._projection.why_away or self._why_left_over or None

    @property
    def missing(self) -> str | None:
        """What is not in MLflow, why, and what completes it; None if nothing is missing."""
        if not self.untracked:
            return None
        parts = [f"{self.untracked} of its runs and files are not there: {self.problem}", self._kept]
        return "; ".join(part for part in parts if part)

    def _write_all(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._write(*item)
            except Exception as error:  # tracking must never harm a search, nor stop before it
                self._projection.problem = cause(error)
            self._tried_to_start.set()

    def _write(self, study: str, number: int) -> None:
        if study == _JOB and number:
            self._projection.end()
            if not self.untracked:
                sync(self._root, self._uri, go_on=lambda: not self._projection.is_stopped())  # what waited for this store
        elif study == _JOB:
            self._projection.start()
        elif number == _WHOLE:
            self._projection.study(study)
        else:
            self._projection.trial(study, number)
