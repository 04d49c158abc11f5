"""Objects are found by ``module:name``, and what is not found is named."""

import sys

import pytest
from sklearn.svm import SVC

from foldwise.errors import InputTypeError, MissingPackageError
from foldwise.inputs.imports import add_import_paths, resolve


@pytest.fixture
def folder_of_modules(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_a_name_stands_for_the_object():
    assert resolve("sklearn.svm:SVC", "estimator") is SVC


def test_a_name_may_have_dots():
    assert resolve("sklearn.svm:SVC.fit", "estimator") is SVC.fit


@pytest.mark.parametrize("name", ["sklearn.svm", "sklearn.svm.SVC", ":SVC", "sklearn.svm:", "", 3, None, ["sklearn.svm:SVC"]])
def test_another_form_is_refused_with_an_example(name):
    with pytest.raises(InputTypeError, match=r"^estimator: expected module:name, as in sklearn.svm:SVC, got ") as caught:
        resolve(name, "estimator")
    assert repr(name) in str(caught.value)


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(MissingPackageError, match=r"^data.loader: .* got 'no_such_module' \(ModuleNotFoundError: .*install it"):
        resolve("no_such_module:load", "data.loader")


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(
        MissingPackageError, match=r"^estimator: expected a name in sklearn.svm, got 'LinaerSVC'; did you mean LinearSVC\?"
    ):
        resolve("sklearn.svm:LinaerSVC", "estimator")


@pytest.mark.parametrize(
    ("code", "cause"), [("1 / 0", "ZeroDivisionError"), ("def (", "SyntaxError"), ("raise KeyError('a\\nb')", "KeyError")]
)
def test_a_module_that_cannot_be_imported_says_why_in_one_line(folder_of_modules, code, cause):
    (folder_of_modules / "broken_module.py").write_text(code)
    add_import_paths(folder_of_modules)
    with pytest.raises(MissingPackageError, match=rf"'broken_module' \({cause}: ") as caught:
        resolve("broken_module:x", "estimator")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_modules_in_added_folders_are_found_and_folders_are_added_once(folder_of_modules):
    (folder_of_modules / "my_models.py").write_text("class Model:\n    pass\n")
    add_import_paths(folder_of_modules)
    add_import_paths(folder_of_modules)
    assert resolve("my_models:Model", "estimator").__name__ == "Model"
    assert sys.path.count(str(folder_of_modules)) == 1
