"""Case 4: tracking on against off, where trials sleep; and what tracking one trial costs, against two MLflow callbacks.

Each on a SQLite database and on a real ``mlflow server`` with one; every contestant gets a store that is new.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import ShuffleSplit

import foldwise as fw
from benchmarks.machine import N_CORES
from benchmarks.race import Contestant, Ratio, Result, medians, race, say
from foldwise.events import Counts, RunEnded, RunStarted, TrialEnded
from foldwise.listeners.tracking import MlflowTracker
from foldwise.listeners.tracking.connection import prepare_mlflow
from foldwise.trial import FoldScores, Trial, TrialState

SECONDS = 0.1
ROWS = np.arange(40)
X, y = ROWS.reshape(-1, 1).astype(float), ROWS % 2
WARM = 10

Measure = Callable[[str, int], tuple[float, float]]
"""Tracks so many trials in a new experiment of a store; returns wall and CPU seconds per trial."""


class Sleeper(ClassifierMixin, BaseEstimator):
    """Sleeps, and says what it was told."""

    def __init__(self, a: float = 0.0, b: float = 0.0, seconds: float = SECONDS) -> None:
        self.a, self.b, self.seconds = a, b, seconds

    def fit(self, X: Any, y: Any) -> Sleeper:
        time.sleep(self.seconds)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def run(repeats: int, small: bool) -> Result:
    """Time sleeping trials with and without tracking, then the cost per trial of foldwise and of both callbacks."""
    prepare_mlflow()
    result = Result("tracking", "trials that sleep 100 ms, tracked; cost of tracking a trial", "ms per trial")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (address, process):
        stores = {"SQLite": lambda: f"sqlite:///{folder}/{unique()}.db", "server": lambda: address}
        compare_with_untracked(result, stores, 40 if small else 400, repeats)
        for name, new in stores.items():
            cost(result, name, new, process if name == "server" else None, 20 if small else 100, repeats)
    result.notes += [
        "CPU of SQLite is the driver's; that of the server is the driver's and the server's together",
        "the callbacks are called as their libraries call them: params, one result, the end",
    ]
    return result


# --- tracked against untracked ---


def compare_with_untracked(result: Result, stores: dict[str, Callable[[], str]], n_trials: int, repeats: int) -> None:
    def contestant(name: str, new: Callable[[], str] | None) -> Contestant:
        return Contestant(name, lambda: search(new, n_trials // 2), warm=lambda: search(new, 2, 0.01))

    tracked = [contestant(f"tracked, {name}", new) for name, new in stores.items()]
    seconds = race([contestant("untracked", None), *tracked], repeats)
    result.repeats |= {f"{name}, whole search, s": values for name, values in seconds.items()}
    whole = medians(seconds)
    for one in tracked:
        result.ratios.append(Ratio(f"{one.name} / untracked, {n_trials} trials", whole[one.name] / whole["untracked"], 1.05))


def search(new: Callable[[], str] | None, n_trials: int, seconds: float = SECONDS) -> float:
    """Run a nested search whose trials are one fit each, in each of two studies; returns when all is tracked."""
    found = fw.NestedSearchCV(
        Sleeper(seconds=seconds), {"a": fw.Float(0.1, 1), "b": fw.Float(0.1, 1)}, search="random", n_trials=n_trials,
        outer_cv=[(ROWS[:30], ROWS[30:])], inner_cv=ShuffleSplit(1, random_state=0), scoring="accuracy", random_state=0,
        n_jobs=N_CORES, tracking=None if new is None else new(), experiment=unique(),
    ).fit(X, y)  # fmt: skip
    if found.report().mlflow_missing:
        raise AssertionError(found.report().mlflow_missing)
    return found.nested_score_


# --- the cost per trial ---


def cost(result: Result, store: str, new: Callable[[], str], process: psutil.Process | None, n: int, repeats: int) -> None:
    contestants = {"foldwise": foldwise, "Optuna's MLflowCallback": optuna, "Ray Tune's MLflowLoggerCallback": tune}
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats):
        turn = repeat % len(contestants)
        for name in [*list(contestants)[turn:], *list(contestants)[:turn]]:
            seconds, spent = contestants[name](new(), n, process)
            wall[name].append(seconds * 1000)
            cpu[name].append(spent * 1000)
            say(f"  {store}, {name}: {wall[name][-1]:.1f} ms, {cpu[name][-1]:.1f} ms CPU per trial")
    for kind, values in (("wall", wall), ("CPU", cpu)):
        middle = medians(values)
        result.figures |= {f"{name}, {store}, {kind}": value for name, value in middle.items()}
        result.repeats |= {f"{name}, {store}, {kind}, ms": each for name, each in values.items()}
        own = middle.pop("foldwise")
        result.ratios += [Ratio(f"foldwise / {name}, {store}, {kind}", own / value, 1.0) for name, value in middle.items()]


def timed(work: Callable[[], Any], n: int, process: psutil.Process | None) -> tuple[float, float]:
    """Return wall and CPU seconds per trial of tracking so many, the server's CPU seconds included."""
    before, clock = cpu_seconds(process), time.perf_counter()
    work()
    return (time.perf_counter() - clock) / n, (cpu_seconds(process) - before) / n


