"""States of trials lie in files that are replaced as a whole."""

import pytest

from foldwise.executors.tune.states import SaveInterval, Storage


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_state_is_replaced_as_a_whole_and_forgotten(scheme, tmp_path):
    storage = Storage.of(f"{scheme}{tmp_path}/below", "run")
    storage.check()
    assert storage.read("state") is None
    storage.write("state", b"one")
    storage.write("state", b"two")
    assert storage.read("state") == b"two"
    storage.forget("state")
    storage.forget("state")
    assert storage.read("state") is None
    storage.clear()
    storage.clear()
    assert not (tmp_path / "below" / "run").exists()


def test_states_lie_where_the_environment_says_or_below_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Storage.of(None, "run").url == f"{tmp_path}/.foldwise/tune/run"
    monkeypatch.setenv("FOLDWISE_STORAGE", "s3://bucket/folder")
    assert Storage.of(None, "run").url == "s3://bucket/folder/run"
    assert Storage.of("here", "run").url == f"{tmp_path}/here/run"


def test_a_state_that_is_slow_to_keep_is_kept_less_often(monkeypatch):
    now = 100.0
    monkeypatch.setattr("foldwise.executors.tune.states.time.monotonic", lambda: now)
    interval = SaveInterval()
    assert interval.is_due()
    interval.took(0.5)
    now += 9.9
    assert not interval.is_due()
    now += 0.2
    assert interval.is_due()
