"""Equal content has an equal key, in every process; what differs has another."""

import collections
import copy
import datetime
import decimal
import functools
import importlib
import math
import os
import pathlib
import pickle
import re
import subprocess
import sys
import threading
import time
import types
import weakref

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scipy.special
import scipy.stats
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import TPESampler
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring, f1_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from foldwise.errors import InputTypeError
from foldwise.keys import derive_seed, digest, digest_rows
from foldwise.keys.versions import PYTHON, owner_of, version_of, versions_of

# --- equal ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2, 3}, frozenset([3, 2, 1])),
        (np.float64(0.1), np.float64(0.1)),
        (math.nan, float("nan")),
        (np.arange(10)[::2], np.array([0, 2, 4, 6, 8])),
        (sp.coo_array(([1, 2], ([0, 0], [0, 1])), shape=(1, 2)), sp.coo_array(([2, 1], ([0, 0], [1, 0])), shape=(1, 2))),
        (SVC(C=1), SVC(C=1)),
        (make_pipeline(StandardScaler(), SVC()), make_pipeline(StandardScaler(), SVC())),
        (scipy.stats.uniform(0, 1), scipy.stats.uniform(0, 1)),
        (TPESampler(seed=1), TPESampler(seed=1)),
        (np.random.RandomState(1), np.random.RandomState(1)),
        (np.random.default_rng(1), np.random.default_rng(1)),
        (slice(0, 3), slice(0, 3)),
        (threading.Lock(), threading.Lock()),
        (pd.DataFrame({"a": [1]}), pd.DataFrame(np.array([[1]]), columns=["a"])),
    ],
)
def test_equal_content_has_an_equal_key(one, other):
    assert digest(one) == digest(other)


def test_an_estimator_is_taken_as_it_is_fitted_or_not(iris):
    fitted = SVC().fit(*iris)
    assert digest(fitted) != digest(SVC())
    assert digest(fitted) == digest(pickle.loads(pickle.dumps(fitted)))
    assert digest(clone(fitted)) == digest(SVC())


def test_a_scipy_distribution_does_not_bring_the_global_generator():
    frozen = scipy.stats.norm(0, 1)
    before = digest(frozen)
    np.random.rand()
    assert digest(frozen) == before


# --- different --------------------------------------------------------------------------------------------------------

AN_OBJECT_ARRAY = np.array([1, "a"], dtype=object)
WIDE = np.arange(6).reshape(2, 3)


class Mine(BaseEstimator):
    def __init__(self, depth=1, of=None):
        self.depth, self.of = depth, of


class Yours(BaseEstimator):
    def __init__(self, depth=1, of=None):
        self.depth, self.of = depth, of


class Deaf:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        raise TypeError("not to be copied")


