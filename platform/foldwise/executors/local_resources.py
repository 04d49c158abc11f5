"""What this machine can give to fits, told without Ray."""

from __future__ import annotations

import os
from pathlib import Path

from foldwise.errors import ResourcesError
from foldwise.plan.resources import Resources

_ACCELERATORS = ("nvidia[0-9]*", "kfd", "dxg", "accel*", "davinci[0-9]*", "dri/renderD*")


def has_accelerator() -> bool:
    """Tell whether this machine has a device that may be a GPU."""
    return any(next(Path("/dev").glob(pattern), None) is not None for pattern in _ACCELERATORS)


def check_locally(resources: Resources) -> None:
    """Refuse what this machine cannot have, without starting Ray."""
    n_cpus = os.cpu_count() or 1
    if resources.cpu > n_cpus:
        raise ResourcesError("resources.cpu", f"expected at most the {n_cpus} cores of this machine, got {resources.cpu:g}")
    if resources.gpu and not has_accelerator():
        raise ResourcesError(
            "resources.gpu", f"expected 0 on a machine without a GPU, got {resources.gpu:g}; set gpu: 0, or join a cluster"
        )
    if (resources.memory or 0) > (most := _memory_here()):
        raise ResourcesError(
            "resources.memory", f"expected at most the {most} bytes of this machine, got {resources.memory}; ask for less"
        )
    for name, amount in resources.custom.items():
        if amount and name not in os.environ.get("RAY_OVERRIDE_RESOURCES", ""):
            raise ResourcesError(
                f"resources.{name}",
                f"expected cpu, gpu or memory without a cluster, got {name!r}; leave it out, or join one that has it",
            )


def _memory_here() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
