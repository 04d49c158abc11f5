"""Job files that were damaged at random: each is planned or refused in one line, soon; never a traceback, never a hang."""

import contextlib
import copy
import signal
import tempfile
import warnings
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import foldwise as fw

ROOT = Path(__file__).parents[2]
LONGEST = 20
"""Seconds after which a job file counts as hung."""

RICH = {
    "name": "rich",
    "data": {"path": "table.csv", "target": "y", "drop": ["b"], "groups": "g", "fit_params": {"sample_weight": "w"}},
    "estimator": {"pipeline": {
        "columns": {"columns": [{"on": ["a"], "use": "sklearn.preprocessing:StandardScaler"},
                                {"on": {"dtype_include": "number"}, "step": "passthrough"}], "remainder": "drop"},
        "model": {"use": "sklearn.ensemble:RandomForestClassifier", "n_estimators": 3},
    }},
    "space": {
        "model__criterion": ["gini", "entropy"],
        "model__max_features": {"float": [0.1, 1.0], "log": True},
        "model__max_depth": {"int": [1, 9], "step": 2, "when": {"model__criterion": "gini"}},
    },
    "search": {"method": "optuna", "trials": 9, "batch": 3, "sampler": "tpe", "options": {"n_startup_trials": 4}},
    "folds": {"outer": {"use": "sklearn.model_selection:GroupKFold", "n_splits": 4}, "inner": 3},
    "scoring": {"acc": "accuracy", "f1": "f1_macro"},
    "refit": "f1",
    "resources": {"cpu": 1, "memory": "100MiB"},
    "tracking": {"uri": "sqlite:///mlflow.db", "experiment": "rich"},
    "ledger": "ledger.db", "limits": {"fit_seconds": 9, "seconds": 99.5},
    "executor": "ray", "n_jobs": 2, "seed": 3, "error_score": 0.0, "return_train_score": True, "verbose": 1,
}  # fmt: skip
TABLE = "a,b,c,y,g,w\n" + "".join(f"{i},{i % 5},{i % 3},{i % 2},{i // 3},1\n" for i in range(60))
SHIPPED = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "jobs").glob("*.yaml")) if "adult" not in path.stem]
JOBS = [RICH, RICH, *SHIPPED]

numbers = st.sampled_from([0, 1, 2, 3, -1, 7, 150, 10**12, 10**400, 0.5, 1e-300, 1e308, -1.5, float("nan"), float("inf")])
words = st.sampled_from([
    "", "x", "shared", "grid", "random", "optuna", "raise", "ray", "serial", "accuracy", "r2", "a", "passthrough", "svm_rbf", "4GiB",
    "sklearn.svm:SVC", "sklearn.svm:SVR", "sklearn.datasets:load_iris", "sklearn.datasets:load_diabetes", "numpy:mean", "builtins:dict",
    "table.csv", "..", "/", "a:b", "sqlite:///x.db", "http://", "{", "é\u0000", "x" * 5000,
]) | st.text(max_size=6)  # fmt: skip
plain = st.none() | st.booleans() | numbers | words
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.sampled_from(["use", "float", "int"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def places(tree, path=()):
    """List the paths to everything in a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def mutated_trees(draw):
    """Delete, rename, duplicate, replace, swap and wrap parts of a valid job."""
    tree = copy.deepcopy(draw(st.sampled_from(JOBS)))
    for _ in range(draw(st.integers(1, 3))):
        if not (known := list(places(tree))):
            break
        *above, key = draw(st.sampled_from(known))
        owner = tree
        for step in above:
            owner = owner[step]
        value = owner[key]
        how = draw(st.sampled_from(["delete", "rename", "copy", "replace", "replace", "replace", "wrap"]))
        if how == "delete":
            del owner[key]
        elif how == "replace":
            owner[key] = draw(values)
        elif how == "wrap":
            owner[key] = draw(st.sampled_from([[value], {"use": value}, {"x": value}, {"values": value}, [value, value]]))
        elif isinstance(owner, list):
            owner.insert(key, copy.deepcopy(value))
        else:
            owner[draw(words)] = copy.deepcopy(value) if how == "copy" else owner.pop(key)
    return tree


@st.composite
def mutated_texts(draw):
    """Cut, double and spoil the text of a job, valid or mutated."""
    content = yaml.safe_dump(draw(st.sampled_from(JOBS) | mutated_trees()), sort_keys=False).encode()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(content)))
        how = draw(st.sampled_from(["truncate", "insert", "remove", "double"]))
        if how == "truncate":
            content = content[:at]
        elif how == "insert":
            content = content[:at] + draw(st.binary(min_size=1, max_size=4) | words.map(str.encode)) + content[at:]
        else:
            end = at + draw(st.integers(1, 40))
            content = content[:at] + content[at:end] * (2 if how == "double" else 0) + content[end:]
    return content


@contextlib.contextmanager
def time_limit(seconds):
    """Raise where the time is spent, once it is."""

    def expire(*_):
        raise TimeoutError(f"hung for {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def refusal_of(path):
    """Plan a job; return what the input error says, if there is one."""
    try:
        fw.Job.load(path).plan().explain()
    except fw.InputError as error:
        return str(error)
    return None


def check(content):
    """Plan a job; whatever is wrong with it must be an input error of one line, and nothing may be left behind."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name), warnings.catch_warnings(), time_limit(LONGEST):
        warnings.simplefilter("ignore")
        folder = Path(name)
        (folder / "table.csv").write_text(TABLE)
        (folder / "job.yaml").write_bytes(content)
        said = refusal_of("job.yaml")
        assert said is None or (said.startswith("job.yaml: ") and len(said.splitlines()) == 1)
        assert {path.name for path in folder.iterdir()} == {"table.csv", "job.yaml"}


RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job["name"])
def test_the_jobs_that_are_damaged_are_whole_before(job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    assert fw.Job.load("job.yaml").plan().n_trials > 0


@settings(max_examples=60, derandomize=True, **RELAXED)
@given(mutated_texts())
@example(b"")
def test_a_damaged_job_is_planned_or_refused(content):
    check(content)


@pytest.mark.slow
@settings(max_examples=500, **RELAXED)
@given(mutated_texts())
def test_500_damaged_jobs_are_planned_or_refused(content):
    check(content)
