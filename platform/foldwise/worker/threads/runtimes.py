"""Libraries whose threads are set by functions of their own, also where a fit is the first to load them."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

from foldwise.worker.threads.compat import limit_catboost

Undo = Callable[[], None]
Limiter = Callable[[int, int | None], Undo]
"""Limits a library to so many threads, and returns what ends that; ``usual``: what one has later that was just loaded."""


def _by_functions(module: str, getter: str, setter: str) -> Limiter:
    def limit(threads: int, usual: int | None) -> Undo:
        library = sys.modules[module]
        try:
            before = getattr(library, getter)()
            set_to = getattr(library, setter)
            set_to(threads)
        except Exception:  # another module of this name, or one that has fewer threads: it is left as it is
            return lambda: None
        return lambda: set_to(before if usual is None else max(usual, before))

    return limit


def _catboost(threads: int, usual: int | None) -> Undo:
    return limit_catboost(sys.modules["catboost.core"], threads)


LIMITERS: Mapping[str, Limiter] = {
    "catboost": _catboost,
    "cv2": _by_functions("cv2", "getNumThreads", "setNumThreads"),
    "numexpr": _by_functions("numexpr", "get_num_threads", "set_num_threads"),
    "pyarrow": _by_functions("pyarrow", "cpu_count", "set_cpu_count"),
    "torch": _by_functions("torch", "get_num_threads", "set_num_threads"),
}


@contextlib.contextmanager
def limited_runtimes(threads: int, usual: Callable[[], int]) -> Iterator[None]:
    """Limit these libraries for a time, those that are loaded meanwhile from then on; afterwards they have what they had.

    A library that was loaded meanwhile has ``usual()`` threads afterwards, or more if it takes more by itself.
    """

    def loaded(name: str) -> None:
        undo[name] = LIMITERS[name](threads, usual())

    undo = {name: limiter(threads, None) for name, limiter in LIMITERS.items() if _is_loaded(name)}
    watch = _Imports(LIMITERS.keys() - undo.keys(), loaded)
    sys.meta_path.insert(0, watch)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # somebody else has taken it away
            sys.meta_path.remove(watch)
        for end in reversed(list(undo.values())):
            end()


def _is_loaded(name: str) -> bool:
    """Tell whether a module is loaded, and whole."""
    module = sys.modules.get(name)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


class _Imports(MetaPathFinder):
    """Finds nothing itself, but says when one of some modules was loaded.

    Parameters
    ----------
    names : set of str
        The modules; each is told of once.
    loaded : callable
        Called with the name.
    """

    def __init__(self, names: set[str], loaded: Callable[[str], None]) -> None:
        self._names, self._loaded = names, loaded

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find a module by the other finders, if it is one of these, and have its loader tell."""
        if fullname not in self._names:
            return None
        self._names.discard(fullname)  # so that the others are asked
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            self._names.add(fullname)
            return spec
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: Any) -> None:
            vars(loader).pop("exec_module", None)
            try:
                execute(module)
            except BaseException:
                self._names.add(fullname)
                raise
            self._loaded(fullname)

        loader.exec_module = exec_module
        return spec
