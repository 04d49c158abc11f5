"""Job files: loading, overriding, opening; every error names the file, the key and the value."""

from pathlib import Path

import pytest
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import InputError
from foldwise.job.build import build
from foldwise.job.overrides import parse_overrides
from foldwise.space.space import shipped_spaces

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.yaml"))
ADULT = ROOT.parent / "shared" / "data" / "adult.csv.gz"

MINIMAL = {"data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.svm:SVC", "space": {"C": [1, 10]}}


def written(tmp_path, data=None, text=None):
    path = tmp_path / "job.yaml"
    path.write_text(text if text is not None else yaml.safe_dump({**MINIMAL, **(data or {})}))
    return path


def open_error(path, overrides=None):
    with pytest.raises(InputError) as caught:
        fw.Job.load(path, overrides).plan()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def smaller(path):
    """Shrink a shipped job to seconds."""
    overrides = {"executor": "serial", "tracking": False, "folds.outer": 3, "folds.repeats": 1}
    if fw.Job.load(path).spec.search.method != "grid":
        overrides["search.trials"] = 2
    if "adult" in path.stem:
        overrides["data.path"] = str(ADULT)
    if "foldwise.models" in path.read_text():
        overrides |= {"estimator.epochs": 1, "search.trials": 1}
    return overrides


@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.stem)
def test_every_shipped_job_runs(path):
    if "adult" in path.stem and not ADULT.exists():
        pytest.skip("the census data is not at hand")
    if "foldwise.models" in path.read_text():
        pytest.importorskip("tensorflow", reason="needs foldwise[keras]")
    if "lightgbm" in path.stem:
        pytest.importorskip("lightgbm", reason="needs foldwise[boosters]")
    report = fw.Job.load(path, smaller(path)).run()
    assert not report.partial
    assert len(report.outer) == 3


def test_the_census_job_says_where_its_data_belongs(tmp_path):
    job = tmp_path / "jobs" / "adult.yaml"
    job.parent.mkdir()
    job.write_text((ROOT / "jobs" / "adult_gradient_boosting.yaml").read_text())
    assert "adult.yaml: data.path: expected a file, got" in open_error(job)


def test_defaults_equal_pythons():
    import inspect

    python = {name: p.default for name, p in inspect.signature(fw.NestedSearchCV).parameters.items()}
    spec = fw.Job.parse(MINIMAL).spec
    assert (spec.search.method, spec.search.trials, spec.search.batch) == (
        python["search"],
        python["n_trials"],
        python["batch"],
    )
    assert (spec.folds.outer, spec.folds.inner) == (python["outer_cv"], python["inner_cv"])
    for name in ("scoring", "refit", "return_train_score", "n_jobs", "executor", "verbose"):
        assert getattr(spec, name) == python[name], name
    assert spec.seed is python["random_state"] is None


def test_a_job_and_a_call_give_the_same():
    from sklearn.datasets import load_iris

    job = fw.Job.parse({**MINIMAL, "search": {"method": "grid"}, "executor": "serial", "seed": 3, "scoring": "accuracy"})
    search = fw.NestedSearchCV(SVC(), {"C": [1, 10]}, search="grid", executor="serial", random_state=3, scoring="accuracy")
    ours, theirs = job.run().to_dict(), search.fit(*load_iris(return_X_y=True)).report().to_dict()
    assert ours["scores"] == theirs["scores"]
    assert ours["key"] == theirs["key"]


def test_overrides_reach_any_key_and_paths_are_relative_to_the_working_folder(tmp_path, monkeypatch):
    path = written(tmp_path)
    job = fw.Job.load(path, parse_overrides(["search.trials=7", "folds={outer: 4, inner: 3}", "scoring=[accuracy]", "seed=5"]))
    assert (job.spec.search.trials, job.spec.folds.outer, job.spec.folds.inner, job.spec.seed) == (7, 4, 3, 5)
    assert "trials: 7" in job.text
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    job = fw.Job.load(path, {"data": {"target": "y"}, "data.path": "data.csv"})
    assert job.spec.data.path == str(folder / "data.csv")


