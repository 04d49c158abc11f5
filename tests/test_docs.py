"""The documentation keeps up with the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from foldwise.job.schema import JobSpec

ROOT = Path(__file__).parents[1]


def test_every_key_of_a_job_has_its_heading():
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "job_file.md").read_text(), re.MULTILINE)
    assert set(headings) == set(JobSpec.model_fields)


def test_the_readmes_python_runs_as_written(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    code = code.replace("n_trials=20", 'n_trials=2, executor="serial"')
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "quote the second" in done.stdout


def test_the_readmes_job_is_the_shipped_one():
    import yaml

    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shipped = yaml.safe_load((ROOT / "jobs" / "digits_svm.yaml").read_text())
    written = yaml.safe_load(text)
    assert written == {key: shipped[key] for key in written}


EXTENDING = (ROOT / "docs" / "extending.md").read_text()


@pytest.fixture
def examples(tmp_path):
    """The files that docs/extending.md shows, and how to run a script beside them."""
    for name, code in re.findall(r"```python file=(\w+\.py)\n(.*?)```", EXTENDING, re.DOTALL):
        (tmp_path / name).write_text(code)

    def run(script):
        (tmp_path / "script.py").write_text(script)
        command = [sys.executable, "script.py"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.mark.parametrize(
    "script", re.findall(r"```python run\n(.*?)```", EXTENDING, re.DOTALL), ids=["search", "executor", "listener"]
)
def test_the_examples_of_extending_pass_their_suites(examples, script):
    done = examples(script)
    assert done.returncode == 0, done.stderr


def test_a_job_takes_a_search_and_an_executor_of_ones_own(examples):
    done = examples("""
import foldwise as fw

JOB = {
    "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.tree:DecisionTreeClassifier",
    "space": {"max_depth": {"int": [1, 30]}}, "seed": 0,
    "search": {"method": {"use": "known_first:KnownFirst", "known": [{"max_depth": 3}]}, "trials": 4},
}
if __name__ == "__main__":
    here = fw.Job.parse({**JOB, "executor": "serial"}).run()
    there = fw.Job.parse({**JOB, "executor": {"use": "processes:ProcessesExecutor", "n_processes": 2}}).run()
    assert here.to_dict()["scores"] == there.to_dict()["scores"]
    assert here.to_dict()["key"] == there.to_dict()["key"]
""")
    assert done.returncode == 0, done.stderr


def test_every_param_of_the_networks_is_told():
    models = pytest.importorskip("foldwise.models", reason="needs foldwise[keras]", exc_type=ImportError)
    text = (ROOT / "docs" / "models.md").read_text()
    for name in set(models.__all__) - {"Meta"}:
        assert f"`{name}`" in text
        assert {param for param in getattr(models, name)().get_params() if f"`{param}`" not in text} == set()


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "docs/method.md",
        "docs/job_file.md",
        "docs/schedules.md",
        "docs/ledger.md",
        "docs/faults.md",
        "docs/benchmarks.md",
        "docs/cluster.md",
        "docs/tracking.md",
        "docs/safety.md",
        "docs/models.md",
        "docs/resources.md",
        "docs/extending.md",
        "CHANGELOG.md",
    ],
)
def test_links_lead_somewhere(path):
    file = ROOT / path
    for target in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
        assert target.startswith("http") or (file.parent / target).exists(), target
