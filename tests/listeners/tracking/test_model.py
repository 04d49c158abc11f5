"""The final model as MLflow keeps it takes the rows that it was trained on, whatever types they have."""

import datetime

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from foldwise.data import Dataset
from foldwise.listeners.tracking.model import save_model

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

N = 40
Y = np.arange(N) % 2
NUMBERS = np.linspace(-1, 1, N) + Y


class Sees(ClassifierMixin, BaseEstimator):
    """Answers by the types that it is given, so that rows which MLflow has changed are seen."""

    def fit(self, X, y):
        self.kinds_ = [str(kind) for kind in X.dtypes]
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        if [str(kind) for kind in X.dtypes] != self.kinds_:
            raise TypeError(f"trained on {self.kinds_}, given {[str(kind) for kind in X.dtypes]}")
        return np.zeros(len(X), dtype=int)


COLUMNS = {
    "numbers": NUMBERS,
    "float32": NUMBERS.astype("float32"),
    "small integers": np.arange(N, dtype="int8"),
    "unsigned": np.arange(N, dtype="uint64"),
    "truths": Y == 1,
    "categories": pd.Categorical(np.where(Y, "a", "b")),
    "categories of numbers": pd.Categorical(Y),
    "integers, some missing": pd.array([None if i == 33 else i for i in range(N)], dtype="Int64"),
    "truths, some missing": pd.array([None if i == 33 else bool(i % 2) for i in range(N)], dtype="boolean"),
    "texts": [f"t{i}" for i in range(N)],
    "texts, some missing": [None if i == 33 else "t" for i in range(N)],
    "objects of several kinds": pd.Series(["a", 1, 2.5, None] * (N // 4), dtype=object),
    "times": pd.date_range("2020-01-01", periods=N),
    "times with a zone": pd.date_range("2020-01-01", periods=N, tz="UTC"),
    "spans": pd.to_timedelta(np.arange(N), unit="h"),
    "days": pd.Series([datetime.date(2020, 1, 1 + i % 28) for i in range(N)], dtype=object),
    "numbers, some missing": np.where(np.arange(N) == 33, np.nan, NUMBERS),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_rows_of_training_are_taken(kind, tmp_path):
    X = pd.DataFrame({"own": COLUMNS[kind], "x": NUMBERS})
    model = Sees().fit(X, Y)
    saved = save_model(model, Dataset(X, Y), tmp_path)
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(str(saved)).predict(X), model.predict(X))


def test_a_signature_is_kept_where_it_takes_all_rows(tmp_path):
    X = pd.DataFrame({"a": NUMBERS, "b": np.where(np.arange(N) == 7, np.nan, NUMBERS)})
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X, Y)
    saved = save_model(model, Dataset(X, Y), tmp_path)
    assert mlflow.models.get_model_info(str(saved)).signature is not None


def test_a_frame_of_many_kinds_is_taken_by_a_real_pipeline(tmp_path):
    X = pd.DataFrame({name: COLUMNS[name] for name in ("numbers", "categories", "integers, some missing", "truths")})
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["categories"]),
        (SimpleImputer(), ["integers, some missing"]),
        remainder="passthrough",
    )
    model = make_pipeline(encode, LogisticRegression()).fit(X, Y)
    saved = save_model(model, Dataset(X, Y), tmp_path)
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(str(saved)).predict(X), model.predict(X))


def test_a_missing_value_in_a_late_row_of_many_is_taken(tmp_path):
    n = 12_000
    numbers = pd.array([None if i == 11_777 else i for i in range(n)], dtype="Int64")
    X, y = pd.DataFrame({"own": numbers, "x": np.arange(n) * 1.0}), np.arange(n) % 2
    model = Sees().fit(X, y)
    saved = save_model(model, Dataset(X, y), tmp_path)
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(str(saved)).predict(X), model.predict(X))
