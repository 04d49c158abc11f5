"""Keys and scores are those of the code that is loaded, whatever its file says; what cannot be read is shared with nothing."""

import importlib
import json
import os
import subprocess
import sys
import types
import uuid

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import foldwise as fw
from foldwise.ledger.base import scorer_of

Y = np.repeat([0, 1], [12, 24])
X = np.arange(len(Y), dtype=float).reshape(-1, 1)
ONE, ZERO = [2 / 3] * 3, [1 / 3] * 3
"""Scores of those who say that all is 1, or 0."""

MODEL = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

ANSWER = 1


class Constant(ClassifierMixin, BaseEstimator):
    def __init__(self, tries=1):
        self.tries = tries

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), ANSWER)
"""
EDITED = MODEL.replace("ANSWER = 1", "ANSWER = 0")
BY_A_TOOL = MODEL.replace("ANSWER = 1", "import {tools}").replace("ANSWER)", "{tools}.answer())")
BY_A_NAME = MODEL.replace("ANSWER = 1", "from {tools} import answer").replace("ANSWER)", "answer())")
TOOLS = "def answer():\n    return 1\n"
N_FITS = 6 + 1
"""On all pairs and singles of three folds, and the final model, which no ledger keeps."""


def run(estimator, ledger=None, space=None, **options):
    """Search; returns the outer scores and how many fits were run."""
    options = {"search": "grid", "outer_cv": 3, "executor": "serial", "random_state": 0, **options}
    search = fw.NestedSearchCV(estimator, space or {"tries": [1]}, ledger=ledger, **options).fit(X, Y)
    return search.outer_scores_["score"].tolist(), search.n_fits_


def keys_of(estimator, space=None, **options):
    options = {"search": "grid", "outer_cv": 3, "random_state": 0, **options}
    plan = fw.NestedSearchCV(estimator, space or {"tries": [1]}, **options).plan(X, Y)
    return sorted(plan.fit({}, train).key for train in plan.held_out)


@pytest.fixture
def ledger(tmp_path):
    return str(tmp_path / "ledger.db")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that modules are imported from, each under a name of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # files that are written within a second look alike to the cache
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def name():
    return f"as_loaded_{uuid.uuid4().hex[:8]}"


def write(folder, module, text):
    (folder / f"{module}.py").write_text(text)
    importlib.invalidate_caches()


def load(folder, module, text):
    write(folder, module, text)
    return importlib.import_module(module)


ELSEWHERE = """
import json, sys
import numpy as np
import foldwise as fw
import {module}

def search(ledger=None):
    return fw.NestedSearchCV({module}.Constant(), {{"tries": [1]}}, search="grid", outer_cv=3, executor="serial",
                             ledger=ledger, random_state=0)