def test_paths_in_a_job_are_relative_to_its_file(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "table.csv").write_text("a,b,y\n" + "\n".join(f"{i},{i % 3},{i % 2}" for i in range(40)))
    (tmp_path / "sub" / "search_spaces").mkdir()
    (tmp_path / "sub" / "search_spaces" / "mine.yaml").write_text("C: [1, 2, 3]\n")
    path = tmp_path / "sub" / "job.yaml"
    path.write_text(
        yaml.safe_dump(
            {**MINIMAL, "data": {"path": "../table.csv", "target": "y"}, "space": "mine", "search": {"method": "grid"}}
        )
    )
    monkeypatch.chdir("/")
    plan = fw.Job.load(path).plan()
    assert plan.problem.dataset.shape == (40, 2)
    assert plan.n_trials == 3


def test_code_beside_the_job_is_found(tmp_path):
    (tmp_path / "my_beside_models.py").write_text("from sklearn.svm import SVC\nclass Mine(SVC):\n    pass\n")
    plan = fw.Job.load(written(tmp_path, {"estimator": "my_beside_models:Mine", "search": {"method": "grid"}})).plan()
    assert type(plan.problem.estimator).__name__ == "Mine"


def test_estimators_are_built_as_written():
    pipeline = build(
        {
            "pipeline": {
                "encode": {
                    "columns": [
                        {"on": ["a"], "use": "sklearn.preprocessing:OneHotEncoder", "handle_unknown": "ignore"},
                        {"on": {"dtype_include": "number"}, "step": "passthrough"},
                        {"on": ["b"], "pipeline": ["sklearn.preprocessing:StandardScaler", "sklearn.decomposition:PCA"]},
                    ],
                    "remainder": "drop",
                },
                "log": {"use": "sklearn.preprocessing:FunctionTransformer", "func": {"object": "numpy:log1p"}},
                "model": {
                    "use": "sklearn.ensemble:BaggingClassifier",
                    "estimator": {"use": "sklearn.svm:SVC", "C": 2},
                    "n_estimators": 3,
                },
            }
        },
        "estimator",
    )
    assert isinstance(pipeline, Pipeline)
    assert isinstance(pipeline.named_steps["encode"], ColumnTransformer)
    assert [name for name, _, _ in pipeline.named_steps["encode"].transformers] == ["onehotencoder", "passthrough", "pipeline"]
    assert pipeline.named_steps["model"].estimator.C == 2
    assert pipeline.named_steps["log"].func.__name__ == "log1p"


def test_folds_scoring_and_sampler_are_built(tmp_path):
    data = {
        "folds": {"outer": {"use": "sklearn.model_selection:StratifiedKFold", "n_splits": 4}, "inner": 3},
        "scoring": {"auc": "roc_auc_ovr"},
        "refit": "own",
        "search": {"method": "optuna", "trials": 3, "sampler": "random"},
        "space": {"C": {"float": [0.1, 10], "log": True}},
        "estimator": {"use": "sklearn.svm:SVC", "probability": True},
    }
    data["scoring"]["own"] = "scorer_beside:constant_scorer"
    (tmp_path / "scorer_beside.py").write_text("def constant_scorer(estimator, X, y):\n    return 1.0\n")
    problem = fw.Job.load(written(tmp_path, data)).open()
    assert len(problem.folds.outer) == 4
    assert [len(inner) for inner in problem.folds.inner] == [3] * 4
    assert problem.scoring.metrics == ("auc", "own")
    assert problem.settings.search.sampler == "random"


def test_groups_of_a_file_hold(tmp_path):
    rows = "\n".join(f"{i},{i % 7},{i % 2},{i // 4}" for i in range(80))
    (tmp_path / "table.csv").write_text("a,b,y,household\n" + rows)
    data = {
        "data": {"path": "table.csv", "target": "y", "groups": "household"},
        "folds": {"outer": {"use": "sklearn.model_selection:GroupKFold", "n_splits": 5}},
    }
    problem = fw.Job.load(written(tmp_path, data)).open()
    assert problem.dataset.shape == (80, 2)
    groups = problem.dataset.groups
    assert all(
        not set(groups[f.train.numbers()]) & set(groups[f.held_out.numbers()]) for inner in problem.folds.inner for f in inner
    )
    assert isinstance(GroupKFold(5), GroupKFold)


