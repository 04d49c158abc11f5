"""Tune: its executor passes the suite, loses nothing when processes are lost, and leaves nothing behind."""

import pytest

from foldwise.executors.tune import TuneExecutor
from foldwise.testing import check_scheduled_executor


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("method", ["asha", "hyperband", "median", "pbt"])
def test_it_conforms(method):
    check_scheduled_executor(TuneExecutor, method)