@pytest.mark.parametrize(
    "values",
    [
        (1, 1.0, True, "1", b"1", None, np.float32(2), 1 + 0j, decimal.Decimal(1)),
        (0.0, -0.0),
        (1 + 2j, (1.0, 2.0)),
        (range(3), (0, 3, 1), [0, 1, 2], (0, 1, 2), range(0, 3, 2)),
        ([], (), {}, set(), "", None, np.array([])),
        ([[1], 2], [1, [2]], [1, 2], [[1, 2]]),
        (("ab", "c"), ("a", "bc")),
        ({"a": 1}, {"a": 2}, {"b": 1}, {"a": 1, "b": 1}, [("a", 1)]),
        ({"a": 1}, {"a": True}, {"a": np.float64(1)}),
        (1, np.int64(1), np.int32(1), True, np.True_),
        (0.1, np.float64(0.1), np.float32(0.1)),
        ("rbf", np.str_("rbf")),
        (WIDE, np.asfortranarray(WIDE), WIDE.astype(">i8")),
        (np.zeros(4), np.zeros(4, np.float32), np.zeros((2, 2)), np.zeros((1, 4)), np.zeros(4, int), [0.0] * 4),
        (np.array(["a", "b"]), np.array(["a", "c"]), np.array(["a", "b"], dtype=object)),
        (np.array([1, 2], "datetime64[s]"), np.array([1, 2], "datetime64[ms]"), np.array([1, 2])),
        (np.zeros(2, [("a", "f8")]), np.zeros(2, [("b", "f8")]), np.zeros(2, [("a", "i8")])),
        (np.zeros(2, [("a", "f8"), ("b", "f8")]), np.zeros(2, [("b", "f8"), ("a", "f8")])),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[0, 0]), np.array([1, 2])),
        (AN_OBJECT_ARRAY, AN_OBJECT_ARRAY[::-1], AN_OBJECT_ARRAY.reshape(2, 1)),
        (SVC(), SVC(C=2), SVC(C=True), SVC(random_state=0), SVC(random_state=1), SVC(kernel="linear")),
        (Mine(), Yours(), Mine(of=Mine()), Mine(of=Yours()), Mine(of=[Mine()])),
        (SVC, SVC(), "SVC"),
        (make_pipeline(StandardScaler(), SVC()), make_pipeline(StandardScaler(with_mean=False), SVC()), make_pipeline(SVC())),
        (np.random.RandomState(1), np.random.RandomState(2)),
        (np.random.default_rng(1), np.random.default_rng(2)),
        (scipy.stats.uniform(0, 1), scipy.stats.uniform(0, 2), scipy.stats.loguniform(1, 2)),
        (TPESampler(seed=1), TPESampler(seed=2), TPESampler(seed=1, n_startup_trials=3)),
        (np.log1p, np.log, scipy.special.log1p, math.log1p),
        (np.sum, np.mean),
        (functools.partial(max, key=len), functools.partial(max, key=abs), functools.partial(min, key=len)),
        (re.compile("a"), re.compile("b"), re.compile("a", re.I)),
        (slice(0, 3), slice(0, 4), slice(0, 3, 2)),
        ({}.get, {"a": 1}.get),
        (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
        (pathlib.PurePosixPath("a"), pathlib.PurePosixPath("b"), "a"),
        (SVC().fit, SVC(C=2).fit, SVC().score),
        (check_scoring(SVC(), "accuracy"), check_scoring(SVC(), "f1_macro"), check_scoring(SVC(), ["accuracy"])),
        (make_scorer(f1_score, average="macro"), make_scorer(f1_score, average="micro")),
    ],
)  # fmt: skip
def test_different_content_has_a_different_key(values):
    keys = [digest(value) for value in values]
    assert len(set(keys)) == len(keys)


def test_order_of_values_matters():
    assert digest(1, 2) != digest(2, 1)
    assert digest([1, 2]) != digest(1, 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.__setitem__((149, 3), X[149, 3] + 1e-12),
        lambda X: X.__setitem__([0, 1], X[[1, 0]]),
    ],
)
def test_a_changed_row_changes_the_key(iris, change):
    X = iris[0].copy()
    before = digest(X)
    change(X)
    assert digest(X) != before


def whole_frame():
    return pd.DataFrame(
        {
            "number": [1.0, 2.0, np.nan],
            "text": ["x", None, "y"],
            "class": pd.Categorical(["u", "v", "u"]),
            "when": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
            "whole": pd.array([1, None, 3], dtype="Int64"),
        }
    )


def attached(frame, name, value):
    frame.attrs[name] = value
    return frame


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.rename(columns={"text": "words"}),
        lambda f: f[["text", "number", "class", "when", "whole"]],
        lambda f: f.assign(number=[1.0, 2.0, 3.0]),
        lambda f: f.assign(number=f.number.astype("float32")),
        lambda f: f.assign(text=["x", "", "y"]),
        lambda f: f.assign(text=f.text.astype(object)),
        lambda f: f.assign(**{"class": f["class"].cat.rename_categories(["u", "w"])}),
        lambda f: f.assign(**{"class": f["class"].cat.as_ordered()}),
        lambda f: f.assign(**{"class": f["class"].cat.add_categories(["w"])}),
        lambda f: f.assign(when=f.when + pd.Timedelta("1s")),
        lambda f: f.assign(whole=pd.array([1, 2, 3], dtype="Int64")),
        lambda f: f.iloc[::-1],
        lambda f: f.iloc[:2],
        lambda f: f.set_index(pd.Index([7, 8, 9])),
        lambda f: f.set_axis(pd.Index([0, 1, 2])),  # a range otherwise
        lambda f: f.rename_axis("row"),
        lambda f: f.rename_axis("column", axis=1),
        lambda f: f.assign(when=f.when.dt.tz_localize("UTC")),
        lambda f: f.assign(when=f.when.astype("datetime64[ms]")),
        lambda f: attached(f, "unit", "m"),
    ],
)
def test_a_changed_frame_has_another_key(change):
    assert digest(whole_frame()) == digest(whole_frame())
    assert digest(change(whole_frame())) != digest(whole_frame())


