"""A fit is identified by what it learns from: whatever can change what comes of it changes its key, and nothing else does."""

import functools
import importlib
import os
import subprocess
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.keys import versions
from foldwise.ledger.base import scorer_of
from foldwise.worker.fit import FitContext

X, Y = load_iris(return_X_y=True)
X, Y = X[::5].copy(), Y[::5].copy()
WEIGHTS = np.linspace(1, 2, len(Y))


def plan_of(estimator=None, *, X=X, y=Y, params=None, space=None, fit=None, **options):
    estimator = SVC() if estimator is None else estimator
    space = {next(iter(params or sorted(estimator.get_params(deep=False)))): [1]} if space is None else space
    options = {"search": "grid", "outer_cv": 3, "random_state": 0, **options}
    return fw.NestedSearchCV(estimator, space, **options).plan(X, y, **(fit or {}))


def keys_of(estimator=None, *, params=None, **options):
    """Return the keys of some params' fits on all train rows."""
    plan = plan_of(estimator, params=params, **options)
    assert plan.unread == {}
    return {plan.fit(params or {}, train).key for train in plan.held_out}


def assert_share_nothing(before, after):
    """Check that two set-ups have no key in common, and that this is not for want of repeatable keys."""
    keys = keys_of(**before)
    assert keys == keys_of(**before)
    assert not keys & keys_of(**after)


@pytest.fixture(autouse=True)
def kept_settings():
    """Put back what a test sets of scikit-learn, NumPy and pandas."""
    with sklearn.config_context(), np.errstate(), pd.option_context("display.width", 80):
        yield


# --- the code of the user's own -----------------------------------------------------------------------------------------

PACKAGE = "own_code_package"

FILES = {
    "__init__.py": "of_package = 130\n",
    "tools.py": "scale = 100\n\n\ndef imported(x):\n    return x + 103\n\n\ndef plain(x):\n    return x + 104\n\n\n"
    "class Config:\n    depth = 105\n",
    "handed.py": "value = 101\n",
    "dynamic.py": "BY_NAME = 5\n\n\ndef by_name():\n    return globals()['BY_NAME']\n",
    "late.py": "whole = 110\n",
    "late_named.py": "named = 111\nunused = 0\n",
    "late_renamed.py": "renamed = 112\n",
    "late_relative.py": "relative = 113\n",
    "late_beside.py": "beside = 114\n",
    "late_sub.py": "of_submodule = 120\n",
}

MODEL = """
import dataclasses
import enum
import functools
import operator
from collections import namedtuple
from contextlib import contextmanager, suppress

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from own_code_package import dynamic, handed, tools
from own_code_package.tools import Config, imported

SCALE = 2
TABLE = np.array([1.0, 3.0])
NESTED = {"a": [1, {"b": 4}]}
HELD = [6]
WORDS = {"p", "q", "r", "s"}
unrelated = 1000  # nobody reads it


def helper(x):
    return x + 7


def chain(x):
    return helper(x) * SCALE


def counted(x):
    return x * counted.factor


counted.factor = 8


def with_defaults(x, by=9, *, more=10):
    return x + by * 10 + more * 100


def scaled(by):
    def scale(x):
        return x * by

    return scale


double = scaled(11)


def holding(values):
    return lambda: sum(values)


held = holding(HELD)


def class_of(rate):
    class Made:
        def __call__(self):
            return rate

    return Made


Made = class_of(12)


def logged(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args) + 13

    return inner


@logged
def decorated(x):
    return x - 14


@functools.lru_cache
def cached(x):
    return x + 15


@functools.singledispatch
def dispatched(x):
    return 0


@dispatched.register
def _(x: int):
    return x + 16


first, second = lambda x: x + 17, lambda x, by=18: x + by
PART = functools.partial(with_defaults, 19, by=20)
OF_OWN = functools.partial(operator.add, 21)


def guarded(x):
    try:
        return int("no")
    except ValueError:
        return x + 22


def fails():
    raise ValueError


def ranged():
    try:
        fails()
        return 1
    except ValueError:
        return 2


@contextmanager
def entered():
    yield 23


def within():
    with entered() as value, suppress(ZeroDivisionError):
        return value + 24


def matched(x):
    match x:
        case [25, y]:
            return y
        case _:
            return 0


def compared(x):
    return x in {"t", "u"}


def yielding():
    yield from (x + 26 for x in range(2))


def late_whole():
    import own_code_package.late

    return own_code_package.late.whole


def late_named():
    from own_code_package.late_named import named

    return named


def late_renamed():
    import own_code_package.late_renamed as module

    return module.renamed


def late_relative():
    from .late_relative import relative

    return relative


def late_package():
    import own_code_package.late_beside

    return own_code_package.of_package


def late_submodule():
    from own_code_package import late_sub

    return late_sub.of_submodule


def handed_on(module):
    return module.value


def read_annotations(owner):
    return sorted(str(kind) for kind in owner.__annotations__.values())


class Kind(enum.Enum):
    A = 27
    B = 28


@dataclasses.dataclass
class Options:
    depth: int = 29
    names: list = dataclasses.field(default_factory=lambda: [30])
    width: int = dataclasses.field(default=1, metadata={"unit": 31})


Point = namedtuple("Point", "x y", defaults=[32])
POINT = Point(33)


class Meta(type):
    def __call__(cls, *args, **kwargs):
        one = super().__call__(*args, **kwargs)
        one.made_by = 34
        return one


class Base:
    shift = 35

    def inherited(self):
        return self.shift + 36

    def __init_subclass__(cls, added=0, **kwargs):
        cls.added = added


class OtherBase(Base):
    def inherited(self):
        return 0


class Mixin:
    def mixed(self):
        return 37


class Descriptor:
    def __init__(self, value):
        self.value = value

    def __get__(self, owner, kind=None):
        return self.value + 38


class Slotted:
    __slots__ = ("__hidden", "value")

    def __init__(self, value, hidden):
        self.value, self.__hidden = value, hidden

    def read(self):
        return self.value * 1000 + self.__hidden


SLOTTED = Slotted(39, 40)


class Scaler:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return x * self.by

    def apply(self, x):
        return x - self.by

    def __add__(self, x):
        return x + self.by + 41


CALLABLE = Scaler(42)
BOUND = Scaler(43).apply
GENERATED = type("Generated", (Base,), {"rate": 44})


class Mine(Base, Mixin, ClassifierMixin, BaseEstimator, metaclass=Meta, added=45):
    rate = 46
    typed: int = 0
    described = Descriptor(47)

    def __init__(self, depth=1):
        self.depth = depth
        self._half = 48

    @property
    def width(self):
        return 49

    @staticmethod
    def fixed():
        return 50

    @classmethod
    def of_class(cls):
        return cls.rate * 51

    @functools.cached_property
    def lazy(self):
        return 52

    @logged
    def wrapped(self):
        return 53

    def joined(self, x, by):
        return x + by

    partly = functools.partialmethod(joined, by=54)

    @functools.singledispatchmethod
    def picked(self, x):
        return 0

    @picked.register
    def _(self, x: int):
        return x + 55

    def nested(self):
        def inner():
            return [x + 56 for x in range(2)]

        return inner()

    def look(self):
        def attempt(function, *args):
            try:
                return function(*args)
            except Exception as error:
                return type(error).__name__

        return [
            TABLE.tolist(), NESTED["a"][1]["b"], sorted(WORDS), chain(1), counted(1), with_defaults(1), double(1), held(), Made()(),
            decorated(1), cached(1), dispatched(1), first(1), second(1), PART(), OF_OWN(1), attempt(guarded, 1), attempt(ranged),
            attempt(within), matched([25, 1]), compared("t"), list(yielding()), dynamic.by_name(), late_whole(), late_named(),
            late_renamed(), late_relative(), late_package(), late_submodule(), handed_on(handed), tools.scale, tools.plain(1),
            imported(1), Config.depth, read_annotations(Mine), Kind.A.value, Options().depth, Options().names,
            [field.metadata.get("unit") for field in dataclasses.fields(Options)], POINT, self.made_by, self.shift,
            self.inherited(), self.added, self.mixed(), self.described, SLOTTED.read(), CALLABLE(1), BOUND(1), CALLABLE + 1,
            GENERATED.rate, self.rate, self._half, self.width, self.fixed(), self.of_class(), self.lazy, self.wrapped(),
            self.partly(1), self.picked(1), self.nested(), len("abc"),
        ]

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = repr(self.look())
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[len(self.seen_) % len(self.classes_)])
"""

FILES["model.py"] = MODEL


