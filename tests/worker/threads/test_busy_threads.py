"""While fits run, no more threads are busy than ``resources.cpu`` allows, whatever library they train."""

import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from catboost import CatBoostClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from lightgbm import LGBMClassifier
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

import foldwise as fw

HELPERS = Path(__file__).parents[2] / "helpers"
X, Y = make_classification(4000, 30, n_informative=10, weights=[0.8], random_state=0)

needs_cores = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 if hasattr(os, "sched_getaffinity") else True, reason="needs /proc and two cores"
)


def first_used_here():
    """Begin with an import, as functions do that load a library late."""
    import lightgbm

    class Native(lightgbm.LGBMClassifier):
        def fit(self, X, y):
            self.booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, y), 25)
            return self

        def predict(self, X):
            return self.booster.predict(X) > 0.5

    return Native()


MODELS = [
    CatBoostClassifier(iterations=80, verbose=0, allow_writing_files=False),
    HistGradientBoostingClassifier(max_iter=40),
    LGBMClassifier(n_estimators=40, verbose=-1),
    LGBMClassifier(n_estimators=40, verbose=-1, n_jobs=-1),
    RandomForestClassifier(20, n_jobs=-1),
    XGBClassifier(n_estimators=40),
    XGBClassifier(n_estimators=40, n_jobs=-1),
    make_pipeline(SMOTE(k_neighbors=50), LogisticRegression()),
    first_used_here,
]


@needs_cores
@pytest.mark.parametrize("executor", ["serial", "ray"])
def test_a_fit_on_one_core_keeps_one_thread_busy(executor, tmp_path, monkeypatch):
    for name in [one for one in os.environ if one.endswith("_THREADS") or one == "LOKY_MAX_CPU_COUNT"]:
        monkeypatch.delenv(name)  # what the tests' own limit says
    monkeypatch.syspath_prepend(HELPERS)
    from busy import Watched

    log = tmp_path / "log"
    half = ShuffleSplit(1, test_size=0.5, random_state=0)
    search = fw.NestedSearchCV(
        Watched(log=str(log)), {"model": MODELS}, search="grid", outer_cv=half, inner_cv=half, refit=False, executor=executor,
        n_jobs=1, random_state=0, error_score="raise",
    )  # fmt: skip
    with threadpool_limits(2):
        search.fit(X, Y)
    found = defaultdict(list)
    for line in log.read_text().splitlines():
        found[line.split()[0]].append(int(line.split()[1]))
    assert len(found) == len({getattr(one, "__name__", type(one).__name__) for one in MODELS})
    assert {name: max(counts) for name, counts in found.items() if max(counts) > 1} == {}
    assert "lightgbm" in sys.modules