def test_equally_named_columns_are_told_apart():
    one = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert digest(one) != digest(one.iloc[:, ::-1])


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array, sp.csr_matrix])
def test_a_changed_sparse_matrix_has_another_key(form):
    dense = np.eye(3)
    changed = dense.copy()
    changed[0, 1] = 1
    assert digest(form(dense)) == digest(form(dense))
    assert digest(form(dense)) != digest(form(changed))
    assert digest(form(dense)) != digest(form(dense.astype("float32")))


def test_a_sparse_matrix_is_keyed_as_it_is_stored():
    rows = sp.csr_array(([1.0, 2.0], [0, 1], [0, 2]), shape=(1, 2))
    unsorted = sp.csr_array(([2.0, 1.0], [1, 0], [0, 2]), shape=(1, 2))
    short = rows.copy()
    short.indices, short.indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    assert len({digest(one) for one in (rows, unsorted, short, rows.tocsc(), sp.csr_matrix(rows))}) == 5


def test_an_estimator_that_is_cloned_with_what_it_learned_is_keyed_by_it(iris):
    X, y = iris
    whole, half = FrozenEstimator(SVC().fit(X, y)), FrozenEstimator(SVC().fit(X[::2], y[::2]))
    assert digest(whole) == digest(pickle.loads(pickle.dumps(whole)))
    assert digest(whole) != digest(half)
    assert digest(make_pipeline(whole)) != digest(make_pipeline(half))


def test_a_default_that_was_given_is_the_default():
    assert digest(SVC(C=1.0)) == digest(SVC())
    assert digest(GridSearchCV(SVC(), {"C": [1]})) != digest(GridSearchCV(SVC(), {"C": [1]}, n_jobs=2))


# --- code -------------------------------------------------------------------------------------------------------------


def adder(amount):
    return lambda x: x + amount


def two_locals(flag):
    if flag:

        def local(x):
            return x + 1

    else:

        def local(x):
            return x - 1

    return local


def test_a_function_is_keyed_by_its_body_and_what_it_closes_over():
    assert digest(adder(1)) == digest(adder(1))
    assert digest(adder(1)) != digest(adder(2))
    assert digest(lambda x: x + 1) != digest(lambda x: x + 2)
    assert digest(lambda x: x.real) != digest(lambda x: x.imag)
    assert digest(lambda x=1: x) != digest(lambda x=2: x)
    assert digest(two_locals(True)) == digest(two_locals(True))
    assert digest(two_locals(True)) != digest(two_locals(False))


def test_a_decorated_function_is_keyed_by_what_it_wraps():
    cached = functools.lru_cache(adder)
    assert digest(cached) == digest(functools.lru_cache(adder))
    assert digest(cached) != digest(functools.lru_cache(two_locals))


def test_a_function_may_refer_to_itself():
    def again(step):
        def count(n):
            return count(n - step) if n > 0 else n

        return count

    assert digest(again(1)) == digest(again(1))
    assert digest(again(1)) != digest(again(2))


MODULES = {
    "base.py": "class Base:\n    def __init__(self): self.a = 1\n    def f(self): return 1\n",
    "mine/__init__.py": "",
    "mine/model.py": "from base import Base\nfrom . import tools\nclass Mine(Base):\n    def g(self): return tools.h()\n",
    "mine/tools.py": "def h():\n    import late\n    return late.x\n",
    "late.py": "import lib\nx = 1\n",
    "other.py": "y = 1\n",
    "site-packages/lib/__init__.py": "class Theirs:\n    def __init__(self): self.a = 1\n",
    "site-packages/lib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lib\nVersion: 1.0\n",
    "script.py": "import lib, other\nfrom foldwise.keys import digest\nfrom mine.model import Mine\nprint(digest(Mine()), digest(lib.Theirs()))\n",
}  # fmt: skip


@pytest.fixture
def printed(tmp_path):
    """Run a script beside modules, some of them changed, in a process of its own; returns the keys that it prints."""

    def keys(files, *changes):
        for name, text in files.items():
            for changed, old, new in changes:
                assert changed != name or old in text
                text = text.replace(old, new) if changed == name else text
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(tmp_path / "site-packages"), *sys.path])
        run = [sys.executable, str(tmp_path / "script.py")]
        return subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout.split()

    return keys


