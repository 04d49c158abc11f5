"""Case 8: the schedule of the mlr3 book, scaled down: 5 outer folds x 2 inner evaluations of 4 s, on 4 workers.

There the outer loop in parallel takes 16 s, the inner one 20 s, both split by hand 12 s. One flat queue needs no splitting.
Here all also refit and judge, and search once more over the outer folds.
"""

from __future__ import annotations

import os
import secrets

from sklearn.model_selection import StratifiedKFold

from benchmarks.estimators import Sleeping, rows
from benchmarks.race import Contestant, Ratio, Result, medians, race

N_WORKERS = 4
SECONDS = 0.5  # instead of 4
INNER = StratifiedKFold(2, shuffle=True, random_state=0)


def run(repeats: int, small: bool) -> Result:
    """Race the flat queue with the outer and the inner loop in parallel."""
    import joblib

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    seconds = 0.2 if small else SECONDS

    def outer() -> None:
        joblib.Parallel(N_WORKERS)(joblib.delayed(_evaluate)(2 + 1, seconds) for _ in range(5))
        joblib.Parallel(N_WORKERS)(joblib.delayed(_evaluate)(1, seconds) for _ in range(5))

    def inner() -> None:
        for _ in range(5):
            joblib.Parallel(N_WORKERS)(joblib.delayed(_evaluate)(1, seconds) for _ in range(2))
            _evaluate(1, seconds)
        joblib.Parallel(N_WORKERS)(joblib.delayed(_evaluate)(1, seconds) for _ in range(5))

    warm = lambda: joblib.Parallel(N_WORKERS)(joblib.delayed(_evaluate)(1, 0.01) for _ in range(N_WORKERS))  # noqa: E731
    contestants = [
        Contestant("foldwise", lambda: foldwise(seconds), lambda: foldwise(0.01)),
        Contestant("outer loop in parallel", outer, warm),
        Contestant("inner loop in parallel", inner, warm),
    ]
    timed = race(contestants, repeats)
    figures = medians(timed)
    ratio = Ratio("foldwise / outer loop in parallel", figures["foldwise"] / figures["outer loop in parallel"], 12 / 16)
    note = f"5 outer x 2 inner evaluations, 5 refits and a final search of 5, each {seconds:g} s, on {N_WORKERS} workers"
    return Result("schedule", "one flat queue against one loop in parallel", "s", figures, [ratio], timed, [note])


def _evaluate(n: int, seconds: float) -> None:
    for _ in range(n):
        Sleeping(seconds).fit(*rows())


def foldwise(seconds: float) -> None:
    """Search the same folds on a Ray of so many workers: 5 outer folds, 2 inner ones, one trial."""
    import ray

    import foldwise as fw

    if not ray.is_initialized():
        ray.init(address="local", num_cpus=N_WORKERS, include_dashboard=False, log_to_driver=False, logging_level="error")
    search = fw.NestedSearchCV(
        Sleeping(seconds), {"a": [1.0]}, search="grid", outer_cv=5, inner_cv=INNER, refit=False, random_state=0
    )
    search.fit(*rows())
