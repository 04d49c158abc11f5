"""Results become trials as scikit-learn would have them, whatever came first; NaN never wins."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from foldwise.data import Dataset
from foldwise.errors import Failure, InputError
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.plan.study import PlannedFold
from foldwise.reduce.reduce import choose, cv_results, judge, reduce_trial
from foldwise.trial import FitResult, FoldScores, Trial, TrialState
from foldwise.worker.fit import FitContext

X, Y = load_iris(return_X_y=True)
TIMES = ("fit_time", "score_time")


def reduced_by_foldwise(estimator, space, *, error_score=math.nan, cv=None, **options):
    """Run the fits of a plan's final study, and reduce them."""
    cv = cv or StratifiedKFold(4)
    settings = Settings.of({"search": "grid", "outer_cv": cv, "random_state": 0, "error_score": error_score, **options})
    plan = Plan.of(make_problem(Dataset(X, Y), estimator, space, settings))
    problem, study, context = plan.problem, plan.studies[-1], FitContext.of(plan)
    trials = []
    for trial in problem.settings.search.open(problem.space, plan.n_trials, plan.search_seed).ask(plan.n_trials):
        results = context.run([plan.fit(trial.params, fold.train) for fold in study.folds])
        trials.append(
            reduce_trial(
                trial, study.folds, results, metrics=problem.scoring.metrics, objective=problem.scoring.objective,
                error_score=error_score, train_scores=problem.settings.return_train_score,
            )
        )  # fmt: skip
    return trials, problem.scoring.single


def searched_by_scikit_learn(estimator, space, cv=None, **options):
    return GridSearchCV(clone(estimator), space, cv=cv or StratifiedKFold(4), **options).fit(X, Y)


