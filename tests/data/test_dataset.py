"""Rows by number: what is taken is a copy of what was given, and what cannot be searched over is refused."""

import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from foldwise.data import Dataset
from foldwise.errors import DataError, InputTypeError

ROWS = np.array([4, 0, 2])
DENSE = np.arange(15.0).reshape(5, 3)
LABELS = np.array([0, 1, 0, 1, 0])


def frame():
    return pd.DataFrame(
        {
            "number": [1.0, np.nan, 3.0, 4.0, 5.0],
            "class": pd.Categorical(["u", "v", None, "u", "v"], categories=["u", "v", "w"]),
            "text": ["a", None, "c", "d", "e"],
            "whole": pd.array([1, None, 3, 4, 5], dtype="Int64"),
        },
        index=[10, 11, 12, 13, 14],
    )


# --- taking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [
        DENSE,
        np.asfortranarray(DENSE),
        DENSE.astype("float32"),
        np.array(list("abcde")),
        np.array([1, "a", None, 2.5, ()], object),
        DENSE.reshape(5, 3, 1),
    ],
)
def test_rows_of_an_array_are_taken_in_order_as_a_copy(X):
    taken, y, fit_params = Dataset(X, LABELS).take(ROWS)
    assert taken.dtype == X.dtype
    assert taken.tolist() == [X.tolist()[row] for row in ROWS]
    assert y.tolist() == [0, 0, 0]
    assert fit_params == {}
    assert not np.shares_memory(taken, X)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", [sp.coo_array, sp.coo_matrix])
def test_rows_of_a_sparse_matrix_are_taken_as_sparse(form, kind):
    X = kind(DENSE).asformat(form)
    data = Dataset(X, LABELS)
    taken = data.take(ROWS)[0]
    assert sp.issparse(taken)
    assert taken.toarray().tolist() == DENSE[ROWS].tolist()
    assert isinstance(taken, sp.sparray) == (kind is sp.coo_array)
    assert (data.n_rows, data.shape) == (5, (5, 3))
    assert data.digest == Dataset(X.copy(), LABELS).digest


def test_rows_of_a_frame_keep_their_types_and_labels():
    taken = Dataset(frame(), LABELS).take(ROWS)[0]
    pd.testing.assert_frame_equal(taken, frame().iloc[[4, 0, 2]])
    assert taken["class"].cat.categories.tolist() == ["u", "v", "w"]


def test_rows_of_a_list_are_a_list():
    texts = ["one", "two", "three", "four", "five"]
    taken, y, _ = Dataset(texts, list("ababa")).take(ROWS)
    assert (taken, y) == (["five", "one", "three"], ["a", "a", "a"])
    assert Dataset(texts).shape == (5,)


@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        LABELS.tolist(),
        tuple(LABELS),
        pd.Series(LABELS),
        pd.DataFrame({"a": LABELS, "b": LABELS}),
        np.stack([LABELS] * 2, 1),
    ],
)
def test_targets_are_taken_with_the_rows(y):
    taken = Dataset(DENSE, y).take(np.array([1, 0]))[1]
    assert np.asarray(taken).tolist() == np.asarray(y)[[1, 0]].tolist()
    assert hasattr(taken, "iloc") == hasattr(y, "iloc")


def test_data_without_targets_has_none():
    assert Dataset(DENSE).take(ROWS)[1] is None


def test_fit_params_as_long_as_the_data_are_sliced_and_others_are_not():
    weights = np.arange(5.0)
    fit_params = {
        "sample_weight": weights, "weights_as_list": weights.tolist(), "series": pd.Series(weights),
        "sparse": sp.csr_array(DENSE),
        "classes": np.array([0, 1]), "names": ["a", "b"], "ragged": [[1], [2, 3]], "word": "abcde", "flag": True, "none": None,
        "mapping": dict.fromkeys("abcde"), "number": np.float64(3), "scalar": np.array(3),
    }  # fmt: skip
    taken = Dataset(DENSE, LABELS, fit_params=fit_params).take(ROWS)[2]
    for name in ("sample_weight", "weights_as_list", "series"):
        assert np.asarray(taken[name]).tolist() == [4.0, 0.0, 2.0]
    assert taken["sparse"].toarray().tolist() == DENSE[ROWS].tolist()
    for name in ("classes", "names", "ragged", "word", "flag", "none", "mapping", "number", "scalar"):
        assert taken[name] is fit_params[name]