WRONG = {
    "unknown key": ({"serch": {}}, "serch: expected a known key, got 'serch'; did you mean search?"),
    "unknown nested key": ({"folds": {"outter": 5}}, "folds.outter: expected a known key, got 'outter'; did you mean outer?"),
    "no data": ({"data": {}}, "data: expected one of loader and path, got neither"),
    "two sources": ({"data": {"loader": "a:b", "path": "c"}}, "data: expected one of loader and path, got both"),
    "trials 0": ({"search": {"trials": 0}}, "search.trials: expected an integer >= 1, got 0"),
    "trials text": ({"search": {"trials": "ten"}}, "search.trials: expected an integer, got 'ten'"),
    "unknown method": ({"search": {"method": "grd"}}, "search.method: expected a search method, got 'grd'; did you mean grid?"),
    "option of another method": ({"search": {"method": "grid", "sampler": "tpe"}}, "search.sampler: expected an option of 'grid', got 'sampler'"),
    "unknown sampler": ({"search": {"method": "optuna", "sampler": "tpo"}}, "search.sampler: expected a sampler of Optuna, got 'tpo'"),
    "low >= high": ({"space": {"C": {"float": [3, 1]}}}, "space.C: expected low < high, got low=3, high=1"),
    "param that the estimator lacks": ({"space": {"D": [1]}}, "space.D: expected a param of SVC, got 'D'"),
    "scalar in a space": ({"space": {"C": 3}}, "space.C: expected a list"),
    "unknown space": ({"space": "svm_rfb"}, "space: expected a space's path or name, got 'svm_rfb'; did you mean svm_rbf?"),
    "unknown scorer": ({"scoring": "acuracy"}, "scoring: expected a metric that scikit-learn has, got 'acuracy'; did you mean accuracy?"),
    "refit that is no metric": ({"scoring": ["accuracy"], "refit": "f1"}, "refit: expected one of the metrics, got 'f1'"),
    "outer splitter that cannot be shared": (
        {"folds": {"outer": {"use": "sklearn.model_selection:ShuffleSplit", "n_splits": 3}}},
        "folds.inner: expected outer folds",
    ),
    "two outer folds": ({"folds": {"outer": 2}}, "folds.inner: expected at least 3 outer folds"),
    "import that fails": ({"estimator": "sklearn.svm:SVD"}, "estimator: expected a name in sklearn.svm, got 'SVD'; did you mean SVR?"),
    "module that is not there": ({"estimator": "nowhere:SVC"}, "estimator: expected a module that can be imported, got 'nowhere'"),
    "no module:name": ({"estimator": "SVC"}, "estimator: expected module:name, as in sklearn.svm:SVC, got 'SVC'"),
    "wrong argument": ({"estimator": {"use": "sklearn.svm:SVC", "D": 1}}, "estimator: expected arguments that sklearn.svm:SVC takes"),
    "step that fails": ({"estimator": {"pipeline": ["sklearn.svm:SVD"]}}, "estimator.pipeline[0]: expected a name in sklearn.svm"),
    "resources": ({"resources": {"cpus": 2}}, "resources.cpus: expected another name; did you mean cpu?"),
    "too many cpus": ({"resources": {"cpu": 4096}}, "resources.cpu: expected at most the"),
    "executor": ({"executor": "rai"}, "executor: expected an executor, got 'rai'; did you mean ray?"),
    "seed": ({"seed": -1}, "seed: expected an integer from 0"),
    "error_score": ({"error_score": "rase"}, "error_score: expected a number or 'raise', got 'rase'"),
    "repeats": ({"folds": {"repeats": 0}}, "folds.repeats: expected an integer >= 1, got 0"),
    "tracking": ({"tracking": 5}, "tracking: expected"),
    "loader that fails": ({"data": {"loader": "sklearn.datasets:load_irs"}}, "data.loader: expected a name in sklearn.datasets, got 'load_irs'"),
    "loader arguments": ({"data": {"loader": "sklearn.datasets:load_iris", "args": {"x": 1}}}, "data.args: expected arguments that"),
    "missing file": ({"data": {"path": "gone.csv", "target": "y"}}, "data.path: expected a file, got"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_in_one_line(tmp_path, data, words):
    path = written(tmp_path, data)
    message = open_error(path)
    assert message.startswith(f"{path}: ")
    assert words in message


def test_a_gpu_on_a_machine_without_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("foldwise.executors.local_resources.has_accelerator", lambda: False)
    assert "resources.gpu: expected 0 on a machine without a GPU, got 1" in open_error(
        written(tmp_path, {"resources": {"gpu": 1}})
    )


@pytest.mark.parametrize(
    ("rows", "target", "words"),
    [
        ("a,y\n1,0\n2,1\n", "label", "data.target: expected a column that is there, got 'label'"),
        ("a,y\n1,0\n2,\n3,1\n", "y", "data.target: expected a value in every row, got NaN in 1 of 3, first at row 1"),
        ("a,y\n1,0\n2,0\n3,0\n4,0\n5,0\n", "y", "data.target: expected at least two classes, got 1 class"),
        ("", "y", "data.path: expected a readable csv file"),
        ("a,y\n", "y", "data.path: expected rows, got none"),
    ],
)
def test_wrong_data_in_a_file_is_said_in_one_line(tmp_path, rows, target, words):
    (tmp_path / "table.csv").write_text(rows)
    assert words in open_error(written(tmp_path, {"data": {"path": "table.csv", "target": target}}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "expected YAML"),
        ("data: {}\ndata: {}\n", "the key 'data' stands twice"),
        ("- 1\n", "expected the keys of a job"),
        ("", "expected the keys of a job"),
        ("name: x\n", "data: expected this key, which is required"),
    ],
)
def test_a_file_that_is_no_job_is_said_in_one_line(tmp_path, text, words):
    assert words in open_error(written(tmp_path, text=text))


@pytest.mark.parametrize("setting", ["search.trials", "=5", "search..trials=3", "name.x=1"])
def test_a_wrong_override_is_named(tmp_path, setting):
    path = written(tmp_path, {"name": "text"})
    with pytest.raises(InputError, match=r"--set|name"):
        fw.Job.load(path, parse_overrides([setting]))


def test_every_shipped_space_fits_an_estimator():
    families = {
        "svm_rbf": ["StandardScaler", "svm:SVC"],
        "svm_linear": ["StandardScaler", "svm:LinearSVC"],
        "pca_svm": ["StandardScaler", "decomposition:PCA", "svm:SVC"],
        "logistic_regression": ["StandardScaler", "linear_model:LogisticRegression"],
        "elastic_net": ["StandardScaler", "linear_model:ElasticNet"],
        "k_neighbors": ["StandardScaler", "neighbors:KNeighborsClassifier"],
        "random_forest": "sklearn.ensemble:RandomForestClassifier",
        "hist_gradient_boosting": "sklearn.ensemble:HistGradientBoostingClassifier",
        "xgboost": "xgboost:XGBClassifier",
        "lightgbm": "lightgbm:LGBMClassifier",
        "mlp": ["StandardScaler", "neural_network:MLPClassifier"],
        "mlp_net": "foldwise.models:MLPNetClassifier",
        "wide_deep": "foldwise.models:WideDeepClassifier",
        "conv_net": "foldwise.models:ConvNetClassifier",
        "recurrent": "foldwise.models:RecurrentClassifier",
    }
    assert set(shipped_spaces()) == set(families)
    for name, steps in families.items():
        if "foldwise.models" in steps:
            pytest.importorskip("tensorflow", reason="needs foldwise[keras]")
        if name in {"xgboost", "lightgbm"}:
            pytest.importorskip(name, reason="needs foldwise[boosters]")
        if isinstance(steps, list):
            steps = {"pipeline": [f"sklearn.{s if ':' in s else 'preprocessing:' + s}" for s in steps]}
        for method in ("random", "optuna"):
            job = fw.Job.parse(
                {**MINIMAL, "space": name, "estimator": steps, "search": {"method": method, "trials": 3}, "seed": 0}
            )
            plan = job.plan()
            asker = plan.problem.settings.search.open(plan.problem.space, 3, 0)
            for trial in asker.ask(3):
                plan.problem.estimator.set_params(**trial.params)