@pytest.fixture(scope="module")
def unedited(tmp_path_factory):
    """Return the keys of the package's model's fits as it is, and what a fit comes to see."""
    with pytest.MonkeyPatch.context() as patch:
        write_and_load = loader(tmp_path_factory.mktemp("unedited"), patch)
        first, again = (keys_and_seen(write_and_load()) for _ in range(2))
        forget()
    assert first == again
    return first


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write the package, some of its text changed, and import it anew; returns its module with the model.

    An edit is (old, new) of the model's text, or (file, old, new).
    """
    yield loader(tmp_path, monkeypatch)
    forget()


def loader(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # files that are written within a second look alike to the cache

    def load(*edits):
        texts = dict(FILES)
        for *place, old, new in edits:
            (name,) = place or ("model.py",)
            assert texts[name].count(old) == 1, (old, texts[name].count(old))
            texts[name] = texts[name].replace(old, new)
        (folder / PACKAGE).mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / PACKAGE / name).write_text(text)
        forget()
        importlib.invalidate_caches()
        return importlib.import_module(f"{PACKAGE}.model")

    return load


def forget():
    """Let the next import of the package read its files."""
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def keys_and_seen(module):
    """Return the keys of the model's fits, and what a fit comes to see."""
    keys = keys_of(module.Mine())
    return keys, module.Mine().fit(X, Y).seen_


def edit(old, new, file="model.py"):
    return file, old, new


