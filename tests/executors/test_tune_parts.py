"""What Tune's executor is made of, without Ray's processes: the queue, states, exploring, and the judges of the studies."""

import inspect
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as RealTrial
from scipy.stats import uniform

import foldwise as fw
from foldwise.errors import ClusterError, Failure
from foldwise.executors.devices import is_out_of_gpu_memory, share_of
from foldwise.executors.losses import Loss
from foldwise.executors.tune.compat import error_of, loss_of, see_all_losses
from foldwise.executors.tune.executor import _Opened
from foldwise.executors.tune.explore import explore
from foldwise.executors.tune.states import Pace, Storage
from foldwise.executors.tune.task_queue import QueueClosed, TaskQueue
from foldwise.executors.tune.tasks import FitTask, TrialTask
from foldwise.executors.tune.trainable import FoldTrainable
from foldwise.plan.resources import Resources
from foldwise.space.space import SearchSpace
from foldwise.testing import scheduled_plan
from foldwise.trial import FitResult, Segment, Trial, TrialEnd, TrialState
from foldwise.worker.lockstep import Lockstep, fits_of

PLAN = scheduled_plan()


def trial_task(number, study="outer-0", plan=PLAN):
    trial = Trial(number, {"alpha": 10.0**-number})
    planned = next(one for one in plan.studies if one.name == study)
    return TrialTask(study, trial, plan.trial_key(study, trial), fits_of(plan, planned, trial), 9, trial.params)


def fit_task(alpha=1.0):
    return FitTask(PLAN.fit({}, PLAN.whole, lineage=(Segment({"alpha": alpha}, 1),)))


# --- the queue ---------------------------------------------------------------------------------------------------------


def test_fits_are_taken_before_trials_and_each_once():
    queue, trials, fit = TaskQueue(), [trial_task(0), trial_task(1)], fit_task()
    queue.submit(trials)
    queue.submit([fit])
    assert [queue.next_task() for _ in range(4)] == [fit, *trials, None]


def test_who_waits_for_something_to_do_is_woken_by_it():
    queue, taken = TaskQueue(), []
    taker = threading.Thread(target=lambda: taken.append(queue.next_task()))
    taker.start()
    time.sleep(0.05)
    assert not taken
    queue.submit([task := trial_task(0)])
    taker.join(5)
    assert taken == [task]


def test_who_waits_for_something_to_do_is_woken_when_the_desk_closes():
    queue, ended = TaskQueue(), []

    def take():
        try:
            queue.next_task()
        except QueueClosed:
            ended.append(True)

    taker = threading.Thread(target=take)
    taker.start()
    queue.close()
    taker.join(5)
    assert ended == [True]


def test_results_come_back_once_and_what_was_withdrawn_does_not():
    queue, kept, dropped = TaskQueue(), fit_task(1.0), fit_task(2.0)
    queue.submit([kept, dropped])
    queue.next_task(), queue.next_task()
    queue.cancel([dropped.fit.key])
    for task in (kept, dropped):
        queue.complete(task.fit.key, FitResult(task.fit.key, {}, 0.0))
    assert [result.key for result in queue.take_results(1.0)] == [kept.fit.key]
    assert queue.take_results(1.0) == []
    assert queue.is_idle


def test_a_wait_ends_with_its_time_and_with_a_failure():
    queue = TaskQueue()
    queue.submit([trial_task(0)])
    assert queue.take_ends(0.01) == []
    queue.fail("expected this, got that")
    with pytest.raises(ClusterError, match="expected this, got that"):
        queue.take_ends(60)


