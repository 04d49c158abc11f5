"""An executor that judges trials in this process, by a rule that can be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from foldwise.executors import ScheduledExecutor, SerialExecutor
from foldwise.plan.plan import Plan
from foldwise.plan.schedule import PBT, Schedule
from foldwise.trial import Params, Trial, TrialEnd, TrialState
from foldwise.worker.lockstep import Lockstep, Progress, fits_of


class SerialScheduledExecutor(SerialExecutor, ScheduledExecutor):
    """Trains one trial after the other, in the order submitted; repeatable, unlike Ray Tune.

    After ``grace_epochs``, ``reduction`` times as many, and so on, a trial goes on only if it is among the best
    ``1 / reduction`` of those of its study that came so far. With the method "pbt" none is stopped.

    Parameters
    ----------
    change : callable, optional
        Params and the number of epochs trained -> the params to go on with, as population based training changes them.

    Attributes
    ----------
    n_epochs : int
        Epochs of trials that it has trained, since it was made.
    """

    def __init__(self, change: Callable[[Params, int], Params] | None = None) -> None:
        super().__init__()
        self.n_epochs = 0
        self._change = change
        self._plan: Plan | None = None
        self._trials: deque[tuple[str, Trial]] = deque()
        self._at_rungs: dict[tuple[str, int], list[float]] = {}

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        super().open(plan, n_jobs)
        self._plan = plan

    def close(self) -> None:  # noqa: D102
        super().close()
        self._trials.clear()
        self._at_rungs.clear()
        self._plan = None

    def submit_trials(self, study: str, trials: Sequence[Trial]) -> None:  # noqa: D102
        self._trials.extend((study, trial) for trial in trials)

    def recall(self, ends: Sequence[TrialEnd]) -> None:  # noqa: D102
        assert self._plan is not None
        assert self._plan.problem.settings.schedule is not None
        rungs = _rungs(self._plan.problem.settings.schedule)
        for end in ends:
            for epoch, value in end.curve:
                if epoch in rungs:
                    self._at_rungs.setdefault((end.study, epoch), []).append(value)

    def confirm(self, ends: Sequence[TrialEnd]) -> None:
        """Do nothing: trials keep nothing of themselves."""

    def end_study(self, study: str) -> None:  # noqa: D102
        pass

    def trial_ends(self, timeout: float | None = None) -> list[TrialEnd]:  # noqa: D102
        return [self._run(*self._trials.popleft())] if self._trials else []

    def _run(self, name: str, trial: Trial) -> TrialEnd:
        assert self._plan is not None
        assert self._context is not None
        assert self._plan.problem.settings.schedule is not None
        study = next(one for one in self._plan.studies if one.name == name)
        lockstep, state = Lockstep(fits_of(self._plan, study, trial)), None
        while state is None:
            progress = lockstep.train_epoch(self._context)
            self.n_epochs += 1
            state = self._judge(name, progress, self._plan.problem.settings.schedule)
            if self._change is not None and state is None:
                lockstep.set_params(self._change(lockstep.params, progress.epochs))
        return TrialEnd(name, trial.number, state, progress.results, progress.lineage, progress.curve)

    def _judge(self, study: str, progress: Progress, schedule: Schedule) -> TrialState | None:
        """Say how a trial ends; None: it goes on."""
        if progress.has_failed:
            return TrialState.FAILED
        if progress.epochs == schedule.max_epochs:
            return TrialState.COMPLETE
        if schedule.method == PBT or progress.epochs not in _rungs(schedule):
            return None
        came = self._at_rungs.setdefault((study, progress.epochs), [])
        came.append(progress.value)
        least = sorted(came, reverse=True)[-(-len(came) // schedule.reduction) - 1]
        return TrialState.PRUNED if progress.value < least else None


def _rungs(schedule: Schedule) -> set[int]:
    rungs, rung = set(), schedule.grace_epochs
    while rung < schedule.max_epochs:
        rungs.add(rung)
        rung *= schedule.reduction
    return rungs