EDITS = {
    "a global constant": edit("SCALE = 2", "SCALE = 3"),
    "a global array": edit("[1.0, 3.0]", "[1.0, 3.5]"),
    "a global dict, deep within": edit('{"b": 4}', '{"b": 9}'),
    "a global set": edit('"r", "s"}', '"r"}'),
    "a global function": edit("x + 7", "x + 8"),
    "a global function's constant of another type": edit("x + 7", "x + 7.0"),
    "a function that a function calls": edit("helper(x) * SCALE", "SCALE - helper(x)"),
    "an attribute of a function": edit("counted.factor = 8", "counted.factor = 9"),
    "a default argument": edit("by=9", "by=8"),
    "a keyword-only default": edit("more=10", "more=11"),
    "a closure's value": edit("scaled(11)", "scaled(12)"),
    "a list in a closure": edit("HELD = [6]", "HELD = [6, 1]"),
    "a closure's body": edit("return x * by\n\n    return scale", "return x - by\n\n    return scale"),
    "a class made by a factory": edit("class_of(12)", "class_of(13)"),
    "a decorator": edit("function(*args) + 13", "function(*args) + 14"),
    "a decorated function": edit("x - 14", "x - 15"),
    "a function without its decorator": edit("@logged\ndef decorated", "def decorated"),
    "a cached function": edit("x + 15", "x + 16"),
    "an implementation of a generic function": edit("x + 16", "x + 17"),
    "a type that a generic function is for": edit("def _(x: int):\n    return x", "def _(x: str):\n    return x"),
    "a lambda's body": edit("x + 17", "x + 18"),
    "a lambda's default": edit("by=18", "by=19"),
    "two lambdas, swapped": edit("first, second =", "second, first ="),
    "a partial's argument": edit("with_defaults, 19", "with_defaults, 18"),
    "a partial's keyword": edit("by=20", "by=21"),
    "a partial's keyword's name": edit("by=20", "more=20"),
    "a partial's function": edit("operator.add, 21", "operator.sub, 21"),
    "what is caught": edit("    except ValueError:\n        return x + 22", "    except KeyError:\n        return x + 22"),
    "an exception's handler": edit("x + 22", "x + 23"),
    "what is tried": edit("    try:\n        fails()\n        return 1", "    fails()\n    try:\n        return 1"),
    "a with's body": edit("value + 24", "value + 25"),
    "a with's manager": edit("yield 23", "yield 24"),
    "what is suppressed within": edit(
        "suppress(ZeroDivisionError):\n        return", "suppress(ZeroDivisionError):\n        1 / 0\n        return"
    ),
    "a pattern": edit("case [25, y]", "case [26, y]"),
    "a set among a function's constants": edit('{"t", "u"}', '{"v", "u"}'),
    "a generator": edit("x + 26", "x + 27"),
    "a global that is read by its name": edit("BY_NAME = 5", "BY_NAME = 6", "dynamic.py"),
    "a module that is imported late": edit("whole = 110", "whole = 119", "late.py"),
    "a name that is imported late": edit("named = 111", "named = 119", "late_named.py"),
    "a module that is imported late by another name": edit("renamed = 112", "renamed = 119", "late_renamed.py"),
    "a module that is imported late and relatively": edit("relative = 113", "relative = 119", "late_relative.py"),
    "a package whose module is imported late": edit("of_package = 130", "of_package = 139", "__init__.py"),
    "a submodule that is imported late as a name": edit("of_submodule = 120", "of_submodule = 129", "late_sub.py"),
    "an attribute of a module": edit("scale = 100", "scale = 109", "tools.py"),
    "a function of a module": edit("x + 104", "x + 109", "tools.py"),
    "a module that is handed on": edit("value = 101", "value = 109", "handed.py"),
    "an imported function": edit("x + 103", "x + 109", "tools.py"),
    "an attribute of an imported class": edit("depth = 105", "depth = 109", "tools.py"),
    "an annotation": edit("typed: int", "typed: float"),
    "a member of an enumeration": edit("A = 27", "A = 26"),
    "a default of a dataclass": edit("depth: int = 29", "depth: int = 30"),
    "a default factory of a dataclass": edit("lambda: [30]", "lambda: [31]"),
    "the metadata of a dataclass's field": edit('"unit": 31', '"unit": 32'),
    "a default of a named tuple": edit("defaults=[32]", "defaults=[33]"),
    "a value of a named tuple": edit("Point(33)", "Point(34)"),
    "a name of a named tuple": edit('"x y"', '"x z"'),
    "a metaclass": edit("made_by = 34", "made_by = 35"),
    "an attribute of a base class": edit("shift = 35", "shift = 36"),
    "a method of a base class": edit("self.shift + 36", "self.shift - 36"),
    "a base class": edit("class Mine(Base,", "class Mine(OtherBase,"),
    "a mixin's method": edit("return 37", "return 38"),
    "a mixin that is added": edit(
        "class Mine(Base,", "class Added:\n    def inherited(self):\n        return -1\n\n\nclass Mine(Added, Base,"
    ),
    "the order of bases": edit("class Mine(Base, Mixin,", "class Mixin(Mixin):\n    shift = 0\n\n\nclass Mine(Mixin, Base,"),
    "a descriptor's code": edit("self.value + 38", "self.value + 39"),
    "a descriptor's state": edit("Descriptor(47)", "Descriptor(48)"),
    "an attribute in slots": edit("Slotted(39, 40)", "Slotted(38, 40)"),
    "a private attribute in slots": edit("Slotted(39, 40)", "Slotted(39, 41)"),
    "an operator": edit("self.by + 41", "self.by + 40"),
    "a callable object's state": edit("Scaler(42)", "Scaler(41)"),
    "a callable object's code": edit("x * self.by", "x / self.by"),
    "the object of a bound method": edit("Scaler(43)", "Scaler(44)"),
    "a bound method's code": edit("x - self.by", "x + self.by - 1"),
    "a class made by type()": edit('{"rate": 44}', '{"rate": 45}'),
    "a keyword of a class statement": edit("added=45", "added=46"),
    "an attribute of the class": edit("    rate = 46", "    rate = 47"),
    "what __init__ derives": edit("self._half = 48", "self._half = 49"),
    "a property": edit("return 49", "return 48"),
    "a static method": edit("return 50", "return 51"),
    "a class method": edit("cls.rate * 51", "cls.rate * 52"),
    "a cached property": edit("return 52", "return 53"),
    "a decorated method": edit("return 53", "return 54"),
    "a method without its decorator": edit("@logged\n    def wrapped", "def wrapped"),
    "a partial method": edit("by=54", "by=55"),
    "a generic method": edit("x + 55", "x + 56"),
    "a function within a method's": edit("x + 56", "x + 57"),
    "a builtin that is hidden": edit("unrelated = 1000", "def len(x):\n    return 0\n\n\nunrelated = 1000"),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_edited_code_shares_no_fit(own, unedited, change):
    before, seen = unedited
    after, seen_after = keys_and_seen(own(change))
    assert seen_after != seen  # the edit is one that matters
    assert not before & after


IN_PLACE = {
    "an attribute of the class": lambda m: setattr(m.Mine, "rate", 0),
    "an attribute of a base class": lambda m: setattr(m.Base, "shift", 0),
    "a method of a base class": lambda m: setattr(m.Mixin, "mixed", lambda self: 0),
    "an attribute that hides an inherited one": lambda m: setattr(m.Mine, "shift", 0),
    "bases": lambda m: setattr(m.Mine, "__bases__", (m.OtherBase, *m.Mine.__bases__[1:])),
    "a list in a closure": lambda m: m.HELD.append(1),
    "a closure's cell": lambda m: setattr(m.double.__closure__[0], "cell_contents", 0),
    "a global array": lambda m: m.TABLE.__setitem__(0, 9.0),
    "a global dict, deep within": lambda m: m.NESTED["a"][1].update(b=0),
    "a global set": lambda m: m.WORDS.discard("p"),
    "a global function": lambda m: setattr(m, "helper", lambda x: x),
    "a global that is read by its name": lambda m: setattr(m.dynamic, "BY_NAME", 0),
    "a function's code": lambda m: setattr(m.chain, "__code__", m.helper.__code__),
    "a function's defaults": lambda m: setattr(m.with_defaults, "__defaults__", (0,)),
    "a function's keyword-only defaults": lambda m: m.with_defaults.__kwdefaults__.update(more=0),
    "a function's attribute": lambda m: setattr(m.counted, "factor", 0),
    "a module's attribute": lambda m: setattr(m.tools, "scale", 0),
    "a module's class's attribute": lambda m: setattr(m.tools.Config, "depth", 0),
    "a callable object's state": lambda m: setattr(m.CALLABLE, "by", 0),
    "the object of a bound method": lambda m: setattr(m.BOUND.__self__, "by", 0),
    "an attribute in slots": lambda m: setattr(m.SLOTTED, "value", 0),
    "a private attribute in slots": lambda m: setattr(m.SLOTTED, "_Slotted__hidden", 0),
    "a descriptor's state": lambda m: setattr(vars(m.Mine)["described"], "value", 0),
    "a member of an enumeration": lambda m: setattr(m.Kind.A, "_value_", 0),
    "an implementation of a generic function": lambda m: m.dispatched.register(bool, lambda x: 0) and m.dispatched.register(int, lambda x: 0),
    "a builtin that is hidden": lambda m: setattr(m, "len", lambda x: 0),
    "a late module's name": lambda m: setattr(sys.modules[f"{PACKAGE}.late_named"], "named", 0),
}  # fmt: skip


@pytest.mark.parametrize("change", IN_PLACE.values(), ids=IN_PLACE)
def test_code_that_is_changed_where_it_is_loaded_shares_no_fit(own, unedited, change):
    module = own()
    module.Mine().fit(X, Y)  # which imports what is imported late
    before = keys_of(module.Mine())
    change(module)
    after, seen_after = keys_and_seen(module)
    assert seen_after != unedited[1]
    assert not before & after


def test_that_code_has_run_leaves_its_keys(own):
    module = own()
    before, _ = keys_and_seen(module)
    assert keys_of(module.Mine()) == before


BESIDE = {
    "nothing": (),
    "a comment and blank lines": (edit("def helper(x):\n", "# said in passing\n\n\ndef helper(x):\n    # and here\n\n"),),
    "code that moved": (edit("def chain(x):\n    return helper(x) * SCALE\n", ""), edit("HELD = [6]", "HELD = [6]\n\n\ndef chain(x):\n    return helper(x) * SCALE\n")),
    "a global that nobody reads": (edit("unrelated = 1000", "unrelated = 1001"),),
    "a global that is added": (edit("unrelated = 1000", "unrelated = 1000\nanother = 1"),),
    "an attribute of a class that nobody uses": (edit("class Mine(Base", "class Unused(Base):\n    rate = 1\n\n\nclass Mine(Base"),),
    "an import that nobody uses": (edit("import enum\n", "import enum\nimport textwrap\n"),),
    "a set in another order": (edit('{"p", "q", "r", "s"}', '{"s", "q", "r", "p"}'),),
    "a name of a module that nobody reads": (edit("unused = 0", "unused = 1", "late_named.py"),),
    "a function of a module that nobody calls": (edit("scale = 100", "scale = 100\n\n\ndef unused():\n    return 1", "tools.py"),),
    "attributes of the class in another order": (edit("    rate = 46\n", ""), edit("    typed: int = 0\n", "    typed: int = 0\n    rate = 46\n")),
}  # fmt: skip


@pytest.mark.parametrize("edits", BESIDE.values(), ids=BESIDE)
def test_an_edit_beside_what_is_referred_to_leaves_the_keys(own, unedited, edits):
    assert keys_and_seen(own(*edits)) == unedited


# --- estimators and params ----------------------------------------------------------------------------------------------


class Held(ClassifierMixin, BaseEstimator):
    """Holds whatever it is given, and what it derives from that and from its surroundings."""

    def __init__(self, of=None, depth=1):
        self.of, self.depth = of, depth
        self.derived = os.environ.get("HELD")
        self._private = os.environ.get("HELD_PRIVATE")

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class Mangled(Held):
    """Keeps what it derives in a slot of its own."""

    __slots__ = ("__hidden",)

    def __init__(self, of=None, depth=1):
        super().__init__(of, depth)
        self.__hidden = os.environ.get("HELD_IN_A_SLOT")


class Whole:
    """Is not copied, and tells whoever pickles it nothing of its state."""

    def __init__(self, by):
        self.by = by

    def __deepcopy__(self, memo):
        return self

    def __getstate__(self):
        return {}

    def __call__(self, X):
        return X * self.by + np.sin(X * self.by)


class Named(Whole):
    """Is, for those who pickle it, its name."""

    def __reduce__(self):
        return "NAMED"


NAMED = Named(1)


class Counter:
    def __init__(self, by):
        self.by = by

    def __call__(self, one, other=0):
        return abs(one - other).sum() * self.by

    def apply(self, X):
        return X * self.by


def scaled_by(by):
    return lambda X: X * by


def class_of(rate):
    class Made(Held):
        pass

    Made.rate = rate
    return Made


def shifted(X, by=1, *, more=0):
    return X + by + more


def distance(one, other):
    return abs(one - other).sum()


def other_distance(one, other):
    return abs(one - other).max()


def own_transform(self, X, copy=None):
    return X


def other_transform(self, X, copy=None):
    return X + 1


def get_one(self):
    return 1


def get_two(self):
    return 2


def set_nothing(self, value):
    pass


def with_attribute(function, **attributes):
    vars(function).update(attributes)
    return function


def steps(*named, **options):
    return Pipeline([*named, ("model", SVC())], **options)


def columns(*which, **options):
    return make_pipeline(ColumnTransformer([("a", StandardScaler(), list(which))], **options), SVC())


FRAME = pd.DataFrame(X, columns=list("abcd"))
NAMED_KW = {"X": FRAME}

SETUPS = {
    "a param of the estimator": ({"estimator": SVC(C=2.0)}, {"estimator": SVC(C=3.0)}),
    "a param that is searched": ({"params": {"C": 2.0}}, {"params": {"C": 3.0}}),
    "a param that is set, to its default": ({"params": {"C": 2.0}}, {"params": {"C": 2.0, "gamma": "scale"}}),
    "a nested param": (
        {"estimator": steps(("s", StandardScaler()))}, {"estimator": steps(("s", StandardScaler(with_mean=False)))},
    ),
    "a nested param that is searched": (
        {"estimator": steps(("s", StandardScaler())), "params": {"s__with_std": True}},
        {"estimator": steps(("s", StandardScaler())), "params": {"s__with_std": False}},
    ),
    "another param of the same value": ({"params": {"C": 1.0}}, {"params": {"tol": 1.0}}),
    "the estimator's class": ({"estimator": SVC()}, {"estimator": DecisionTreeClassifier()}),
    "a step's output": (
        {"estimator": steps(("s", StandardScaler()))}, {"estimator": steps(("s", StandardScaler().set_output(transform="pandas")))},
    ),
    "a pipeline's output": (
        {"estimator": steps(("s", StandardScaler()))},
        {"estimator": steps(("s", StandardScaler())).set_output(transform="pandas")},
    ),
    "the name of a step": ({"estimator": steps(("s", StandardScaler()))}, {"estimator": steps(("t", StandardScaler()))}),
    "the order of steps": (
        {"estimator": steps(("a", StandardScaler()), ("b", PCA()))}, {"estimator": steps(("b", PCA()), ("a", StandardScaler()))},
    ),
    "a step, passed through": ({"estimator": steps(("s", StandardScaler()))}, {"estimator": steps(("s", "passthrough"))}),
    "a step, passed through, that is searched": (
        {"estimator": steps(("s", StandardScaler())), "params": {"s": StandardScaler()}},
        {"estimator": steps(("s", StandardScaler())), "params": {"s": "passthrough"}},
    ),
    "a step twice": (
        {"estimator": steps(("s", StandardScaler()))}, {"estimator": steps(("s", StandardScaler()), ("t", StandardScaler()))},
    ),
    "a step within a pipeline of its own": (
        {"estimator": steps(("s", StandardScaler()))}, {"estimator": steps(("s", make_pipeline(StandardScaler())))},
    ),
    "a pipeline's transform_input": (
        {"estimator": steps(("s", StandardScaler()))}, {"estimator": steps(("s", StandardScaler()), transform_input=["X_val"])},
    ),
    "a branch's weight": (
        {"estimator": steps(("u", FeatureUnion([("s", StandardScaler())])))},
        {"estimator": steps(("u", FeatureUnion([("s", StandardScaler())], transformer_weights={"s": 2})))},
    ),
    "a class made by a factory": ({"estimator": class_of(1)()}, {"estimator": class_of(2)()}),
    "a class as a param": ({"estimator": Held(class_of(1))}, {"estimator": Held(class_of(2))}),
    "a closure's value": (
        {"estimator": steps(("f", FunctionTransformer(scaled_by(1))))}, {"estimator": steps(("f", FunctionTransformer(scaled_by(2))))},
    ),
    "a closure's value that is searched": (
        {"estimator": steps(("f", FunctionTransformer())), "params": {"f__func": scaled_by(1)}},
        {"estimator": steps(("f", FunctionTransformer())), "params": {"f__func": scaled_by(2)}},
    ),
    "a transformer's keyword": (
        {"estimator": steps(("f", FunctionTransformer(shifted, kw_args={"by": 1})))},
        {"estimator": steps(("f", FunctionTransformer(shifted, kw_args={"by": 2})))},
    ),
    "a transformer's keyword of another type": (
        {"estimator": steps(("f", FunctionTransformer(shifted, kw_args={"by": 1})))},
        {"estimator": steps(("f", FunctionTransformer(shifted, kw_args={"by": np.float32(1)})))},
    ),
    "a partial's argument": ({"estimator": Held(functools.partial(shifted, 1))}, {"estimator": Held(functools.partial(shifted, 2))}),
    "a partial's keyword": (
        {"estimator": Held(functools.partial(shifted, by=1))}, {"estimator": Held(functools.partial(shifted, more=1))},
    ),
    "a partial's attribute": (
        {"estimator": Held(with_attribute(functools.partial(shifted), by=1))},
        {"estimator": Held(with_attribute(functools.partial(shifted), by=2))},
    ),
    "a lambda's body": ({"estimator": Held(lambda X: X + 1)}, {"estimator": Held(lambda X: X + 2)}),
    "a lambda's default": ({"estimator": Held(lambda X, by=1: X)}, {"estimator": Held(lambda X, by=2: X)}),
    "a lambda's constant of another type": ({"estimator": Held(lambda X: X * 1)}, {"estimator": Held(lambda X: X * 1.0)}),
    "a metric": (
        {"estimator": KNeighborsClassifier(metric=distance)}, {"estimator": KNeighborsClassifier(metric=other_distance)},
    ),
    "a metric that is a callable object": (
        {"estimator": KNeighborsClassifier(metric=Counter(1))}, {"estimator": KNeighborsClassifier(metric=Counter(2))},
    ),
    "a kernel with a closure": ({"estimator": SVC(kernel=scaled_by(1))}, {"estimator": SVC(kernel=scaled_by(2))}),
    "a bound method": ({"estimator": Held(Counter(1).apply)}, {"estimator": Held(Counter(2).apply)}),
    "another bound method": ({"estimator": Held(Counter(1).apply)}, {"estimator": Held(Counter(1).__call__)}),
    "a bound method of a dict": ({"estimator": Held({1: 1}.get)}, {"estimator": Held({1: 2}.get)}),
    "a compiled function": ({"estimator": Held(np.log1p)}, {"estimator": Held(np.log)}),
    "an object that is not copied and hides its state": ({"estimator": Held(Whole(1))}, {"estimator": Held(Whole(2))}),
    "an estimator in a list": ({"estimator": Held([SVC(C=1)])}, {"estimator": Held([SVC(C=2)])}),
    "an estimator in a tuple": ({"estimator": Held((1, SVC(C=1)))}, {"estimator": Held((1, SVC(C=2)))}),
    "an estimator in a dict": ({"estimator": Held({"a": SVC(C=1)})}, {"estimator": Held({"a": SVC(C=2)})}),
    "an estimator in a list that is searched": (
        {"estimator": Held(), "params": {"of": [SVC(C=1)]}}, {"estimator": Held(), "params": {"of": [SVC(C=2)]}},
    ),
    "a list or a tuple": ({"estimator": Held([1])}, {"estimator": Held((1,))}),
    "a list's order": ({"estimator": Held([1, 2])}, {"estimator": Held([2, 1])}),
    "an array's dtype": ({"estimator": Held(np.ones(3))}, {"estimator": Held(np.ones(3, np.float32))}),
    "an array's order": ({"estimator": Held(X)}, {"estimator": Held(np.asfortranarray(X))}),
    "an estimator that votes": (
        {"estimator": VotingClassifier([("a", SVC()), ("b", DecisionTreeClassifier())])},
        {"estimator": VotingClassifier([("a", SVC()), ("c", DecisionTreeClassifier())])},
    ),
    "columns by name or by position": ({"estimator": columns("a", "b"), **NAMED_KW}, {"estimator": columns(0, 1), **NAMED_KW}),
    "columns": ({"estimator": columns("a", "b"), **NAMED_KW}, {"estimator": columns("a", "c"), **NAMED_KW}),
    "the order of columns that are picked": ({"estimator": columns(0, 1)}, {"estimator": columns(1, 0)}),
    "a slice of columns": (
        {"estimator": make_pipeline(ColumnTransformer([("a", StandardScaler(), slice(0, 2))]), SVC())},
        {"estimator": make_pipeline(ColumnTransformer([("a", StandardScaler(), slice(0, 3))]), SVC())},
    ),
    "the remainder": ({"estimator": columns(0)}, {"estimator": columns(0, remainder="passthrough")}),
    "a threshold": ({"estimator": columns(0, sparse_threshold=0.3)}, {"estimator": columns(0, sparse_threshold=0)}),
    "a random state": ({"estimator": SVC(random_state=0)}, {"estimator": SVC(random_state=1)}),
    "no random state": ({"estimator": SVC(random_state=0)}, {"estimator": SVC()}),
    "the state of a RandomState": (
        {"estimator": SVC(random_state=np.random.RandomState(0))}, {"estimator": SVC(random_state=np.random.RandomState(1))},
    ),
    "the estimator within another": (
        {"estimator": make_pipeline(RandomForestClassifier(3))}, {"estimator": make_pipeline(RandomForestClassifier(4))},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), SETUPS.values(), ids=SETUPS)
def test_another_estimator_shares_no_fit(before, after):
    assert_share_nothing(before, after)


ONES = [1, 1.0, True, np.int64(1), np.int32(1), np.float64(1), np.float32(1), np.True_, "1", np.str_("1"), 1 + 0j]


@pytest.mark.parametrize("place", ["of the estimator", "that is searched", "in a list", "in a dict", "that is a dict's key"])
def test_a_param_of_another_type_shares_no_fit(place):
    def keys(one):
        if place == "that is searched":
            return keys_of(Held(), params={"of": one})
        return keys_of(Held({"in a list": [one], "in a dict": {"a": one}, "that is a dict's key": {one: 0}}.get(place, one)))

    found = [keys(one) for one in ONES]
    assert len(set.union(*found)) == len(ONES) * len(found[0])


AFTERWARDS = {
    "an attribute of a class of the user's": ({"estimator": Held()}, lambda m: m.setattr(Held, "rate", 1, raising=False)),
    "a class attribute of a param's class": ({"estimator": Held(Counter(1))}, lambda m: m.setattr(Counter, "rate", 1, raising=False)),
    "what __init__ derives from its surroundings": ({"estimator": Held()}, lambda m: m.setenv("HELD", "1")),
    "a private attribute": ({"estimator": Held()}, lambda m: m.setenv("HELD_PRIVATE", "1")),
    "a private attribute in slots": ({"estimator": Mangled()}, lambda m: m.setenv("HELD_IN_A_SLOT", "1")),
    "a method of an installed class": (
        {"estimator": steps(("s", StandardScaler()))}, lambda m: m.setattr(StandardScaler, "transform", own_transform),
    ),
    "a method of an installed class's base": (
        {"estimator": steps(("s", StandardScaler()))}, lambda m: m.setattr(TransformerMixin, "fit_transform", own_transform),
    ),
    "a method of an installed class that one's own inherits": (
        {"estimator": Held()}, lambda m: m.setattr(BaseEstimator, "get_one", get_one, raising=False),
    ),
    "a class method of an installed class": (
        {"estimator": SVC()}, lambda m: m.setattr(SVC, "get_one", classmethod(get_one), raising=False),
    ),
    "a lambda's closure in an installed class": (
        {"estimator": SVC()}, lambda m: m.setattr(SVC, "decision_function", scaled_by(1)),
    ),
    "a callable object in an installed class": (
        {"estimator": SVC()}, lambda m: m.setattr(SVC, "decision_function", Counter(1)),
    ),
    "a partial in an installed class": (
        {"estimator": SVC()}, lambda m: m.setattr(SVC, "decision_function", functools.partial(distance, 1)),
    ),
    "a flag of an installed class": ({"estimator": SVC()}, lambda m: m.setattr(SVC, "_impl", "nu_svc")),
    "scikit-learn's output": ({}, lambda m: sklearn.set_config(transform_output="pandas")),
    "scikit-learn's trust in finite numbers": ({}, lambda m: sklearn.set_config(assume_finite=True)),
    "scikit-learn's routing of metadata": ({}, lambda m: sklearn.set_config(enable_metadata_routing=True)),
    "scikit-learn's working memory": ({}, lambda m: sklearn.set_config(working_memory=1)),
    "scikit-learn's validation of params": ({}, lambda m: sklearn.set_config(skip_parameter_validation=True)),
    "scikit-learn's chunks of pairwise distances": ({}, lambda m: sklearn.set_config(pairwise_dist_chunk_size=128)),
    "scikit-learn's compiled pairwise distances": ({}, lambda m: sklearn.set_config(enable_cython_pairwise_dist=False)),
    "scikit-learn's sparse output": ({}, lambda m: sklearn.set_config(sparse_interface="sparray")),
    "NumPy's treatment of division by zero": ({}, lambda m: np.seterr(divide="raise")),
    "NumPy's treatment of overflow": ({}, lambda m: np.seterr(over="raise")),
    "scikit-learn's version": ({}, lambda m: newer(m, "scikit-learn")),
    "NumPy's version": ({}, lambda m: newer(m, "numpy")),
    "SciPy's version": ({}, lambda m: newer(m, "scipy")),
    "Python's version": ({}, lambda m: newer(m, "python")),
    "foldwise's version": ({}, lambda m: newer(m, "foldwise")),
    "the version of pandas, where it holds the data": ({"X": FRAME}, lambda m: newer(m, "pandas")),
    "the version of what a param belongs to": ({"estimator": Held(FRAME)}, lambda m: newer(m, "pandas")),
    "the version of what a searched value belongs to": (
        {"estimator": Held(), "params": {"of": FRAME}}, lambda m: newer(m, "pandas", everywhere=True),
    ),
}  # fmt: skip


def newer(monkeypatch, distribution, *, everywhere=False):
    known = versions.version_of
    for module in [versions, *([sys.modules["foldwise.keys.walk"]] if everywhere else [])]:
        monkeypatch.setattr(module, "version_of", lambda name: "99" if name == distribution else known(name))


@pytest.mark.parametrize(("setup", "change"), AFTERWARDS.values(), ids=AFTERWARDS)
def test_what_changes_between_two_plans_shares_no_fit(setup, change, monkeypatch):
    before = keys_of(**setup)
    assert before == keys_of(**setup)
    change(monkeypatch)
    assert not before & keys_of(**setup)


def test_a_requested_weight_shares_no_fit_with_one_that_is_not():
    sklearn.set_config(enable_metadata_routing=True)
    asking, not_asking = (SVC().set_fit_request(sample_weight=asks) for asks in (True, False))
    scoring = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    keys = [keys_of(one, fit={"sample_weight": WEIGHTS}, scoring=scoring) for one in (asking, not_asking)]
    assert not keys[0] & keys[1]
    assert not keys_of(asking) & keys_of(SVC())  # whether or not there are weights


@pytest.mark.parametrize("part", ["getter", "setter"])
def test_a_property_put_into_an_installed_class_is_read_whole(part, monkeypatch):
    keys = []
    for getter, setter in ((get_one, set_nothing), (get_two, set_nothing) if part == "getter" else (get_one, distance)):
        monkeypatch.setattr(SVC, "put_there", property(getter, setter), raising=False)
        keys.append(keys_of())
    assert not keys[0] & keys[1]


def test_another_method_put_into_an_installed_class_shares_no_fit(monkeypatch):
    keys = []
    for method in (own_transform, other_transform):
        monkeypatch.setattr(StandardScaler, "transform", method)
        keys.append(keys_of(steps(("s", StandardScaler()))))
    monkeypatch.undo()
    assert not keys[0] & keys[1]
    assert keys_of(steps(("s", StandardScaler()))) == keys_of(steps(("s", StandardScaler())))


def test_an_object_that_is_known_by_its_name_is_keyed_by_its_state(monkeypatch):
    before = keys_of(Held(NAMED))
    monkeypatch.setattr(NAMED, "by", 2)
    assert not before & keys_of(Held(NAMED))


# --- data, weights and folds ----------------------------------------------------------------------------------------------


class Tagged(np.ndarray):
    """Rows that know their unit."""

    unit = None

    def __array_finalize__(self, other):
        self.unit = getattr(other, "unit", None)


class UnitFrame(pd.DataFrame):
    """A frame that knows its unit."""

    _metadata = ["unit"]

    @property
    def _constructor(self):
        return UnitFrame


N = len(Y)
SPARSE = sp.csr_array(X)
TEXTS = np.array(["a", "b", "c"])[Y]


def tagged(unit):
    rows = X.view(Tagged)
    rows.unit = unit
    return rows


def unit_frame(unit):
    frame = UnitFrame(FRAME)
    frame.unit = unit
    return frame


def changed(values, at, value):
    values = values.copy()
    values[at] = value
    return values


def with_column(values, **options):
    return {"X": FRAME.assign(e=pd.Series(values, **options))}


def in_frame(**options):
    return {"X": pd.DataFrame(X, **{"columns": list("abcd"), **options})}


def classes(*categories, ordered=False):
    return with_column(pd.Categorical(["u", "v"] * (N // 2), categories=categories, ordered=ordered))


def attached(**attrs):
    frame = FRAME.copy()
    frame.attrs.update(attrs)
    return {"X": frame}


def unsorted(rows):
    rows = rows.copy()
    start, stop = rows.indptr[:2]
    rows.indices[start:stop], rows.data[start:stop] = rows.indices[start:stop][::-1].copy(), rows.data[start:stop][::-1].copy()
    return rows


def of_index_type(rows, dtype):
    rows = rows.copy()
    rows.indices, rows.indptr = rows.indices.astype(dtype), rows.indptr.astype(dtype)
    return rows


def with_a_zero(rows):
    rows = rows.copy()
    rows.data[0] = 0
    return rows


def weighted(values, name="sample_weight"):
    return {"fit": {name: values}}


FIELDS = np.zeros(N, [("event", "f8"), ("time", "f8")])

DATA = {
    "a value": ({"X": X}, {"X": changed(X, (20, 2), 9.0)}),
    "a value's last bit": ({"X": X}, {"X": changed(X, (20, 2), np.nextafter(X[20, 2], 9))}),
    "the sign of a zero": ({"X": changed(X, (20, 2), 0.0)}, {"X": changed(X, (20, 2), -0.0)}),
    "two rows, swapped": ({"X": X}, {"X": changed(X, [0, 1], X[[1, 0]])}),
    "the type of the numbers": ({"X": X}, {"X": X.astype(np.float32)}),
    "whole numbers or not": ({"X": X.round()}, {"X": X.round().astype(int)}),
    "the order of bytes": ({"X": X}, {"X": X.astype(">f8")}),
    "numbers or objects": ({"X": X}, {"X": X.astype(object)}),
    "C or Fortran order": ({"X": X}, {"X": np.asfortranarray(X)}),
    "the shape": ({"X": X}, {"X": X.reshape(N, 2, 2)}),
    "columns in another order": ({"X": X}, {"X": X[:, ::-1].copy()}),
    "a list or an array": ({"X": X.tolist()}, {"X": X}),
    "numbers of a list, by type": ({"X": [[1], [2]] * (N // 2)}, {"X": [[1.0], [2.0]] * (N // 2)}),
    "an array or a frame": ({"X": X}, {"X": FRAME}),
    "an array of a subclass": ({"X": X}, {"X": tagged(None)}),
    "an attribute of an array's subclass": ({"X": tagged("m")}, {"X": tagged("s")}),
    "what a mask hides": ({"X": X}, {"X": np.ma.masked_array(X, X > 7)}),
    "a name of a column": ({"X": FRAME}, {"X": FRAME.rename(columns={"a": "z"})}),
    "the type of a column's name": (in_frame(columns=list("1234")), in_frame(columns=[1, 2, 3, 4])),
    "the name of the columns": ({"X": FRAME}, {"X": FRAME.rename_axis("names", axis=1)}),
    "the order of columns": ({"X": FRAME}, {"X": FRAME[list("bacd")]}),
    "columns of several levels": ({"X": FRAME}, {"X": FRAME.set_axis(pd.MultiIndex.from_product([["a"], list("abcd")]), axis=1)}),
    "row labels": ({"X": FRAME}, {"X": FRAME.set_axis(range(1, N + 1))}),
    "row labels, by type": ({"X": FRAME}, {"X": FRAME.set_axis(pd.Index(np.arange(N)))}),
    "row labels, as numbers or text": ({"X": FRAME.set_axis(np.arange(N))}, {"X": FRAME.set_axis([str(at) for at in range(N)])}),
    "row labels of several levels": (
        {"X": FRAME}, {"X": FRAME.set_axis(pd.MultiIndex.from_arrays([np.zeros(N), np.arange(N)]))},
    ),
    "the name of the row labels": ({"X": FRAME}, {"X": FRAME.rename_axis("row")}),
    "the frequency of times in the row labels": (
        {"X": FRAME.set_axis(pd.date_range("2020", periods=N))},
        {"X": FRAME.set_axis(pd.DatetimeIndex(pd.date_range("2020", periods=N).to_numpy()))},
    ),
    "the order of categories": (classes("u", "v"), classes("v", "u")),
    "a category that does not occur": (classes("u", "v"), classes("u", "v", "w")),
    "ordered categories": (classes("u", "v"), classes("u", "v", ordered=True)),
    "categories or text": (classes("u", "v"), with_column(["u", "v"] * (N // 2))),
    "NaN or None": (with_column(["u", np.nan] * (N // 2), dtype=object), with_column(["u", None] * (N // 2), dtype=object)),
    "NaN or NA": (with_column(["u", np.nan] * (N // 2), dtype=object), with_column(["u", pd.NA] * (N // 2), dtype=object)),
    "text or objects": (with_column(["u", "v"] * (N // 2), dtype="str"), with_column(["u", "v"] * (N // 2), dtype=object)),
    "two kinds of text": (with_column(["u", "v"] * (N // 2), dtype="str"), with_column(["u", "v"] * (N // 2), dtype="string")),
    "numbers that can be missing": (with_column([1, 2] * (N // 2), dtype="int64"), with_column([1, 2] * (N // 2), dtype="Int64")),
    "a value that is missing": (with_column([1, 2] * (N // 2), dtype="Int64"), with_column([1, None] * (N // 2), dtype="Int64")),
    "a time zone": (
        with_column(pd.date_range("2020", periods=N, tz="UTC")), with_column(pd.date_range("2020", periods=N, tz="Etc/GMT")),
    ),
    "no time zone": (with_column(pd.date_range("2020", periods=N)), with_column(pd.date_range("2020", periods=N, tz="UTC"))),
    "the unit of times": (
        with_column(pd.date_range("2020", periods=N, unit="s")), with_column(pd.date_range("2020", periods=N, unit="ms")),
    ),
    "sparse columns": (with_column([0, 1] * (N // 2)), with_column(pd.arrays.SparseArray([0, 1] * (N // 2)))),
    "what is attached to a frame": (attached(unit="m"), attached(unit="s")),
    "a flag of a frame": ({"X": FRAME}, {"X": FRAME.set_flags(allows_duplicate_labels=False)}),
    "a frame of a subclass": ({"X": FRAME}, {"X": unit_frame(None)}),
    "an attribute of a frame's subclass": ({"X": unit_frame("m")}, {"X": unit_frame("s")}),
    "sparse or dense": ({"X": SPARSE}, {"X": X}),
    "a sparse array or matrix": ({"X": SPARSE}, {"X": sp.csr_matrix(X)}),
    "sparse rows that are not sorted": ({"X": SPARSE}, {"X": unsorted(SPARSE)}),
    "the type of sparse indices": ({"X": of_index_type(SPARSE, np.int32)}, {"X": of_index_type(SPARSE, np.int64)}),
    "a zero that is stored": ({"X": with_a_zero(SPARSE)}, {"X": sp.csr_array(changed(X, (0, 0), 0))}),
    "a target": ({"y": Y}, {"y": changed(Y, 0, 2)}),
    "the type of targets": ({"y": Y}, {"y": Y.astype(np.int32)}),
    "targets as whole numbers or not": ({"y": Y}, {"y": Y.astype(float)}),
    "the names of classes": ({"y": TEXTS}, {"y": np.char.upper(TEXTS)}),
    "names of classes as objects": ({"y": TEXTS}, {"y": TEXTS.astype(object)}),
    "targets as a list": ({"y": Y}, {"y": Y.tolist()}),
    "targets as a series": ({"y": Y}, {"y": pd.Series(Y)}),
    "the name of the targets": ({"y": pd.Series(Y)}, {"y": pd.Series(Y, name="kind")}),
    "the labels of the targets": ({"y": pd.Series(Y)}, {"y": pd.Series(Y, index=range(1, N + 1))}),
    "targets as a column": ({"y": Y, "estimator": Held()}, {"y": Y.reshape(-1, 1), "estimator": Held()}),
    "no targets": ({"estimator": PCA()}, {"estimator": PCA(), "y": None}),
    "weights or none": ({}, weighted(WEIGHTS)),
    "a weight": (weighted(WEIGHTS), weighted(changed(WEIGHTS, 3, 5.0))),
    "the type of weights": (weighted(WEIGHTS), weighted(WEIGHTS.astype(np.float32))),
    "weights as a series": (weighted(WEIGHTS), weighted(pd.Series(WEIGHTS))),
    "another fit param": (weighted(1, "depth"), weighted(2, "depth")),
    "another fit param's type": (weighted(1, "depth"), weighted(True, "depth")),
    "another fit param's name": (weighted(1, "depth"), weighted(1, "width")),
    "a fit param by row": (weighted(WEIGHTS, "times"), weighted(WEIGHTS[::-1].copy(), "times")),
    "the order of fields": (weighted(FIELDS, "times"), weighted(FIELDS[["time", "event"]].astype([("time", "f8"), ("event", "f8")]), "times")),
    "the job's seed": ({"random_state": 0}, {"random_state": 1}),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), DATA.values(), ids=DATA)
def test_other_data_shares_no_fit(before, after):
    assert_share_nothing(before, after)


def splits(order=lambda rows: rows):
    return [(order(train), held_out) for train, held_out in StratifiedKFold(3).split(X, Y)]


FOLDS = {
    "another number of folds": ({"outer_cv": 3}, {"outer_cv": 4}),
    "the seed of the folds": (
        {"outer_cv": KFold(3, shuffle=True, random_state=0)}, {"outer_cv": KFold(3, shuffle=True, random_state=1)},
    ),
    "train rows in another order": ({"outer_cv": splits()}, {"outer_cv": splits(lambda rows: rows[::-1])}),
    "one train row less": ({"outer_cv": splits()}, {"outer_cv": splits(lambda rows: rows[1:])}),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), FOLDS.values(), ids=FOLDS)
def test_other_train_rows_share_no_fit_but_those_of_all_rows(before, after):
    plan = plan_of(inner_cv=3)
    of_all = {plan.fit({}, train).key for train in (plan.whole, *(fold.train for fold in plan.studies[-1].folds))}
    assert keys_of(inner_cv=3, **before) & keys_of(inner_cv=3, **after) == of_all


# --- scores and problems ----------------------------------------------------------------------------------------------------


def truth(y, found):
    return float(np.mean(y == found)) * WEIGHT_OF_TRUTH


WEIGHT_OF_TRUTH = 1


def scorer_with(by):
    return lambda estimator, X, y: estimator.score(X, y) * by


def requesting(scorer):
    with sklearn.config_context(enable_metadata_routing=True):
        return scorer.set_score_request(sample_weight=True)


def scoring(one, other):
    return {"scoring": one}, {"scoring": other}


SCORERS = {
    "another metric": scoring("accuracy", "f1_macro"),
    "several metrics": scoring("accuracy", ["accuracy"]),
    "one metric more": scoring(["accuracy"], ["accuracy", "f1_macro"]),
    "the name of a metric": scoring({"a": "accuracy"}, {"b": "accuracy"}),
    "a scorer's keyword": scoring(make_scorer(f1_score, average="macro"), make_scorer(f1_score, average="micro")),
    "a scorer's sign": scoring(make_scorer(accuracy_score), make_scorer(accuracy_score, greater_is_better=False)),
    "what a scorer looks at": scoring(make_scorer(truth), make_scorer(truth, response_method="predict_proba")),
    "what a scorer requests": scoring(make_scorer(truth), requesting(make_scorer(truth))),
    "a scorer's function": scoring(make_scorer(accuracy_score), make_scorer(truth)),
    "a closure of a scorer of one's own": scoring(scorer_with(1), scorer_with(2)),
    "a lambda": scoring(lambda e, X, y: 1.0, lambda e, X, y: 2.0),
    "a callable object's state": scoring(Counter(1), Counter(2)),
    "a partial's keyword": scoring(functools.partial(scorer_with(1), by=1), functools.partial(scorer_with(1), by=2)),
}


@pytest.fixture
def routing():
    sklearn.set_config(enable_metadata_routing=True)


@pytest.mark.parametrize(("before", "after"), SCORERS.values(), ids=SCORERS)
def test_another_scorer_finds_no_scores_of_the_same_fits(before, after, routing):
    assert scorer_of(plan_of(**before)) == scorer_of(plan_of(**before))
    assert scorer_of(plan_of(**before)) != scorer_of(plan_of(**after))
    assert keys_of(**before) == keys_of(**after)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.setattr(sys.modules[__name__], "WEIGHT_OF_TRUTH", 2),
        lambda m: m.setattr(truth, "__code__", other_distance.__code__),
        lambda m: m.setattr(sklearn, "__version__", "99"),
    ],
    ids=["a global", "a body", "a version"],
)
def test_a_scorer_that_is_changed_finds_no_scores(change, monkeypatch):
    before = scorer_of(plan_of(scoring=make_scorer(truth)))
    assert before == scorer_of(plan_of(scoring=make_scorer(truth)))
    change(monkeypatch)
    assert before != scorer_of(plan_of(scoring=make_scorer(truth)))


def test_what_a_scorer_is_handed_names_the_scores(routing):
    def held_out(weights):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        plan = plan_of(SVC().set_fit_request(sample_weight=False), scoring=scorer, fit={"sample_weight": weights})
        return {key for fold in plan.studies[-1].folds for key in (fold.held_out, fold.seen)}, set(plan.held_out)

    scored, trained = held_out(WEIGHTS)
    for other in (changed(WEIGHTS, 3, 5.0), WEIGHTS.astype(np.float32), pd.Series(WEIGHTS)):
        assert held_out(WEIGHTS) == (scored, trained)
        assert not scored & held_out(other)[0]
        assert trained == held_out(other)[1]


def first_best(by):
    return lambda results: int(np.argmax(results["mean_test_score"])) * by


SPACE = {"C": fw.Float(1, 2)}
RANDOM = {"space": SPACE, "search": "random", "n_trials": 3}
OPTUNA = {"space": SPACE, "search": "optuna", "n_trials": 3}


def tpe(**options):
    return {**OPTUNA, "search": fw.OptunaSearch("tpe", options)}


PROBLEMS = {
    "the data": ({}, {"X": changed(X, (0, 0), 1.0)}),
    "the estimator": ({}, {"estimator": SVC(C=2)}),
    "the search": (RANDOM, OPTUNA),
    "a search's options": (tpe(n_startup_trials=1), tpe(n_startup_trials=2)),
    "a sampler's name": (OPTUNA, {**OPTUNA, "search": fw.OptunaSearch("random")}),
    "the trials": (RANDOM, {**RANDOM, "n_trials": 4}),
    "the batch": ({**OPTUNA, "batch": 1}, {**OPTUNA, "batch": 2}),
    "a bound of the space": (RANDOM, {**RANDOM, "space": {"C": fw.Float(1, 3)}}),
    "the type of a bound": ({"space": {"C": [1, 2]}}, {"space": {"C": [1.0, 2]}}),
    "the scale of the space": (RANDOM, {**RANDOM, "space": {"C": fw.Float(1, 2, log=True)}}),
    "the order of choices": ({"space": {"C": [1, 2]}}, {"space": {"C": [2, 1]}}),
    "an estimator that is a choice": (
        {"estimator": Held(), "space": {"of": [SVC(C=1), None]}}, {"estimator": Held(), "space": {"of": [SVC(C=2), None]}},
    ),
    "a splitter's seed": (
        {"outer_cv": KFold(3, shuffle=True, random_state=0)}, {"outer_cv": KFold(3, shuffle=True, random_state=1)},
    ),
    "an inner splitter's seed": (
        {"inner_cv": KFold(3, shuffle=True, random_state=0)}, {"inner_cv": KFold(3, shuffle=True, random_state=1)},
    ),
    "the inner folds": ({"inner_cv": "shared"}, {"inner_cv": 3}),
    "the scorer": scoring("accuracy", "f1_macro"),
    "the metric that chooses": (
        {"scoring": ["accuracy", "f1_macro"], "refit": "accuracy"}, {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"},
    ),
    "the function that chooses": ({"refit": first_best(1)}, {"refit": first_best(0)}),
    "no final model": ({"refit": True}, {"refit": False}),
    "the seed": ({"random_state": 0}, {"random_state": 1}),
    "scores of train rows": ({"return_train_score": False}, {"return_train_score": True}),
    "the score of a failed fit": ({"error_score": np.nan}, {"error_score": 0.0}),
    "a failed fit that is raised": ({"error_score": np.nan}, {"error_score": "raise"}),
    "weights of the scores": (weighted(WEIGHTS), weighted(changed(WEIGHTS, 3, 5.0))),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), PROBLEMS.values(), ids=PROBLEMS)
def test_another_problem_has_another_key(before, after):
    assert plan_of(**before).problem.key == plan_of(**before).problem.key
    assert plan_of(**before).problem.key != plan_of(**after).problem.key


@pytest.mark.parametrize("name", ["optuna", "scikit-learn", "numpy", "python"])
def test_another_version_makes_another_problem(name, monkeypatch):
    before = plan_of(**OPTUNA).problem.key
    newer(monkeypatch, name)
    assert plan_of(**OPTUNA).problem.key != before


# --- what is shared -----------------------------------------------------------------------------------------------------------


class Rate(TransformerMixin, BaseEstimator):
    """Multiplies by what its class says."""

    rate = 1

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X * self.rate + np.sin(X * self.rate)


def rate_of(rate):
    class Made(Rate):
        pass

    Made.rate = rate
    return Made()


def bent(X, by=1):
    return X * by + np.sin(X * by)


def bent_by(by):
    return lambda X: X * by + np.sin(X * by)


class Bent:
    def __init__(self, by):
        self.by = by

    def __call__(self, X):
        return bent(X, self.by)

    def apply(self, X):
        return bent(X, self.by)


def halves(*which):
    return ColumnTransformer([("a", MinMaxScaler(), list(which))])


SHARED = {
    "a param": (StandardScaler(), StandardScaler(with_std=False)),
    "a class": (StandardScaler(), MinMaxScaler()),
    "a closure's value": (FunctionTransformer(bent_by(1)), FunctionTransformer(bent_by(9))),
    "a keyword": (FunctionTransformer(bent, kw_args={"by": 1}), FunctionTransformer(bent, kw_args={"by": 9})),
    "a partial's keyword": (
        FunctionTransformer(functools.partial(bent, by=1)), FunctionTransformer(functools.partial(bent, by=9)),
    ),
    "a callable object's state": (FunctionTransformer(Bent(1)), FunctionTransformer(Bent(9))),
    "the object of a bound method": (FunctionTransformer(Bent(1).apply), FunctionTransformer(Bent(9).apply)),
    "a lambda's body": (FunctionTransformer(lambda X: bent(X)), FunctionTransformer(lambda X: bent(X, 9))),
    "a class made by a factory": (rate_of(1), rate_of(9)),
    "columns": (halves(0, 1), halves(2, 3)),
    "a random state": (GaussianRandomProjection(1, random_state=0), GaussianRandomProjection(1, random_state=1)),
    "a param's type": (FunctionTransformer(bent, kw_args={"by": 2}), FunctionTransformer(bent, kw_args={"by": np.float32(2)})),
    "an inner step": (make_pipeline(FunctionTransformer(bent_by(1))), make_pipeline(FunctionTransformer(bent_by(9)))),
    "an object that is not copied and hides its state": (FunctionTransformer(Whole(1)), FunctionTransformer(Whole(9))),
}  # fmt: skip


def run_in_one_chunk(choices, *, share=True):
    """Run fits on the same train rows in one chunk; returns their scores, and how many outputs were made and found."""
    estimator = Pipeline([("step", "passthrough"), ("model", KNeighborsClassifier())])
    plan = plan_of(estimator, space={"step": list(choices), "model__n_neighbors": [1, 3]})
    context = FitContext.of(plan)
    context.share = share
    params = [{"step": step, "model__n_neighbors": n} for step in choices for n in (1, 3)]
    results = context.run([plan.fit(one, plan.studies[-1].folds[0].train) for one in params])
    assert [result.error for result in results] == [None] * 4
    memory = context._cache._memory
    return [result.scores for result in results], memory.n_made, memory.n_found


@pytest.mark.parametrize("choices", SHARED.values(), ids=SHARED)
def test_steps_that_differ_are_not_shared(choices):
    one, _ = choices
    plain, *_ = run_in_one_chunk(choices, share=False)
    shared, n_made, _ = run_in_one_chunk(choices)
    _, n_made_of_one, n_found_of_one = run_in_one_chunk((one, one))
    assert shared == plain
    assert n_made == 2 * n_made_of_one
    assert n_found_of_one > 0


def test_steps_that_are_equal_are_shared():
    choices = FunctionTransformer(bent_by(3)), FunctionTransformer(bent_by(3))
    scores, n_made, n_found = run_in_one_chunk(choices)
    assert (n_made, n_found) == (2, 6)  # fitted to train rows and applied to held-out ones, once
    assert scores == run_in_one_chunk(choices, share=False)[0]


# --- what is no part of a fit ---------------------------------------------------------------------------------------------------

WEIGHED = {0: 1.0, 1: 2.0, 2: 3.0}

SAME = {
    "the order of params": ({"params": {"C": 2.0, "tol": 1.0}}, {"params": {"tol": 1.0, "C": 2.0}}),
    "the order of a dict": (
        {"estimator": SVC(class_weight=WEIGHED)}, {"estimator": SVC(class_weight=dict(reversed(WEIGHED.items())))},
    ),
    "the order of a dict that is searched": (
        {"params": {"class_weight": WEIGHED}}, {"params": {"class_weight": dict(reversed(WEIGHED.items()))}},
    ),
    "defaults, written out": ({"estimator": SVC()}, {"estimator": SVC(C=1.0, kernel="rbf")}),
    "equal functions": ({"estimator": Held(scaled_by(1))}, {"estimator": Held(scaled_by(1))}),
    "equal estimators as values": ({"params": {"C": 1.0}}, {"params": {"C": 1.0}}),
    "a copy of the data": ({"X": X, "y": Y}, {"X": X.copy(), "y": Y.copy()}),
    "a copy of a frame": ({"X": FRAME}, {"X": FRAME.copy()}),
    "a frame made otherwise": ({"X": FRAME}, {"X": pd.DataFrame({name: X[:, at].copy() for at, name in enumerate("abcd")})}),
    "a copy of what was sliced": ({"X": np.repeat(X, 2, axis=0)[::2]}, {"X": X}),
    "a copy of columns that were sliced": ({"X": np.hstack([X, X])[:, :4]}, {"X": X}),
    "a view of the data": ({"X": X}, {"X": np.concatenate([X, X])[:N]}),
    "rows that are read-only": ({"X": X}, {"X": np.lib.stride_tricks.as_strided(X, writeable=False)}),
    "a copy of sparse data": ({"X": SPARSE}, {"X": SPARSE.copy()}),
    "an estimator that was fitted": ({"estimator": SVC()}, {"estimator": SVC().fit(X, Y)}),
    "an estimator of one's own that was fitted": ({"estimator": Held()}, {"estimator": Held().fit(X, Y)}),
    "the executor": ({"executor": "serial"}, {"executor": "ray"}),
    "resources": ({}, {"resources": {"cpu": 2, "memory": "2GiB"}}),
    "verbosity": ({}, {"verbose": 2}),
    "fits at once": ({}, {"n_jobs": 2}),
    "limits": ({}, {"limits": {"fit_seconds": 60, "wait_seconds": 60}}),
    "tracking": ({}, {"tracking": "sqlite:///elsewhere.db", "experiment": "another"}),
    "a ledger": ({}, {"ledger": "elsewhere.db"}),
}  # fmt: skip

SAME_FITS = {
    "the metric": scoring("accuracy", "f1_macro"),
    "a metric of one's own": scoring(None, scorer_with(2)),
    "scores of train rows": ({}, {"return_train_score": True}),
    "the score of a failed fit": ({}, {"error_score": 0.0}),
    "no final model": ({}, {"refit": False}),
    "the search": (RANDOM, OPTUNA),
    "the space": (RANDOM, {**RANDOM, "space": {"C": fw.Float(1, 3)}}),
    "the trials": (RANDOM, {**RANDOM, "n_trials": 4}),
}


@pytest.mark.parametrize(("one", "other"), (SAME | SAME_FITS).values(), ids=SAME | SAME_FITS)
def test_what_is_no_part_of_a_fit_leaves_its_key(one, other):
    assert keys_of(**one) == keys_of(**other)


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_is_no_part_of_a_problem_leaves_its_key_and_that_of_its_scores(one, other):
    one, other = ({name: value for name, value in setup.items() if name != "params"} for setup in (one, other))
    assert scorer_of(plan_of(**one)) == scorer_of(plan_of(**other))
    assert plan_of(**one).problem.key == plan_of(**other).problem.key


@pytest.mark.parametrize(
    "change",
    [
        lambda m: sklearn.set_config(display="text", print_changed_only=False),
        lambda m: m.setattr(Rate, "rate", 7),
        lambda m: m.setattr(sys.modules[__name__], "UNRELATED", 1, raising=False),
        lambda m: np.random.rand(),
        lambda m: m.setenv("UNRELATED", "1"),
        lambda m: pd.set_option("display.width", 99),
        lambda m: m.chdir("/"),
        lambda m: m.setattr(sys, "path", [*sys.path, "/elsewhere"]),
        lambda m: importlib.import_module("wave"),
    ],
    ids=["display", "another class", "another global", "a draw", "environment", "pandas' display", "a folder", "a path", "an import"],
)  # fmt: skip
def test_what_happens_elsewhere_leaves_the_keys(change, monkeypatch):
    setups = {"estimator": Held(scaled_by(2))}, {"X": FRAME}
    before = [keys_of(**setup) for setup in setups], plan_of().problem.key, scorer_of(plan_of())
    change(monkeypatch)
    assert ([keys_of(**setup) for setup in setups], plan_of().problem.key, scorer_of(plan_of())) == before


def test_a_round_trip_by_cloudpickle_leaves_the_keys(own):
    module = own()
    for estimator in (module.Mine(), Held(scaled_by(3)), Held(Counter(2).apply), Held(class_of(1)), Held(module.chain)):
        sent = cloudpickle.loads(cloudpickle.dumps(estimator))
        assert keys_of(sent) == keys_of(estimator)


# --- other processes -----------------------------------------------------------------------------------------------------------

ELSEWHERE = """
import collections.abc
import dataclasses
import enum
import functools
import logging
import re
import threading
from collections import defaultdict, deque, namedtuple
from contextlib import contextmanager

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

LOG = logging.getLogger(__name__)
LOCK, RLOCK, EVENTS = threading.Lock(), threading.RLock(), deque([1])
WORDS, FROZEN = {"p", "q", "r", "s"}, frozenset({"t", "u", "v"})
PATTERN = re.compile("[a-z]+", re.IGNORECASE)
COUNTS = defaultdict(list)
Either = int | str
Point = namedtuple("Point", "x y")
HERE = Point(1, 2)


class Kind(enum.Enum):
    A, B = 1, 2


class Flags(enum.Flag):
    A, B = 1, 2


@dataclasses.dataclass(frozen=True)
class Options:
    depth: int = 1
    names: tuple = ("a", "b")
    kinds: frozenset = frozenset({"x", "y"})
    more: list = dataclasses.field(default_factory=list)


def of_sets(x):
    return x in {"a", "b", "c", "d"} or x in WORDS or x in FROZEN


def logs(x):
    LOG.debug("%s", x)
    with LOCK, RLOCK:
        return EVENTS


def of_text(x):
    return PATTERN.match(x)


def of_types(x):
    return isinstance(x, Either), COUNTS[x], HERE


def of_kinds(x):
    return Kind(x), Flags.A | Flags.B, Options()


@functools.lru_cache(maxsize=None)
def cached(x):
    return x + 1


@functools.singledispatch
def dispatched(x):
    return x


@dispatched.register
def _(x: int):
    return x + 1


@functools.singledispatch
def of_abstract(x):
    return x


@of_abstract.register
def _(x: collections.abc.Sequence):
    return len(x)


@contextmanager
def managed():
    yield 1


class Mine(ClassifierMixin, BaseEstimator):
    kinds, words = Kind, WORDS

    def __init__(self, of=None, by=of_sets):
        self.of, self.by = of, by

    @functools.cached_property
    def lazy(self):
        return 1

    @functools.singledispatchmethod
    def picked(self, x):
        return x

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self
"""

TELL = """
import sys
if "first" in sys.argv:
    import asyncio, decimal, fractions, wave  # some of which register classes as of abstract kinds
import functools
import elsewhere
import foldwise as fw
import numpy as np, pandas as pd, scipy.sparse, scipy.stats
from foldwise.errors import InputTypeError
from foldwise.keys import derive_seed, digest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import check_scoring
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

frame = pd.DataFrame({"a": [1, 2, None], "b": ["x", None, "y"], "c": pd.Categorical(["u", "v", "u"]),
                      "d": pd.to_datetime(["2020-01-01"] * 3), "e": pd.array([1, None, 3], dtype="Int64")})
pipe = make_pipeline(StandardScaler(), FunctionTransformer(np.log1p), SVC(random_state=np.random.RandomState(3)))
values = {"dict": {"b": 1, "a": {"z", "y", "x"}, 3: None, (1, "k"): True}, "frame": frame, "pipe": pipe,
          "sparse": scipy.sparse.random(9, 4, 0.5, random_state=0), "distribution": scipy.stats.loguniform(1e-3, 1),
          "scorers": check_scoring(SVC(), ["accuracy", "f1_macro"]), "forest": RandomForestClassifier(),
          "lambda": lambda x: x in {"p", "q", "r", "s"}, "partial": functools.partial(max, key=len)}
for name in __NAMES__:
    try:
        print(name, digest(values[name] if name in values else getattr(elsewhere, name)), sep=": ")
    except InputTypeError as error:
        print(name, "unread", error, sep=": ")
print("seed", derive_seed(7, "outer"), sep=": ")
X, Y = load_iris(return_X_y=True)
for name, of in {"plain": None, "set": {"a", "b"}, "kind": elsewhere.Kind.A}.items():
    search = fw.NestedSearchCV(elsewhere.Mine(of), {"of": [None]}, search="grid", outer_cv=3, random_state=0)
    plan = search.plan(X, Y)
    print(f"fit {name}:", *sorted(plan.fit({}, train).key for train in plan.held_out), *(["unread"] * len(plan.unread)))
    print(f"problem {name}:", plan.problem.key)
"""
NAMES = [
    "dict", "frame", "pipe", "sparse", "distribution", "scorers", "forest", "lambda", "partial", "of_sets", "logs", "of_text",
    "of_types", "of_kinds", "cached", "dispatched", "of_abstract", "managed", "Kind", "Flags", "Options", "Point", "Mine",
    "WORDS", "HERE",
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return the keys that two processes with other hash seeds give, one of which has imported more before; by name."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "elsewhere.py").write_text(ELSEWHERE)
    (folder / "tell.py").write_text(TELL.replace("__NAMES__", repr(NAMES)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    processes = [
        subprocess.Popen(
            [sys.executable, str(folder / "tell.py"), which],
            env={**environment, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, which in (("1", "first"), ("2", "second"))
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [dict(line.split(": ", 1) for line in one.splitlines()) for one in said]


@pytest.mark.parametrize(
    "name", [*NAMES, "seed", *(f"{what} {of}" for what in ("fit", "problem") for of in ("plain", "set", "kind"))]
)
def test_another_process_gives_the_same_key(told, name):
    first, second = told
    assert "unread" not in first[name]
    assert first[name] == second[name]
