"""Threads are limited by every means while fits run, an estimator's own word holds, and all is put back."""

import functools
import os
import subprocess
import sys
import textwrap

import catboost.core
import joblib
import numpy as np
import psutil
import pyarrow
import pytest
import threadpoolctl
from catboost import CatBoostClassifier, CatBoostRegressor, Pool
from lightgbm import LGBMClassifier
from sklearn.datasets import load_iris
from xgboost import XGBClassifier

import foldwise as fw
from foldwise.worker.threads import limited_threads

X, Y = load_iris(return_X_y=True)
SMALL = {"iterations": 2, "verbose": 0, "allow_writing_files": False}


def pools():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}


def test_pools_are_limited_and_put_back():
    with threadpoolctl.threadpool_limits(2):
        with limited_threads(1):
            assert pools() == {1}
        assert pools() == {2}


def test_the_environment_says_so_and_is_put_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with limited_threads(3):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["LOKY_MAX_CPU_COUNT"] == os.environ["MKL_NUM_THREADS"] == "3"
        os.environ["POLARS_MAX_THREADS"] = "5"  # as a fit may
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
    assert os.environ.pop("POLARS_MAX_THREADS") == "5"


def test_all_of_joblibs_cores_are_those_of_the_fit_and_one_job_is_its_default():
    with joblib.parallel_config(backend="threading", n_jobs=4):
        with limited_threads(2):
            assert joblib.effective_n_jobs(None) == 1
            assert joblib.effective_n_jobs(-1) == min(2, joblib.cpu_count())
            assert joblib.effective_n_jobs(3) == 3
        assert joblib.effective_n_jobs(None) == 4


def test_a_library_with_a_setter_is_told_and_told_again():
    before = pyarrow.cpu_count()
    pyarrow.set_cpu_count(5)
    try:
        with limited_threads(1):
            assert pyarrow.cpu_count() == 1
        assert pyarrow.cpu_count() == 5
    finally:
        pyarrow.set_cpu_count(before)


