"""A canary per thing that the executor relies on of Tune's private parts: that it is there, and does what is relied on."""

import gc
import inspect
import pickle
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler

from foldwise.executors.losses import Loss
from foldwise.executors.tune.compat import (
    ActorErrors,
    StudyController,
    actor_of,
    allow_more_failures,
    loss_of,
    staging_folder,
)
from foldwise.executors.tune.study_schedulers import StudySchedulers
from foldwise.executors.tune.tuner import _LOGGERS

SOURCE = inspect.getsource(TuneController)
OUT_OF_MEMORY = OutOfMemoryError("killed due to the node running low on memory")


class Manager(RayActorManager):
    """Tune's actor manager without actors."""

    def __init__(self):
        self._failed_actor_ids = set()

    def _cleanup_actor(self, tracked_actor):
        pass


class Controller:
    """What is relied on of Tune's controller, with one trial and its actor."""

    def __init__(self, state="_running_trials"):
        self.heard, self.trial = [], Trial("trainable", stub=True)
        self.actor = TrackedActor(1, on_error=self.on_error)
        self.task = TrackedActorTask(self.actor, on_error=self.on_error)
        self._actor_manager, self._actor_to_trial = Manager(), {self.actor: self.trial}
        self._pending_trials, self._paused_trials, self._resetting_trials = set(), set(), {self.trial}
        if state != "_running_trials":
            getattr(self, state).add(self.trial)

    def on_error(self, actor, error):
        self.heard.append(error)

    def fail(self, error):
        self._actor_manager._actor_task_failed(tracked_actor_task=self.task, exception=error)


def attached(*state):
    controller, errors = Controller(*state), ActorErrors()
    errors.attach(controller)
    errors.attach(controller)
    return controller, errors


# --- errors of actors -------------------------------------------------------------------------------------------------


def test_tune_by_itself_would_end_at_an_actor_that_is_ended_for_its_memory():
    with pytest.raises(RuntimeError, match="unexpected exception"):
        Controller().fail(OUT_OF_MEMORY)


@pytest.mark.parametrize(("lost", "loss"), [(OUT_OF_MEMORY, Loss.MEMORY), (ObjectLostError("00", None, ""), Loss.DATA)])
def test_an_actor_that_is_lost_in_another_way_is_a_loss_that_tune_can_bear(lost, loss):
    controller, errors = attached()
    controller.fail(lost)
    assert all(isinstance(error, RayActorError) for error in controller.heard)
    assert len(controller.heard) == 2, "the actor and its task; Tune drops the second itself"
    assert controller._actor_manager._failed_actor_ids == {1}
    assert loss_of(errors.of(controller.trial)) is loss


@pytest.mark.parametrize("state", ["_pending_trials", "_paused_trials"])
def test_a_trial_that_has_not_begun_hears_once_that_its_actor_is_lost(state):
    controller, _ = attached(state)
    controller.fail(RayActorError(error_msg="gone"))
    assert len(controller.heard) == 1
    assert not controller._resetting_trials


def test_an_actor_that_cannot_be_started_is_heard_of_too():
    controller, errors = attached()
    controller._actor_manager._actor_start_failed(tracked_actor=controller.actor, exception=(lost := RayActorError()))
    assert controller.heard == [lost]
    assert errors.of(controller.trial) is lost


def test_an_error_of_a_task_is_told_by_its_cause():
    controller, errors = attached()
    assert errors.of(controller.trial) is None
    cause = ValueError("raised in the actor")
    error = ray.exceptions.RayTaskError("step", "trace", cause)
    controller.fail(error)
    assert errors.of(controller.trial) is cause


def test_other_runs_of_tune_in_the_process_are_left_alone():
    before = {name: vars(RayActorManager)[name] for name in ("_actor_task_failed", "_actor_start_failed")}
    handle_error = Trial.handle_error
    attached()
    assert {name: vars(RayActorManager)[name] for name in before} == before
    assert Trial.handle_error is handle_error
    assert not any(name in vars(Controller()._actor_manager) for name in before)


def test_nothing_of_a_run_is_kept_for_its_errors():
    controller, errors = attached()
    controller.fail(RayActorError())
    there = weakref.ref(controller.trial)
    del controller
    gc.collect()
    assert there() is None
    assert not errors._last


def test_a_pickle_that_claims_to_be_a_trials_error_is_never_opened(tmp_path, monkeypatch):
    opened = tmp_path / "opened"

    class Harm:
        def __reduce__(self):
            return open, (str(opened), "w")

    monkeypatch.setattr(Trial, "pickled_error_file", str(tmp_path / "error.pkl"))
    (tmp_path / "error.pkl").write_bytes(pickle.dumps(Harm()))
    assert ActorErrors().of(Trial("trainable", stub=True)) is None
    assert not opened.exists()


