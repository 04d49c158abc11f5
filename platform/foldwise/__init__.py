"""foldwise: tune as hard as you like in one job, and still publish its score.

The flow, whose steps are the folders of this package::

    job.yaml -> Job -> Problem -> Plan -> Study x (K outer + 1 final)
                                           | ask             ^ tell, in trial order
                                           v                 |
                                         Trial -> Fits -> Queue -> Executor (map, on Ray) -> FitResults -> reduce -> Trial
                                                           ^                                    |
                                                           +------------- Ledger <--------------+
    Studies done -> outer refits -> Archive + the final model; Archive -> Report, MLflow
    Every step emits an Event; progress and MLflow only listen.

Under all of them: `safety`, `errors`, the nouns (`trial`, `events`), `keys` (what names a fit), `inputs` (what users write),
`process` (what a fit's process holds).
1 describe: `space`. 2 open: `data`. 3 ask: `search`. 4 plan: `plan`. 5 map: `worker` (the only code that runs on workers),
`ledger`, `executors`. 6 reduce: `stats`, `reduce`. 7 the loop: `loop`. 8 show: `report`, `listeners`. 9 faces: `job`,
`estimator`, `cluster`, `cli`. A folder imports only from those before it.

With a schedule a trial is not expanded to fits: an executor runs it whole, epoch by epoch, and tells how it ended.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foldwise import cluster as cluster
    from foldwise.data import Dataset as Dataset
    from foldwise.errors import FoldwiseError as FoldwiseError
    from foldwise.errors import InputError as InputError
    from foldwise.errors import RunError as RunError
    from foldwise.estimator import NestedSearchCV as NestedSearchCV
    from foldwise.executors import SerialExecutor as SerialExecutor
    from foldwise.executors.ray import RayExecutor as RayExecutor
    from foldwise.executors.tune import TuneExecutor as TuneExecutor
    from foldwise.job.job import Job as Job
    from foldwise.ledger.sql import SqlLedger as SqlLedger
    from foldwise.listeners.tracking import load_archive as load_archive
    from foldwise.listeners.tracking import load_model as load_model
    from foldwise.loop.run import Run as Run
    from foldwise.plan.plan import Plan as Plan
    from foldwise.plan.problem import Problem as Problem
    from foldwise.plan.schedule import Schedule as Schedule
    from foldwise.reduce.archive import Archive as Archive
    from foldwise.report import Report as Report
    from foldwise.search import GridSearch as GridSearch
    from foldwise.search import RandomSearch as RandomSearch
    from foldwise.search.optuna import OptunaSearch as OptunaSearch
    from foldwise.space.dimension import Categorical as Categorical
    from foldwise.space.dimension import Float as Float
    from foldwise.space.dimension import Int as Int
    from foldwise.space.space import SearchSpace as SearchSpace

_HOMES = {
    "Archive": "reduce.archive",
    "Categorical": "space.dimension",
    "Dataset": "data",
    "Float": "space.dimension",
    "FoldwiseError": "errors",
    "GridSearch": "search",
    "InputError": "errors",
    "Int": "space.dimension",
    "Job": "job.job",
    "NestedSearchCV": "estimator",
    "OptunaSearch": "search.optuna",
    "Plan": "plan.plan",
    "Problem": "plan.problem",
    "RandomSearch": "search",
    "RayExecutor": "executors.ray",
    "Report": "report",
    "Run": "loop.run",
    "RunError": "errors",
    "Schedule": "plan.schedule",
    "SearchSpace": "space.space",
    "SerialExecutor": "executors",
    "SqlLedger": "ledger.sql",
    "TuneExecutor": "executors.tune",
    "load_archive": "listeners.tracking",
    "load_model": "listeners.tracking",
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
