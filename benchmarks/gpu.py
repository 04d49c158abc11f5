"""What a GPU gives when trials share it: ``python -m benchmarks.gpu [--trials 8] [--epochs 4] [--rows 20000]``.

For 1, 2 and 4 trials per GPU it trains the same convolutional networks under a schedule that stops nothing, and reports
trials per minute, the memory that each process held (and whether it kept to its share), and how busy the GPU was. It needs
an NVIDIA GPU with its ``nvidia-smi``, and ``foldwise[keras]``; without a GPU it says so, and exits with 2.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.race import say

SHARES = (1, 2, 4)
_EVERY = 0.5  # seconds between looks at the GPU
_TOOL = shutil.which("nvidia-smi")


@dataclass(frozen=True)
class Shared:
    """What came of a number of trials per GPU; memory in MiB, ``busy`` in percent of the time."""

    trials_per_gpu: int
    trials_per_minute: float
    seconds: float
    memory_per_trial: float
    share: float
    busy: float
    scores: list[float]

    @property
    def keeps_to_its_share(self) -> bool:
        """Whether no process held more than its share of the GPU."""
        return self.memory_per_trial <= self.share


@dataclass
class Watch:
    """What was seen of the GPU while trials ran: its use in percent, and the most that each process held, in MiB."""

    busy: list[float] = field(default_factory=list)
    held: dict[int, float] = field(default_factory=dict)


def main() -> int:
    """Run the checks; 2 where there is no GPU, 1 where a process held more than its share."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Trials that share a GPU.")
    parser.add_argument("--trials", type=int, default=8, help="of each study (default: 8)")
    parser.add_argument("--epochs", type=int, default=4, help="of each trial (default: 4)")
    parser.add_argument("--rows", type=int, default=20_000, help="images of 28 x 28 (default: 20000)")
    parser.add_argument("--json", action="store_true", help="print one object for machines")
    arguments = parser.parse_args()
    total = total_memory()
    if total is None:
        sys.stderr.write(
            "benchmarks.gpu: expected an NVIDIA GPU and nvidia-smi on the path, found none: nothing was measured\n"
        )
        return 2
    found = []
    for n in SHARES:
        found.append(measure(n, total, arguments.trials, arguments.epochs, arguments.rows))
        say(f"{n} per GPU: {found[-1].trials_per_minute:.1f} trials a minute")
    if arguments.json:
        sys.stdout.write(json.dumps({"gpu_mib": total, "shared": [asdict(one) for one in found]}, indent=1) + "\n")
    else:
        sys.stdout.write(as_table(found))
    return 0 if all(one.keeps_to_its_share for one in found) else 1


def measure(n: int, total: float, n_trials: int, epochs: int, n_rows: int) -> Shared:
    """Train the trials of a nested search, ``n`` at a time on a GPU."""
    import foldwise as fw  # lazily, as Keras: a machine without a GPU need not have it
    from foldwise.models import ConvNetClassifier

    X, y = images(n_rows)
    rates = [float(rate) for rate in np.geomspace(1e-4, 1e-2, n_trials)]
    with tempfile.TemporaryDirectory() as folder, watching() as watch:
        clock = time.perf_counter()
        search = fw.NestedSearchCV(
            ConvNetClassifier(image_shape=(28, 28), random_state=0), {"learning_rate": rates}, search="grid", outer_cv=3,
            random_state=0, resources={"cpu": 1, "gpu": 1 / n}, executor=fw.TuneExecutor(storage=folder),
            schedule={"method": "asha", "max_epochs": epochs, "grace_epochs": epochs},
        ).fit(X, y)  # fmt: skip
        seconds = time.perf_counter() - clock
    n_done = len(search.trials_)
    return Shared(
        n, 60 * n_done / seconds, seconds, max(watch.held.values(), default=0.0), total / n,
        statistics.fmean(watch.busy) if watch.busy else 0.0, [float(score) for score in search.outer_scores_["score"]],
    )  # fmt: skip


def images(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images of ten classes: a blot of its own for each, under noise."""
    random = np.random.default_rng(0)
    y = random.integers(10, size=n_rows)
    blots = random.normal(size=(10, 28 * 28))
    return (0.3 * blots[y] + random.normal(size=(n_rows, 28 * 28))).astype(np.float32), y


def as_table(found: list[Shared]) -> str:
    """Show what came of each number of trials per GPU."""
    lines = [f"{'per GPU':>8} {'trials/min':>11} {'seconds':>9} {'MiB each':>9} {'share MiB':>10} {'busy %':>7}"]
    for one in found:
        kept = "" if one.keeps_to_its_share else "  MORE THAN ITS SHARE"
        lines.append(
            f"{one.trials_per_gpu:>8} {one.trials_per_minute:>11.1f} {one.seconds:>9.1f} {one.memory_per_trial:>9.0f} "
            f"{one.share:>10.0f} {one.busy:>7.0f}{kept}"
        )
    return "\n".join(lines) + "\n"


# --- the GPU, as its driver tells of it ---


def total_memory() -> float | None:
    """Return the MiB of the first GPU; None where there is none."""
    rows = _ask("--query-gpu=memory.total")
    return float(rows[0][0]) if rows else None


@contextmanager
def watching() -> Iterator[Watch]:
    """Look at the first GPU now and then."""
    watch, over = Watch(), threading.Event()

    def look() -> None:
        while not over.wait(_EVERY):
            watch.busy += [float(row[0]) for row in _ask("--query-gpu=utilization.gpu")[:1]]
            for pid, held in _ask("--query-compute-apps=pid,used_memory"):
                watch.held[int(pid)] = max(watch.held.get(int(pid), 0.0), float(held))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _ask(query: str) -> list[list[Any]]:
    """Ask the driver; no rows where there is no GPU, or where it does not say."""
    if _TOOL is None:
        return []
    command = [_TOOL, query, "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.stdout.splitlines() if line.strip()]
    return [row for row in rows if row[-1].isdigit()] if answer.returncode == 0 else []


if __name__ == "__main__":
    sys.exit(main())