def test_the_columns_of_a_kernel_are_those_of_the_train_rows():
    kernel = np.arange(25.0).reshape(5, 5)
    for X in (kernel, pd.DataFrame(kernel)):
        taken = Dataset(X, LABELS).take(np.array([3]), against=ROWS)[0]
        assert np.asarray(taken).tolist() == [[19.0, 15.0, 17.0]]
    with pytest.raises(DataError, match=r"^X: expected a square kernel matrix, got shape \(5, 3\)"):
        Dataset(DENSE, LABELS).take(ROWS, against=ROWS)


@pytest.mark.parametrize("make", [lambda: DENSE.copy(), frame, lambda: DENSE.tolist(), lambda: sp.csr_array(DENSE + 1)])
def test_an_estimator_that_writes_does_not_change_the_data(make):
    data = Dataset(make(), LABELS.copy(), fit_params={"sample_weight": np.ones(5)})
    before = data.digest
    X, y, fit_params = data.take(ROWS)
    if isinstance(X, list):
        X[0][0] = -1
    elif hasattr(X, "iloc"):
        X.iloc[:, 0] = -1
    elif sp.issparse(X):
        X.data[:] = -1
    else:
        X[:] = -1
    y[:] = -1
    fit_params["sample_weight"][:] = -1
    assert (
        Dataset(data.X, data.y, fit_params=data.fit_params).digest
        == before
        == Dataset(make(), LABELS, fit_params={"sample_weight": np.ones(5)}).digest
    )


@given(st.lists(st.integers(0, 4), max_size=8).map(lambda rows: np.array(rows, dtype=np.int64)))
def test_every_form_of_the_same_rows_takes_the_same(rows):
    forms = [DENSE, DENSE.tolist(), sp.csr_array(DENSE), sp.coo_array(DENSE), pd.DataFrame(DENSE)]
    taken = [Dataset(X).take(rows)[0] for X in forms]
    dense = [one.toarray() if sp.issparse(one) else np.asarray(one, dtype=float).reshape(-1, 3) for one in taken]
    assert all(one.tolist() == DENSE[rows].tolist() for one in dense)


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [DENSE, DENSE.tolist(), sp.coo_array(DENSE), frame()], ids=["array", "list", "sparse", "frame"])
def test_a_splitter_splits_every_form_alike(X):
    data = Dataset(X, LABELS, groups=list("aabbc"))
    assert [b.tolist() for _, b in data.splits(GroupKFold(3))] == [
        b.tolist() for _, b in GroupKFold(3).split(DENSE, LABELS, list("aabbc"))
    ]
    part = np.array([0, 2, 3, 1])
    expected = StratifiedKFold(2).split(DENSE[part], LABELS[part])
    data = Dataset(X, LABELS)
    assert [b.tolist() for _, b in data.splits(StratifiedKFold(2), part)] == [b.tolist() for _, b in expected]
    assert len(list(data.splits(KFold(5)))) == 5


# --- key --------------------------------------------------------------------------------------------------------------


def test_equal_data_has_an_equal_key():
    assert Dataset(frame(), LABELS, name="a").digest == Dataset(frame(), LABELS.copy(), groups=LABELS, name="b").digest


@pytest.mark.parametrize(
    "other",
    [
        Dataset(DENSE + np.eye(5, 3) * 1e-9, LABELS),
        Dataset(DENSE[::-1], LABELS),
        Dataset(DENSE.astype("float32"), LABELS),
        Dataset(DENSE, 1 - LABELS),
        Dataset(DENSE, LABELS.astype(float)),
        Dataset(DENSE),
        Dataset(DENSE, LABELS, fit_params={"sample_weight": np.ones(5)}),
        Dataset(DENSE, LABELS, fit_params={"check": True}),
    ],
)
def test_whatever_a_fit_can_learn_from_changes_the_key(other):
    assert other.digest != Dataset(DENSE, LABELS).digest


# --- what is refused --------------------------------------------------------------------------------------------------

