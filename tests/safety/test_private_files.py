"""What foldwise keeps is its owner's alone, whatever the umask."""

import os
import stat
from contextlib import contextmanager

import pytest
from sklearn.datasets import load_iris
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import InputError
from foldwise.executors.ray_session import SESSION
from foldwise.executors.tune.executor import _storage_of_tune
from foldwise.executors.tune.states import Storage
from foldwise.listeners.tracking.connection import connect
from foldwise.safety.private_files import is_own, make_file, make_folder, open_to_others

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
OTHERS = 0o077


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_files_and_folders_are_made_for_their_owner_alone(tmp_path, mask):
    with umask(mask):
        make_file(tmp_path / "a" / "b" / "file")
        make_folder(tmp_path / "a" / "c")
        make_folder(tmp_path / "a" / "c")
        make_file(tmp_path / "a" / "b" / "file")
    assert [mode(tmp_path / place) & OTHERS for place in ("a", "a/b", "a/b/file", "a/c")] == [0] * 4


def test_what_exists_is_left_as_it_is(tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "file").chmod(0o664)
    make_file(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o664
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file")


def test_ledger_database_and_states_are_their_owners_alone_whatever_the_umask(tmp_path):
    with umask(0):
        search = fw.NestedSearchCV(
            SVC(), {"C": [1]}, search="grid", outer_cv=2, inner_cv=2, executor="serial", random_state=0,
            ledger=str(tmp_path / "own" / "ledger.db"),
        )  # fmt: skip
        search.fit(*load_iris(return_X_y=True))
        connect(f"sqlite:///{tmp_path / 'tracked' / 'mlflow.db'}", "one")
        Storage(str(tmp_path / "states"), "run").write("one", b"x")
    found = list(tmp_path.rglob("*"))
    assert {path.name for path in found} >= {"ledger.db", "mlflow.db", "mlruns", "one"}
    assert {path.name: oct(mode(path)) for path in found if mode(path) & OTHERS} == {}


@pytest.mark.parametrize("mask", [0o002, 0o020, 0o022])
def test_a_state_that_others_may_have_written_is_not_read(tmp_path, mask):
    storage = Storage(str(tmp_path), "run")
    storage.write("one", b"x")
    assert storage.read("one") == b"x"
    (tmp_path / "run" / "one").chmod(0o600 | mask)
    assert storage.read("one") is None


def test_a_state_of_somebody_else_is_not_read(tmp_path, monkeypatch):
    storage = Storage(str(tmp_path), "run")
    storage.write("one", b"x")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert storage.read("one") is None
    assert not is_own((tmp_path / "run" / "one").stat())


def test_a_folder_in_which_others_may_replace_things_is_found(tmp_path):
    (tmp_path / "open" / "own").mkdir(parents=True)
    assert open_to_others(tmp_path / "open" / "own") is None
    (tmp_path / "open").chmod(0o777)
    assert open_to_others(tmp_path / "open" / "own") == tmp_path / "open"
    (tmp_path / "open").chmod(0o1777)
    assert open_to_others(tmp_path / "open" / "own") is None
    assert open_to_others(tmp_path / "open") == tmp_path / "open"  # where others may add things
    assert open_to_others(tmp_path / "open" / "not" / "there") is None


def test_tunes_own_files_never_lie_where_others_may_replace_them(tmp_path, monkeypatch):
    monkeypatch.setattr(SESSION, "_folder", None)  # no private Ray was started in this process
    (tmp_path / "open").mkdir()
    own, others = Storage(str(tmp_path / "own"), "run"), Storage(str(tmp_path / "open"), "run")
    (tmp_path / "open").chmod(0o777)
    assert _storage_of_tune(own) is own
    with pytest.raises(InputError, match=r"FOLDWISE_STORAGE: expected a folder in which nobody else can replace files"):
        _storage_of_tune(others)
