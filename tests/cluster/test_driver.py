"""What the driver refuses on the head is said in its log, with the exit code that the command will end with."""

import pytest
import yaml

from foldwise.cluster import driver
from foldwise.cluster.parcel import python_here
from foldwise.cluster.postscript import Postscript, last_line

JOB = {"data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.svm:SVC", "space": {"C": [1]}}


@pytest.fixture(autouse=True)
def parcel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FOLDWISE_LEDGER", "there.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////there.db")
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(JOB))
    return tmp_path


def test_another_python_is_refused(capsys):
    assert driver.main("job.yaml", "2.7") == 1
    log = capsys.readouterr().out
    assert last_line(log).startswith("error: expected Python 2.7 on the cluster, as where the job was submitted, got 3.")
    assert Postscript.read(log) == Postscript(1)


def test_a_home_that_cannot_be_written_is_said(monkeypatch, capsys):
    monkeypatch.setenv("HOME", "/dev/null/home")
    assert driver.main("job.yaml", python_here()) == 1
    assert "expected a folder that can be written on the cluster's head, got /dev/null/home/foldwise" in capsys.readouterr().out


def test_wrong_input_is_exit_code_2(parcel, capsys):
    (parcel / "job.yaml").write_text(yaml.safe_dump({**JOB, "serch": 1}))
    assert driver.main("job.yaml", python_here()) == 2
    log = capsys.readouterr().out
    assert last_line(log).startswith("error: job.yaml: serch: expected a known key")
    assert Postscript.read(log) == Postscript(2)


def test_it_works_where_files_stay(parcel, capsys):
    (parcel / "job.yaml").write_text(yaml.safe_dump({**JOB, "estimator": "sklearn.svm:SVD"}))
    assert driver.main("job.yaml", python_here()) == 2
    log = capsys.readouterr().out
    assert f"in {parcel / 'home' / 'foldwise'}; ledger: there.db; tracking: sqlite:////there.db" in log
    assert last_line(log).endswith("on the cluster it must be installed, or be sent: add it to code")
