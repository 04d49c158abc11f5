"""What the caller changes between two searches reaches Ray's warm workers as it reaches a fit in the caller's process."""

import importlib
import itertools
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris

import foldwise as fw
from foldwise.errors import ClusterError
from foldwise.executors.ray_session import SESSION
from foldwise.executors.ray_tasks import open_context
from foldwise.inputs.imports import ImportPaths, import_paths, take_import_paths
from foldwise.process.environment import changed, working_folder, working_in

X, Y = load_iris(return_X_y=True)
MODULE = """
import os
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

AT_IMPORT = int(os.environ.get("FOLDWISE_TEST_NUMBER", "-1"))

class Says(ClassifierMixin, BaseEstimator):
    def __init__(self, n=1):
        self.n = n

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        {says}
        return np.full(len(X), number)
"""
_numbers = itertools.count(1)


class Says(ClassifierMixin, BaseEstimator):
    """Predicts a number that it finds in its surroundings: in the environment, a file, or a module."""

    def __init__(self, where="environment", n=1):
        self.where, self.n = where, n

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        if self.where == "environment":
            number = int(os.environ.get("FOLDWISE_TEST_NUMBER", "-1"))
        elif self.where == "folder":
            number = int(Path("number.txt").read_text())
        else:
            number = importlib.import_module(self.where).NUMBER
        return np.full(len(X), number)


def first_prediction(model, X, y):
    return float(model.predict(X)[0])


def said(estimator, executor="ray"):
    options = {"outer_cv": 3, "executor": executor, "random_state": 0, "error_score": "raise", "scoring": first_prediction}
    return fw.NestedSearchCV(estimator, {"n": [1]}, search="grid", refit=False, **options).fit(X, Y).nested_score_


@pytest.fixture(autouse=True)
def ray_runs_already():
    SESSION.ensure(None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for modules, which are forgotten with the path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def forget(name):
    sys.modules.pop(name, None)
    importlib.invalidate_caches()


def test_the_environment_of_later_searches_is_the_callers(monkeypatch):
    assert said(Says()) == -1
    for value in ("5", "6", "$HOME", None):
        if value is None:
            monkeypatch.delenv("FOLDWISE_TEST_NUMBER")
        else:
            monkeypatch.setenv("FOLDWISE_TEST_NUMBER", value)
        if value == "$HOME":
            with pytest.raises(ValueError, match=r"invalid literal for int.*'\$HOME'"):
                said(Says())
        else:
            assert said(Says()) == said(Says(), "serial") == int(value or -1)


def test_a_variable_that_workers_were_started_with_can_be_removed(monkeypatch):
    inherited = next(name for name in ("HOME", "PATH") if name in SESSION._environment[1])

    class Lacks(Says):
        def predict(self, X):
            return np.full(len(X), inherited in os.environ)

    assert said(Lacks()) == 1
    monkeypatch.delenv(inherited)
    assert said(Lacks()) == 0


def test_the_working_folder_is_the_callers(tmp_path, monkeypatch):
    for number in (7, 8):
        (tmp_path / str(number)).mkdir()
        monkeypatch.chdir(tmp_path / str(number))
        Path("number.txt").write_text(str(number))
        assert said(Says("folder")) == number


@pytest.mark.parametrize("entry", ["relative", "", "archive"])
def test_modules_are_found_by_whatever_stands_on_the_path(folder, monkeypatch, entry):
    number = next(_numbers)
    mine, late = f"mine_{number}", f"late_{number}"
    sources = {f"{mine}.py": MODULE.format(says=f"from {late} import NUMBER as number"), f"{late}.py": f"NUMBER = {number}\n"}
    monkeypatch.chdir(folder)
    if entry == "archive":
        with zipfile.ZipFile(folder / "code.zip", "w") as archive:
            for name, source in sources.items():
                archive.writestr(name, source)
        sys.path.append("code.zip")
    else:
        (folder / entry).mkdir(exist_ok=True)
        for name, source in sources.items():
            (folder / entry / name).write_text(source)
        sys.path.insert(0, entry)
    assert said(importlib.import_module(mine).Says()) == number


def test_what_a_fit_imports_is_found_as_it_is_now(folder):
    """By another path, with another content: the worker has imported it before."""
    name = f"late_{next(_numbers)}"
    for place, number in (("a", 11), ("b", 12), ("b", 1300)):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / f"{name}.py").write_text(f"NUMBER = {number}\n")
        sys.path[:] = [str(folder / place), *(one for one in sys.path if not one.startswith(str(folder)))]
        forget(name)
        assert said(Says(name)) == number
        forget(name)
        assert said(Says(name), "serial") == number


def test_a_module_of_the_callers_comes_before_an_installed_one_where_it_does_there(folder):
    (folder / "this.py").write_text("NUMBER = 16\n")  # the standard library's has none
    sys.path.insert(0, str(folder))
    forget("this")
    assert said(Says("this")) == 16
    forget("this")


def test_what_a_module_reads_when_it_is_imported_is_the_callers(folder, monkeypatch):
    name = f"mine_{next(_numbers)}"
    (folder / f"{name}.py").write_text(MODULE.format(says="number = AT_IMPORT"))
    sys.path.insert(0, str(folder))
    monkeypatch.setenv("FOLDWISE_TEST_NUMBER", "17")
    module = importlib.import_module(name)
    assert said(module.Says()) == 17
    monkeypatch.setenv("FOLDWISE_TEST_NUMBER", "18")
    importlib.reload(module)
    assert said(module.Says()) == 18


