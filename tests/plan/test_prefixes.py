"""Prefixes: which transformers depend on which params, and how many there are to fit."""

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from foldwise.plan.prefixes import Prefixes

NESTED = Pipeline([
    ("columns", ColumnTransformer([("a", make_pipeline(StandardScaler(), PCA()), [0]), ("b", "drop", [1])], remainder=PCA())),
    ("union", FeatureUnion([("p", PCA()), ("q", StandardScaler())])),
    ("last", make_pipeline(StandardScaler(), SVC())),
])  # fmt: skip


def test_every_transformer_is_found_where_it_stands():
    assert [one.path for one in Prefixes(NESTED).transformers] == [
        "columns__a__standardscaler", "columns__a__pca", "columns__b", "columns__remainder", "union__p", "union__q", "last__standardscaler",
    ]  # fmt: skip


@pytest.mark.parametrize("estimator", [SVC(), make_pipeline(SVC())])
def test_an_estimator_without_transformers_has_none(estimator):
    assert Prefixes(estimator).transformers == ()


@pytest.mark.parametrize(
    ("params", "counts"),
    [
        ([{"last__svc__C": 1}, {"last__svc__C": 2}], (12, 6)),  # the model's own params: everything is shared
        ([{"union__p__n_components": 1}, {"union__p__n_components": 2}], (12, 6 + 2)),  # the branch, and what follows
        (
            [{"columns__a__pca__n_components": 1}, {"columns__a__pca__n_components": 2}],
            (12, 6 + 4),
        ),  # not the scaler, nor the remainder
        ([{"columns__b": PCA()}, {"columns__b": "drop"}], (13, 7 + 3)),
        ([{"union__q": "passthrough"}, {}], (11, 6 + 1)),
    ],
)
def test_transformer_fits_are_counted_by_the_params_that_decide_them(params, counts):
    assert Prefixes(NESTED).count_fits(params) == counts


def test_params_sort_by_the_first_transformer_that_they_decide():
    order = Prefixes(NESTED).order_of
    assert order({"last__svc__C": 1}) == ()
    first = {"union__p__n_components": 1, "columns__a__pca__n_components": 2}
    assert [name for _, name, _ in order(first)] == ["columns__a__pca__n_components", "union__p__n_components"]
    assert order(first) == order(dict(reversed(first.items())))
