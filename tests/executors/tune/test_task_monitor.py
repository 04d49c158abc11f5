"""A task that has lost its process goes on, unless its time is over or it has lost too many."""

from dataclasses import replace

import pytest
from ray.exceptions import ActorDiedError, NodeDiedError, ObjectLostError, OutOfMemoryError, RayActorError

from foldwise.executors.losses import Loss
from foldwise.executors.tune.compat import loss_of
from foldwise.executors.tune.task_monitor import TaskMonitor
from foldwise.executors.tune.tasks import FitTask, TrialTask
from foldwise.testing import scheduled_plan
from foldwise.trial import Segment, Trial
from foldwise.worker.lockstep import fits_of

PLAN = scheduled_plan()
TRIAL = Trial(0, {"alpha": 1.0})
TASK = TrialTask("final", TRIAL, "key", fits_of(PLAN, PLAN.studies[-1], TRIAL), 9, TRIAL.params)
REFIT = FitTask(PLAN.fit({}, PLAN.whole, lineage=(Segment({"alpha": 1.0}, 5),)))


class Clock:
    def __init__(self):
        self.now, self.opened = 100.0, True

    def __call__(self):
        return self.now

    def is_open(self, reference):
        return self.opened


@pytest.fixture
def clock():
    return Clock()


def monitor_of(clock, seconds=2.0):
    monitor = TaskMonitor(seconds, clock.is_open, clock)
    monitor.on_start("t", "reference")
    monitor.on_result("t", 0)
    return monitor


def go_on(monitor):
    """Begin again, in a process that has the job open as soon as the driver looks."""
    monitor.on_start("t", "reference")
    assert not monitor.is_overdue("t", TASK)


def lose(monitor, task=TASK, loss=Loss.WORKER):
    return monitor.after_loss("t", task, loss, "the reason")


def test_a_process_that_is_lost_late_in_an_epoch_goes_on_once(clock):
    monitor = monitor_of(clock)
    clock.now += 5.0  # of three folds that may take two seconds each
    assert lose(monitor) is None
    go_on(monitor)
    monitor.on_result("t", 1)  # the epoch was trained, and the next one may be lost as well
    clock.now += 5.0
    assert lose(monitor) is None


def test_a_process_that_is_lost_as_late_in_the_very_epoch_again_was_late(clock):
    monitor = monitor_of(clock)
    clock.now += 5.0
    assert lose(monitor) is None
    go_on(monitor)
    clock.now += 5.0
    assert lose(monitor).kind == "TimeLimitExceeded"


def test_a_process_that_is_lost_early_was_not_late(clock):
    monitor = monitor_of(clock)
    for _ in range(2):
        clock.now += 2.5  # no watchdog would have ended it by now
        assert lose(monitor) is None
        go_on(monitor)
    assert lose(monitor).kind == "WorkerLost"
    assert monitor.n_losses("t") == 3


def test_a_refit_has_the_time_of_its_epochs(clock):
    monitor = monitor_of(clock)
    clock.now += 9.0
    assert lose(monitor, REFIT) is None
    go_on(monitor)
    clock.now += 11.5
    assert lose(monitor, REFIT).kind == "TimeLimitExceeded"


def test_an_actor_is_ended_for_its_silence_once_it_has_opened_the_job(clock):
    clock.opened = False
    monitor = TaskMonitor(2.0, clock.is_open, clock)
    monitor.on_start("t", "reference")
    clock.now += 500.0  # it imports the estimator's module
    assert not monitor.is_overdue("t", TASK)
    clock.opened = True
    clock.now += 1.0
    assert not monitor.is_overdue("t", TASK), "from here on it is timed"
    clock.now += 30.0
    assert not monitor.is_overdue("t", TASK)
    clock.now += 30.0
    assert monitor.is_overdue("t", TASK)
    assert lose(monitor).kind == "TimeLimitExceeded", "it was ended for its time, and need not be tried again"


def test_a_process_that_is_lost_while_it_opens_the_job_was_not_late(clock):
    clock.opened = False
    monitor = TaskMonitor(2.0, clock.is_open, clock)
    for _ in range(2):
        monitor.on_start("t", "reference")
        clock.now += 500.0
        assert lose(monitor) is None


def test_without_a_limit_nobody_is_late(clock):
    monitor = monitor_of(clock, None)
    clock.now += 1e6
    assert not monitor.is_overdue("t", TASK)
    assert lose(monitor) is None


def test_lost_nodes_count_as_nodes(clock):
    monitor = monitor_of(clock)
    for _ in range(9):
        assert lose(monitor, loss=Loss.NODE) is None
    assert [lose(monitor), lose(monitor)] == [None, None], "losses of workers are counted apart"
    failure = lose(monitor, loss=Loss.NODE)
    assert failure.kind == "NodeLost"
    assert failure.message == "the node was lost 10 times while it ran this alone: the reason"


def test_a_task_that_has_ended_is_forgotten(clock):
    monitor = monitor_of(clock)
    lose(monitor)
    monitor.on_end("t")
    assert monitor.n_losses("t") == 0
    assert not monitor.is_overdue("t", replace(TASK))


@pytest.mark.parametrize(
    ("error", "loss"),
    [
        (None, Loss.WORKER),
        (ActorDiedError(), Loss.WORKER),
        (RayActorError(error_msg="The actor died because its node has died. Node Id: 1f"), Loss.NODE),
        (RayActorError(error_msg="\tthe actor's node was terminated unexpectedly: health check failed"), Loss.NODE),
        (RayActorError(error_msg=f"NodeDiedError: {NodeDiedError('gone')}"), Loss.NODE),
        (RayActorError(error_msg="OutOfMemoryError: killed due to the node running low on memory"), Loss.MEMORY),
        (OutOfMemoryError("killed"), Loss.MEMORY),
        (ObjectLostError("0" * 56, None, ""), Loss.DATA),
    ],
)
def test_a_loss_is_told_by_what_ray_says_of_it(error, loss):
    assert loss_of(error) is loss
