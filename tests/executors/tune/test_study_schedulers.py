"""Each study's trials are judged by a scheduler of its own."""

import numpy as np
import pytest
from tune_tasks import trial_task

from foldwise.executors.tune.schedulers import scheduler_maker
from foldwise.executors.tune.study_schedulers import StudySchedulers
from foldwise.testing import scheduled_plan
from foldwise.trial import Segment, TrialEnd, TrialState


class TuneTrial:
    """What schedulers look at of Tune's trials."""

    is_saving = False

    def __init__(self, task, status="RUNNING"):
        self.config, self.status, self.trial_id = {"task": task}, status, str(task)


class Controller:
    """What schedulers ask of Tune's controller."""

    search_alg = "one that population based training would refuse"

    def __init__(self, schedulers):
        self.schedulers, self.stopped = schedulers, []

    def stop_trial(self, trial):
        self.stopped.append(trial)
        self.schedulers.on_trial_remove(self, trial)
        trial.status = "TERMINATED"


def schedulers_for(method, most=None, **schedule):
    plan = scheduled_plan(method, schedule={"grace_epochs": 1, "max_epochs": 9, "reduction": 3, **schedule})
    return StudySchedulers(scheduler_maker(plan), plan.problem.settings.seed, plan.problem.settings.schedule.grace_epochs, most)


def says(epochs, value, failed=False):
    class Outcome:
        lineage, curve = (Segment({}, epochs),), ((epochs, value),)

    return {"epochs": epochs, "value": value, "failed": failed, "outcome": Outcome}


def test_a_study_is_judged_by_its_own_trials_only():
    schedulers = schedulers_for("asha")
    controller = Controller(schedulers)
    good = [TuneTrial(trial_task(number, "outer-1")) for number in range(4)]
    lonely = TuneTrial(trial_task(0, "outer-0"))
    for trial in (*good, lonely):
        schedulers.on_trial_add(controller, trial)
    for trial in good:
        assert schedulers.on_trial_result(controller, trial, says(1, 0.9)) == "CONTINUE"
    assert schedulers.on_trial_result(controller, lonely, says(1, 0.1)) == "CONTINUE"
    worse = TuneTrial(trial_task(4, "outer-1"))
    schedulers.on_trial_add(controller, worse)
    assert schedulers.on_trial_result(controller, worse, says(1, 0.1)) == "STOP"


def recalled(number, values, study="outer-0", state=TrialState.COMPLETE):
    curve = tuple(enumerate(values, start=1))
    return TrialEnd(study, number, state, (), (Segment({}, len(curve)),), curve)


@pytest.mark.parametrize("method", ["asha", "median"])
def test_trials_of_an_earlier_run_are_judged_by_as_if_they_had_run_in_this_one(method):
    schedulers = schedulers_for(method)
    controller = Controller(schedulers)
    schedulers._past_ends.add([recalled(number, [0.9] * 9) for number in range(3)])
    schedulers._past_ends.add([recalled(7, [0.1], "outer-1", TrialState.PRUNED), recalled(8, [], state=TrialState.FAILED)])
    trial, free = TuneTrial(trial_task(3)), TuneTrial(trial_task(3, "outer-2"))
    for one in (trial, free):
        schedulers.on_trial_add(controller, one)
    assert schedulers.on_trial_result(controller, trial, says(1, 0.5)) == "STOP"
    assert schedulers.on_trial_result(controller, free, says(1, 0.5)) == "CONTINUE", "no other study hears of them"


def test_a_scheduler_that_waits_for_trials_is_not_told_of_the_ended():
    schedulers = schedulers_for("hyperband")
    schedulers._past_ends.add([recalled(0, [0.9] * 9)])
    schedulers.on_trial_add(Controller(schedulers), TuneTrial(trial_task(3)))
    assert schedulers._past_ends.take("outer-0")