def test_the_end_of_a_trial_says_how_far_it_came():
    task = trial_task(0)
    failed = task.fail(Failure("WorkerLost", "thrice"), None).ended
    end = task.end(failed, retries=2)
    assert (end.state, end.lineage) == (TrialState.FAILED, (Segment(task.trial.params, 0),))
    assert {(result.error.kind, result.retries) for result in end.results} == {("WorkerLost", 2)}
    on_the_way = replace(failed, value=0.5, lineage=(Segment({}, 3),))
    assert task.end(on_the_way, 0).state is TrialState.PRUNED
    assert task.end(replace(on_the_way, lineage=(Segment({}, 9),)), 0).state is TrialState.COMPLETE
    assert isinstance(end, TrialEnd)


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_state_is_replaced_as_a_whole_and_forgotten(scheme, tmp_path):
    storage = Storage.of(f"{scheme}{tmp_path}/below", "run")
    storage.check()
    assert storage.read("state") is None
    storage.write("state", b"one")
    storage.write("state", b"two")
    assert storage.read("state") == b"two"
    storage.forget("state")
    storage.forget("state")
    assert storage.read("state") is None
    storage.clear()
    storage.clear()
    assert not (tmp_path / "below" / "run").exists()


def test_states_lie_where_the_environment_says_or_below_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Storage.of(None, "run").url == f"{tmp_path}/.foldwise/tune/run"
    monkeypatch.setenv("FOLDWISE_STORAGE", "s3://bucket/folder")
    assert Storage.of(None, "run").url == "s3://bucket/folder/run"
    assert Storage.of("here", "run").url == f"{tmp_path}/here/run"


class OneNode:
    """Stands for Ray, as long as nothing is submitted."""

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 1.0}}]

    def available_resources(self):
        return {"CPU": 1.0}


def test_a_run_that_ends_before_it_began_leaves_what_an_earlier_one_has_kept(tmp_path):
    storage = Storage.of(str(tmp_path), "run")
    storage.write("state", b"kept")
    _Opened(OneNode(), PLAN, None, storage, storage).close()
    assert storage.read("state") == b"kept"


def test_a_state_is_there_until_the_trials_end_is_kept_for_good(tmp_path):
    storage = Storage.of(str(tmp_path), "run")
    trials = [Trial(number, {"alpha": 10.0**-number}) for number in range(2)]

    def end_of(number):
        progress = trial_task(number).fail(Failure("Error", "none"), None).ended
        return replace(trial_task(number).end(progress, 0), state=TrialState.COMPLETE)

    opened = _Opened(OneNode(), PLAN, None, storage, storage)
    tasks = [opened.task_of("outer-0", trial) for trial in trials]
    for task in tasks:
        storage.write(task.file, b"kept")
    opened.queue.submit(tasks)
    opened.queue.next_task()
    opened.queue.complete(tasks[0].key, end_of(0))
    ends = opened.queue.take_ends(0)
    opened.queue.take_ends(0)
    opened.close()  # the ledger could not be written
    assert [storage.read(task.file) for task in tasks] == [b"kept", b"kept"]

    opened = _Opened(OneNode(), PLAN, None, storage, storage)
    opened.task_of("outer-0", trials[1])
    opened.confirm(ends)  # found in the ledger, since the driver died after it was written
    assert [storage.read(task.file) for task in tasks] == [None, b"kept"]
    opened.close()
    assert storage.read(tasks[1].file) == b"kept", "the second trial is still to go on"
    opened = _Opened(OneNode(), PLAN, None, storage, storage)
    opened.confirm([end_of(1)])
    opened.close()
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_saved_trains_on_and_says_so(tmp_path):
    task = trial_task(0)
    trainable = object.__new__(FoldTrainable)
    trainable.setup({"task": task, "storage": Storage.of(str(tmp_path), "run"), "resources": Resources()})
    trainable._lockstep = Lockstep(task.fits)
    trainable._lockstep.own = threading.Lock()  # no pickle takes it
    trainable._keep(task)
    ((_, text),) = trainable._lockstep._folds[0].warned
    assert "could not be kept" in text
    assert trainable._storage_of_states.read(task.file) is None


def test_an_actor_that_is_ended_for_its_memory_is_a_loss_that_tune_can_bear(monkeypatch):
    heard = []
    see_all_losses()
    see_all_losses()
    monkeypatch.setattr(RayActorManager, "_cleanup_actor", lambda self, tracked_actor: None)
    manager = object.__new__(RayActorManager)
    manager._failed_actor_ids = set()
    actor = TrackedActor(1, on_error=lambda actor, error: heard.append(error))
    lost = OutOfMemoryError("killed due to the node running low on memory")
    manager._actor_task_failed(tracked_actor_task=TrackedActorTask(actor), exception=lost)
    (error,) = heard
    assert isinstance(error, RayActorError)
    assert loss_of(error) is Loss.MEMORY
    assert manager._failed_actor_ids == {1}


