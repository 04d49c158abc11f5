"""Case 7: what it takes to import foldwise, to ask the command line for help, and to start Ray."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from benchmarks.race import Contestant, Ratio, Result, medians, race

_BASE = "import numpy, pydantic, typer"
_CODES = {
    "numpy, pydantic, typer": _BASE,
    "import foldwise": "import foldwise",
    "foldwise --help": "import sys; sys.argv = ['foldwise', '--help']; import foldwise.cli.main as cli; cli.main()",
    "import foldwise, use NestedSearchCV": "import foldwise; foldwise.NestedSearchCV",
    "import sklearn.model_selection": "import sklearn.model_selection",
    "import ray.tune": "import ray.tune",
    "import optuna": "import optuna",
    "import dask_ml.model_selection": "import dask_ml.model_selection",
    "start Ray": "from foldwise.executors.ray_session import SESSION; SESSION.ensure(None)",
}


def run(repeats: int, small: bool) -> Result:
    """Time fresh interpreters."""
    left_out = {"start Ray", "import dask_ml.model_selection"} if small else set()
    contestants = [Contestant(name, partial(start, code)) for name, code in _CODES.items() if name not in left_out]
    seconds = race(contestants, max(repeats, 3))
    figures = medians(seconds)
    base = figures["numpy, pydantic, typer"]
    ratios = [
        Ratio("import foldwise, s above numpy, pydantic, typer", figures["import foldwise"] - base, 0.3),
        Ratio("foldwise --help, s above these", figures["foldwise --help"] - base, 0.5),
    ]
    return Result("startup", "import and start-up times, in fresh interpreters", "s", figures, ratios, seconds)


def start(code: str) -> None:
    """Run code in a fresh interpreter."""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