y = np.repeat([0, 1], [12, 24])
X = np.arange(len(y), dtype=float).reshape(-1, 1)
ran, plan = search(sys.argv[1]).fit(X, y), search().plan(X, y)
print(json.dumps([ran.outer_scores_["score"].tolist(), ran.n_fits_, sorted(plan.fit({{}}, train).key for train in plan.held_out)]))
"""


def elsewhere(folders, module, ledger):
    """Search in processes of their own, as `run` does; yields scores, how many fits were run, and keys."""
    processes = []
    for folder in folders:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
        command = [sys.executable, "-c", ELSEWHERE.format(module=module), ledger]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [json.loads(one.splitlines()[-1]) for one in said]


# --- edited and loaded anew -----------------------------------------------------------------------------------------------


def test_a_module_that_was_edited_and_reloaded_gives_the_scores_of_its_new_code(folder, ledger):
    module = load(folder, name(), MODEL)
    assert run(module.Constant(), ledger) == (ONE, N_FITS)
    assert run(module.Constant(), ledger) == (ONE, 1)
    write(folder, module.__name__, EDITED)
    module = importlib.reload(module)
    assert run(module.Constant(), ledger) == (ZERO, N_FITS)
    assert run(module.Constant(), ledger) == (ZERO, 1)
    write(folder, module.__name__, MODEL)
    module = importlib.reload(module)
    assert run(module.Constant(), ledger) == (ONE, 1)  # as it was first


def test_an_estimator_of_the_class_before_the_reload_shows_what_its_globals_say_now(folder, ledger):
    module = load(folder, name(), MODEL)
    before = module.Constant()
    assert run(before, ledger) == (ONE, N_FITS)
    write(folder, module.__name__, EDITED)
    importlib.reload(module)
    assert run(before, ledger) == (ZERO, N_FITS)  # its method reads the module that was loaded into


@pytest.mark.parametrize(
    ("text", "scores", "n_fits"),
    [(BY_A_TOOL, ZERO, N_FITS), (BY_A_NAME, ONE, 1)],
    ids=["read of the module", "imported by name, which keeps the old one"],
)
def test_a_tool_that_was_edited_and_reloaded_counts_where_it_is_used(folder, ledger, text, scores, n_fits):
    tools = load(folder, name(), TOOLS)
    module = load(folder, name(), text.format(tools=tools.__name__))
    assert run(module.Constant(), ledger) == (ONE, N_FITS)
    write(folder, tools.__name__, TOOLS.replace("return 1", "return 0"))
    importlib.reload(tools)
    assert run(module.Constant(), ledger) == (scores, n_fits)


def test_a_reload_of_the_same_code_finds_its_fits(folder, ledger):
    module = load(folder, name(), MODEL)
    assert run(module.Constant(), ledger) == (ONE, N_FITS)
    write(folder, module.__name__, MODEL.replace("ANSWER = 1", "# said in passing\n\nANSWER = 1  # all of them"))
    module = importlib.reload(module)
    assert run(module.Constant(), ledger) == (ONE, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "ANSWER", 0),
        lambda m: setattr(m.Constant, "predict", lambda self, X: np.zeros(len(X), dtype=int)),
        lambda m: setattr(m.Constant, "score", lambda self, X, y: 1 / 3),
    ],
    ids=["a global", "predict", "score"],
)
def test_what_is_set_between_two_searches_counts(folder, ledger, change):
    module = load(folder, name(), MODEL)
    assert run(module.Constant(), ledger) == (ONE, N_FITS)
    change(module)
    assert run(module.Constant(), ledger) == (ZERO, N_FITS)


def test_a_cell_that_runs_again_gives_the_scores_of_its_new_code(ledger):
    cell = types.ModuleType("__main__")
    for text, scores in ((MODEL, ONE), (EDITED, ZERO)):
        exec(text, vars(cell))
        assert run(cell.Constant(), ledger) == (scores, N_FITS)
        assert run(cell.Constant(), ledger) == (scores, 1)


# --- edited and not loaded ------------------------------------------------------------------------------------------------


def test_a_file_that_is_edited_before_the_first_plan_changes_nothing_that_is_loaded(folder, ledger):
    module = load(folder, name(), MODEL)
    write(folder, module.__name__, EDITED)
    assert run(module.Constant(), ledger) == (ONE, N_FITS)
    here = keys_of(module.Constant())

    (folder / "unedited").mkdir()
    write(folder / "unedited", module.__name__, MODEL)
    edited, unedited = elsewhere([folder, folder / "unedited"], module.__name__, ledger)
    assert edited[:2] == [ZERO, N_FITS]
    assert not set(edited[2]) & set(here)
    assert unedited == [ONE, 1, here]  # it loads what is loaded here


@pytest.mark.parametrize("what", ["edited", "broken", "gone"])
def test_keys_are_those_of_the_loaded_code_whatever_became_of_its_file(folder, what):
    module = load(folder, name(), MODEL)
    before = keys_of(module.Constant())
    if what == "gone":
        (folder / f"{module.__name__}.py").unlink()
    else:
        write(folder, module.__name__, EDITED if what == "edited" else "this is no Python")
    assert keys_of(module.Constant()) == before


# --- what cannot be read --------------------------------------------------------------------------------------------------


class Stream:
    """Holds a generator, and is the same one in each copy; scales."""

    def __init__(self, by=1.0):
        self.by, self.rows = by, (row for row in range(3))

    def __deepcopy__(self, memo):
        return self

    def __call__(self, X):
        return X * self.by


class Log:
    """Holds an open file, and is the same one in each copy."""

    def __init__(self, path):
        self.file = path.open("w")

    def __deepcopy__(self, memo):
        return self

    def __call__(self, X):
        return X


class Reading(KNeighborsClassifier):
    """Holds whatever it is given."""

    def __init__(self, source=None, n_neighbors=5):
        super().__init__(n_neighbors=n_neighbors)
        self.source = source


class Drawn(ClassifierMixin, BaseEstimator):
    """Draws when it is made, so that no two clones are alike."""

    def __init__(self, tries=1):
        self.tries = tries
        self.draw = uuid.uuid4().hex

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.ones(len(X), dtype=int)


@pytest.fixture(params=["a generator", "an open file"])
def source(request, tmp_path):
    if request.param == "a generator":
        yield Stream()
        return
    log = Log(tmp_path / "log")
    yield log
    log.file.close()


K = {"n_neighbors": [1, 5]}


def plan_of(estimator, space, X=X, **options):
    options = {"search": "grid", "outer_cv": 3, "random_state": 0, **options}
    return fw.NestedSearchCV(estimator, space, **options).plan(X, Y)


def test_an_estimator_that_cannot_be_read_shares_nothing_and_the_plan_says_so(source, ledger):
    plan = plan_of(Reading(source), K)
    assert list(plan.unread) == ["the estimator"]
    assert "not shared the estimator cannot be read by content" in plan.explain()
    assert plan.n_fits == plan.n_fits_plain > plan_of(Reading(), K).n_fits
    train = plan.studies[-1].folds[0].train
    assert plan.fit({}, train).key != plan.fit({}, train).key
    assert plan.problem.key != plan_of(Reading(source), K).problem.key
    right, _ = run(Reading(), None, K)
    for _ in range(2):  # whose fits no ledger finds again
        assert run(Reading(source), ledger, K) == (right, plan.n_fits)


def test_a_value_that_cannot_be_read_shares_nothing_and_leaves_other_values_alone(source, ledger):
    space = {"source": [source, None], **K}
    plan = plan_of(Reading(), space)
    assert list(plan.unread) == ["a value of source"]
    assert "not shared a value of source cannot be read by content" in plan.explain()
    train = plan.studies[-1].folds[0].train
    for params, is_read in (({"source": source}, False), ({"source": None}, True), ({}, True)):
        assert (plan.fit(params, train).key == plan.fit(params, train).key) is is_read
    right, _ = run(Reading(), None, K)
    scores, n_fits = run(Reading(), ledger, space)
    assert scores == right
    scores, n_fits_again = run(Reading(), ledger, space)
    assert scores == right
    assert n_fits_again < n_fits  # those of the other value are found
    assert run(Reading(), ledger, {"source": [None], **K}) == (right, 1)


def test_a_step_that_cannot_be_read_is_shared_with_none(ledger):
    estimator = make_pipeline(FunctionTransformer(), KNeighborsClassifier(1))
    path, plain = "functiontransformer__func", [lambda X: X * 0.0, lambda X: X * 1.0]
    right, _ = run(estimator, None, {path: plain})
    for streams in ([Stream(0.0), Stream(1.0)], [Stream(0.0), plain[1]], [plain[0], Stream(1.0)]):
        assert run(estimator, ledger, {path: streams})[0] == right


def test_an_estimator_that_draws_when_it_is_made_shares_nothing(ledger):
    plan = plan_of(Drawn(), {"tries": [1]})
    assert "no two clones of it are alike" in plan.unread["the estimator"]
    assert "no two clones of it are alike" in plan.explain()
    for _ in range(2):
        assert run(Drawn(), ledger) == (ONE, plan.n_fits_plain)


def test_a_value_that_draws_when_it_is_copied_shares_nothing():
    plan = plan_of(Reading(), {"source": [Drawn(), None]})
    assert "no two copies of it are alike" in plan.unread["a value of source"]


def test_data_that_cannot_be_read_shares_nothing():
    class Word(str):
        __slots__ = ("rows",)

        def __reduce__(self):
            raise TypeError("not to be copied")

    words = np.array([[Word("a")] for _ in Y], dtype=object)
    plan = plan_of(Reading(), K, X=words)
    assert list(plan.unread) == ["the data"]
    assert "not shared the data cannot be read by content" in plan.explain()
    train = plan.studies[-1].folds[0].train
    assert plan.fit({}, train).key != plan.fit({}, train).key


def test_a_scorer_that_cannot_be_read_finds_no_scores(ledger):
    stream = Stream()

    def scorer(estimator, X, y):
        return estimator.score(X, y) * stream.by

    plan = plan_of(Reading(), K, scoring=scorer)
    assert scorer_of(plan) != scorer_of(plan)
    (right, n_fits), (again, n_fits_again) = (run(Reading(), ledger, K, scoring=scorer) for _ in range(2))
    assert right == again == run(Reading(), None, K)[0]
    assert n_fits == n_fits_again
