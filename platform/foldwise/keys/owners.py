"""What names a fit: how classes, functions and modules are fed, as they are loaded."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from foldwise.errors import InputTypeError
from foldwise.keys import code
from foldwise.keys.versions import file_key, owner_of
from foldwise.keys.walk import Walk


def feed_class(walk: Walk, value: type) -> None:
    """Feed a class: its name, and its code as it is loaded."""
    if walk.met is None:
        walk.tag("class", walk.digester.code_key(value).encode())
        return
    if not walk.meets(value):
        return
    walk.tag("class", code.name_of(value).encode())
    for package in getattr(value, "_foldwise_depends_on", ()):  # which our own estimators import late
        walk.mark(owner_of(package) or package)
    home = code.home_of(value)
    if home is not None and (code.is_found_by_name(value) or not isinstance(value.__module__, str)):
        walk.mark(home)
        walk.feed_names(code.changes_in(value))
        return
    if home is None:
        walk.digester.meet_own(value.__module__)
        walk.digester.meet_class(value)
    else:
        walk.digester.meet(home)
    walk.feed([type(value), *value.__bases__])
    walk.feed_names(code.attributes_of(value))
    feed_annotations(walk, vars(value))
    walk.feed({name: one.metadata for name, one in vars(value).get("__dataclass_fields__", {}).items()})


def feed_function(walk: Walk, value: types.FunctionType) -> None:
    """Feed a function likewise."""
    if walk.met is None:
        walk.tag("function", walk.digester.code_key(value).encode())
        return
    if not walk.meets(value):
        return
    walk.tag("function", code.name_of(value).encode())
    home = code.home_of(value)
    if home is not None:
        walk.mark(home)
        if code.is_told_by_version(value):
            return
        if "registry" in vars(value):  # a generic function, whose closure is a cache
            walk.feed(["generic", value.__wrapped__, value.registry])  # type: ignore[attr-defined]
            return
        walk.feed(code.parts_of_code(value.__code__))
    else:
        walk.digester.meet_own(str(value.__globals__.get("__name__")))
        walk.feed(code.parts_of_code(value.__code__))
        walk.feed_names(code.references_of(value))
        feed_annotations(walk, {"__annotations__": value.__annotations__})
    walk.feed([value.__defaults__, value.__kwdefaults__, [content_of(cell) for cell in value.__closure__ or ()]])
    walk.feed_names(vars(value))


def feed_annotations(walk: Walk, attributes: Mapping[str, Any]) -> None:
    """Feed what types are said to be, which code may read as it runs; what cannot be read of them is left out."""
    before, annotations = walk.saved(), attributes.get("__annotations__")
    if not isinstance(annotations, dict):
        return
    try:
        walk.feed(annotations)
    except InputTypeError:
        walk.restore(before)


def content_of(cell: Any) -> Any:
    """Return what a closure's cell holds."""
    try:
        return cell.cell_contents
    except ValueError:
        return code.Missing("empty")


def feed_module(walk: Walk, value: types.ModuleType) -> None:
    """Feed a module by its version or, if it is user code, by all that it holds."""
    walk.tag("module", value.__name__.encode())
    home = owner_of(value.__name__)
    if home is not None:
        walk.mark(home)
    elif walk.met is None or walk.meets(value):
        inner = walk if walk.met is not None else Walk(walk.digester, {id(value): 0})
        walk.digester.meet_own(value.__name__)
        inner.feed_names(code.names_in(value))
        if inner is not walk:
            walk.tag("content", inner.sink.hexdigest().encode())


def feed_compiled(walk: Walk, value: Any) -> None:
    """Feed a function in C: its name, and the version of what it belongs to."""
    module = getattr(value, "__module__", None) or ""
    owner = getattr(value, "__self__", None)
    if not module and owner is not None and not isinstance(owner, types.ModuleType):
        module = (owner if isinstance(owner, type) else type(owner)).__module__
    walk.tag("compiled", f"{module}.{getattr(value, '__qualname__', value.__name__)}".encode())
    home = owner_of(module)
    if home is not None:
        walk.mark(home)
    elif module:
        walk.digester.meet_own(module)
        walk.tag("file", file_key(module).encode())
    if owner is not None and not isinstance(owner, types.ModuleType):
        walk.feed(owner)


def feed_ufunc(walk: Walk, value: np.ufunc) -> None:
    """Feed a ufunc by its name and version."""
    for owner in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(owner), value.__name__, None) is value:
            walk.tag("ufunc", f"{owner}.{value.__name__}".encode())
            walk.mark(owner.partition(".")[0])
            return
    raise InputTypeError(
        "ufunc", f"expected a ufunc of NumPy or SciPy, got {value!r}; use a function that is defined in a module"
    )


def feed_descriptor(walk: Walk, value: Any) -> None:
    """Feed a descriptor in C, which does what its name says."""
    owner = getattr(value, "__objclass__", None)
    walk.tag("descriptor", f"{getattr(owner, '__qualname__', '')}.{value.__name__}".encode())