@pytest.mark.slow
def test_a_notebooks_definitions_and_globals_reach_workers():
    script = """
        import numpy as np
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.datasets import load_iris
        import foldwise as fw

        MODE = 1

        class Own(ClassifierMixin, BaseEstimator):
            def __init__(self, n=1):
                self.n = n
            def fit(self, X, y):
                self.classes_ = np.unique(y)
                return self
            def predict(self, X):
                return np.full(len(X), MODE)

        for MODE in (1, 2):
            search = fw.NestedSearchCV(Own(), {"n": [1]}, search="grid", outer_cv=3, random_state=0,
                                       scoring=lambda model, X, y: float(model.predict(X)[0]))
            print(search.fit(*load_iris(return_X_y=True)).nested_score_)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.split() == ["1.0", "2.0"], done.stderr


class NeedsWhatIsNotThere:
    def __reduce__(self):
        return importlib.import_module, ("no_such_module.inner",)


def test_a_module_that_a_worker_lacks_is_named_with_the_way_out():
    ray, plan = SESSION.ensure(None), fw.NestedSearchCV(Says(), {"n": [1]}, outer_cv=3).plan(X, Y)
    boxed = [ray.put((plan.world, 1)), ray.put(NeedsWhatIsNotThere())]
    with pytest.raises(ClusterError, match=r"expected the module no_such_module on node .+; send the folder .*code: in a job"):
        open_context(boxed, ImportPaths())


# --- parts ------------------------------------------------------------------------------------------------------------


def test_what_is_rays_own_and_what_is_of_other_machines_is_not_told(monkeypatch):
    world = fw.NestedSearchCV(Says(), {"n": [1]}, outer_cv=3).plan(X, Y).world
    for name in ("RAY_SOMETHING", "CUDA_VISIBLE_DEVICES", "FOLDWISE_GPU_FRACTION", "FOLDWISE_TEST_NUMBER"):
        monkeypatch.setenv(name, "1")
    told = SESSION.world_for_workers(world)
    assert told.environment["FOLDWISE_TEST_NUMBER"] == "1"
    assert not {"RAY_SOMETHING", "CUDA_VISIBLE_DEVICES", "FOLDWISE_GPU_FRACTION"} & set(told.environment)
    assert told.folder == str(Path.cwd())
    assert told.settings == world.settings
    assert "FOLDWISE_TEST_NUMBER" not in repr(told)
    nodes = [{"Alive": True, "NodeManagerHostname": "elsewhere"}]
    monkeypatch.setattr(sys.modules["ray"], "nodes", lambda: nodes)
    assert SESSION.world_for_workers(world) == world
    nodes[0]["Alive"] = False
    assert SESSION.world_for_workers(world) != world


def test_a_variable_that_a_fit_changes_itself_stays_as_it_left_it(monkeypatch):
    monkeypatch.setenv("FOLDWISE_TEST_NUMBER", "1")
    with changed({"FOLDWISE_TEST_NUMBER": "2", "FOLDWISE_TEST_OTHER": None}) as before:
        assert before == {"FOLDWISE_TEST_NUMBER": "1", "FOLDWISE_TEST_OTHER": None}
        assert os.environ["FOLDWISE_TEST_NUMBER"] == "2"
        os.environ["FOLDWISE_TEST_NUMBER"] = "3"
    assert os.environ["FOLDWISE_TEST_NUMBER"] == "3"


def test_a_folder_that_has_gone_is_passed_over(tmp_path, monkeypatch):
    here = working_folder()
    with working_in(str(tmp_path / "none")):
        assert working_folder() == here
    (tmp_path / "short").mkdir()
    monkeypatch.chdir(tmp_path / "short")
    (tmp_path / "short").rmdir()
    assert working_folder() is None
    with working_in(here):
        assert working_folder() == here
    assert isinstance(import_paths(), ImportPaths)
    monkeypatch.chdir(here)


def test_the_order_of_the_path_is_the_drivers_on_its_machine_and_ones_own_comes_first_elsewhere(monkeypatch):
    paths = import_paths()
    monkeypatch.setattr(sys, "path", ["/own", "/installed"])
    take_import_paths(ImportPaths(("/a", "/own"), ("/b",), paths.machine))
    assert sys.path == ["/a", "/own", "/installed", "/b"]
    take_import_paths(ImportPaths(("/c",), ("/a",), paths.machine))
    assert sys.path == ["/c", "/own", "/installed", "/a"]
    take_import_paths(ImportPaths(("/c",), ("/a",), "elsewhere"))
    assert sys.path == ["/own", "/installed", "/c", "/a"]
    take_import_paths(ImportPaths(machine=paths.machine))
    assert sys.path == ["/own", "/installed"]


def test_installed_folders_and_entries_that_python_passes_over_are_left_out(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/first", *sys.path, 3, "/no\0thing", "/last"])
    paths = import_paths()
    assert paths.first[0] == "/first"
    assert "/last" in paths.last
    assert not any("site-packages" in one or "\0" in one for one in (*paths.first, *paths.last))