def test_what_is_relied_on_of_tunes_private_parts_is_there():
    see_all_losses()
    words = ("_actor_to_trial", "_pending_trials", "_paused_trials", "_resetting_trials")
    source = inspect.getsource(TuneController)
    assert all(f"self.{word}" in source for word in words)
    assert "max_failures" in inspect.getsource(RealTrial.should_recover)
    binary = Path(ray.__file__).parent / "core" / "src" / "ray" / "gcs" / "gcs_server"
    assert b"its node has died" in binary.read_bytes()


def test_the_last_error_of_a_trial_is_remembered_and_read_from_no_file():
    see_all_losses()

    class Stub(RealTrial):
        is_restoring, local_path = False, None
        run_metadata = SimpleNamespace(num_failures=0, invalidate_cache=lambda: None)

        def __init__(self):
            pass

    trial, lost = Stub(), RayActorError(error_msg="gone")
    assert error_of(trial) is None
    trial.handle_error(lost)
    assert error_of(trial) is lost


def test_a_state_that_is_slow_to_keep_is_kept_less_often(monkeypatch):
    now = 100.0
    monkeypatch.setattr("foldwise.executors.tune.states.time.monotonic", lambda: now)
    pace = Pace()
    assert pace.is_due()
    pace.took(0.5)
    now += 9.9
    assert not pace.is_due()
    now += 0.2
    assert pace.is_due()


# --- exploring --------------------------------------------------------------------------------------------------------

SPACE = SearchSpace(
    {
        "rate": fw.Float(1e-4, 1.0, log=True), "share": fw.Float(0.0, 1.0, step=0.25), "units": fw.Int(8, 64, step=8),
        "depth": fw.Int(1, 9), "kind": ["a", "b", "c"], "drawn": uniform(0, 1), "kept": [1, 2],
    }
)  # fmt: skip
PARAMS = {"rate": 0.01, "share": 0.5, "units": 16, "depth": 1, "kind": "b", "drawn": 0.5, "kept": 2}


def test_exploring_stays_in_the_space_and_changes_only_what_may():
    random, seen = np.random.RandomState(0), []
    for _ in range(300):
        seen.append(explore(SPACE, PARAMS, {*PARAMS} - {"kept"}, random))
    assert {params["kept"] for params in seen} == {2}
    assert all(1e-4 <= params["rate"] <= 1.0 for params in seen)
    assert {params["share"] for params in seen} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {params["units"] for params in seen} <= set(range(8, 65, 8))
    assert {params["depth"] for params in seen} == set(range(1, 10))
    assert all(type(params["depth"]) is int and type(params["rate"]) is float for params in seen)
    assert {params["kind"] for params in seen} == {"a", "b", "c"}
    assert all(0 <= params["drawn"] <= 1 for params in seen)
    rates = [params["rate"] for params in seen]
    moved = sum(np.isclose(rate, 0.008) or np.isclose(rate, 0.012) for rate in rates)
    assert 0.65 < moved / len(seen) < 0.85, "three in four are moved by a factor of 0.8 or 1.2"


def test_exploring_repeats_with_its_seed():
    one, other = (explore(SPACE, PARAMS, PARAMS, np.random.RandomState(3)) for _ in range(2))
    assert one == other


def test_params_of_a_union_are_explored_where_they_came_from():
    union = SearchSpace([{"kind": ["a"], "rate": fw.Float(0.1, 0.2)}, {"kind": ["b"], "rate": fw.Float(10, 20)}])
    random = np.random.RandomState(0)
    assert all(10 <= explore(union, {"kind": "b", "rate": 11.0}, ["rate"], random)["rate"] <= 20 for _ in range(50))


# --- GPUs -------------------------------------------------------------------------------------------------------------


