"""The machine that the cases run on."""

from __future__ import annotations

import os
import platform as python_platform
from importlib import metadata

N_CORES = os.cpu_count() or 1

_PACKAGES = ("foldwise", "ray", "scikit-learn", "dask-ml", "optuna", "mlflow", "numpy", "joblib")


def describe() -> dict[str, str]:
    """Say what ran: cores, Python and the packages' versions."""
    installed = {one.metadata["Name"].lower() for one in metadata.distributions()}
    versions = {name: metadata.version(name) for name in _PACKAGES if name in installed}
    return {"cores": str(N_CORES), "python": python_platform.python_version(), "machine": python_platform.machine(), **versions}
