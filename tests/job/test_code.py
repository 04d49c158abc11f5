"""Code of the user's own, named by ``code:``, is found here and on workers; equal code at another place has equal keys."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
import yaml

import foldwise as fw
from foldwise.cluster.parcel import JOB_FILE, Parcel
from foldwise.errors import InputError
from foldwise.job.overrides import parse_overrides

JOB = {
    "name": "own", "data": {"loader": "sklearn.datasets:load_iris"}, "space": {"C": [1, 10]}, "search": {"method": "grid"},
    "folds": {"outer": 3}, "executor": "serial", "tracking": False, "seed": 0,
}  # fmt: skip
MODEL = "from sklearn.svm import SVC\n\nfrom .scale import FACTOR\n\n\nclass Mine(SVC):\n    factor = FACTOR\n"


def run(folder, job, *options, **environment):
    """Run a job in a process of its own; returns its report."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "FOLDWISE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "foldwise.cli", "run", str(job), "--json", *options],
        cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def package(folder, name="coded_models"):
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    (folder / name / "scale.py").write_text("FACTOR = 2\n")
    (folder / name / "svm.py").write_text(MODEL)


def write(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**JOB, **changes}))
    return path


def test_equal_code_at_another_place_finds_its_fits_and_changed_code_does_not(tmp_path):
    package(tmp_path / "src")
    job = write(tmp_path / "jobs" / "own.yaml", estimator="coded_models.svm:Mine", code="../src/coded_models")
    ledger = str(tmp_path / "ledger.db")
    first = run(tmp_path, job, "--ledger", ledger)
    assert first["n_fits"] == 13
    sent = Parcel.of(fw.Job.load(job, {"executor": "ray"})).pack(tmp_path)
    with zipfile.ZipFile(sent) as archive:
        archive.extractall(tmp_path / "there")
    again = run(tmp_path, tmp_path / "there" / JOB_FILE, "--set", "executor=serial", FOLDWISE_LEDGER=ledger)
    assert (again["n_fits_found"], again["n_fits"]) == (12, 1)  # the final model is no row
    assert (again["key"], again["scores"]) == (first["key"], first["scores"])
    (tmp_path / "there" / "coded_models" / "scale.py").write_text("FACTOR = 3\n")
    changed = run(tmp_path, tmp_path / "there" / JOB_FILE, "--set", "executor=serial", "--ledger", ledger)
    assert changed["n_fits_found"] == 0


def test_what_stands_first_in_code_wins_and_code_wins_over_what_is_beside_the_job(tmp_path):
    for place in ("a", "b", "."):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "coded_twice.py").write_text(
            f"from sklearn.svm import SVC\n\nclass Mine(SVC):\n    place = {place!r}\n"
        )
    fw.Job.load(write(tmp_path / "own.yaml", estimator="coded_twice:Mine", code=["b", "a"])).check()
    assert sys.modules["coded_twice"].Mine.place == "b"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("gone", "code: expected a folder or a .py file, got 'gone'"),
        (["own.yaml"], "code[0]: expected a folder or a .py file, got 'own.yaml'"),
        (["", "x"], "code[0]: expected a folder or a .py file, got ''"),
        (3, "code: expected text"),
        ({"a": 1}, "code.a: expected a known key, got 'a'; Known: path, include"),
    ],
)
def test_what_is_no_code_is_said_in_one_line(tmp_path, code, words):
    path = write(tmp_path / "own.yaml", estimator="sklearn.svm:SVC", code=code)
    with pytest.raises(InputError) as raised:
        fw.Job.load(path).open()
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{path}: code")


def test_code_given_by_an_option_is_relative_to_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "jobs" / "own.yaml", estimator="sklearn.svm:SVC")
    (tmp_path / "mine").mkdir()
    for setting in ("code=mine", "code=[mine]", "code={path: mine}", "code=[{path: mine}]"):
        assert fw.Job.load(path, parse_overrides([setting])).code_paths() == (tmp_path / "mine",)
    assert fw.Job.load(path, parse_overrides(["data={path: x}", "data.path=/far/x.csv"])).spec.data.path == "/far/x.csv"


def test_the_environments_ledger_is_the_default_and_its_errors_name_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FOLDWISE_LEDGER", str(tmp_path / "there.db"))
    path = write(tmp_path / "own.yaml", estimator="sklearn.svm:SVC", ledger=True)
    fw.Job.load(path).run()
    assert (tmp_path / "there.db").is_file()
    monkeypatch.setenv("FOLDWISE_LEDGER", "nosql://there")
    with pytest.raises(InputError, match=r"^FOLDWISE_LEDGER: expected"):
        fw.Job.load(path).run()
    monkeypatch.setenv("FOLDWISE_LEDGER", "")
    assert fw.Job.load(path).ledger_address(None) == ".foldwise/ledger.db"
