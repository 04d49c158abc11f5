"""Case 9: short fits on two worker nodes of one core: how long workers have none, and the driver's memory."""

from __future__ import annotations

import gc
import statistics
from itertools import accumulate
from typing import Any

import psutil

from benchmarks.cluster import simulated
from benchmarks.estimators import Sleeping, Spinning, rows
from benchmarks.race import Ratio, Result, say

N_NODES = 2
N_FITS, FITS_PER_PARAMS = 2000, 15
SECONDS = 0.03, 0.05

Span = tuple[float, float]


def run(repeats: int, small: bool) -> Result:
    """Run grids of fits that sleep, and of fits that compute; of the repeats the median is reported."""
    n_fits = N_FITS // 10 if small else N_FITS
    shares: dict[str, list[float]] = {"sleeping": [], "computing": []}
    growth: list[float] = []
    with simulated(N_NODES, 1) as address:
        search(Sleeping(), 4 * FITS_PER_PARAMS, address)
        for _ in range(repeats):
            for kind, estimator in (("sleeping", Sleeping()), ("computing", Spinning())):
                spans, bytes_per_fit = search(estimator, n_fits, address)
                shares[kind].append(idle_share(spans, N_NODES))
                growth.append(bytes_per_fit)
                say(f"  {kind}: {len(spans)} fits, idle {shares[kind][-1]:.3f}, {bytes_per_fit:.0f} bytes per fit")
    figures = {f"{kind} fits": statistics.median(values) for kind, values in shares.items()}
    ratios = [Ratio(f"idle share of workers, {kind} fits", figures[f"{kind} fits"], 0.10) for kind in shares]
    ratios.append(Ratio("driver memory, bytes per fit, last run", growth[-1], 1024))
    note = (
        f"{n_fits} fits of {SECONDS[0]:g} to {SECONDS[1]:g} s, {N_NODES} nodes of 1 CPU and a head of 0; from when all are busy"
    )
    return Result("idle", "idle workers", "of the time", figures, ratios, shares, [note])


def search(estimator: Any, n_fits: int, address: str) -> tuple[list[Span], float]:
    """Run a grid; returns when each fit began and ended, and by how much the driver's memory grew after a quarter of them."""
    import foldwise as fw
    from foldwise.events import FitEnded
    from foldwise.job.launch import run_plan

    n_params = -(-n_fits // FITS_PER_PARAMS)
    low, high = SECONDS
    grid = {"seconds": [low + (high - low) * i / n_params for i in range(n_params)]}
    plan = fw.NestedSearchCV(estimator, grid, search="grid", outer_cv=5, refit=False, random_state=0).plan(*rows())
    spans: list[Span] = []
    memory: list[int] = []

    def listen(event: Any) -> None:
        if isinstance(event, FitEnded):
            result = event.result
            spans.append((result.started, result.started + result.fit_seconds + sum(result.score_seconds.values())))
            if len(spans) in (n_fits // 4, n_fits):
                gc.collect()
                memory.append(psutil.Process().memory_info().rss)

    run_plan(plan, fw.RayExecutor(address), listeners=[listen])
    return spans, (memory[1] - memory[0]) / (n_fits - n_fits // 4)


def idle_share(spans: list[Span], n_workers: int) -> float:
    """Return the share of the workers' time in which they have no fit, from when all have one until the last has ended.

    Examples
    --------
    >>> idle_share([(0, 4), (2, 5), (5, 6)], 2)  # from 2 to 6: one worker has none for a second, the other for two
    0.25
    """
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    at_once = accumulate(change for _, change in changes)
    start = next(when for (when, _), n in zip(changes, at_once, strict=True) if n == n_workers)
    end = max(end for _, end in spans)
    busy = sum(max(0.0, end - max(begin, start)) for begin, end in spans)
    return 1 - busy / (n_workers * (end - start))
