"""No study learns anything of its outer fold; pure noise scores at chance; the interval covers the truth."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

import foldwise as fw
from foldwise.keys import digest
from foldwise.loop.run import Run
from foldwise.plan.study import FINAL
from foldwise.search.base import Asker, Search
from foldwise.search.grid import GridSearch
from foldwise.testing import RecordingEstimator
from foldwise.worker.fit import FitContext


class Overheard:
    """A search that remembers the trials that each of its studies was told of."""

    def __new__(cls, told):
        class Listening(Asker):
            def __init__(self, asker, heard):
                self._asker, self._heard = asker, heard

            def ask(self, n):
                return self._asker.ask(n)

            def tell(self, trials):
                self._heard.extend(trials)
                self._asker.tell(trials)

            @property
            def done(self):
                return self._asker.done

        class ListeningSearch(Search):
            method, adapts = "grid", False

            def check(self, space, n_trials):
                return GridSearch().check(space, n_trials)

            def open(self, space, n_trials, seed):
                told.append([])
                return Listening(GridSearch().open(space, n_trials, seed), told[-1])

        return ListeningSearch()


def numbered(n_rows, n_groups=None):
    X = np.arange(n_rows, dtype=float)[:, None] * [[1.0, 0.0]]
    y = np.random.RandomState(0).permutation(np.arange(n_rows) % 3)
    return X, y, None if n_groups is None else np.random.RandomState(1).permutation(n_rows) % n_groups


@pytest.mark.parametrize("inner_cv", ["shared", 3])
@pytest.mark.parametrize("n_groups", [None, 20])
def test_no_study_is_told_of_anything_that_saw_its_outer_fold(tmp_path, inner_cv, n_groups):
    X, y, groups = numbered(60, n_groups)
    told = []
    search = fw.NestedSearchCV(
        RecordingEstimator(str(tmp_path)), {"shift": [0, 1, 2]}, search=Overheard(told), outer_cv=4, inner_cv=inner_cv,
        executor="serial", random_state=0,
    )  # fmt: skip
    plan = search.plan(X, y, groups=groups)
    told.clear()
    run = Run(plan, fw.SerialExecutor())
    run.execute()
    fitted = {}  # what was learned from, by the rows that the estimator itself saw -> the rows it was scored on
    for path in tmp_path.glob("*.predict.npy"):
        fitted.setdefault(path.name.split("-")[0], set()).add(frozenset(np.load(path).tolist()))
    saw = {digest(np.load(path)): frozenset(np.load(path).tolist()) for path in tmp_path.glob("*.fit.npy")}
    assert set(fitted) <= set(saw)
    for study, heard in zip(plan.studies, told[-len(plan.studies) :], strict=True):
        assert len(heard) == 3
        if study.name == FINAL:
            continue
        held_out = set(plan.rows[study.judged.held_out].tolist())
        for trial in heard:
            folds = [(plan.rows[fold.train], plan.rows[fold.held_out]) for fold in study.folds]
            for (train, test), score in zip(folds, trial.scores["score"].held_out, strict=True):
                rows = saw[digest(train)]  # the estimator did see just these rows
                assert rows == frozenset(train.tolist())
                assert frozenset(test.tolist()) in fitted[digest(train)]
                assert not held_out & rows
                assert not held_out & set(test.tolist())
                predicted = np.unique(y[train])[(test + trial.params["shift"]) % 3]
                assert score == np.mean(predicted == y[test])
                if groups is not None:
                    assert not set(groups[train]) & set(groups[test])
                    assert not set(groups[np.concatenate([train, test])]) & set(groups[list(held_out)])


def test_the_outer_fold_does_not_change_what_a_study_is_told():
    """Plant other labels in one outer fold: its study chooses alike, the others do not have to."""
    X, y = np.random.RandomState(0).normal(size=(90, 3)), np.arange(90) % 3
    planted = y.copy()
    outer = list(StratifiedKFold(5).split(X, y))
    planted[outer[2][1]] = np.random.RandomState(1).permutation(planted[outer[2][1]])
    space = {"n_neighbors": [1, 3, 5, 9]}
    told = []
    for labels in (y, planted):
        search = fw.NestedSearchCV(
            KNeighborsClassifier(), space, search="grid", outer_cv=outer, executor="serial", random_state=0
        )
        trials = search.fit(X, labels).trials_
        told.append(trials[trials["study"] == "outer-2"].filter(like="split"))
    np.testing.assert_array_equal(*(frame.to_numpy() for frame in told))


def null_scores(n_sets, inner_cv):
    """Flat best and nested mean on pure noise: n=60, p=50, balanced, k neighbours."""
    flat, nested = [], []
    grid = {"n_neighbors": [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15]}
    y = np.arange(60) % 2
    for seed in range(n_sets):
        X = np.random.RandomState(seed).normal(size=(60, 50))
        search = fw.NestedSearchCV(
            KNeighborsClassifier(), grid, search="grid", executor="serial", random_state=0, refit=False, inner_cv=inner_cv,
            outer_cv=StratifiedKFold(5, shuffle=True, random_state=seed),
        )  # fmt: skip
        search.fit(X, y)
        flat.append(search.best_score_)
        nested.append(search.nested_score_)
    return np.array(flat), np.array(nested)


def assert_null(flat, nested):
    error = nested.std(ddof=1) / np.sqrt(len(nested))
    assert abs(nested.mean() - 0.5) < 4 * error
    assert flat.mean() - 0.5 > 4 * flat.std(ddof=1) / np.sqrt(len(flat))


def test_noise_scores_at_chance_in_a_few_data_sets():
    flat, nested = null_scores(15, "shared")
    assert abs(nested.mean() - 0.5) < 4 * nested.std(ddof=1) / np.sqrt(len(nested))
    assert flat.mean() - 0.5 > 2 * flat.std(ddof=1) / np.sqrt(len(flat))


@pytest.mark.slow
@pytest.mark.parametrize("inner_cv", ["shared", StratifiedKFold(4)], ids=["shared", "independent"])
def test_noise_scores_at_chance(inner_cv):
    assert_null(*null_scores(400, inner_cv))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("distance", "n_rows"), [(2.0, 100), (2.0, 40), (4.45, 100)], ids=["plain", "few rows", "near the ceiling"]
)
def test_the_interval_covers_the_truth(distance, n_rows):
    """Two Gaussian classes, logistic regression over 5 values of C; the truth is the mean accuracy on new rows."""
    n_sets, covered = 500, 0
    truth = np.mean([expected_accuracy(distance, n_rows * 4 // 5, seed) for seed in range(2000, 2400)])
    for seed in range(n_sets):
        X, y = two_classes(distance, n_rows, seed)
        search = fw.NestedSearchCV(
            LogisticRegression(), {"C": [0.01, 0.1, 1, 10, 100]}, search="grid", executor="serial", random_state=0, refit=False,
            outer_cv=StratifiedKFold(5, shuffle=True, random_state=seed),
        )  # fmt: skip
        low, high = search.fit(X, y).interval_
        covered += low <= truth <= high
    assert covered / n_sets >= 0.95


def two_classes(distance, n_rows, seed):
    random = np.random.RandomState(seed)
    y = np.arange(n_rows) % 2
    X = random.normal(size=(n_rows, 5))
    X[:, 0] += distance * y
    return X, y


def expected_accuracy(distance, n_train, seed):
    """Accuracy on many new rows of the procedure trained on n_train rows."""
    from sklearn.model_selection import GridSearchCV

    X, y = two_classes(distance, n_train, seed)
    chosen = GridSearchCV(LogisticRegression(), {"C": [0.01, 0.1, 1, 10, 100]}, cv=4).fit(X, y)
    return chosen.score(*two_classes(distance, 4000, seed + 10_000))


def test_an_estimator_that_writes_into_its_input_changes_nothing():
    class Scribbler(KNeighborsClassifier):
        def fit(self, X, y):
            result = super().fit(X.copy(), y.copy())
            X[:], y[:] = 0, 0
            return result

        def predict(self, X):
            predicted = super().predict(X.copy())
            X[:] = 0
            return predicted

    X, y = np.random.RandomState(0).normal(size=(60, 3)), np.arange(60) % 2
    before = digest(X, y)
    scores = [
        fw.NestedSearchCV(one, {"n_neighbors": [1, 5]}, search="grid", outer_cv=3, executor="serial")
        .fit(X, y)
        .trials_["split0_score"]
        for one in (Scribbler(), KNeighborsClassifier())
    ]
    assert digest(X, y) == before
    assert scores[0].tolist() == scores[1].tolist()
    assert clone(Scribbler()).n_neighbors == 5


def test_groups_hold_in_both_loops_of_a_grouped_splitter():
    X, y, groups = numbered(60, 15)
    search = fw.NestedSearchCV(
        KNeighborsClassifier(3), {"n_neighbors": [1, 3]}, search="grid", outer_cv=GroupKFold(5), executor="serial"
    )
    plan = search.plan(X, y, groups=groups)
    for outer, inner in zip(plan.problem.folds.outer, plan.problem.folds.inner, strict=True):
        assert not set(groups[outer.train.numbers()]) & set(groups[outer.held_out.numbers()])
        for fold in inner:
            assert not set(groups[fold.train.numbers()]) & set(groups[fold.held_out.numbers()])
            assert not set(groups[np.concatenate([fold.train.numbers(), fold.held_out.numbers()])]) & set(
                groups[outer.held_out.numbers()]
            )


def test_workers_see_only_the_rows_of_their_fit(tmp_path):
    X, y, _ = numbered(30)
    plan = fw.NestedSearchCV(
        RecordingEstimator(str(tmp_path)), {"shift": [0]}, search="grid", outer_cv=3, executor="serial"
    ).plan(X, y)
    fold = plan.studies[0].folds[0]
    FitContext.of(plan).run([plan.fit({"shift": 0}, fold.train)])
    (seen,) = tmp_path.glob("*.fit.npy")
    assert np.load(seen).tolist() == plan.rows[fold.train].tolist()


@pytest.mark.parametrize("fails", [lambda: np.nan, lambda: 1 / 0], ids=["nan", "raises"])
@pytest.mark.parametrize("method", ["grid", "optuna"])
def test_a_study_does_not_hear_that_scoring_failed_on_its_outer_fold(method, fails):
    X, y = np.random.RandomState(0).normal(size=(90, 3)), np.arange(90) % 3
    outer = list(StratifiedKFold(5).split(X, y))
    special = X[outer[0][1][0]].tolist()  # a row of outer fold 0

    def sound(estimator, X, y):
        return estimator.score(X, y)

    def failing(estimator, X, y):
        return fails() if estimator.n_neighbors >= 5 and special in X.tolist() else estimator.score(X, y)

    told = []
    for scoring in (sound, failing):
        search = fw.NestedSearchCV(
            KNeighborsClassifier(), {"n_neighbors": [1, 3, 5, 9]}, search=method, n_trials=None if method == "grid" else 9,
            outer_cv=outer, executor="serial", random_state=0, batch=3, scoring=scoring, return_train_score=True,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells its caller of what failed
            trials = search.fit(X, y).trials_
        told.append(trials[trials["study"] == "outer-0"].drop(columns=["started", "seconds"]).to_json())
        if scoring is failing:
            others = trials[(trials["study"] == "outer-1") & (trials["param_n_neighbors"] >= 5)]
            assert set(others["state"]) == {"FAILED"}
    assert told[0] == told[1]