def test_a_share_is_told_of_a_gpu_that_is_shared():
    assert share_of(Resources(gpu=0.25)) == {"FOLDWISE_GPU_FRACTION": "0.25"}
    assert share_of(Resources(gpu=1)) == share_of(Resources()) == {}


@pytest.mark.parametrize(
    ("failure", "is_spent"),
    [
        (Failure("ResourceExhaustedError", "no words"), True),
        (Failure("InternalError", "failed call to cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (Failure("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4 bytes"), True),
        (Failure("OutOfMemoryError", "CUDA out of memory. Tried to allocate"), True),
        (Failure("MemoryError", "Unable to allocate"), False),
        (Failure("ValueError", "no ROOM here, none for a BOOM either"), False),
        (None, False),
    ],
)
def test_a_spent_gpu_is_told_by_the_error(failure, is_spent):
    assert is_out_of_gpu_memory(failure) is is_spent


# --- judges -----------------------------------------------------------------------------------------------------------


class TuneTrial:
    """What schedulers look at of Tune's trials."""

    is_saving = False

    def __init__(self, task, status="RUNNING"):
        self.config, self.status, self.trial_id = {"task": task}, status, str(task)


class Controller:
    """What schedulers ask of Tune's controller."""

    search_alg = "one that population based training would refuse"

    def __init__(self, judges):
        self.judges, self.stopped = judges, []

    def stop_trial(self, trial):
        self.stopped.append(trial)
        self.judges.on_trial_remove(self, trial)
        trial.status = "TERMINATED"


def judges_for(method, most=None, **schedule):
    pytest.importorskip("ray")
    from foldwise.executors.tune.judges import Judges, judge_maker

    plan = scheduled_plan(method, schedule={"grace_epochs": 1, "max_epochs": 9, "reduction": 3, **schedule})
    return Judges(judge_maker(plan), plan.problem.seed, plan.problem.schedule.grace_epochs, most)


def says(epochs, value, failed=False):
    class Outcome:
        lineage, curve = (Segment({}, epochs),), ((epochs, value),)

    return {"epochs": epochs, "value": value, "failed": failed, "outcome": Outcome}


def test_a_study_is_judged_by_its_own_trials_only():
    judges = judges_for("asha")
    controller = Controller(judges)
    good = [TuneTrial(trial_task(number, "outer-1")) for number in range(4)]
    lonely = TuneTrial(trial_task(0, "outer-0"))
    for trial in (*good, lonely):
        judges.on_trial_add(controller, trial)
    for trial in good:
        assert judges.on_trial_result(controller, trial, says(1, 0.9)) == "CONTINUE"
    assert judges.on_trial_result(controller, lonely, says(1, 0.1)) == "CONTINUE"
    worse = TuneTrial(trial_task(4, "outer-1"))
    judges.on_trial_add(controller, worse)
    assert judges.on_trial_result(controller, worse, says(1, 0.1)) == "STOP"


def recalled(number, values, study="outer-0", state=TrialState.COMPLETE):
    curve = tuple(enumerate(values, start=1))
    return TrialEnd(study, number, state, (), (Segment({}, len(curve)),), curve)


@pytest.mark.parametrize("method", ["asha", "median"])
def test_trials_of_an_earlier_run_are_judged_by_as_if_they_had_run_in_this_one(method):
    judges = judges_for(method)
    controller = Controller(judges)
    judges._known.add([recalled(number, [0.9] * 9) for number in range(3)])
    judges._known.add([recalled(7, [0.1], "outer-1", TrialState.PRUNED), recalled(8, [], state=TrialState.FAILED)])
    trial, free = TuneTrial(trial_task(3)), TuneTrial(trial_task(3, "outer-2"))
    for one in (trial, free):
        judges.on_trial_add(controller, one)
    assert judges.on_trial_result(controller, trial, says(1, 0.5)) == "STOP"
    assert judges.on_trial_result(controller, free, says(1, 0.5)) == "CONTINUE", "no other study hears of them"


def test_a_scheduler_that_waits_for_trials_is_not_told_of_the_ended():
    judges = judges_for("hyperband")
    judges._known.add([recalled(0, [0.9] * 9)])
    judges.on_trial_add(Controller(judges), TuneTrial(trial_task(3)))
    assert judges._known.take("outer-0")


def test_a_trial_that_goes_on_from_an_earlier_run_stands_at_the_rungs_that_it_has_passed():
    judges = judges_for("asha")
    controller = Controller(judges)
    old, new = TuneTrial(trial_task(0)), TuneTrial(trial_task(1))
    for trial in (old, new):
        judges.on_trial_add(controller, trial)
    further = says(5, 0.9)
    further["outcome"].curve = (*((epoch, 0.8) for epoch in range(1, 5)), (5, 0.9))
    assert judges.on_trial_result(controller, old, further) == "CONTINUE"
    assert judges.on_trial_result(controller, new, says(1, 0.5)) == "STOP"


def test_what_failed_is_not_compared_with():
    judges = judges_for("asha")
    controller = Controller(judges)
    failed, second, third = (TuneTrial(trial_task(number)) for number in range(3))
    for trial in (failed, second, third):
        judges.on_trial_add(controller, trial)
    judges.on_trial_complete(controller, failed, says(1, float("nan"), failed=True))
    assert judges.on_trial_result(controller, second, says(1, 0.5)) == "CONTINUE"
    assert judges.on_trial_result(controller, third, says(1, 0.4)) == "STOP"


def test_paused_trials_go_on_though_the_one_that_they_wait_for_fails():
    judges = judges_for("hyperband")
    controller = Controller(judges)
    trials = [TuneTrial(trial_task(number)) for number in range(3)]  # the first bracket halves nothing: fill it
    waiting = [TuneTrial(trial_task(number)) for number in range(3, 8)]
    for trial in (*trials, *waiting):
        judges.on_trial_add(controller, trial)
    for trial in trials:
        judges.on_trial_complete(controller, trial, says(9, 0.5))
    *paused, last = waiting
    rung = 3
    for number, trial in enumerate(paused):
        assert judges.on_trial_result(controller, trial, says(rung, 0.1 * number)) == "PAUSE"
        trial.status = "PAUSED"
    assert judges.choose_trial_to_run(controller) is None, "they wait for the last"
    judges.on_trial_complete(controller, last, says(2, float("nan"), failed=True))
    chosen = judges.choose_trial_to_run(controller)
    assert chosen in paused[-2:], "of five trials the best two go on"
    assert controller.stopped == paused[:-2]


def test_no_more_trials_are_under_way_than_may_be():
    judges = judges_for("median", most=2)
    controller = Controller(judges)
    trials = [TuneTrial(trial_task(number), status) for number, status in enumerate(["RUNNING", "PENDING", "PAUSED"])]
    for trial in trials:
        judges.on_trial_add(controller, trial)
    assert not judges.has_room
    assert judges.choose_trial_to_run(controller) in {trials[1], None}
    trials[0].status, trials[1].status = "PAUSED", "TERMINATED"
    assert judges.has_room
    judges.on_trial_complete(controller, trials[1], says(9, 0.5))
    assert judges.choose_trial_to_run(controller) in {trials[0], trials[2]}


def test_what_schedulers_draw_is_seeded_and_leaves_the_processs_generators_alone():
    before = np.random.get_state()[1].tolist()
    judges = judges_for("asha")
    judges.on_trial_add(Controller(judges), TuneTrial(trial_task(0)))
    assert np.random.get_state()[1].tolist() == before


def test_a_pickle_that_claims_to_be_a_trials_error_is_never_opened(tmp_path, monkeypatch):
    opened = tmp_path / "opened"

    class Harm:
        def __reduce__(self):
            return open, (str(opened), "w")

    monkeypatch.setattr(RealTrial, "pickled_error_file", str(tmp_path / "error.pkl"))
    (tmp_path / "error.pkl").write_bytes(pickle.dumps(Harm()))
    assert error_of(RealTrial("trainable", stub=True)) is None
    assert not opened.exists()
