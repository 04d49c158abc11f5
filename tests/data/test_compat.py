"""A canary of what the data relies on of scikit-learn's private parts."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from foldwise.data.compat import taken

VALUES = np.arange(8.0).reshape(4, 2)


class Seen(ClassifierMixin, BaseEstimator):
    """Notes the rows that it is fitted on."""

    rows = []

    def __init__(self, number=0):
        self.number = number

    def fit(self, X, y):
        self.rows.append(X)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(X.shape[0])


@pytest.mark.parametrize(
    "form", [np.asarray, csr_array, pd.DataFrame, lambda values: values.tolist()], ids=["array", "sparse", "frame", "list"]
)
def test_rows_are_taken_as_scikit_learns_searches_take_them(form):
    Seen.rows.clear()
    X, fold = form(VALUES), PredefinedSplit([-1, 0, -1, 0])
    if isinstance(X, list):
        assert taken(X, np.array([0, 2])) == [X[0], X[2]]
        return
    GridSearchCV(Seen(), {"number": [0]}, cv=fold, refit=False).fit(X, [0, 1, 1, 0])
    ours, theirs = taken(X, np.array([0, 2])), Seen.rows[0]
    assert type(ours) is type(theirs)
    dense = [one.toarray() if hasattr(one, "toarray") else np.asarray(one) for one in (ours, theirs)]
    np.testing.assert_array_equal(*dense)
    if hasattr(ours, "index"):
        assert list(ours.index) == list(theirs.index) == [0, 2]