PIPE = Pipeline([("scale", StandardScaler()), ("clf", SVC())])
UNION = [
    {"clf__kernel": ["linear"], "clf__C": [1, 10]},
    {"clf__kernel": ["rbf"], "clf__C": [0.1, 1], "clf__gamma": [0.1, 1.0]},
    {"clf": [KNeighborsClassifier()], "clf__n_neighbors": [1, 5], "scale": [MinMaxScaler(), None]},
]
CASES = {
    "one metric": (SVC(), {"C": [1, 10, 100], "gamma": [0.01, 0.1]}, {}),
    "its own score": (SVC(), {"C": [1, 10]}, {"scoring": None}),
    "train scores": (SVC(), {"C": [1, 10]}, {"scoring": "f1_macro", "return_train_score": True}),
    "several metrics": (SVC(), {"C": [1e-3, 1]}, {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"}),
    "several with train scores": (
        SVC(),
        {"C": [1e-3, 1]},
        {"scoring": {"b": "accuracy", "a": "f1_macro"}, "refit": "a", "return_train_score": True},
    ),
    "a union with estimators": (PIPE, UNION, {}),
    "bools and None": (KNeighborsClassifier(), {"weights": ["uniform", "distance", None], "p": [1, 2.0]}, {}),
    "bools": (SVC(), {"shrinking": [True, False], "C": [1]}, {}),
    "tuples": (PIPE, {"scale": [MinMaxScaler()], "scale__feature_range": [(0, 1), (0, 2)]}, {}),
    "other folds": (SVC(), {"C": [1, 10]}, {"cv": KFold(3, shuffle=True, random_state=0)}),
}


@pytest.fixture(scope="module", params=CASES)
def both(request):
    estimator, space, options = CASES[request.param]
    expected = searched_by_scikit_learn(estimator, space, **options)
    trials, single = reduced_by_foldwise(estimator, space, **options)
    return expected, trials, single


# --- as scikit-learn --------------------------------------------------------------------------------------------------


def test_columns_are_those_of_scikit_learn_in_its_order(both):
    expected, trials, single = both
    assert list(cv_results(trials, single=single)) == list(expected.cv_results_)


def test_values_are_those_of_scikit_learn_to_the_last_bit(both):
    expected, trials, single = both
    found = cv_results(trials, single=single)
    for name, column in expected.cv_results_.items():
        if name == "params" or name.startswith("param_"):
            assert repr(list(found[name])) == repr(list(column))
        elif name.endswith(TIMES):
            assert found[name].shape == column.shape
            assert (found[name] >= 0).all()
        else:
            np.testing.assert_array_equal(found[name], column, strict=True)


def test_types_and_masks_are_those_of_scikit_learn(both):
    expected, trials, single = both
    found = cv_results(trials, single=single)
    for name, column in expected.cv_results_.items():
        assert type(found[name]) is type(column), name
        if name != "params":
            assert found[name].dtype == column.dtype, name
        if name.startswith("param_"):
            assert found[name].mask.tolist() == column.mask.tolist()
            assert found[name].fill_value == column.fill_value or found[name].fill_value is column.fill_value


def test_the_choice_is_that_of_scikit_learn(both):
    expected, trials, single = both
    refit = expected.refit if isinstance(expected.refit, str) else next(iter(trials[0].scores))
    assert choose(trials, refit, single=single).trial.number == expected.best_index_
    assert choose(trials, refit).trial.value == expected.best_score_
    by_rank = choose(
        trials, lambda results: int(next(v for k, v in results.items() if k.startswith("rank_")).argmin()), single=single
    )
    assert by_rank.trial.number == next(v for k, v in expected.cv_results_.items() if k.startswith("rank_")).argmin()


@pytest.mark.parametrize("error_score", [math.nan, 0.0, -3])
def test_failed_fits_score_as_in_scikit_learn(error_score):
    space = {"C": [1.0, -1.0, 10.0]}
    with pytest.warns() as caught:
        expected = searched_by_scikit_learn(LogisticRegression(max_iter=1000), space, error_score=error_score)
    assert len(caught) >= 1
    trials, single = reduced_by_foldwise(LogisticRegression(max_iter=1000), space, error_score=error_score)
    found = cv_results(trials, single=single)
    for name in ("mean_test_score", "std_test_score", "rank_test_score", "split0_test_score"):
        np.testing.assert_array_equal(found[name], expected.cv_results_[name])
    judged = TrialState.FAILED if math.isnan(error_score) else TrialState.COMPLETE
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, judged, TrialState.COMPLETE]
    assert [trial.has_scores for trial in trials] == [True, False, True]
    assert trials[1].error.kind == "InvalidParameterError"
    assert choose(trials, "score").trial.number == expected.best_index_


# --- reduce -----------------------------------------------------------------------------------------------------------

FOLDS = [PlannedFold(f"t{i}", f"h{i}", f"t{i}") for i in range(3)]


def result(number, score=0.5, **changes):
    """Make the result of fold ``number``, which was scored for another study too."""
    given = {
        "key": f"k{number}", "started": 100.0 + number, "fit_seconds": 1.0, "score_seconds": {f"h{number}": 0.25, "x": 9.0},
        "scores": {f"h{number}": {"acc": score, "f1": score / 2}, "x": {"acc": 9.0}, f"t{number}": {"acc": 1.0, "f1": 1.0}},
    }  # fmt: skip
    return FitResult(**(given | changes))


def reduced(results, **changes):
    options = {"metrics": ("acc", "f1"), "objective": "acc", "error_score": math.nan, "train_scores": False}
    return reduce_trial(Trial(3, {"C": 1}), FOLDS, results, **(options | changes))


def test_a_trial_holds_its_folds_in_their_order():
    trial = reduced([result(0, 0.5), result(1, 0.75), result(2, 1.0)])
    assert trial.scores == {"acc": FoldScores((0.5, 0.75, 1.0)), "f1": FoldScores((0.25, 0.375, 0.5))}
    assert (trial.number, trial.params, trial.state, trial.value) == (3, {"C": 1}, TrialState.COMPLETE, 0.75)
    assert (trial.started, trial.seconds) == (100.0, 3.75)
    assert (trial.fit_seconds, trial.score_seconds) == ((1.0,) * 3, (0.25,) * 3)
    assert trial.scores["acc"].std == pytest.approx(np.std([0.5, 0.75, 1.0]))


def test_train_scores_are_kept_where_asked_for():
    assert reduced([result(i) for i in range(3)], train_scores=True).scores["acc"].train == (1.0, 1.0, 1.0)


def test_the_objective_is_what_the_search_hears_of():
    assert reduced([result(i, 0.8) for i in range(3)], objective="f1").value == pytest.approx(0.4)
    assert math.isnan(reduced([result(i) for i in range(3)], objective="auc").value)


@pytest.mark.parametrize("error_score", [math.nan, 0.0])
def test_a_trial_with_a_failed_fold_has_failed_unless_a_number_stands_for_it(error_score):
    cause = Failure("ValueError", "gamma must be positive")
    trial = reduced([result(0), result(1, scores={}, error=cause), result(2)], error_score=error_score)
    state = TrialState.FAILED if math.isnan(error_score) else TrialState.COMPLETE
    assert (trial.state, trial.error, trial.n_scored) == (state, cause, 2)
    np.testing.assert_equal(trial.scores["acc"].held_out, (0.5, error_score, 0.5))
    np.testing.assert_equal(trial.value, np.mean([0.5, error_score, 0.5]))


def test_the_first_cause_in_fold_order_is_told():
    causes = [Failure("ValueError", "one"), Failure("TypeError", "two")]
    assert reduced([result(0), result(1, error=causes[0]), result(2, error=causes[1])]).error is causes[0]


def test_a_metric_that_could_not_be_computed_gets_the_error_score():
    partial = result(1, scores={"h1": {"acc": 0.5}}, error=Failure("ValueError", "f1: no"))
    trial = reduced([result(0), partial, result(2)], error_score=0.0)
    assert trial.scores == {"acc": FoldScores((0.5, 0.5, 0.5)), "f1": FoldScores((0.25, 0.0, 0.25))}


# --- choose -----------------------------------------------------------------------------------------------------------


def trial_of(number, score, *, metric="acc", state=TrialState.COMPLETE):
    scores = {metric: FoldScores((score,))} if score is not None else {}
    return Trial(number, {"C": number}, state=state, scores=scores, fit_seconds=(0.0,), score_seconds=(0.0,))


def chosen(*scores):
    best = choose([trial_of(number, score) for number, score in enumerate(scores)], "acc")
    return None if best is None else best.trial.number


@pytest.mark.parametrize(
    ("scores", "number"),
    [
        ((0.1, 0.9, 0.5), 1),
        ((0.5, 0.9, 0.9), 1),
        ((0.9, 0.9), 0),
        ((math.nan, 0.1), 1),
        ((0.1, math.nan), 0),
        ((math.inf, 0.1), 1),
        ((-math.inf, -5.0), 1),
        ((None, -5.0), 1),
        ((math.nan, math.nan), None),
        ((-math.inf,), None),
        ((None,), None),
        ((), None),
    ],
)
def test_the_best_mean_wins_the_first_of_equals_and_never_what_is_not_finite(scores, number):
    assert chosen(*scores) == number


@given(st.lists(st.sampled_from([0.1, 0.5, 0.9, math.nan]), max_size=8))
def test_the_choice_is_the_first_of_the_best(scores):
    finite = [score for score in scores if score == score]
    assert chosen(*scores) == (scores.index(max(finite)) if finite else None)


def test_a_callable_chooses_by_the_columns_it_knows_from_scikit_learn():
    trials = [trial_of(0, 0.9), trial_of(1, 0.1)]
    assert choose(trials, lambda results: results["mean_test_acc"].argmin()).trial.number == 1
    assert choose(trials, lambda results: int(results["mean_test_score"].argmin()), single=True).trial.number == 1


def test_a_gap_never_wins_by_a_callable_that_reads_no_column_by_name():
    scores = [
        {"acc": FoldScores((0.5,)), "auc": FoldScores((math.nan,))},
        {"acc": FoldScores((0.4,)), "auc": FoldScores((0.6,))},
    ]
    trials = [
        Trial(n, {"C": n}, state=TrialState.COMPLETE, scores=one, fit_seconds=(0.0,), score_seconds=(0.0,))
        for n, one in enumerate(scores)
    ]
    assert choose(trials, lambda results: int(dict(results.items())["mean_test_auc"].argmax())).trial.number == 1


@pytest.mark.parametrize("index", [2, -1, 0.0, None, True, "0"])
def test_a_callable_that_gives_no_index_is_refused(index):
    with pytest.raises(InputError, match=rf"^refit: expected an index from 0 to 1 from the callable, got {index!r}"):
        choose([trial_of(0, 0.9), trial_of(1, 0.1)], lambda results: index)


# --- columns ----------------------------------------------------------------------------------------------------------


def test_a_trial_without_a_metric_has_no_score_in_its_columns():
    found = cv_results([trial_of(0, None, state=TrialState.FAILED), trial_of(1, 0.5)])
    np.testing.assert_array_equal(found["split0_test_acc"], [math.nan, 0.5])
    assert found["rank_test_acc"].tolist() == [2, 1]


def test_where_nothing_has_a_score_all_rank_first():
    assert cv_results([trial_of(0, math.nan), trial_of(1, math.nan)])["rank_test_acc"].tolist() == [1, 1]


def test_infinite_scores_are_laid_out_in_silence():
    found = cv_results([trial_of(0, math.inf), trial_of(1, -math.inf), trial_of(2, 0.5)])
    assert found["rank_test_acc"].tolist() == [1, 3, 2]
    assert math.isnan(FoldScores((math.inf, 1.0)).std)


# --- judge ------------------------------------------------------------------------------------------------------------

ROWS = {"t": np.arange(8), "h": np.arange(2)}
TRIALS = [Trial(i, {"C": i}, scores={"acc": FoldScores((0.5 + i / 10,))}, seconds=2.0) for i in range(3)]


def judged(outcome, metrics=("acc", "f1")):
    return judge(1, PlannedFold("t", "h"), ROWS, TRIALS[2], TRIALS, outcome, metrics=metrics, objective="acc")


def test_a_choice_is_judged_on_the_outer_fold():
    outer = judged(FitResult("k", {"h": {"acc": 0.9, "f1": 0.8}, "x": {"acc": 0.0}}, 0.0, 1.0, {"h": 0.5, "x": 7.0}))
    assert (outer.fold, outer.scores, outer.inner_best, outer.params) == (1, {"acc": 0.9, "f1": 0.8}, 0.7, {"C": 2})
    assert (outer.n_train, outer.n_test, outer.seconds, outer.error) == (8, 2, 7.5, None)


def test_a_failed_refit_has_no_score():
    cause = Failure("ValueError", "no")
    outer = judged(FitResult("k", {}, 0.0, 1.0, error=cause))
    assert all(math.isnan(score) for score in outer.scores.values())
    assert outer.error is cause
    assert outer.seconds == 7.0


# --- order ------------------------------------------------------------------------------------------------------------


def test_the_order_in_which_fits_finish_does_not_matter():
    settings = Settings.of({"search": "grid", "outer_cv": 3, "random_state": 0})
    plan = Plan.of(make_problem(Dataset(X, Y), SVC(), {"C": [1, 10]}, settings))
    study, context = plan.studies[-1], FitContext.of(plan)
    trials = plan.problem.settings.search.open(plan.problem.space, 2, 0).ask(2)
    fits = {(trial.number, fold.train): plan.fit(trial.params, fold.train) for trial in trials for fold in study.folds}

    def scores_in(order):
        done = {fit.key: context.run([fit])[0] for fit in order}
        return [
            reduce_trial(
                trial, study.folds, [done[fits[trial.number, fold.train].key] for fold in study.folds],
                metrics=("score",), objective="score", error_score=math.nan, train_scores=False,
            ).scores
            for trial in trials
        ]  # fmt: skip

    expected = scores_in(fits.values())
    for seed in range(3):
        order = list(fits.values())
        random.Random(seed).shuffle(order)
        assert scores_in(order) == expected
