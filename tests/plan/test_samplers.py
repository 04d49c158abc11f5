"""Pipelines of imbalanced-learn: as scikit-learn's own search has them, in every face."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline as PlainPipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.errors import InputError
from foldwise.executors import SerialExecutor
from foldwise.job.build import build
from foldwise.plan.prefixes import Prefixes

over_sampling = pytest.importorskip("imblearn.over_sampling", reason="needs imbalanced-learn")
under_sampling = pytest.importorskip("imblearn.under_sampling")
imblearn = pytest.importorskip("imblearn")
sampled = pytest.importorskip("imblearn.pipeline")

SMOTE = over_sampling.SMOTE


class ReadyRows:
    """Rows with few of one class."""

    X, y = make_classification(300, 8, weights=[0.85], flip_y=0.05, random_state=0)


def writes(X, y):
    X *= 2.0
    return X, y


def draws(X, y):
    rows = np.random.permutation(len(X))[:200]
    return X[rows], y[rows]


PIPELINES = {
    "smote before the model": (
        lambda: sampled.Pipeline([("s", StandardScaler()), ("o", SMOTE(random_state=0)), ("m", LogisticRegression())]),
        {"m__C": [0.1, 1.0], "o__k_neighbors": [3, 5]},
    ),
    "transformers on both sides": (
        lambda: sampled.Pipeline(
            [
                ("s", StandardScaler()),
                ("p", PCA(5, random_state=0)),
                ("o", SMOTE(random_state=1)),
                ("again", StandardScaler()),
                ("u", under_sampling.RandomUnderSampler(random_state=2)),
                ("m", DecisionTreeClassifier(random_state=0)),
            ]
        ),
        {"p__n_components": [2, 4], "m__max_depth": [2, 4]},
    ),
    "a sampler first, and none": (
        lambda: sampled.Pipeline([("o", SMOTE(random_state=0)), ("s", StandardScaler()), ("m", LogisticRegression())]),
        {"o": ["passthrough", SMOTE(random_state=3)], "m__C": [0.1, 1.0]},
    ),
    "a sampler that writes into its rows": (
        lambda: sampled.Pipeline(
            [("s", StandardScaler()), ("w", imblearn.FunctionSampler(func=writes)), ("m", LogisticRegression())]
        ),
        {"m__C": [0.1, 1.0]},
    ),
    "a plain pipeline at its end": (
        lambda: sampled.Pipeline(
            [
                ("s", StandardScaler()),
                ("o", SMOTE(random_state=0)),
                ("rest", PlainPipeline([("p", PCA(3, random_state=0)), ("m", LogisticRegression())])),
            ]
        ),
        {"rest__m__C": [0.1, 1.0]},
    ),
    "no sampler at all": (
        lambda: sampled.Pipeline([("s", StandardScaler()), ("m", LogisticRegression())]),
        {"m__C": [0.1, 1.0]},
    ),
}


def check(make, space, executor):
    X, y = ReadyRows.X, ReadyRows.y
    search = fw.NestedSearchCV(
        make(), space, search="grid", outer_cv=3, scoring=["balanced_accuracy", "roc_auc"], executor=executor, random_state=0
    ).fit(X, y)
    plain = GridSearchCV(make(), space, cv=3, scoring=["balanced_accuracy", "roc_auc"], refit="balanced_accuracy").fit(X, y)
    theirs, ours = plain.cv_results_, search.cv_results_
    by_params = {repr(params): at for at, params in enumerate(ours["params"])}
    order = [by_params[repr(params)] for params in theirs["params"]]
    for metric in ("balanced_accuracy", "roc_auc"):
        for split in range(3):
            name = f"split{split}_test_{metric}"
            np.testing.assert_array_equal(ours[name][order], theirs[name])
    assert repr(search.best_params_) == repr(plain.best_params_)
    np.testing.assert_array_equal(search.predict_proba(X), plain.predict_proba(X))
    return search


@pytest.mark.parametrize("name", PIPELINES)
def test_scores_are_those_of_grid_search(name):
    check(*PIPELINES[name], SerialExecutor())


def test_scores_are_those_of_grid_search_on_ray():
    check(*PIPELINES["transformers on both sides"], "ray")


def test_what_comes_before_a_sampler_is_shared_and_nothing_after_it():
    make, space = PIPELINES["transformers on both sides"]
    assert [one.path for one in Prefixes(make()).transformers] == ["s", "p"]
    search = fw.NestedSearchCV(make(), space, search="grid", outer_cv=3, executor="serial", random_state=0)
    assert "shared     s, p: " in search.plan(ReadyRows.X, ReadyRows.y).explain()


def test_a_sampler_that_draws_from_the_global_generator_draws_as_it_would_without_sharing():
    steps = [("s", StandardScaler()), ("d", imblearn.FunctionSampler(func=draws)), ("m", LogisticRegression())]
    alone = [("d", imblearn.FunctionSampler(func=draws)), ("s", StandardScaler()), ("m", LogisticRegression())]
    scores = [
        fw.NestedSearchCV(
            sampled.Pipeline(one), {"m__C": [1.0, 1.0 + n]}, search="grid", outer_cv=3, executor="serial", random_state=0
        )
        .fit(ReadyRows.X, ReadyRows.y)
        .trials_["inner_score"][0]
        for one, n in ((steps, 1), (steps, 2), (alone, 1))
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("form", [list, dict])
def test_a_job_file_with_a_sampler_makes_a_pipeline_that_takes_it(form):
    steps = [
        "sklearn.preprocessing:StandardScaler",
        {"use": "imblearn.over_sampling:SMOTE", "random_state": 0},
        "sklearn.svm:SVC",
    ]
    given = steps if form is list else dict(zip("som", steps, strict=True))
    made = build({"pipeline": given}, "estimator")
    assert type(made) is sampled.Pipeline
    assert [name for name, _ in made.steps] == (["standardscaler", "smote", "svc"] if form is list else ["s", "o", "m"])
    assert type(build({"pipeline": [steps[0], steps[2]]}, "estimator")) is PlainPipeline


def test_a_sampler_in_a_plain_pipeline_names_the_one_that_takes_it():
    plain = PlainPipeline([("o", SMOTE()), ("m", LogisticRegression())])
    with pytest.raises(InputError, match=r"sampler SMOTE\(\) as 'o', .*use imblearn.pipeline.Pipeline"):
        fw.NestedSearchCV(plain, {"m__C": [1]}, search="grid", executor="serial").plan(ReadyRows.X, ReadyRows.y)


def test_a_job_whose_sampler_has_no_imbalanced_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imblearn.pipeline", None)
    steps = [{"use": "imblearn.over_sampling:SMOTE"}, "sklearn.svm:SVC"]
    with pytest.raises(
        InputError, match=r"estimator.pipeline: expected the package imbalanced-learn, .*pip install imbalanced-learn"
    ):
        build({"pipeline": steps}, "estimator")


def test_epochs_train_on_what_a_sampler_gives():
    from foldwise.worker.epochs import EpochTrainer

    model = sampled.Pipeline(
        [("s", StandardScaler()), ("o", SMOTE(random_state=0)), ("m", SGDClassifier(random_state=0, shuffle=False))]
    )
    trainer = EpochTrainer(model, 0, 3)
    for _ in range(3):
        trainer.train(ReadyRows.X, ReadyRows.y)
    X, y = SMOTE(random_state=0).fit_resample(StandardScaler().fit_transform(ReadyRows.X), ReadyRows.y)
    plain = SGDClassifier(random_state=0, shuffle=False)
    for _ in range(3):
        plain.partial_fit(X, y, classes=[0, 1])
    np.testing.assert_array_equal(trainer.finished()["m"].coef_, plain.coef_)
    seen = trainer.transform(ReadyRows.X)
    assert len(seen) == len(ReadyRows.X)


def test_imbalanced_learn_is_not_imported_for_others():
    script = (
        "import sys, foldwise as fw\nfrom sklearn.datasets import load_iris\nfrom sklearn.svm import SVC\n"
        "fw.NestedSearchCV(SVC(), {'C': [1]}, search='grid', outer_cv=3, executor='serial', random_state=0)"
        ".fit(*load_iris(return_X_y=True))\nprint('imblearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
