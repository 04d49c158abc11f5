"""Names that MLflow's alphabet would make one, and metrics called as another's deviation is, stay apart."""

import mlflow.sklearn  # noqa: F401
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.listeners.tracking.names import LONGEST_NAME, Names, distinct_names
from foldwise.reduce.tables import metric_stems

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

NAMES = st.lists(st.text("ab_+@/: .-é", min_size=1, max_size=6) | st.text("a", min_size=215, max_size=260), unique=True)


@given(NAMES)
def test_different_names_stay_different(names):
    taken = distinct_names(names)
    assert len(set(taken.values())) == len(names)
    assert all(len(f"inner_{one}_interval_high") <= LONGEST_NAME for one in taken.values())


@given(st.lists(st.sampled_from(["a", "a_std", "a_std_std", "a@std", "a+std", "a_std_", "train_a", "b"]), unique=True))
def test_no_mean_is_called_as_a_deviation_is(metrics):
    for stems in (metric_stems(metrics), Names.of([], metrics).metrics):
        columns = [f"{stem}{suffix}" for stem in stems.values() for suffix in ("", "_std")]
        assert len(set(columns)) == len(columns) == 2 * len(metrics)


def test_params_and_metrics_of_a_search_are_all_in_mlflow_and_in_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/m.db"
    X, y = load_iris(return_X_y=True)
    steps = Pipeline(
        [("p+1", PCA(random_state=0)), ("p@1", PCA(random_state=0)), ("m", DecisionTreeClassifier(random_state=0))]
    )
    search = fw.NestedSearchCV(
        steps, {"p+1__n_components": [3], "p@1__n_components": [2]}, search="grid", outer_cv=3, executor="serial",
        scoring={"acc": "accuracy", "acc_std": "f1_macro"}, refit="acc", tracking=uri, experiment="e", random_state=0,
    ).fit(X, y)  # fmt: skip
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    runs = {run.info.run_name: run.data for run in found}
    row = search.trials_.query("study == 'outer-0'").iloc[0]
    trial = runs["outer-0/0"]
    assert sorted(trial.params.values()) == ["2", "3"]
    assert trial.metrics["inner_acc"] == row["inner_acc"]
    assert trial.metrics["inner_acc_std"] == row["inner_acc_std"] < 0.2
    assert trial.metrics["inner_acc_std_"] == row["inner_acc_std_"] > 0.8
    job = client.get_run(search.run_id_).data
    assert sorted(value for name, value in job.params.items() if name.startswith("best_")) == ["2", "3"]
    assert job.metrics["acc_std"] == search.report().scores["acc"].std
    assert job.metrics["acc_std__nested"] == search.report().scores["acc_std"].mean
