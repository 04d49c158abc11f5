"""Resources of one running process: a fit, or a scheduled trial."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foldwise.errors import InputTypeError, ResourcesError, nearest
from foldwise.inputs.checks import is_finite

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_SIZE = re.compile(r"^\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*$")


@dataclass(frozen=True)
class Resources:
    """What one running fit holds.

    Parameters
    ----------
    cpu : float, default=1
        Cores; also the number of BLAS and OpenMP threads (at least 1).
    gpu : float, default=0
        GPUs; a fraction shares one.
    memory : int, optional
        Bytes that are kept free for it.
    custom : mapping of str to float
        Ray's custom resources.
    """

    cpu: float = 1
    gpu: float = 0
    memory: int | None = None
    custom: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any) -> Resources:
        """Read ``{"cpu": 1, "gpu": 0.5, "memory": "4GiB", "my_license": 1}``.

        Raises
        ------
        ResourcesError
            If an amount is no amount, or one above 1 is not whole.
        """
        if isinstance(given, Resources):
            return given
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise InputTypeError("resources", f"expected a mapping such as {{'cpu': 1, 'gpu': 0}}, got {given!r}")
        amounts = dict(given)
        memory = amounts.pop("memory", None)
        for name, amount in amounts.items():
            if not isinstance(name, str) or not name.strip():
                raise InputTypeError("resources", f"expected names of resources, got {name!r}; write cpu, gpu or memory")
            if name.lower() in {"cpus", "gpus", "num_cpus", "num_gpus", "mem", "memory"} or (
                name not in {"cpu", "gpu"} and name.lower() in {"cpu", "gpu"}
            ):
                raise ResourcesError(
                    f"resources.{name}", f"expected another name; {nearest(name.lower(), ['cpu', 'gpu', 'memory'])}"
                )
            if not is_finite(amount) or amount < 0:
                raise ResourcesError(f"resources.{name}", f"expected a number >= 0, got {amount!r}")
        cpu, gpu = amounts.pop("cpu", 1), amounts.pop("gpu", 0)
        for name, amount in (("cpu", cpu), ("gpu", gpu), *amounts.items()):
            if amount > 1 and amount != int(amount):
                raise ResourcesError(f"resources.{name}", f"expected a whole number above 1, got {amount!r}")
        if cpu == 0 and gpu == 0 and not any(amounts.values()):
            raise ResourcesError("resources.cpu", "expected more than 0 without other resources, got 0")
        return cls(cpu, gpu, None if memory is None else _bytes(memory), amounts)

    @property
    def threads(self) -> int:
        """BLAS and OpenMP threads of one fit."""
        return max(1, int(self.cpu))

    def amounts(self) -> dict[str, float]:
        """Map the names that Ray gives to resources to the amounts."""
        named = {"CPU": self.cpu, "GPU": self.gpu, "memory": self.memory or 0, **self.custom}
        return {name: amount for name, amount in named.items() if amount}


def _bytes(size: Any) -> int:
    match = _SIZE.match(size) if isinstance(size, str) else None
    if match and match[2].upper() in _UNITS:
        amount = float(match[1]) * _UNITS[match[2].upper()]
    elif is_finite(size) and size > 0:
        amount = float(size)
    else:
        raise ResourcesError("resources.memory", f"expected bytes or a size such as '4GiB', got {size!r}")
    if amount == math.inf:
        raise ResourcesError("resources.memory", f"expected fewer bytes, got {size!r}")
    if amount < 1:
        raise ResourcesError("resources.memory", f"expected at least one byte, got {size!r}")
    return int(amount)