def test_a_changed_module_of_the_users_changes_the_keys_of_its_classes(printed):
    mine, theirs = printed(MODULES)
    assert printed(MODULES, ("other.py", "1", "2"), ("script.py", "print(", "print( ")) == [mine, theirs]
    beside = [("mine/tools.py", "def h", "def unused():\n    return 1\n\n\n# said in passing\ndef h"),
              ("mine/model.py", "import tools\n", "import tools\nimport other\n"), ("mine/__init__.py", "", "import other\n")]  # fmt: skip
    assert printed(MODULES, *beside) == [mine, theirs]  # what is not referred to
    changes = [("base.py", "return 1", "return 2"), ("mine/model.py", "h()", "h() + 1"), ("mine/tools.py", ".x", ".x + 1"),
               ("late.py", "x = 1", "x = 2")]  # fmt: skip
    keys = [printed(MODULES, change) for change in changes]  # what it inherits, is and imports, and what that imports
    assert len({mine, *(key for key, _ in keys)}) == 5
    assert {key for _, key in keys} == {theirs}


def test_the_version_of_a_distribution_that_is_used_changes_the_key(printed):
    mine, theirs = printed(MODULES)
    newer = printed(MODULES, ("site-packages/lib-1.0.dist-info/METADATA", "Version: 1.0", "Version: 1.1"))
    assert newer[0] == mine  # which refers to a number beside the import of it
    assert newer[1] != theirs
    assert printed(MODULES, ("site-packages/lib/__init__.py", "= 1", "= 2"))[0] == mine  # installed code is told by its version


SCRIPT = {
    "script.py": """
from foldwise.keys import digest
SCALE = 2
def helper(x):
    return SCALE * x
def unused(x):
    return x
class Mine:
    n_trials = None
    @staticmethod
    def f(x):
        return helper(x)
n_trials = 50
print(digest(Mine), digest(helper), digest(lambda x: helper(x)))
"""
}


def test_code_in_a_script_is_keyed_by_itself_and_what_it_refers_to(printed):
    first = printed(SCRIPT)
    assert printed(SCRIPT, ("script.py", "= 50", "= 100"), ("script.py", "return x\n", "return -x\n")) == first
    for change in (("script.py", "SCALE = 2", "SCALE = 3"), ("script.py", "SCALE * x", "SCALE / x")):
        assert all(one != other for one, other in zip(first, printed(SCRIPT, change), strict=True))
    mine, *others = printed(SCRIPT, ("script.py", "return helper(x)\nn", "return -helper(x)\nn"))
    assert mine != first[0]
    assert others == first[1:]


def test_code_that_has_no_file_is_keyed_by_itself():
    def class_of(source):
        module = types.ModuleType("made_up")
        exec(source, module.__dict__)
        return module.Mine

    source = "class Mine:\n    def __init__(self): self.a = 1\n    def f(self): return 1\n"
    assert digest(class_of(source)) == digest(class_of(source))
    assert digest(class_of(source)) != digest(class_of(source.replace("return 1", "return 2")))


INSTALLED = """
PAIR = lambda x: x + 1, lambda x: x - 1
def make(up):
    if up:
        def local(x): return x + 1
    else:
        def local(x): return x - 1
    return local
"""


