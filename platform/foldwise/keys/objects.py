"""What names a fit: how estimators and other objects are fed, by their class and their state."""

from __future__ import annotations

import copyreg
from collections.abc import Iterable, Iterator
from typing import Any

from foldwise.errors import InputTypeError
from foldwise.keys import code
from foldwise.keys.owners import feed_class
from foldwise.keys.versions import file_key, owner_of
from foldwise.keys.walk import Walk


def feed_estimator(walk: Walk, value: Any) -> None:
    """Feed the class and the whole state: params, output settings, metadata requests, what ``__init__`` derived."""
    if not walk.enter(value):
        return
    feed_class(walk, type(value))
    before = walk.saved()
    try:
        walk.feed_names(_state_of(value))
        walk.leave()
    except InputTypeError:  # what it hands over when it is copied may leave out what cannot be read
        if not _has_own_getstate(value):
            raise
        walk.restore(before)
        walk.leave()
        feed_object(walk, value)


def _state_of(value: Any) -> dict[str, Any]:
    slots = (name for one in type(value).__mro__ for name in _names_of_slots(one.__name__, vars(one).get("__slots__", ())))
    hidden = {"__dict__", "__weakref__"}
    return {
        **{name: getattr(value, name) for name in slots if name not in hidden and hasattr(value, name)},
        **getattr(value, "__dict__", {}),
    }


def _names_of_slots(owner: str, slots: Any) -> Iterable[str]:
    names = [slots] if isinstance(slots, str) else list(slots)
    private = f"_{owner.lstrip('_')}"
    return (f"{private}{name}" if name.startswith("__") and not name.endswith("__") else name for name in names)


def _has_own_getstate(value: Any) -> bool:
    return any(name in vars(one) for one in type(value).__mro__[:-1] for name in ("__getstate__", "__reduce__"))


def feed_frozen(walk: Walk, value: Any) -> None:
    """Feed a scipy frozen distribution: its family and arguments, not the generator that it would draw from by default."""
    walk.feed([type(value.dist), value.dist.name, list(value.args), dict(value.kwds)])


def feed_object(walk: Walk, value: Any) -> None:
    """Feed what an object hands over when it is copied: its class, arguments and state."""
    if "_foldwise_adds_nothing" in vars(type(value)):  # to the key of what holds it
        return
    if not walk.enter(value):
        return
    try:
        reducer = copyreg.dispatch_table.get(type(value))
        parts = value.__reduce_ex__(4) if reducer is None else reducer(value)
    except Exception as error:  # whatever an object's own code raises
        raise InputTypeError(
            type(value).__name__, f"expected a value with content that can be compared, got {value!r} ({error})"
        ) from None
    if isinstance(parts, str):
        feed_global(walk, value, parts)
        walk.leave()
        return
    feed_class(walk, type(value))
    builder, arguments, *state = parts
    if builder.__module__ != "copyreg":
        walk.feed(builder)
    for part in arguments if builder.__module__ != "copyreg" else arguments[1:]:
        walk.feed(part)
    for part in state:
        walk.feed(list(part) if isinstance(part, Iterator) else part)
    is_shared = walk.met is not None or "__deepcopy__" in vars(type(value))  # it is not copied for each fit
    if is_shared and _has_own_getstate(value) and code.home_of(type(value)) is None:
        walk.feed_names(_state_of(value))  # what it leaves out when it is copied, too
    walk.leave()


def feed_global(walk: Walk, value: Any, name: str) -> None:
    """Feed an object that is found by its name, such as a function that is compiled, or a cached one."""
    module = getattr(value, "__module__", None) or type(value).__module__
    walk.tag("global", f"{module}.{name}".encode())
    if hasattr(value, "__wrapped__"):
        walk.feed([type(value), value.__wrapped__, getattr(value, "cache_parameters", dict)()])
        return
    if code.home_of(type(value)) is None:
        walk.feed(type(value))
        walk.feed_names(_state_of(value))
        return
    home = owner_of(module)
    if home is not None:
        walk.mark(home)
    else:
        walk.digester.meet_own(module)
        walk.tag("file", file_key(module).encode())


def feed_weak(walk: Walk, value: Any) -> None:
    """Feed a weak mapping by classes, which is a cache of lookups; no other can be read while it may lose what it holds."""
    if not all(isinstance(key, type) for key in value):
        raise InputTypeError(type(value).__name__, f"expected a value with content that can be compared, got {value!r}")
    walk.tag("weak")
