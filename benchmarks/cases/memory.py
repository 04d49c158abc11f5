"""Case 5: the driver's memory, from 10,000 to 50,000 fits of a grid with 5 inner folds, with the tracker on."""

from __future__ import annotations

import gc
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from benchmarks.estimators import Sleeping, rows
from benchmarks.race import Ratio, Result, say

N_OUTER, N_INNER = 5, 5


def run(repeats: int, small: bool) -> Result:
    """Run the grid once: memory and times at a few numbers of fits."""
    few, many = (1_000, 3_000) if small else (10_000, 50_000)
    marks = [few, (few + many) // 2, many]
    seen = grow(many + 10, marks)
    slope = (seen[many][0] - seen[few][0]) / (many - few)
    figures = {f"{n} fits": memory / n for n, (memory, _) in seen.items()} | {"slope": slope}
    earlier, later = ((seen[b][1] - seen[a][1]) / (b - a) for a, b in pairwise(marks))
    ratios = [
        Ratio(f"bytes per fit from {few} to {many} fits", slope, 1024),
        Ratio("time per fit, later / earlier", later / earlier, 1.5),
    ]
    note = f"a grid of two params, {N_OUTER} outer x {N_INNER} inner folds, on Ray, tracked in SQLite; memory above the start"
    return Result("memory", "driver memory", "bytes per fit", figures, ratios, notes=[note])


def grow(n_fits: int, marks: list[int]) -> dict[int, tuple[int, float]]:
    """Run so many fits; returns resident bytes above the start and seconds, at each mark."""
    import foldwise as fw
    from foldwise.events import FitEnded
    from foldwise.job.launch import run_plan

    n_params = -(-n_fits // (N_OUTER * N_INNER + N_OUTER))
    grid = {"a": [float(i) for i in range(-(-n_params // 10))], "b": [float(i) for i in range(10)]}
    search = fw.NestedSearchCV(Sleeping(), grid, search="grid", outer_cv=N_OUTER, inner_cv=N_INNER, random_state=0)
    process, found = psutil.Process(), dict[int, tuple[int, float]]()
    warm_up()
    gc.collect()
    start, clock = process.memory_info().rss, time.perf_counter()

    def listen(event: Any) -> None:
        if isinstance(event, FitEnded) and event.counts.run in marks:
            gc.collect()
            found[event.counts.run] = process.memory_info().rss - start, time.perf_counter() - clock
            say(f"  {event.counts.run} fits: {found[event.counts.run][0] / 2**20:.1f} MiB, {found[event.counts.run][1]:.1f} s")

    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder, 'mlflow.db')}"
        run_plan(search.plan(*rows()), fw.RayExecutor(), listeners=[listen], tracking=store, experiment="memory")
    return found


def warm_up() -> None:
    """Import and start all that a run needs."""
    import foldwise as fw

    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder, 'mlflow.db')}"
        search = fw.NestedSearchCV(Sleeping(), {"a": [1.0, 2.0]}, search="grid", outer_cv=5, inner_cv=5, tracking=store)
        search.fit(*rows())
