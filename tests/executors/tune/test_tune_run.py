"""A run on Tune keeps a trial's state until the trial's end is kept for good."""

from dataclasses import replace

from tune_tasks import PLAN, trial_task

from foldwise.errors import Failure
from foldwise.executors.tune.states import Storage
from foldwise.executors.tune.tune_run import TuneRun
from foldwise.trial import Trial, TrialState


class OneNode:
    """Stands for Ray, as long as nothing is submitted."""

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 1.0}}]

    def available_resources(self):
        return {"CPU": 1.0}


def test_a_run_that_ends_before_it_began_leaves_what_an_earlier_one_has_kept(tmp_path):
    storage = Storage.of(str(tmp_path), "run")
    storage.write("state", b"kept")
    TuneRun(OneNode(), PLAN, None, storage, storage).close()
    assert storage.read("state") == b"kept"


def test_a_state_is_there_until_the_trials_end_is_kept_for_good(tmp_path):
    storage = Storage.of(str(tmp_path), "run")
    trials = [Trial(number, {"alpha": 10.0**-number}) for number in range(2)]

    def end_of(number):
        progress = trial_task(number).fail(Failure("Error", "none"), None).ended
        return replace(trial_task(number).end(progress, 0), state=TrialState.COMPLETE)

    run = TuneRun(OneNode(), PLAN, None, storage, storage)
    tasks = [run.task_of("outer-0", trial) for trial in trials]
    for task in tasks:
        storage.write(task.file, b"kept")
    run.queue.submit(tasks)
    run.queue.next_task()
    run.queue.complete(tasks[0].key, end_of(0))
    ends = run.queue.take_ends(0)
    run.queue.take_ends(0)
    run.close()  # the ledger could not be written
    assert [storage.read(task.file) for task in tasks] == [b"kept", b"kept"]

    run = TuneRun(OneNode(), PLAN, None, storage, storage)
    run.task_of("outer-0", trials[1])
    run.confirm(ends)  # found in the ledger, since the driver died after it was written
    assert [storage.read(task.file) for task in tasks] == [None, b"kept"]
    run.close()
    assert storage.read(tasks[1].file) == b"kept", "the second trial is still to go on"
    run = TuneRun(OneNode(), PLAN, None, storage, storage)
    run.confirm([end_of(1)])
    run.close()
    assert not list(tmp_path.iterdir())