def cpu_seconds(process: psutil.Process | None) -> float:
    others = [process, *process.children(recursive=True)] if process is not None else []
    return time.process_time() + sum(sum(one.cpu_times()[:2]) for one in others)


def foldwise(uri: str, n: int, process: psutil.Process | None) -> tuple[float, float]:
    """Tell a tracker of finished trials and wait until it has written them."""
    plan = fw.NestedSearchCV(
        Sleeper(), {"a": fw.Float(0.1, 1), "b": fw.Float(0.1, 1)}, search="random", n_trials=2, outer_cv=2, inner_cv=2,
        random_state=0,
    ).plan(X, y)  # fmt: skip
    tracker = MlflowTracker(uri, unique())
    tracker(RunStarted(plan, time.time()))

    def told(first: int, last: int) -> None:
        for number in range(first, last):
            params = {"a": 1.0 + number, "b": 2.0 + number}
            scores = {"accuracy": FoldScores((0.5,))}
            trial = Trial(number, params, TrialState.COMPLETE, scores, 0.5, time.time(), SECONDS, (SECONDS,), (0.0,))
            tracker(TrialEnded("final", trial, Counts()))
        while tracker.n_waiting or tracker.untracked:
            time.sleep(0.005)

    told(0, WARM)
    found = timed(lambda: told(WARM, WARM + n), n, process)
    tracker(RunEnded(None, None, False, None))
    tracker.close()
    return found


def optuna(uri: str, n: int, process: psutil.Process | None) -> tuple[float, float]:
    """Call Optuna's callback with finished trials."""
    import optuna
    from optuna_integration import MLflowCallback

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name=unique(), direction="maximize")
    callback = MLflowCallback(tracking_uri=uri, metric_name="accuracy")
    space = {name: optuna.distributions.FloatDistribution(0.1, 1e9) for name in "ab"}

    def told(first: int, last: int) -> None:
        for number in range(first, last):
            callback(
                study, optuna.trial.create_trial(params={"a": 1.0 + number, "b": 2.0 + number}, distributions=space, value=0.5)
            )

    told(0, WARM)
    return timed(lambda: told(WARM, WARM + n), n, process)


def tune(uri: str, n: int, process: psutil.Process | None) -> tuple[float, float]:
    """Call Ray Tune's callback as its loop does: a trial starts, reports once, ends."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.experiment import Trial as TuneTrial

    callback = MLflowLoggerCallback(tracking_uri=uri, experiment_name=unique())
    callback.setup()

    def told(first: int, last: int) -> None:
        for number in range(first, last):
            trial = TuneTrial("sleeper", config={"a": 1.0 + number, "b": 2.0 + number}, stub=True)
            callback.log_trial_start(trial)
            callback.log_trial_result(1, trial, {"accuracy": 0.5, "training_iteration": 1, "time_total_s": SECONDS})
            callback.log_trial_end(trial)

    told(0, WARM)
    return timed(lambda: told(WARM, WARM + n), n, process)


# --- a server ---


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run an MLflow server, as people start it, on a new database and the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/artifacts"]
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *store], stdout=log, stderr=log, env={**os.environ, "MLFLOW_LOGGING_LEVEL": "WARNING"}
        )
    try:
        wait_for(address)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2):
            return
        time.sleep(0.2)
    raise TimeoutError(f"no MLflow server at {address} after {seconds:g} s")


def unique() -> str:
    return f"bench-{time.time_ns()}"
