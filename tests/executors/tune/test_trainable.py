"""An actor trains on though its state cannot be kept."""

import threading

from tune_tasks import trial_task

from foldwise.executors.tune.states import Storage
from foldwise.executors.tune.trainable import FoldTrainable
from foldwise.plan.resources import Resources
from foldwise.worker.lockstep import Lockstep


def test_a_model_that_cannot_be_saved_trains_on_and_says_so(tmp_path):
    task = trial_task(0)
    trainable = object.__new__(FoldTrainable)
    trainable.setup({"task": task, "storage": Storage.of(str(tmp_path), "run"), "resources": Resources()})
    trainable._lockstep = Lockstep(task.fits)
    trainable._lockstep.own = threading.Lock()  # no pickle takes it
    trainable._keep(task)
    ((_, text),) = trainable._lockstep._folds[0].warned
    assert "could not be kept" in text
    assert trainable._states.read(task.file) is None
