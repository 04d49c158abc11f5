"""foldwise: tune as hard as you like in one job, and still publish its score.

The flow, and the modules it lives in::

    job.yaml -> Job -> Problem -> Plan -> Study x (K outer + 1 final)
                                           | ask             ^ tell, in trial order
                                           v                 |
                                         Trial -> Fits -> queue -> executors (map, on Ray) -> FitResults -> reduce -> Trial
                                                           ^                                    |
                                                           +------------- ledger <--------------+
    Studies done -> outer refits -> Report + the final model
    Every step emits an Event; progress and MLflow only listen.

1 describe: dimension, space. 2 open: data. 3 plan: seeds, epochs, folds, scoring and, since a problem holds a search, below
the searches schedule, problem and plan. 4 ask: search. 5 map: sharing, guard, fit, lockstep, ledger, queue, executors. 6
reduce: reduce, stats. 7 show: report, tracking. 8 the loop: studies, fit_map, scheduled_map, run, launch. 9 faces: estimator,
build, job, interruption, drive, cluster, cli. A module imports only from those before it.

With a schedule a trial is not expanded to fits: an executor runs it whole, epoch by epoch, and tells how it ended.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foldwise import cluster as cluster
    from foldwise.data import Dataset as Dataset
    from foldwise.dimension import Categorical as Categorical
    from foldwise.dimension import Float as Float
    from foldwise.dimension import Int as Int
    from foldwise.errors import FoldwiseError as FoldwiseError
    from foldwise.errors import InputError as InputError
    from foldwise.errors import RunError as RunError
    from foldwise.estimator import NestedSearchCV as NestedSearchCV
    from foldwise.executors import SerialExecutor as SerialExecutor
    from foldwise.executors.ray import RayExecutor as RayExecutor
    from foldwise.executors.tune import TuneExecutor as TuneExecutor
    from foldwise.job import Job as Job
    from foldwise.ledger.sql import SqlLedger as SqlLedger
    from foldwise.plan import Plan as Plan
    from foldwise.problem import Problem as Problem
    from foldwise.report import Report as Report
    from foldwise.run import Run as Run
    from foldwise.schedule import Schedule as Schedule
    from foldwise.search import GridSearch as GridSearch
    from foldwise.search import RandomSearch as RandomSearch
    from foldwise.search.optuna import OptunaSearch as OptunaSearch
    from foldwise.space import SearchSpace as SearchSpace

_HOMES = {
    "Categorical": "dimension",
    "Dataset": "data",
    "Float": "dimension",
    "FoldwiseError": "errors",
    "GridSearch": "search",
    "InputError": "errors",
    "Int": "dimension",
    "Job": "job",
    "NestedSearchCV": "estimator",
    "OptunaSearch": "search.optuna",
    "Plan": "plan",
    "Problem": "problem",
    "RandomSearch": "search",
    "RayExecutor": "executors.ray",
    "Report": "report",
    "Run": "run",
    "RunError": "errors",
    "Schedule": "schedule",
    "SearchSpace": "space",
    "SerialExecutor": "executors",
    "SqlLedger": "ledger.sql",
    "TuneExecutor": "executors.tune",
}

_MODULES = {"cluster"}
"""Public modules, whose names are used with theirs before them: ``foldwise.cluster.submit``."""

__all__ = sorted([*_HOMES, *_MODULES])

try:
    __version__ = version("foldwise")
except PackageNotFoundError:  # run from the source root without being installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that ``import foldwise`` stays fast."""
    if name in _MODULES:
        return import_module(f"foldwise.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'foldwise' has no attribute {name!r}")
    value = getattr(import_module(f"foldwise.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
