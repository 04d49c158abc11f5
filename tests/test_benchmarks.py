"""The benchmarks: they time in turn, refuse contestants that disagree, and a nested search by hand gives foldwise's scores."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks import gpu
from benchmarks.cases import digits, idle
from benchmarks.nested import Nested
from benchmarks.race import Contestant, Ratio, Result, medians, race
from benchmarks.table import as_table
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import foldwise as fw

ROOT = Path(__file__).parents[1]


def test_contestants_run_in_turn_and_are_warm():
    heard = []
    contestants = [
        Contestant(name, lambda name=name: heard.append(name), lambda name=name: heard.append(f"warm {name}")) for name in "ab"
    ]
    seconds = race(contestants, 2)
    assert heard == ["warm a", "a", "warm b", "b", "warm b", "b", "warm a", "a"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_contestants_that_disagree_are_refused_and_all_are_let_go():
    gone = []
    right, wrong = (Contestant(str(v), lambda v=v: [v], cool=lambda v=v: gone.append(v)) for v in (1.0, 1.1))
    with pytest.raises(AssertionError, match=r"1\.1 disagrees"):
        race([right, wrong], 1)
    assert gone == [1.0, 1.1]


def test_a_race_times_the_run_only():
    slow = Contestant("slow", lambda: time.sleep(0.05), lambda: time.sleep(0.2))
    assert 0.05 <= medians(race([slow], 3))["slow"] < 0.2


def test_the_table_says_what_is_reached():
    ratios = [Ratio("own / peer", 0.5, 0.6), Ratio("speed", 0.5, 0.6, at_least=True)]
    assert [ratio.holds for ratio in ratios] == [True, False]
    result = Result("digits", "a title", "s", {"peer": 2.0, "foldwise": 1.0}, ratios, notes=["a note"])
    shown = {**vars(result), "ratios": [{**vars(ratio), "holds": ratio.holds} for ratio in ratios], "small": False, "took": 3.0}
    lines = as_table([shown]).splitlines()
    assert lines[0] == "digits: a title (3 s)"
    assert [line.split()[0] for line in lines[1:3]] == ["foldwise", "peer"]
    assert lines[2].endswith("0.50 x")
    assert lines[3].endswith("reached")
    assert lines[4].endswith("NOT REACHED")
    assert lines[5].strip() == "a note"


def test_workers_are_idle_between_fits_once_all_have_begun_and_until_the_last_ends():
    spans = [(0.0, 4.0), (2.0, 5.0), (5.0, 6.0)]
    assert idle.idle_share(spans, 2) == pytest.approx(2 / 8)  # from second 2: one worker has none in 4-6
    assert idle.idle_share([(0.0, 1.0), (0.0, 1.0)], 2) == 0


def test_the_distinct_work_by_hand_scikit_learn_and_foldwise_agree():
    X, y = load_digits(return_X_y=True)
    task = Nested(X[:300], y[:300], make_pipeline(StandardScaler(), PCA(random_state=0), SVC()), digits.GRID)
    cpu_seconds = []
    by_hand = digits.distinct(task, cpu_seconds)
    search = fw.NestedSearchCV(
        task.estimator, task.grid, search="grid", outer_cv=task.outer_splits(), random_state=0, executor="serial"
    ).fit(task.X, task.y)
    assert by_hand == pytest.approx([*search.outer_scores_["score"], search.best_score_], abs=1e-12)
    assert task._judge(0, None) == pytest.approx(by_hand[0], abs=1e-12)
    assert cpu_seconds[0] > 0


def test_cases_run_apart_and_leave_their_results(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "startup", "--small", "--repeats", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "import foldwise" in done.stdout
    (result,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert result["case"] == "startup"
    wrong = subprocess.run([*command[:3], "nothing"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "unknown case 'nothing'" in wrong.stderr


def test_the_gpu_checks_say_plainly_that_there_is_no_gpu():
    environment = {"PATH": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "expected an NVIDIA GPU and nvidia-smi on the path, found none: nothing was measured" in done.stderr


def test_what_the_driver_says_of_a_gpu_is_read(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\ncase $1 in *memory.total*) echo 81559;; *utilization*) echo 37;; *) echo '12, 400'; echo '13, [N/A]';; esac\n"
    )
    tool.chmod(0o755)
    monkeypatch.setattr(gpu, "_TOOL", str(tool))
    monkeypatch.setattr(gpu, "_EVERY", 0.01)
    assert gpu.total_memory() == 81559
    with gpu.watching() as watch:
        while not watch.held:
            time.sleep(0.01)
    assert set(watch.busy) == {37.0}
    assert watch.held == {12: 400.0}
    shared = gpu.Shared(4, 10.0, 60.0, 400.0, 300.0, 37.0, [0.9])
    assert "MORE THAN ITS SHARE" in gpu.as_table([shared])