def test_a_trial_that_goes_on_from_an_earlier_run_stands_at_the_rungs_that_it_has_passed():
    schedulers = schedulers_for("asha")
    controller = Controller(schedulers)
    old, new = TuneTrial(trial_task(0)), TuneTrial(trial_task(1))
    for trial in (old, new):
        schedulers.on_trial_add(controller, trial)
    further = says(5, 0.9)
    further["outcome"].curve = (*((epoch, 0.8) for epoch in range(1, 5)), (5, 0.9))
    assert schedulers.on_trial_result(controller, old, further) == "CONTINUE"
    assert schedulers.on_trial_result(controller, new, says(1, 0.5)) == "STOP"


def test_a_trial_that_goes_on_is_stopped_where_the_median_rule_stops_it_on_the_way():
    schedulers = schedulers_for("median")
    controller = Controller(schedulers)
    schedulers._past_ends.add([recalled(number, [0.9] * 9) for number in range(3)])
    old = TuneTrial(trial_task(3))
    schedulers.on_trial_add(controller, old)
    further = says(5, 0.5)
    further["outcome"].curve = tuple((epoch, 0.1) for epoch in range(1, 6))
    assert schedulers.on_trial_result(controller, old, further) == "STOP"


def test_what_failed_is_not_compared_with():
    schedulers = schedulers_for("asha")
    controller = Controller(schedulers)
    failed, second, third = (TuneTrial(trial_task(number)) for number in range(3))
    for trial in (failed, second, third):
        schedulers.on_trial_add(controller, trial)
    schedulers.on_trial_complete(controller, failed, says(1, float("nan"), failed=True))
    assert schedulers.on_trial_result(controller, second, says(1, 0.5)) == "CONTINUE"
    assert schedulers.on_trial_result(controller, third, says(1, 0.4)) == "STOP"


def test_paused_trials_go_on_though_the_one_that_they_wait_for_fails():
    schedulers = schedulers_for("hyperband")
    controller = Controller(schedulers)
    trials = [TuneTrial(trial_task(number)) for number in range(3)]  # the first bracket halves nothing: fill it
    waiting = [TuneTrial(trial_task(number)) for number in range(3, 8)]
    for trial in (*trials, *waiting):
        schedulers.on_trial_add(controller, trial)
    for trial in trials:
        schedulers.on_trial_complete(controller, trial, says(9, 0.5))
    *paused, last = waiting
    rung = 3
    for number, trial in enumerate(paused):
        assert schedulers.on_trial_result(controller, trial, says(rung, 0.1 * number)) == "PAUSE"
        trial.status = "PAUSED"
    assert schedulers.choose_trial_to_run(controller) is None, "they wait for the last"
    schedulers.on_trial_complete(controller, last, says(2, float("nan"), failed=True))
    chosen = schedulers.choose_trial_to_run(controller)
    assert chosen in paused[-2:], "of five trials the best two go on"
    assert controller.stopped == paused[:-2]


def test_no_more_trials_are_under_way_than_may_be():
    schedulers = schedulers_for("median", most=2)
    controller = Controller(schedulers)
    trials = [TuneTrial(trial_task(number), status) for number, status in enumerate(["RUNNING", "PENDING", "PAUSED"])]
    for trial in trials:
        schedulers.on_trial_add(controller, trial)
    assert not schedulers.has_capacity
    assert schedulers.choose_trial_to_run(controller) in {trials[1], None}
    trials[0].status, trials[1].status = "PAUSED", "TERMINATED"
    assert schedulers.has_capacity
    schedulers.on_trial_complete(controller, trials[1], says(9, 0.5))
    assert schedulers.choose_trial_to_run(controller) in {trials[0], trials[2]}


def test_what_schedulers_draw_is_seeded_and_leaves_the_processs_generators_alone():
    before = np.random.get_state()[1].tolist()
    schedulers = schedulers_for("asha")
    schedulers.on_trial_add(Controller(schedulers), TuneTrial(trial_task(0)))
    assert np.random.get_state()[1].tolist() == before
