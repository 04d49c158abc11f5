"""How the driver's own code reaches workers: by its name where they find the same there, else by value.

A worker imports a module from its file, which may be newer or older than what the driver has loaded, or missing. So a worker
is asked first, and what it has not, or has otherwise, is sent as the driver has it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from foldwise.imports import add_import_paths
from foldwise.keys.versions import owner_of
from foldwise.world import World


class SentCode:
    """What of the driver's own code is sent by value, until it is closed.

    Parameters
    ----------
    ray : module
        Connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._by_value: list[Any] = []

    def agree(self, world: World, modules: Iterable[str], paths: Sequence[str]) -> World:
        """Ask a worker which code it lacks, send that by value from now on, and return what workers are to check.

        Parameters
        ----------
        world : World
            With the driver's own code.
        modules : iterable of str
            All of the driver's own modules whose code a fit may run.
        paths : sequence of str
            Folders that workers import from.
        """
        sendable = {name for name in modules if _is_sendable(name)}
        if not sendable or not world.own:
            return world
        ask = self._ray.remote(_differing).options(num_cpus=0, max_retries=2)
        if not self._ray.get(ask.remote(world, tuple(paths))):
            return world
        for name in sorted(sendable):
            module = sys.modules[name]
            self._ray.cloudpickle.register_pickle_by_value(module)
            self._by_value.append(module)
        return replace(world, own={name: key for name, key in world.own.items() if name.partition(":")[0] not in sendable})

    def close(self) -> None:
        """Send code by its name again."""
        for module in self._by_value:
            with contextlib.suppress(ValueError):  # registered twice, by two searches side by side
                self._ray.cloudpickle.unregister_pickle_by_value(module)
        self._by_value.clear()


@contextlib.contextmanager
def unchanged(classes: Iterable[type]) -> Iterator[None]:
    """Keep classes as they are while what workers send back is unpickled: a class that was sent by value comes back with it."""
    before = [(one, dict(vars(one))) for one in classes]
    try:
        yield
    finally:
        for one, attributes in before:
            _put_back(one, attributes)


def _put_back(owner: type, attributes: dict[str, Any]) -> None:
    now = dict(vars(owner))
    for name in now.keys() - attributes.keys():
        with contextlib.suppress(AttributeError, TypeError):
            delattr(owner, name)
    for name, value in attributes.items():
        if now.get(name) is not value:
            with contextlib.suppress(AttributeError, TypeError):  # what a class does not let be set has not been set
                setattr(owner, name, value)


def _differing(world: World, paths: Sequence[str]) -> list[str]:
    add_import_paths(*paths)
    return world.differing()


def _is_sendable(module: str) -> bool:
    """Tell whether a module is the user's own, and not one that is sent by value anyway."""
    is_own = owner_of(module) is None and module.partition(".")[0] not in {"__main__", "foldwise"}
    return is_own and module in sys.modules