inf, nan = np.inf, np.nan


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"X": np.empty((0, 3))}, DataError, r"^X: expected at least one row, got Found array with 0 sample\(s\)"),
        ({"X": []}, DataError, "^X: expected at least one row"),
        ({"X": np.array(3)}, InputTypeError, r"^X: expected one value per row, got the single value array\(3\)"),
        ({"X": 3}, InputTypeError, "^X: expected an array, a frame or a list, got int"),
        ({"X": None}, InputTypeError, "^X: expected an array, a frame or a list, got NoneType"),
        ({"X": "text"}, InputTypeError, "^X: expected an array, a frame or a list, got str"),
        ({"X": {"a": [1]}}, InputTypeError, "^X: expected an array, a frame or a list, got dict"),
        ({"X": iter([1])}, InputTypeError, "^X: expected an array, a frame or a list, got list_iterator"),
        ({"y": LABELS[:4]}, DataError, "^y: expected as many rows as X has, 5, got 4 .*inconsistent numbers of samples"),
        ({"y": 3}, InputTypeError, "^y: expected an array, a frame or a list, got int"),
        (
            {"y": [0, 1, None, 1, 0]},
            DataError,
            "^y: expected a value in every row, got NaN in 1 of 5, first at row 2 .*drop or fill",
        ),
        ({"y": [0.5, 1, nan, 1, nan]}, DataError, "^y: expected a value in every row, got NaN in 2 of 5, first at row 2"),
        (
            {"y": np.array([["a", "b"], ["a", None], [None, None], ["a", "b"], ["a", "b"]], object)},
            DataError,
            "^y: .* got NaN in 2 of 5, first at row 1",
        ),
        ({"y": pd.Series(["a", None, "b", "a", "b"])}, DataError, "^y: .* got NaN in 1 of 5, first at row 1"),
        ({"y": pd.Series([1, pd.NA, 1, 2, 3], dtype="Int64")}, DataError, "^y: .* got NaN in 1 of 5, first at row 1"),
        ({"y": [1, pd.NA, 1, 2, 3]}, DataError, "^y: .* got NaN in 1 of 5, first at row 1"),
        ({"y": pd.Categorical(["a", None, "b", "a", "b"])}, DataError, "^y: .* got NaN in 1 of 5"),
        ({"y": pd.DataFrame({"a": [1, nan, 1, 1, 1], "b": [nan] * 5})}, DataError, "^y: .* got NaN in 5 of 5, first at row 0"),
        ({"y": np.array([1, "NaT", 3, 4, 5], "datetime64[s]")}, DataError, "^y: .* got NaN in 1 of 5, first at row 1"),
        ({"y": [0, 1, inf, 1, 0]}, DataError, r"^y: expected finite numbers, got inf at row 2 \(y contains infinity\)"),
        ({"y": [0, 1, 2, 1, 1j]}, DataError, "^y: expected real numbers or labels; Complex data not supported"),
        (
            {"y": [[1], [1, 2], [1], [1], [1]]},
            DataError,
            "^y: expected one target per row, or as many in each row, got rows that differ",
        ),
        ({"y": sp.csr_array(np.eye(5))}, InputTypeError, r"^y: expected a dense array; .* use y.toarray\(\)"),
        ({"groups": [1, 2]}, DataError, "^groups: expected as many rows as X has, 5, got 2"),
        (
            {"groups": [1, None, 2, 3, 3]},
            DataError,
            "^groups: expected a value in every row, got NaN in 1 of 5, first at row 1",
        ),
        ({"groups": pd.Series([1.0, nan, 2, 3, 3])}, DataError, "^groups: .* got NaN in 1 of 5"),
        ({"groups": np.ones((5, 1))}, DataError, r"^groups: expected one group per row, got an array of shape \(5, 1\)"),
        (
            {"fit_params": {"sample_weight": [1.0, 2.0]}},
            DataError,
            "^fit_params.sample_weight: expected as many values as X has rows, 5, got 2",
        ),
        ({"fit_params": {"clf__sample_weight": np.ones(6)}}, DataError, "^fit_params.clf__sample_weight: .* 5, got 6"),
    ],
)
def test_what_cannot_be_searched_over_is_refused_with_its_argument(arguments, kind, message):
    with pytest.raises(kind, match=message) as caught:
        Dataset(**{"X": DENSE, "y": LABELS, **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("X", [DENSE * nan, frame(), np.array([["a", None]] * 5, object), [{"a": 1}] * 5])
def test_features_may_have_gaps_and_be_of_any_kind(X):
    assert Dataset(X, LABELS).n_rows == 5


@pytest.mark.parametrize(
    "y", [list("ababa"), [True, False, True, False, True], pd.Series([1, 2, 1, 2, 1], dtype="Int64"), [b"a", b"b"] * 2 + [b"a"]]
)
def test_targets_may_be_labels_of_any_kind(y):
    assert Dataset(DENSE, y).take(ROWS)[1] is not None


def test_a_long_column_of_targets_is_checked_quickly():
    for y in (np.zeros(300_000), np.zeros(300_000).astype(object)):
        started = time.process_time()
        Dataset(y, y)
        assert time.process_time() - started < 1.5
