"""A schedule is refused early where nothing can follow it, and planned in words and numbers."""

import pytest
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import InputError
from foldwise.executors import SerialExecutor, make_executor
from foldwise.loop.run import Run
from foldwise.plan.schedule import Schedule, changing
from foldwise.search.optuna import OptunaSearch
from foldwise.space.space import SearchSpace
from foldwise.testing import SerialScheduledExecutor, scheduled_plan, small_plan
from foldwise.trial import Segment

ASHA = {"method": "asha", "max_epochs": 9}


@pytest.mark.parametrize(
    ("given", "place", "says"),
    [
        ("asha", "schedule", "expected a mapping"),
        ({}, "schedule.method", "got none"),
        (Schedule("asah"), "schedule.method", "expected a method, got 'asah'"),
        ({"method": "asah"}, "schedule.method", "did you mean asha"),
        ({"method": "asha", "max_epoch": 3}, "schedule.max_epoch", "did you mean max_epochs"),
        ({"method": "asha", "max_epochs": 0}, "schedule.max_epochs", "an integer >= 1, got 0"),
        ({"method": "asha", "max_epochs": 2.5}, "schedule.max_epochs", "an integer >= 1, got 2.5"),
        ({"method": "asha", "max_epochs": True}, "schedule.max_epochs", "got True"),
        ({"method": "asha", "reduction": 1}, "schedule.reduction", "an integer >= 2, got 1"),
        ({"method": "asha", "max_epochs": 3, "grace_epochs": 4}, "schedule.grace_epochs", r"at most max_epochs \(3\), got 4"),
    ],
)
def test_a_wrong_schedule_is_named(given, place, says):
    with pytest.raises(InputError, match=says) as caught:
        small_plan(SGDClassifier(), {"alpha": [1, 2]}, schedule=given)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("estimator", "space", "options", "place", "says"),
    [
        (SVC(), {"C": [1, 2]}, {}, "estimator", "trains in epochs.*got SVC"),
        (make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cg", warm_start=False)), {"logisticregression__C": [1, 2]}, {}, None, None),
        (make_pipeline(StandardScaler(), SVC()), {"svc": [SVC(), SGDClassifier()]}, {}, "estimator", "got SVC"),
        (make_pipeline(StandardScaler(), SVC()), {"svc": [MLPClassifier(), SGDClassifier()]}, {}, None, None),
        (RandomForestClassifier(), {"n_estimators": [1, 2]}, {}, "space.n_estimators", "counts the epochs"),
        (SGDClassifier(), {"alpha": fw.Float(1, 2)}, {"method": "pbt", "search": OptunaSearch()}, "schedule.method", "search='optuna'"),
        (SGDClassifier(), {"alpha": [1]}, {"method": "pbt"}, "schedule.method", "at least 2 trials for 'pbt', got 1"),
        (SGDClassifier(), {"average": [True, False]}, {"method": "pbt"}, "schedule.method", "may change while SGDClassifier"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_schedule_is_refused(estimator, space, options, place, says):
    options = {"search": "grid", **options}
    schedule = {**ASHA, "method": options.pop("method", "asha")}
    if place is None:
        assert small_plan(estimator, space, schedule=schedule, **options).is_scheduled
        return
    with pytest.raises(InputError, match=says) as caught:
        small_plan(estimator, space, schedule=schedule, **options)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("estimator", "space", "place", "says"),
    [
        (LogisticRegression(), {"C": [1, 2]}, "estimator", "solver .*got 'lbfgs': it forgets between epochs"),
        (LogisticRegression(), {"solver": ["newton-cg", "saga"]}, "space.solver", "got 'saga'"),
        (LogisticRegression(), {"solver": ["newton-cg"], "C": [1, 2]}, None, None),
        (MLPClassifier(), {"solver": ["adam", "lbfgs"]}, "space.solver", "got 'lbfgs'.*use 'adam' or 'sgd'"),
        (MLPClassifier(solver="lbfgs"), {"alpha": [1, 2]}, "estimator", "got 'lbfgs'"),
        (MLPClassifier(), {"early_stopping": [False, True]}, "space.early_stopping", "got True: the schedule stops trials"),
        (SGDClassifier(early_stopping=True), {"alpha": [1, 2]}, "estimator", "early_stopping .*got True"),
        (SGDClassifier(early_stopping=True), {"early_stopping": [False], "alpha": [1, 2]}, None, None),
        (SGDClassifier(), {"learning_rate": ["optimal", "adaptive"]}, "space.learning_rate", "got 'adaptive'"),
        (SGDClassifier(), {"class_weight": [None, "balanced"]}, None, None),
        (
            make_pipeline(StandardScaler(), SVC()),
            {"svc": [SGDClassifier(), MLPClassifier()], "svc__early_stopping": [False, True]},
            "space.svc__early_stopping",
            "got True",
        ),
        (make_pipeline(StandardScaler(), SVC()), {"svc": [SGDClassifier(), GaussianNB()]}, "estimator", "got GaussianNB"),
        (GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, "estimator", "got GaussianNB, for its partial_fit adds rows"),
        (GradientBoostingClassifier(), {"n_iter_no_change": fw.Int(1, 5)}, "space.n_iter_no_change", "leave it None"),
        (HistGradientBoostingClassifier(), {"early_stopping": ["auto", False]}, None, None),
        (HistGradientBoostingClassifier(), {"early_stopping": ["auto", True]}, "space.early_stopping", "got True"),
        (BaggingClassifier(), {"oob_score": [False, True]}, "space.oob_score", "got True"),
        (MultiOutputClassifier(SGDClassifier()), {"estimator__alpha": [1, 2]}, None, None),
        (MultiOutputClassifier(SVC()), {"estimator__C": [1, 2]}, "estimator", "got MultiOutputClassifier"),
        (
            MultiOutputClassifier(SGDClassifier()),
            {"estimator__class_weight": [None, "balanced"]},
            "space.estimator__class_weight",
            "differ by output",
        ),
        (MultiOutputClassifier(SGDClassifier()), {"estimator": [SGDClassifier(), GaussianNB()]}, "estimator", "adds rows"),
        (
            OneVsRestClassifier(MLPClassifier()),
            {"estimator__early_stopping": [True]},
            "space.estimator__early_stopping",
            "got True",
        ),
    ],
)
def test_params_with_which_no_epoch_is_an_iteration_are_refused_by_the_plan(estimator, space, place, says):
    if place is None:
        assert small_plan(estimator, space, schedule=ASHA, search="grid").is_scheduled
        return
    with pytest.raises(InputError, match=says) as caught:
        small_plan(estimator, space, schedule=ASHA, search="grid")
    assert caught.value.place == place


def test_a_param_that_depends_on_another_is_refused_with_the_value_that_it_depends_on():
    net = MLPClassifier()
    space = {"svc": [SGDClassifier(), net], "svc__solver": fw.Categorical(["adam", "lbfgs"], when={"svc": net})}
    with pytest.raises(InputError, match="got 'lbfgs'") as caught:
        small_plan(make_pipeline(StandardScaler(), SVC()), space, schedule=ASHA, search="grid")
    assert caught.value.place == "space.svc__solver"


def test_population_based_training_changes_what_is_read_in_every_epoch_only():
    space = SearchSpace(
        {
            "pca__n_components": [1, 2], "mlp__alpha": [0.1, 1.0], "mlp__hidden_layer_sizes": [(5,), (9,)], "mlp__batch_size": [8, 16],
            "mlp__activation": ["relu", "tanh"], "mlp__shuffle": fw.Categorical([True, False], when={"mlp__batch_size": 8}),
        }
    )  # fmt: skip
    from sklearn.decomposition import PCA
    from sklearn.pipeline import Pipeline

    pipeline = Pipeline([("pca", PCA()), ("mlp", MLPClassifier())])
    assert changing(pipeline, space) == {"mlp__alpha", "mlp__shuffle"}  # others depend on the batch size


def test_executors_that_run_no_schedule_are_refused():
    plan = scheduled_plan()
    with pytest.raises(InputError, match="executor: expected one that runs schedules, got SerialExecutor; use executor='ray'"):
        Run(plan, SerialExecutor())
    with pytest.raises(InputError, match="executor: expected 'ray', which runs schedules, got 'serial'"):
        make_executor("serial", plan.problem.settings)
    search = fw.NestedSearchCV(SGDClassifier(), {"alpha": [1, 2]}, search="grid", schedule=ASHA, executor="serial")
    with pytest.raises(InputError, match="executor: expected 'ray'"):
        search.fit([[0.0], [1.0]] * 9, [0, 1] * 9)
    executor = SerialScheduledExecutor()
    assert make_executor(executor, plan.problem.settings) is executor


def test_the_plan_says_what_a_schedule_makes_of_it():
    plan = scheduled_plan(n_trials=None)
    summary = plan.summary()
    assert summary["n_fits"] is None  # what chance lets studies share is not counted
    assert summary["n_fits_at_most"] == summary["n_fits_plain"] == 6 * (3 * 2 + 3) + 3 + 1
    assert summary["n_epochs_at_most"] == 58 * 9
    assert summary["n_transformer_fits"] is None
    words = plan.explain()
    assert "schedule   asha, at most 9 epochs a trial" in words
    assert "not repeatable to the bit" in words
    assert "at most 522 epochs in all" in words
    assert "nothing would run" not in words
    assert small_plan().summary()["n_epochs_at_most"] is None
    space = {"alpha": [0.1, 1.0], "average": [True, False]}
    assert "changes    alpha; drawn once: average" in scheduled_plan("pbt", space=space).explain()


@pytest.mark.parametrize("n_trials", [1, 2, 3, 4, 7, 8, 17, 18, 20, 40])
@pytest.mark.parametrize(
    ("max_epochs", "grace", "reduction"), [(30, 3, 3), (9, 1, 3), (81, 1, 3), (16, 2, 2), (10, 4, 3), (25, 1, 5)]
)
def test_brackets_are_those_of_tunes_hyperband(n_trials, max_epochs, grace, reduction):
    from ray.tune.schedulers import HyperBandScheduler

    schedule = Schedule("hyperband", max_epochs, grace, reduction)
    tunes = HyperBandScheduler(
        "rounds", "value", "max", max_t=max(1, max_epochs // grace), reduction_factor=reduction, stop_last_trials=False
    )
    for number in range(n_trials):
        tunes.on_trial_add(None, number)
    told = {}
    for bracket in (bracket for band in tunes._hyperbands for bracket in band if bracket is not None):
        epoch, inside = float("inf"), len(bracket._live_trials)
        while bracket._halves and epoch == float("inf"):
            at = bracket._cumul_r
            for trial in bracket._live_trials:
                bracket._live_trials[trial] = {"rounds": at, "value": 0.0}
            _, bad = bracket.successive_halving("value", 1.0)
            epoch = at * grace if bad else epoch
        told[epoch] = told.get(epoch, 0) + inside
    assert schedule.brackets(n_trials) == told


@pytest.mark.parametrize(
    ("schedule", "n_trials", "says"),
    [
        ({"method": "asha", "grace_epochs": 9}, 6, "grace_epochs is max_epochs (9); lower it"),
        ({"method": "asha"}, 1, "asha compares at least 2, and 1 are asked"),
        ({"method": "median"}, 3, "median compares at least 4, and 3 are asked"),
        ({"method": "hyperband"}, 3, "its brackets hold no more trials than go on; raise n_trials"),
        ({"method": "hyperband", "max_epochs": 9, "grace_epochs": 6}, 40, "its brackets hold no more trials than go on"),
        ({"method": "asha"}, 2, None),
        ({"method": "median"}, 4, None),
        ({"method": "hyperband"}, 6, None),
    ],
)
def test_the_plan_says_where_no_trial_can_be_stopped(schedule, n_trials, says):
    plan = small_plan(
        SGDClassifier(), {"alpha": fw.Float(1, 2)}, search="random", n_trials=n_trials, schedule={**ASHA, **schedule}
    )
    words = plan.explain()
    assert ("warning    no trial can be stopped" in words) == (says is not None)
    assert says is None or says in words


def test_the_plan_says_what_an_epoch_is_and_how_brackets_are_filled():
    space = {"svc": [SGDClassifier(), HistGradientBoostingClassifier()]}
    plan = small_plan(make_pipeline(StandardScaler(), SVC()), space, search="grid", schedule=ASHA)
    assert (
        "epoch      of SGDClassifier a call of partial_fit; of HistGradientBoostingClassifier one more of max_iter; a stop of its "
        "own (tol, n_iter_no_change) ends no trial"
    ) in plan.explain()
    schedule = {"method": "hyperband", "max_epochs": 30, "grace_epochs": 3}
    plan = small_plan(SGDClassifier(), {"alpha": fw.Float(1, 2)}, search="random", n_trials=17, schedule=schedule)
    assert "brackets   of 17 trials a study 9 from epoch 3 on, 5 from epoch 9 on, 3 train to their end" in plan.explain()


def test_several_labels_a_row_are_refused_where_partial_fit_takes_none():
    Y = [[0, 1], [1, 0], [1, 1]] * 9
    search = fw.NestedSearchCV(
        OneVsRestClassifier(SGDClassifier()), {"estimator__alpha": [1, 2]}, search="grid", schedule=ASHA, scoring="f1_micro",
        outer_cv=3,
    )  # fmt: skip
    with pytest.raises(InputError, match="estimator: expected an estimator whose partial_fit takes several labels"):
        search.plan([[float(number)] for number in range(27)], Y)


def test_a_batch_that_leaves_cores_idle_counts_trials():
    plan = scheduled_plan(space={"alpha": fw.Float(1, 2)}, search=OptunaSearch(), n_trials=4, batch=2)
    assert plan.n_fits_at_once == 2 * 4
    assert "2 trials a batch over all studies are 8 trials, which leaves 8 of 16 cores idle" in plan.explain(16)


def test_a_schedule_is_part_of_the_key_and_its_lineage_of_a_fits():
    asha, median, plain = (scheduled_plan(), scheduled_plan("median"), small_plan(SGDClassifier(), {"alpha": [1, 2]}))
    assert len({asha.problem.key, median.problem.key, plain.problem.key}) == 3
    train, params = asha.whole, {"alpha": 1.0}
    fits = [
        asha.fit(params, train),
        asha.fit(params, train, lineage=(Segment(params, 0),)),
        asha.fit(params, train, lineage=(Segment(params, 2),)),
        asha.fit(params, train, lineage=(Segment(params, 1), Segment({"alpha": 2.0}, 1))),
        scheduled_plan(schedule={"max_epochs": 8}).fit(params, train, lineage=(Segment(params, 2),)),
    ]
    assert len({fit.key for fit in fits}) == len(fits)
    assert asha.fit({"alpha": 2.0}, train, lineage=fits[3].lineage) == fits[3]  # it begins with the lineage's own params
    assert fits[3].params == params


def test_a_job_file_takes_a_schedule(tmp_path):
    data = {
        "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.linear_model:SGDClassifier",
        "space": {"alpha": [0.1, 1.0]}, "search": {"method": "grid"}, "schedule": {"method": "median", "max_epochs": 4}, "seed": 0,
    }  # fmt: skip
    assert fw.Job.parse(data).open().settings.schedule == Schedule("median", 4)
    with pytest.raises(InputError, match=r"job: schedule.max_epochs: expected an integer >= 1, got 0"):
        fw.Job.parse({**data, "schedule": {"method": "median", "max_epochs": 0}}).open()
    with pytest.raises(InputError, match="job: executor: expected 'ray', which runs schedules"):
        fw.Job.parse({**data, "executor": "serial"}).plan()
    with pytest.raises(InputError, match="job: schedule: expected keys and values"):
        fw.Job.parse({**data, "schedule": "asha"})
