"""Tasks of a small scheduled plan."""

from foldwise.executors.tune.tasks import FitTask, TrialTask
from foldwise.testing import scheduled_plan
from foldwise.trial import Segment, Trial
from foldwise.worker.lockstep import fits_of

PLAN = scheduled_plan()


def trial_task(number, study="outer-0", plan=PLAN):
    trial = Trial(number, {"alpha": 10.0**-number})
    planned = next(one for one in plan.studies if one.name == study)
    return TrialTask(study, trial, plan.trial_key(study, trial), fits_of(plan, planned, trial), 9, trial.params)


def fit_task(alpha=1.0):
    return FitTask(PLAN.fit({}, PLAN.whole, lineage=(Segment({"alpha": alpha}, 1),)))
