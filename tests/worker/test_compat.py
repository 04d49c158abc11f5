"""A canary per thing that the workers rely on of private parts; MLflow's autologging does not see fits."""

import threading

import mlflow.sklearn
import mlflow.utils.autologging_utils as autologging_utils
import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.worker.compat import _FLAG, no_autologging, resamples

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # MLflow's own, of its autologging
]


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/m.db"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("mine")
    mlflow.sklearn.autolog(silent=True, log_models=False, log_datasets=False)
    yield uri
    mlflow.sklearn.autolog(disable=True, silent=True)
    mlflow.set_tracking_uri(before)


def search(**options):
    threaded = BaggingClassifier(DecisionTreeClassifier(random_state=0), 3, n_jobs=2, random_state=0)
    return fw.NestedSearchCV(
        threaded, {"estimator__max_depth": [1, 2]}, search="grid", outer_cv=3, executor="serial", random_state=0, **options
    )


def test_the_callers_run_holds_what_the_caller_logged(uri):
    X, y = load_iris(return_X_y=True)
    with mlflow.start_run() as run:
        mlflow.log_param("note", "x")
        search(tracking=uri).fit(X, y)
        data = MlflowClient(uri).get_run(run.info.run_id).data
        assert (data.params, data.metrics) == ({"note": "x"}, {})
        DecisionTreeClassifier().fit(X, y)  # the caller's own is logged as before
    assert "max_depth" in MlflowClient(uri).get_run(run.info.run_id).data.params


def test_what_the_caller_turned_off_stays_off(uri):
    with autologging_utils.disable_autologging():
        search().fit(*load_iris(return_X_y=True))
        assert getattr(autologging_utils, _FLAG) is True


def test_no_run_is_made_where_the_caller_has_none(uri):
    search().fit(*load_iris(return_X_y=True))
    assert mlflow.search_runs(search_all_experiments=True).empty


def test_another_thread_that_was_at_work_goes_on_logging():
    seen, go, done = [], threading.Event(), threading.Event()

    def other():
        go.wait(30)
        seen.append(bool(getattr(autologging_utils, _FLAG)))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_autologging():
        assert getattr(autologging_utils, _FLAG)
        go.set()
        assert done.wait(30)
    thread.join()
    assert seen == [False]
    assert getattr(autologging_utils, _FLAG) is False


def test_mlflow_looks_at_the_flag_that_is_set():
    assert getattr(autologging_utils, _FLAG) is False
    with autologging_utils.disable_autologging():
        assert getattr(autologging_utils, _FLAG) is True


def test_a_pipeline_of_imbalanced_learns_has_its_memory_cache_the_function_that_is_looked_for():
    imblearn = pytest.importorskip("imblearn.pipeline")
    under_sampling = pytest.importorskip("imblearn.under_sampling")
    cached = []

    class Memory:
        location = None

        def cache(self, function):
            cached.append(function)
            return function

    X, y = load_iris(return_X_y=True)
    steps = [("sample", under_sampling.RandomUnderSampler()), ("scale", StandardScaler()), ("tree", DecisionTreeClassifier())]
    imblearn.Pipeline(steps, memory=Memory()).fit(X, y)
    assert {function.__name__: resamples(function) for function in cached} == {
        "_fit_resample_one": True, "_fit_transform_one": False,
    }  # fmt: skip