@pytest.fixture
def late(tmp_path, monkeypatch):
    """A library that is loaded late; it goes by the name of one with a setter."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    yield tmp_path / "cv2.py"
    sys.modules.pop("cv2", None)


def test_a_library_that_a_fit_loads_is_told_too(late):
    late.write_text("n = 99\ndef getNumThreads():\n    return n\ndef setNumThreads(to):\n    global n\n    n = to\n")
    out = run(
        """
        import sys
        from foldwise.worker.threads import limited_threads
        finders = list(sys.meta_path)
        with limited_threads(1):
            import cv2
            print(cv2.n, end=" ")
        print(cv2.n, sys.meta_path == finders, "def getNumThreads" in cv2.__spec__.loader.get_source("cv2"))
        """,
        late.parent,
    )
    assert out == "1 99 True True"
    late.write_text(late.read_text().replace("99", "1"))
    assert run(
        "from foldwise.worker.threads import limited_threads\nwith limited_threads(1): import cv2\nprint(cv2.n)", late.parent
    ) == str(len(psutil.Process().cpu_affinity()))


@pytest.mark.parametrize(("source", "error"), [("1 / 0", ZeroDivisionError), ("import no_such_module", ModuleNotFoundError)])
def test_a_library_that_cannot_be_loaded_raises_what_it_raises(late, source, error):
    late.write_text(source)
    with limited_threads(1):
        for _ in range(2):
            with pytest.raises(error):
                import cv2  # noqa: F401


@pytest.mark.parametrize("source", ["", "def getNumThreads():\n    raise OSError\nsetNumThreads = None"])
def test_another_module_of_that_name_is_left_alone(late, source):
    late.write_text(source)
    with limited_threads(1):
        import cv2
    assert cv2.__name__ == "cv2"


def run(script, *paths):
    """Run a script in a process whose threads nobody limits."""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_THREADS") and name != "LOKY_MAX_CPU_COUNT"}
    free["PYTHONPATH"] = os.pathsep.join([*map(str, paths), free.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=200, check=False, env=free
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_pools_that_a_fit_loads_are_limited_and_then_as_if_nobody_had():
    out = run("""
        import threadpoolctl
        from foldwise.worker.threads import limited_threads
        before = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        with limited_threads(1):
            import lightgbm, xgboost
            assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {1}
        after = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        import os
        assert len(after) > len(before)
        assert set(after.values()) == {len(os.sched_getaffinity(0))}, after
        print("OMP_NUM_THREADS" in os.environ)
        """)
    assert out == "False"


# --- CatBoost ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch):
    """What CatBoost was told, each time that it trained."""
    told = []
    train = catboost.core._CatBoostBase._train

    @functools.wraps(train)
    def noted(self, train_pool, test_pool, params, allow_clear_pool, init_model):
        told.append(params.get("thread_count"))
        return train(self, train_pool, test_pool, params, allow_clear_pool, init_model)

    monkeypatch.setattr(catboost.core._CatBoostBase, "_train", noted)
    return told


@pytest.mark.parametrize(("params", "threads"), [({}, 2), ({"thread_count": -1}, 2), ({"thread_count": 3}, 3)])
def test_catboost_trains_in_the_threads_of_the_fit_unless_it_is_told_others(trained, params, threads):
    model = CatBoostClassifier(**SMALL, **params)
    before = model.get_params()
    with limited_threads(2):
        model.fit(X, Y)
    assert trained == [threads]
    assert model.get_params() == before


def test_catboost_is_put_back(trained):
    owners = (catboost.core, catboost.core._CatBoostBase, Pool)
    before = [dict(vars(owner)) for owner in owners]
    with limited_threads(1):
        assert catboost.core.Pool._init is not before[2]["_init"]
        with limited_threads(2):
            CatBoostRegressor(**SMALL).fit(X, Y)
    assert trained == [2]
    assert [dict(vars(owner)) for owner in owners] == before


def test_catboosts_other_ways_to_train_are_told_too(monkeypatch):
    told = []
    inner = catboost.core._cv

    def noted(params, *others):
        told.append(params["thread_count"])
        return inner(params, *others)

    monkeypatch.setattr(catboost.core, "_cv", functools.wraps(inner)(noted))
    with limited_threads(1):
        catboost.cv(
            Pool(X, Y),
            {"iterations": 2, "loss_function": "MultiClass", "verbose": 0, "allow_writing_files": False},
            fold_count=2,
        )
    assert told == [1]


# --- the user's word --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("searched", [False, True])
def test_a_number_of_threads_in_the_estimator_or_the_space_is_the_users_word(searched, trained):
    for model, name, told in [
        (LGBMClassifier(n_estimators=2, verbose=-1), "n_jobs", lambda one: one.booster_.params["num_threads"]),
        (XGBClassifier(n_estimators=2), "n_jobs", lambda one: one.get_xgb_params()["n_jobs"]),
        (CatBoostClassifier(**SMALL), "thread_count", lambda one: set(trained).pop()),
    ]:
        space = {name: [3]} if searched else {"random_state": [0]}
        estimator = model if searched else model.set_params(**{name: 3})
        search = fw.NestedSearchCV(estimator, space, search="grid", outer_cv=3, executor="serial", random_state=0).fit(X, Y)
        assert told(search.best_estimator_) == 3
        assert search.best_estimator_.get_params()[name] == 3


def test_the_model_that_is_handed_out_has_the_users_params_and_the_callers_threads():
    model = LGBMClassifier(n_estimators=2, verbose=-1, random_state=0)
    search = fw.NestedSearchCV(model, {"num_leaves": [3]}, search="grid", outer_cv=3, executor="serial", random_state=0).fit(
        X, Y
    )
    assert search.best_estimator_.get_params() == model.set_params(num_leaves=3).get_params()
    np.testing.assert_array_equal(search.predict(X), model.fit(X, Y).predict(X))


def test_a_fit_on_two_cores_is_told_two():
    model = LGBMClassifier(n_estimators=2, verbose=-1)
    options = {"outer_cv": 3, "executor": "serial", "random_state": 0, "resources": {"cpu": 2}}
    search = fw.NestedSearchCV(model, {"num_leaves": [3]}, search="grid", **options).fit(X, Y)
    assert search.best_estimator_.booster_.params["num_threads"] == min(2, len(psutil.Process().cpu_affinity()))


@pytest.mark.parametrize("fails", [False, True])
def test_a_serial_search_leaves_the_callers_process_as_it_was(fails):
    def state():
        pools = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        core = catboost.core
        return (
            pools,
            dict(os.environ),
            list(sys.meta_path),
            pyarrow.cpu_count(),
            dict(vars(core._CatBoostBase)),
            dict(vars(core)),
        )

    before = state()
    model = CatBoostClassifier(**SMALL, depth=99 if fails else 2)
    search = fw.NestedSearchCV(model, {"l2_leaf_reg": [1]}, search="grid", outer_cv=3, executor="serial", random_state=0)
    if fails:
        with pytest.raises(Exception, match="depth"):
            search.fit(X, Y)
    else:
        search.fit(X, Y)
    assert state() == before
