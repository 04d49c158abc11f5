"""Trials that train their folds in lockstep: what they come to, what they may see, and that an interruption changes nothing."""

import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foldwise.data import Dataset
from foldwise.errors import NON_FINITE
from foldwise.testing import FaultyEstimator, scheduled_plan
from foldwise.trial import Segment, Trial
from foldwise.worker.fit import FitContext
from foldwise.worker.lockstep import MOST_POINTS, Lockstep, fits_of


class Watched(Dataset):
    """Remembers which rows were taken."""

    def take(self, rows, columns=None):
        self.__dict__.setdefault("taken", set()).update(rows.tolist())
        return super().take(rows, columns)


def begin(plan, study=0, params=None):
    return Lockstep(fits_of(plan, plan.studies[study], Trial(0, params or {})))


def train(lockstep, context, n):
    for _ in range(n):
        progress = lockstep.train_epoch(context)
    return progress


@pytest.mark.parametrize(
    "model",
    [
        SGDClassifier(), GradientBoostingClassifier(max_depth=1, subsample=0.5), make_pipeline(StandardScaler(), SGDClassifier()),
        make_pipeline(StandardScaler(copy=False), SGDClassifier(learning_rate="constant", eta0=0.1)),
    ],
    ids=["sgd", "boosting", "pipeline", "in-place"],
)  # fmt: skip
@pytest.mark.parametrize("scoring", ["accuracy", lambda model, X, y: model.score(X, y)], ids=["named", "callable"])
def test_a_trial_that_was_interrupted_is_what_its_lineage_gives(model, scoring):
    plan = scheduled_plan("asha", model, {_last(model): [0.5]}, scoring=scoring, return_train_score=True)
    context = FitContext.of(plan)
    lockstep = begin(plan)
    train(lockstep, context, 2)
    progress = train(pickle.loads(pickle.dumps(lockstep)), context, 3)
    study = plan.studies[0]
    fits = [plan.fit({}, fold.train, lineage=(Segment({}, 5),)) for fold in study.folds]
    for fold, result, plain in zip(study.folds, progress.results, context.run(fits), strict=True):
        assert result.scores == {rows: plain.scores[rows] for rows in plan.asked_of(fold)}
    assert progress.lineage == (Segment({}, 5),)
    assert [epoch for epoch, _ in progress.curve] == [1, 2, 3, 4, 5]
    assert progress.curve[-1] == (5, progress.value)
    assert not progress.has_failed


def _last(model):
    names = model.get_params()
    return next(name for name in names if name.rpartition("__")[2] in {"alpha", "learning_rate", "var_smoothing"})


def test_a_trial_sees_no_row_of_its_outer_fold():
    plan = scheduled_plan()
    dataset = plan.problem.dataset
    watched = Watched(dataset.X, dataset.y)
    context = FitContext.of(plan)
    context.dataset = watched
    train(begin(plan), context, 2)
    study = plan.studies[0]
    outer = set(plan.rows[study.judged.held_out].tolist())
    assert watched.taken == set(range(len(dataset.y))) - outer


def test_rows_of_the_outer_fold_do_not_change_what_a_schedule_is_told():
    plan = scheduled_plan()
    told = train(begin(plan), FitContext.of(plan), 3).curve
    dataset = plan.problem.dataset
    X, y = dataset.X.copy(), np.roll(dataset.y, 7)
    kept = plan.rows[plan.studies[0].judged.train]
    X[plan.rows[plan.studies[0].judged.held_out]] = 1e6
    y[kept] = dataset.y[kept]
    context = FitContext.of(plan)
    context.dataset = Dataset(X, y)
    assert train(begin(plan), context, 3).curve == told


@pytest.mark.parametrize(("fault", "kind"), [("raise", "ValueError"), ("nan", NON_FINITE), ("inf", NON_FINITE)])
def test_a_failure_is_a_value_and_its_epoch_does_not_count(fault, kind, tmp_path):
    n_folds = 2
    model = FaultyEstimator(fault, after=2 * n_folds, counter=str(tmp_path / "counter"))
    plan = scheduled_plan("asha", model, {"bias": [0.1]})
    lockstep, context = begin(plan), FitContext.of(plan)
    assert not train(lockstep, context, 2).has_failed
    progress = lockstep.train_epoch(context)
    assert progress.has_failed
    assert math.isnan(progress.value)
    assert progress.error.kind == kind
    assert progress.lineage == (Segment({}, 2),)
    assert [epoch for epoch, _ in progress.curve] == [1, 2]


def test_what_an_estimator_raises_at_once_leaves_a_lineage_of_no_epochs():
    plan = scheduled_plan("asha", FaultyEstimator("raise"), {"bias": [0.1]})
    progress = train(begin(plan), FitContext.of(plan), 1)
    assert progress.lineage == (Segment({}, 0),)
    assert progress.epochs == 0
    assert progress.curve == ()


def test_params_that_change_begin_a_segment_and_equal_ones_do_not():
    plan = scheduled_plan()
    lockstep, context = begin(plan, params={"alpha": 0.1}), FitContext.of(plan)
    for alpha in (0.1, 0.1, 0.2, 0.2, 0.1):
        lockstep.set_params({"alpha": alpha})
        progress = lockstep.train_epoch(context)
    assert progress.lineage == (Segment({"alpha": 0.1}, 2), Segment({"alpha": 0.2}, 2), Segment({"alpha": 0.1}, 1))
    lockstep.set_params({"average": True})
    progress = lockstep.train_epoch(context)
    assert "expected a param that can change while SGDClassifier trains, got 'average'" in progress.error.message


def test_a_curve_is_bounded_and_evenly_spaced():
    plan = scheduled_plan("asha", FaultyEstimator(), {"bias": [0.1]})
    n_epochs = 4 * MOST_POINTS + 3
    curve = train(begin(plan), FitContext.of(plan), n_epochs).curve
    epochs = [epoch for epoch, _ in curve]
    assert len(curve) <= MOST_POINTS + 1
    assert epochs[-1] == n_epochs
    assert len(set(np.diff(epochs[:-1]))) == 1


def test_the_mean_is_of_the_metric_that_chooses():
    plan = scheduled_plan(scoring=["accuracy", "neg_log_loss"], estimator=SGDClassifier(loss="log_loss"), refit="neg_log_loss")
    progress = train(begin(plan), FitContext.of(plan), 1)
    study = plan.studies[0]
    pairs = zip(study.folds, progress.results, strict=True)
    assert progress.value == np.average([result.scores[fold.held_out]["neg_log_loss"] for fold, result in pairs])


def test_warnings_are_noted_once():
    class Warns(FaultyEstimator):
        def partial_fit(self, X, y, classes=None):
            import warnings

            warnings.warn("as ever", stacklevel=1)
            return super().partial_fit(X, y, classes)

    plan = scheduled_plan("asha", Warns(), {"bias": [0.1]})
    progress = train(begin(plan), FitContext.of(plan), 3)
    assert [result.warned for result in progress.results] == [(("builtins:UserWarning", "as ever"),)] * 2


def test_estimators_of_the_plan_are_left_as_they_are():
    model = GradientBoostingClassifier(max_depth=1)
    plan = scheduled_plan("asha", model, {"max_features": [1]})
    before = clone(model).get_params()
    train(begin(plan), FitContext.of(plan), 2)
    assert model.get_params() == before
