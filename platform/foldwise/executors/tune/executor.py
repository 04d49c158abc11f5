"""The Tune executor: what a run sees of Ray Tune."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from foldwise.errors import InputError
from foldwise.executors.base import ScheduledExecutor
from foldwise.executors.code import unpacked
from foldwise.executors.ray import RayExecutor
from foldwise.executors.ray_session import SESSION
from foldwise.executors.tune.states import STORAGE, Storage
from foldwise.executors.tune.tasks import FitTask
from foldwise.executors.tune.tune_run import TuneRun
from foldwise.plan.limits import Limits
from foldwise.plan.plan import Plan
from foldwise.plan.resources import Resources
from foldwise.trial import Fit, FitResult, Trial, TrialEnd


class TuneExecutor(ScheduledExecutor):
    """Runs scheduled trials, and the plain fits beside them, on Ray Tune.

    Parameters
    ----------
    address : str, optional
        A running Ray, as for `RayExecutor`.
    storage : str, optional
        Where trials in training keep their states, from which they are resumed: a folder, or a URL such as
        ``s3://bucket/folder``; None takes ``FOLDWISE_STORAGE`` and, without it, ``.foldwise/tune`` in the working folder.
        Of a cluster's nodes all must see it: HyperBand and population based training hand states on by it.
    """

    def __init__(self, address: str | None = None, storage: str | None = None) -> None:
        self._plain = RayExecutor(address)  # what can be told before it is opened is the same
        self._address, self._root = address, storage
        self._ray: Any = None
        self._current: TuneRun | None = None

    def __reduce__(self) -> tuple[type[TuneExecutor], tuple[str | None, str | None]]:
        return TuneExecutor, (self._address, self._root)  # where it runs; what it runs stays here

    def check(self, resources: Resources, limits: Limits | None = None) -> None:  # noqa: D102
        self._plain.check(resources, limits)

    def foresee(self, resources: Resources) -> int | None:  # noqa: D102
        return self._plain.foresee(resources)

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        storage = Storage.of(self._root, plan.problem.key)
        storage.check()
        self._ray = SESSION.ensure(self._address)
        self._current = TuneRun(self._ray, plan, n_jobs, storage, _storage_of_tune(storage))

    @property
    def n_at_once(self) -> int:  # noqa: D102
        return self._run.n_at_once

    @property
    def slots(self) -> int:  # noqa: D102
        return self._run.n_at_once

    def submit(self, chunk: Sequence[Fit]) -> None:  # noqa: D102
        self._run.submit([FitTask(fit) for fit in chunk])

    def submit_trials(self, study: str, trials: Sequence[Trial]) -> None:  # noqa: D102
        self._run.submit([self._run.task_of(study, trial) for trial in trials])

    def recall(self, ends: Sequence[TrialEnd]) -> None:  # noqa: D102
        self._run.past_ends.add(ends)

    def confirm(self, ends: Sequence[TrialEnd]) -> None:  # noqa: D102
        self._run.confirm(ends)

    def end_study(self, study: str) -> None:
        """Do nothing: the processes serve whichever study has work, until the run is closed."""

    def results(self, timeout: float | None = None) -> list[FitResult]:  # noqa: D102
        self._run.look_after()
        return [unpacked(result, self._run.classes) for result in self._run.queue.take_results(timeout)]

    def trial_ends(self, timeout: float | None = None) -> list[TrialEnd]:  # noqa: D102
        self._run.look_after()
        return self._run.queue.take_ends(timeout)

    def cancel(self, keys: Collection[str]) -> None:  # noqa: D102
        self._run.queue.cancel(keys)

    def close(self) -> None:  # noqa: D102
        opened, self._current = self._current, None
        if opened is not None:
            opened.close()

    def waits_for(self) -> str | None:  # noqa: D102
        return None if self._current is None else self._current.waits_for()

    @property
    def _run(self) -> TuneRun:
        assert self._current is not None, "open it first"
        return self._current


def _storage_of_tune(storage: Storage) -> Storage:
    """Return where Tune's own files lie: beside the states or, where others could replace them, with a private Ray's."""
    opened = storage.open_to_others()
    if opened is None:
        return storage
    if SESSION.folder is not None:
        return Storage(str(SESSION.folder), "tune")
    raise InputError(
        STORAGE, f"expected a folder in which nobody else can replace files, since they are unpickled, got {storage.root!r}, "
        f"where others may replace what is in {opened}; take that right from them, or set {STORAGE} to a folder of your own"
    )  # fmt: skip