def test_the_controller_keeps_trials_and_actors_where_they_are_looked_for():
    words = ("_actor_manager", "_actor_to_trial", "_pending_trials", "_paused_trials", "_resetting_trials")
    assert all(f"self.{word}" in SOURCE for word in words)
    assert "self._scheduler_alg.on_trial_add(self._wrapped(), trial)" in SOURCE, (
        "a scheduler is handed the controller before any actor"
    )
    assert "on_error=self._actor_failed" in SOURCE
    assert '"_actor_manager",' in inspect.getsource(TuneController.__getstate__), "and the manager is not pickled"
    for method, names in {
        "_actor_task_failed": ["tracked_actor_task", "exception"],
        "_actor_start_failed": ["tracked_actor", "exception"],
    }.items():
        assert list(inspect.signature(getattr(RayActorManager, method)).parameters) == ["self", *names]
        assert f"self.{method}(" in inspect.getsource(RayActorManager), "found by its name on the instance"


def test_a_scheduler_is_handed_the_controller_in_a_wrapper(recwarn):
    controller, errors = Controller(), ActorErrors()
    errors.attach(TrialRunnerWrapper(controller, trial_executor=None))
    controller.fail(lost := RayActorError(error_msg="gone"))
    assert errors.of(controller.trial) is lost


def test_ray_says_in_these_words_that_a_node_has_died():
    binary = Path(ray.__file__).parent / "core" / "src" / "ray" / "gcs" / "gcs_server"
    assert b"its node has died" in binary.read_bytes()


# --- the controller that a study's scheduler sees -----------------------------------------------------------------------


def test_schedulers_ask_the_controller_for_no_more_than_it_is_given():
    assert all(callable(getattr(TuneController, name)) for name in ("get_trials", "get_live_trials", "stop_trial"))
    assert "search_alg" in inspect.getsource(PopulationBasedTraining), "which refuses some searches"
    whole = SimpleNamespace(search_alg="one", get_trials=lambda: ["all"], get_live_trials=lambda: {"all"}, stop_trial="stop")
    seen = StudyController(whole, {"own": None})
    assert (seen.search_alg, seen.get_trials(), seen.get_live_trials(), seen.stop_trial) == (None, ["own"], {"own"}, "stop")


def test_results_are_not_buffered_past_a_scheduler_that_says_so():
    assert TrialScheduler._supports_buffered_results is True
    assert StudySchedulers._supports_buffered_results is False
    assert StudySchedulers(None, 0, 1).supports_buffered_results is False


# --- trials -------------------------------------------------------------------------------------------------------------


def test_a_trial_has_its_actor_where_it_is_looked_for():
    trial = Trial("trainable", stub=True)
    assert actor_of(trial) is None
    trial.temporary_state.ray_actor = "handle"
    assert actor_of(trial) == "handle"
    assert "trial.set_ray_actor(ray_actor)" in SOURCE
    assert "self.temporary_state.ray_actor = ray_actor" in inspect.getsource(Trial.set_ray_actor)


def test_a_trial_may_lose_so_many_more_actors():
    trial = Trial("trainable", stub=True)
    trial.run_metadata.num_failures = 4
    allow_more_failures(trial, 1)
    assert trial.should_recover()
    trial.run_metadata.num_failures = 5
    assert trial.should_recover()
    trial.run_metadata.num_failures = 6
    assert not trial.should_recover()


def test_a_runs_files_on_this_machine_lie_where_they_are_looked_for(tmp_path):
    trial = SimpleNamespace(local_experiment_path=str(tmp_path / "session" / "run"))
    assert staging_folder(trial) == tmp_path / "session"
    assert isinstance(inspect.getattr_static(Trial, "local_experiment_path"), property)


# --- the environment and the log ----------------------------------------------------------------------------------------


def test_tune_reads_the_variables_that_are_set_for_it():
    source = "".join(
        file.read_text() for part in ("tune", "air", "train") for file in (Path(ray.__file__).parent / part).rglob("*.py")
    )
    from foldwise.executors.tune.tuner import _DEFAULTS

    assert [name for name in _DEFAULTS if name not in source] == []


def test_tune_logs_by_the_loggers_that_are_filtered():
    for name in _LOGGERS[1:]:
        file = Path(ray.__file__).parents[1] / (name.replace(".", "/") + ".py")
        assert "logging.getLogger(__name__)" in file.read_text()
