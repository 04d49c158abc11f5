"""Case 6: sleeping fits on 1, 2, 4 and 8 simulated Ray nodes: what the one driver and the one queue cost as a cluster grows."""

from __future__ import annotations

import time

from benchmarks.cluster import simulated
from benchmarks.estimators import Sleeping, rows
from benchmarks.race import Ratio, Result, say

SECONDS = 0.25
CPUS_PER_NODE = 2


def run(repeats: int, small: bool) -> Result:
    """Run a grid of sleeping fits on each number of nodes, whole chunks of work per core alike."""
    counts = (1, 2) if small else (1, 2, 4, 8)
    repeats = 1 if small else repeats
    figures, timed = {}, {}
    for n_nodes in counts:
        timed[f"{n_nodes} nodes"] = efficiencies(n_nodes, repeats, n_trials=4 * n_nodes if small else 10 * n_nodes)
        figures[f"{n_nodes} nodes"] = sorted(timed[f"{n_nodes} nodes"])[len(timed[f"{n_nodes} nodes"]) // 2]
    last = f"{counts[-1]} nodes"
    ratio = Ratio(f"efficiency on {last}", figures[last], 0.90, at_least=True)
    note = f"fits that sleep {SECONDS:g} s, {CPUS_PER_NODE} CPUs per node, all on this machine; seconds slept / (wall x CPUs)"
    return Result("nodes", "efficiency on simulated nodes", "of 1", figures, [ratio], timed, [note])


def efficiencies(n_nodes: int, repeats: int, n_trials: int) -> list[float]:
    """Start a cluster, warm its workers, and measure."""
    with simulated(n_nodes - 1, CPUS_PER_NODE, head_cpus=CPUS_PER_NODE) as address:
        search(0.5, 2 * n_nodes, address)  # long enough for every worker to be needed
        return [search(SECONDS, n_trials, address) for _ in range(repeats)]


def search(seconds: float, n_trials: int, address: str) -> float:
    """Run a nested search, and return the seconds slept over the seconds that the cores were held."""
    import foldwise as fw

    grid = {"a": [float(i) for i in range(n_trials)]}
    one = fw.NestedSearchCV(
        Sleeping(seconds), grid, search="grid", outer_cv=5, refit=False, random_state=0, executor=fw.RayExecutor(address)
    )
    import ray

    n_cpus = ray.cluster_resources()["CPU"]
    clock = time.perf_counter()
    one.fit(*rows())
    wall = time.perf_counter() - clock
    say(f"  {n_cpus:g} CPUs: {one.n_fits_} fits in {wall:.2f} s")
    return one.n_fits_ * seconds / (wall * n_cpus)
