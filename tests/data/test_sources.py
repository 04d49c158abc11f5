"""Data from loaders and files; every error names the argument, what was given and the fix."""

import gzip
import sys
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris

from foldwise.data import load_dataset
from foldwise.errors import DataError, InputTypeError, MissingPackageError

TABLE = pd.DataFrame(
    {
        "age": [20, 30, 40, 50],
        "job": ["a", None, "b", "a"],
        "weight": [1.0, 2.0, 3.0, 4.0],
        "household": [1, 1, 2, 2],
        "income": ["low", "high", "low", "high"],
        "debt": [0.5, 1.5, 2.5, 3.5],
    }
)
FEATURES = TABLE.drop(columns=["income"])


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, index=False)
    return path


def own(monkeypatch, value):
    """Make a loader that returns a value, and return its name."""
    monkeypatch.setattr("tests_own_loaders.load", lambda **given: value, raising=False)
    return "tests_own_loaders:load"


@pytest.fixture(autouse=True)
def tests_own_loaders(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_own_loaders", types.ModuleType("tests_own_loaders"))


# --- loaders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [{}, {"return_X_y": True}, {"as_frame": True}, {"as_frame": True, "return_X_y": True}])
def test_what_scikit_learns_loaders_return_is_understood(args):
    data = load_dataset(loader="sklearn.datasets:load_iris", args=args)
    X, y = load_iris(return_X_y=True)
    assert np.asarray(data.X).tolist() == X.tolist()
    assert np.asarray(data.y).tolist() == y.tolist()
    assert hasattr(data.X, "iloc") == ("as_frame" in args)
    assert data.name == "load_iris"


def test_a_bunchs_column_can_be_the_target_groups_or_fit_params():
    data = load_dataset(
        loader="sklearn.datasets:load_diabetes",
        args={"as_frame": True},
        target="bmi",
        groups="sex",
        fit_params={"sample_weight": "age"},
    )
    frame = load_diabetes(as_frame=True).data
    pd.testing.assert_frame_equal(data.X, frame.drop(columns=["bmi", "sex", "age"]))
    assert np.asarray(data.y).tolist() == frame.bmi.tolist()
    assert data.groups.tolist() == frame.sex.tolist()
    assert data.fit_params["sample_weight"].tolist() == frame.age.tolist()


def test_a_bunchs_other_arrays_can_be_groups_and_fit_params(monkeypatch):
    bunch = {"data": np.eye(3), "target": [0, 1, 0], "who": ["a", "b", "b"], "w": np.ones(3), "other": [1, 0, 1]}
    data = load_dataset(loader=own(monkeypatch, bunch), groups="who", fit_params={"sample_weight": "w"})
    assert (data.groups.tolist(), data.y) == (["a", "b", "b"], [0, 1, 0])
    assert data.fit_params["sample_weight"] is bunch["w"]
    assert load_dataset(loader=own(monkeypatch, bunch), target="other").y == [1, 0, 1]


def test_a_fit_param_may_be_called_groups(monkeypatch):
    bunch = {"data": np.eye(3), "target": [0, 1, 0], "who": ["a", "b", "b"]}
    data = load_dataset(loader=own(monkeypatch, bunch), fit_params={"groups": "who"})
    assert data.groups is None
    assert data.fit_params == {"groups": ["a", "b", "b"]}


@pytest.mark.parametrize("target", ["income", ["income", "debt"], ["debt"]])
def test_a_frame_gives_its_target_columns(monkeypatch, target):
    data = load_dataset(loader=own(monkeypatch, TABLE), target=target)
    pd.testing.assert_frame_equal(pd.DataFrame(data.y), pd.DataFrame(TABLE[target]))
    assert list(data.X.columns) == [name for name in TABLE if name not in target]


def test_a_pair_is_features_and_targets(monkeypatch):
    data = load_dataset(loader=own(monkeypatch, (TABLE[["age", "job"]], TABLE.income)), drop="job", groups=None)
    assert list(data.X.columns) == ["age"]
    assert data.y.tolist() == TABLE.income.tolist()


def test_text_is_a_list(monkeypatch):
    assert load_dataset(loader=own(monkeypatch, (["a", "b"], [0, 1]))).X == ["a", "b"]


def test_arguments_reach_the_loader():
    data = load_dataset(loader="sklearn.datasets:make_classification", args={"n_samples": 30, "random_state": 0})
    assert data.shape == (30, 20)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a.csv", "a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zip", "a.tsv", "a.tsv.gz", "A.v2.CSV", "a.parquet"]
)
def test_a_table_is_read_by_its_files_type(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        TABLE.to_parquet(path)
    else:
        TABLE.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    data = load_dataset(path=path, target="income")
    pd.testing.assert_frame_equal(data.X, FEATURES)
    assert data.y.tolist() == TABLE.income.tolist()
    assert data.name == name


def test_columns_that_are_dropped_or_have_a_role_are_no_features(csv):
    data = load_dataset(path=csv, target="income", drop=["debt"], groups="household", fit_params={"sample_weight": "weight"})
    assert list(data.X.columns) == ["age", "job"]
    assert data.groups.tolist() == [1, 1, 2, 2]
    assert data.fit_params["sample_weight"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert data.take(np.array([3, 0]))[2]["sample_weight"].tolist() == [4.0, 1.0]


def test_a_column_may_have_a_role_and_be_dropped(csv):
    data = load_dataset(path=csv, target="income", drop=["household", "debt"], groups="household")
    assert list(data.X.columns) == ["age", "job", "weight"]


@pytest.mark.parametrize(("names", "target"), [(("X", "y"), None), (("data", "target"), None), (("X", "label"), "label")])
def test_arrays_are_read_from_npz(tmp_path, names, target):
    path = tmp_path / "a.npz"
    np.savez(path, **dict(zip(names, (np.eye(3), [0, 1, 0]), strict=True)), who=["a", "b", "b"])
    data = load_dataset(path=path, target=target, groups="who")
    assert data.X.tolist() == np.eye(3).tolist()
    assert data.y.tolist() == [0, 1, 0]
    assert data.groups.tolist() == ["a", "b", "b"]


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "incme"}, "^target: expected a column that is there, got 'incme'; did you mean income?"),
        ({"target": ["debt", "incme"]}, "^target: expected a column that is there, got 'incme'; did you mean income?"),
        ({}, "^target: expected the column of y, got none; Known: age, job, weight, household, income, debt"),
        ({"target": "income", "drop": ["depbt"]}, "^drop: expected a column that is there, got 'depbt'; did you mean debt?"),
        ({"target": "income", "drop": ["income"]}, "^drop: expected a column that is there, got 'income'"),
        ({"target": "income", "groups": "houshold"}, "^groups: .* got 'houshold'; did you mean household?"),
        ({"target": "income", "groups": "income"}, "^groups: expected a column that is there, got 'income'"),
        (
            {"target": "income", "fit_params": {"sample_weight": "weigt"}},
            "^fit_params.sample_weight: .* got 'weigt'; did you mean weight?",
        ),
        ({"target": "job"}, "^y: expected a value in every row, got NaN in 1 of 4, first at row 1"),
        ({"target": "income", "groups": "job"}, "^groups: expected a value in every row, got NaN in 1 of 4"),
    ],
)
def test_a_column_that_cannot_serve_is_refused_with_its_argument(csv, arguments, message):
    with pytest.raises(DataError, match=message):
        load_dataset(path=csv, **arguments)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.csv", None, "expected a file, got '.*no.csv', which is not there"),
        ("a.xlsx", b"x", "expected a file of type .csv, .tsv, .parquet, .npz, got 'a.xlsx'"),
        ("table", b"x", "expected a file of type .csv, .*, got 'table'"),
        ("a.csv.bak", b"x", "expected a file of type .csv, .*, got 'a.csv.bak'"),
        ("a.csv", b"", r"expected a readable csv file, got '.*a.csv' \(EmptyDataError: "),
        ("a.csv", b"a,b\n", "expected rows, got none in '.*a.csv'"),
        ("a.csv", b"a,b\n1,2\n1,2,3,4\n", r"expected a readable csv file, got '.*a.csv' \(ParserError: "),
        ("a.csv", "a,b\nGröße,2\n".encode("latin-1"), r"expected a readable csv file, got '.*' \(UnicodeDecodeError: "),
        ("a.csv.gz", b"a,b\n1,2\n", r"expected a readable csv file, got '.*' \(BadGzipFile: "),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], r"expected a readable csv file, got '.*' \(EOFError: "),
        ("a.parquet", b"no parquet", r"expected a readable parquet file, got '.*' \(Arrow"),
        ("a.npz", b"no zip", r"expected a readable npz file, got '.*' \("),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_why(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"^path: {message}") as caught:
        load_dataset(path=path, target="a")
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match=r"^path: expected a file, got "):
        load_dataset(path=tmp_path)