def test_installed_functions_that_share_a_name_are_told_apart(tmp_path, monkeypatch):
    place = tmp_path / "site-packages"
    (place / "alike_lib").mkdir(parents=True)
    (place / "alike_lib" / "__init__.py").write_text(INSTALLED)
    (place / "alike_lib-1.0.dist-info").mkdir()
    (place / "alike_lib-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: alike_lib\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(place))
    lib = importlib.import_module("alike_lib")
    assert owner_of("alike_lib") == "alike_lib"
    assert digest(lib.PAIR[0]) != digest(lib.PAIR[1])
    assert digest(lib.make(True)) != digest(lib.make(False))


def test_code_belongs_to_a_distribution_or_to_the_user():
    assert owner_of(f1_score.__module__) == owner_of("sklearn") == "scikit-learn"
    assert owner_of(copy.deepcopy.__module__) == owner_of("sys") == PYTHON
    assert owner_of(__name__) is owner_of("__main__") is owner_of("a_module_that_is_not_there") is owner_of(None) is None


def test_installed_code_is_told_by_the_version_that_is_loaded(monkeypatch):
    known = digest(SVC), digest(np.log1p), digest(copy.deepcopy)
    assert versions_of([]) == {name: version_of(name) for name in ("foldwise", "numpy", "python", "scikit-learn", "scipy")}
    assert version_of("scikit-learn") == sklearn.__version__
    assert version_of("a-distribution-that-is-not-there") == "none"
    monkeypatch.setattr(sklearn, "__version__", "0.1")
    assert version_of("scikit-learn") == versions_of([])["scikit-learn"] == "0.1"
    assert digest(SVC) != known[0]
    assert (digest(np.log1p), digest(copy.deepcopy)) == known[1:]


# --- what has no key --------------------------------------------------------------------------------------------------


def a_list_in_itself():
    values = [1]
    values.append(values)
    return values


def a_dict_in_itself():
    values = {}
    values["a"] = [values]
    return values


def an_array_in_itself():
    values = np.empty(1, dtype=object)
    values[0] = values
    return values


def a_deep_list():
    values = []
    for _ in range(100_000):
        values = [values]
    return values


@pytest.mark.parametrize(
    "make",
    [a_list_in_itself, a_dict_in_itself, an_array_in_itself, a_deep_list],
)
def test_a_value_that_contains_itself_is_refused(make):
    with pytest.raises(InputTypeError, match="contain itself"):
        digest(make())


def test_the_same_value_may_stand_twice():
    one = [1]
    assert digest([one, one]) == digest([[1], [1]])


def test_an_estimator_that_contains_itself_is_keyed_by_its_state():
    def itself(depth):
        one = Mine(depth)
        one.of = [one]
        return one

    assert digest(itself(1)) == digest(itself(1))
    assert digest(itself(1)) != digest(itself(2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: (i for i in [1]),
        lambda: np.frompyfunc(abs, 1, 1),
        lambda: memoryview(b"a"),
        lambda: weakref.ref(Mine),
        lambda: Deaf(1),
    ],
    ids=["a generator", "a ufunc of its own", "a memoryview", "a weak reference", "an object that cannot be copied"],
)
def test_what_cannot_be_compared_is_refused_by_its_type(make):
    value = make()
    with pytest.raises(InputTypeError, match=rf"^{type(value).__name__}: expected "):
        digest({"a": value})


def test_an_open_file_is_refused(tmp_path):
    with (tmp_path / "file").open("w") as file, pytest.raises(InputTypeError, match=r"^TextIOWrapper: expected "):
        digest(file)


# --- properties -------------------------------------------------------------------------------------------------------

atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


def identity_of(value):
    """Write a value so that exactly equal content, types included, is equal."""
    if isinstance(value, dict):
        return "dict", sorted((repr(key), identity_of(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, [identity_of(item) for item in value]
    return type(value).__name__, repr(value)


@settings(max_examples=200)
@given(values, values)
def test_keys_are_equal_exactly_where_contents_are(one, other):
    assert (digest(one) == digest(other)) == (identity_of(one) == identity_of(other))


@given(values)
def test_a_copy_has_the_same_key(value):
    assert digest(copy.deepcopy(value)) == digest(pickle.loads(pickle.dumps(value))) == digest(value)


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=6), st.randoms())
def test_the_order_of_a_dict_does_not_matter(mapping, random):
    items = list(mapping.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(mapping)


def test_rows_are_keyed_in_their_order_whatever_their_type():
    assert digest_rows(np.array([1, 2, 3])) == digest_rows(np.array([1, 2, 3], dtype=np.int32))
    assert digest_rows(np.array([1, 2, 3])) != digest_rows(np.array([1, 3, 2]))


def test_seeds_are_spread_over_31_bits():
    seeds = [derive_seed(0, i) for i in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert 0.45 < np.mean(seeds) / 2**31 < 0.55


def test_ten_thousand_params_are_keyed_in_seconds():
    started = time.process_time()
    keys = {digest("a" * 32, {"svc__C": float(i), "svc__gamma": 0.1, "svc__kernel": "rbf"}) for i in range(10_000)}
    assert len(keys) == 10_000
    assert time.process_time() - started < 5


def test_a_named_tuple_is_keyed_by_its_type():
    one, other = collections.namedtuple("one", "a"), collections.namedtuple("other", "a")
    assert digest(one(1)) == digest(one(1))
    assert digest(one(1)) != digest(one(2))
    assert digest(one(1)) != digest(other(1))


@pytest.fixture(scope="module")
def iris():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)
