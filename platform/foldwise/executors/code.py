"""How user code reaches workers, and how models reach the driver.

A worker imports a module from its file. That file can be newer or older than what the driver has loaded, or missing. So one
worker is asked first: modules that are the same there are sent by name, all others by value.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from foldwise.executors.own_modules import forget_changed_modules
from foldwise.inputs.imports import ImportPaths, take_import_paths
from foldwise.keys.versions import owner_of
from foldwise.process.world import World
from foldwise.trial import FitResult
from foldwise.worker.fit import failure_of

_PATIENCE = 60.0  # seconds in which a worker should answer
_senders: Counter[str] = Counter()
"""How many searches of this process, side by side, send a module by value."""


class SentCode:
    """The driver's modules that are sent by value, until it is closed.

    Parameters
    ----------
    ray : module
        Connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._by_value: list[Any] = []

    def agree(self, world: World, paths: ImportPaths) -> World:
        """Ask a worker which code differs there, send that by value from now on, and return what workers are to check.

        Parameters
        ----------
        world : World
            With the driver's own code.
        paths : ImportPaths
            Where workers import from.
        """
        sendable = {name for name in world.modules if _is_sendable(name)}
        if not sendable or not world.own or not self._differing(world, paths):
            return world
        for name in sorted(sendable):
            module = sys.modules[name]
            self._ray.cloudpickle.register_pickle_by_value(module)
            self._by_value.append(module)
            _senders[name] += 1
        return replace(world, own={name: key for name, key in world.own.items() if name.partition(":")[0] not in sendable})

    def _differing(self, world: World, paths: ImportPaths) -> list[str]:
        """Ask a worker what differs there; without an answer nothing is said to, and each worker will look for itself."""
        ask = self._ray.remote(_differing_here).options(num_cpus=0, max_retries=2)
        try:
            differing: list[str] = self._ray.get(ask.remote(world, paths), timeout=_PATIENCE)
        except self._ray.exceptions.RayError:
            return []
        return differing

    def close(self) -> None:
        """Send code by its name again."""
        for module in self._by_value:
            _senders[module.__name__] -= 1
            if not _senders[module.__name__]:
                self._ray.cloudpickle.unregister_pickle_by_value(module)
        self._by_value.clear()


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A fitted estimator on its way to the driver, pickled: arrays that Ray sends by itself are read-only."""

    content: bytes


def packed(result: FitResult) -> FitResult:
    """Pack the model of a result, if it has one, on the worker that has fitted it."""
    if result.model is None:
        return result
    from ray import cloudpickle  # lazily: this runs on workers, and the driver imports Ray late

    return replace(result, model=PackedModel(cloudpickle.dumps(result.model)))  # type: ignore[no-untyped-call]


def unpacked(result: FitResult, classes: Iterable[type]) -> FitResult:
    """Unpack the model of a result, if it has one; the driver's own classes stay as they are."""
    if not isinstance(result.model, PackedModel):
        return result
    try:
        with _unchanged(classes):
            return replace(result, model=pickle.loads(result.model.content))  # noqa: S301  (from a worker of the run's own)
    except Exception as error:  # a model's own code may raise anything
        return replace(result, model=None, error=failure_of(error))


@contextlib.contextmanager
def _unchanged(classes: Iterable[type]) -> Iterator[None]:
    """Keep classes as they are while a worker's answer is unpickled: a class that was sent by value comes back with it."""
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


def _differing_here(world: World, paths: ImportPaths) -> list[str]:
    take_import_paths(paths)
    forget_changed_modules()
    with world.applied():
        return world.differing()


def _is_sendable(module: str) -> bool:
    """Tell whether a module is user code, and not one that is sent by value anyway."""
    return owner_of(module) is None and module != "__main__" and module in sys.modules