@pytest.mark.parametrize(
    ("arrays", "arguments", "message"),
    [
        ({"Z": [1]}, {}, r"^path: expected arrays named X \(or data\) and y \(or target\), got Z"),
        ({"X": [[1]]}, {}, "^target: expected an array that is there, got 'y'; Known: X"),
        (
            {"X": [[1]], "label": [1]},
            {"target": "labl"},
            "^target: expected an array that is there, got 'labl'; did you mean label?",
        ),
        ({"X": [[1]], "y": [1]}, {"groups": "g"}, "^groups: expected a column that is there, got 'g'; Known: X, y"),
        ({"X": [[1]], "y": [1]}, {"drop": ["g"]}, "^drop: expected data with named columns, got ndarray; leave drop out"),
        (
            {"X": np.array([[{}]]), "y": [1]},
            {},
            r"^path: expected a readable npz file, .*ValueError: Object arrays cannot be loaded",
        ),
        ({"X": [[1], [2]], "y": [1]}, {}, "^y: expected as many rows as X has, 2, got 1"),
    ],
)
def test_arrays_that_cannot_serve_are_refused(tmp_path, arrays, arguments, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load_dataset(path=tmp_path / "a.npz", **arguments)


@pytest.mark.parametrize(
    ("loader", "args", "kind", "message"),
    [
        ("sklearn.datasets.load_iris", {}, InputTypeError, "^loader: expected module:name, as in"),
        ("no_such:load", {}, MissingPackageError, "^loader: expected a module that can be imported, got 'no_such'"),
        ("sklearn.datasets:load_iriss", {}, MissingPackageError, "^loader: .* got 'load_iriss'; did you mean load_iris?"),
        ("sklearn:__version__", {}, DataError, "^loader: expected a function, got 'sklearn:__version__', which is str"),
        (
            "sklearn.datasets:load_iris",
            {"n": 3},
            DataError,
            r"^args: expected arguments that sklearn.datasets:load_iris takes, got {'n': 3} \(",
        ),
        (
            "sklearn.datasets:load_digits",
            {"n_class": 30},
            DataError,
            "^loader: expected .*load_digits to return data, got InvalidParameterError: ",
        ),
        ("builtins:int", {}, DataError, r"^loader: expected a Bunch, \(X, y\) or a frame, got int"),
        ("math:sqrt", {}, DataError, "^(args|loader): expected "),
    ],
)
def test_a_loader_that_cannot_serve_is_refused(loader, args, kind, message):
    with pytest.raises(kind, match=message) as caught:
        load_dataset(loader=loader, args=args)
    assert "\n" not in str(caught.value)


def test_a_type_error_within_a_loader_is_not_blamed_on_its_arguments(monkeypatch):
    def load():
        return 1 + "a"

    monkeypatch.setattr("tests_own_loaders.load", load, raising=False)
    with pytest.raises(DataError, match=r"^loader: expected tests_own_loaders:load to return data, got TypeError: "):
        load_dataset(loader="tests_own_loaders:load")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"target": [1]}, r"^loader: expected arrays named X \(or data\)"),
        ({}, "^loader: expected arrays named .* got none"),
        ({"data": np.eye(2)}, "^target: expected an array that is there, got 'y'"),
        (None, r"^loader: expected a Bunch, \(X, y\) or a frame, got NoneType"),
        ((1, 2, 3), r"^loader: expected a Bunch, \(X, y\) or a frame, got tuple"),
        (np.eye(2), r"^loader: expected a Bunch, \(X, y\) or a frame, got ndarray"),
        (TABLE, "^target: expected the column of y, got none; Known: age"),
    ],
)
def test_a_value_that_is_no_data_is_refused(monkeypatch, value, message):
    with pytest.raises(DataError, match=message):
        load_dataset(loader=own(monkeypatch, value))
