"""What names a fit: content keys of values, rows, data, estimators and code, over canonical bytes.

Equal content gives an equal key in every process and on every machine; no pickle is hashed. A value is walked by its
structure: numbers, text, containers, arrays (dtype, shape, layout, content), frames (by column, with their row labels),
estimators (their whole state), functions and classes (`code`) and, failing all these, what the object itself hands to
``copyreg``. What differs in any of these has another key; what cannot be read has none.
"""

from __future__ import annotations

import functools
import struct
import threading
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldwise.errors import InputTypeError
from foldwise.keys import code
from foldwise.keys.frames import feed_frame, feed_index, feed_polars, feed_series, feed_values
from foldwise.keys.objects import feed_estimator, feed_frozen, feed_object, feed_weak
from foldwise.keys.owners import content_of, feed_class, feed_compiled, feed_descriptor, feed_function, feed_module, feed_ufunc
from foldwise.keys.values import (
    feed_array,
    feed_float,
    feed_int,
    feed_mapping,
    feed_random_state,
    feed_scalar,
    feed_sequence,
    feed_set,
    feed_sparse,
)
from foldwise.keys.walk import Walk, Writer


def digest(*values: Any) -> str:
    """Return the content key of some values.

    Parameters
    ----------
    *values : object
        Anything that a search may hold. Order matters, except within dicts and sets.

    Returns
    -------
    str
        32 hexadecimal digits (BLAKE2b, 128 bits).

    Raises
    ------
    InputTypeError
        If a value has no content that can be told apart (an open file, a generator).

    Examples
    --------
    >>> digest({"a": 1, "b": 2.0}) == digest({"b": 2.0, "a": 1})
    True
    >>> digest(1) == digest(1.0)
    False
    """
    return Digester().digest(*values)


def label(value: Any, digester: Digester | None = None) -> str:
    """Return the content key of a value or, where it cannot be read, one that tells it from others in this process."""
    try:
        return (digester or Digester()).digest(value)
    except InputTypeError:
        return f"at {id(value)}"


def digest_rows(rows: np.ndarray) -> str:
    """Return the key of row numbers, in their order."""
    return digest(np.ascontiguousarray(rows, dtype=np.int64))


def derive_seed(*values: Any) -> int:
    """Return a seed below 2**31 that depends on the values alone.

    Examples
    --------
    >>> derive_seed(0, "outer") == derive_seed(0, "outer") != derive_seed(1, "outer")
    True
    """
    return int(digest("seed", *values)[:8], 16) & 0x7FFFFFFF


class Digester:
    """Makes content keys, and remembers those of code, which it takes to stay as it is for as long as it lives.

    Attributes
    ----------
    distributions : set of str
        Those whose code was met.
    own : dict of str to str
        ``module:qualname`` -> key of the classes and functions met as values that are, or reach, user code.
    own_modules : set of str
        Where user code stands.
    own_classes : list of type
        The user's own.
    """

    def __init__(self) -> None:
        self.distributions: set[str] = set()
        self.own: dict[str, str] = {}
        self.own_modules: set[str] = set()
        self.own_classes: list[type] = []
        self._codes: dict[int, tuple[Any, str, bool]] = {}
        self._reaches_own = False

    def digest(self, *values: Any) -> str:
        """Return the content key of some values, as `digest` does."""
        return self.digest_and_tell(*values)[0]

    def digest_and_tell(self, *values: Any) -> tuple[str, bool]:
        """Return the content key of some values, and whether user code is among what they hold."""
        self._reaches_own = False
        walk = Walk(self, None)
        try:
            for value in values:
                walk.feed(value)
        except RecursionError:
            raise InputTypeError(
                type(value).__name__, "expected a value that is nested less deep, or does not contain itself"
            ) from None
        return walk.sink.hexdigest(), self._reaches_own

    def code_key(self, owner: Any) -> str:
        """Return the key of a class or function, as it is loaded."""
        if self._codes.get(id(owner), (None,))[0] is not owner:
            outside, self._reaches_own = self._reaches_own, False
            walk = Walk(self, {})
            walk.feed(owner)
            key, is_own = walk.sink.hexdigest(), self._reaches_own
            self._codes[id(owner)] = (owner, key, is_own)
            self._reaches_own = outside
            if is_own:
                self.own[code.name_of(owner)] = key
        _, key, is_own = self._codes[id(owner)]
        self._reaches_own |= is_own
        return key

    def meet(self, distribution: str) -> None:
        """Note that code of a distribution was met."""
        self.distributions.add(distribution)

    def meet_class(self, owner: type) -> None:
        """Note a class of user code."""
        self.own_classes.append(owner)

    def writer_for(self, value: Any) -> Writer:
        """Return what feeds a value of its kind."""
        return _WRITERS.get(type(value)) or _writer_by_kind(value)

    def meet_own(self, module: str) -> None:
        """Note that user code was met."""
        self._reaches_own = True
        self.own_modules.add(module)


@dataclass(frozen=True, slots=True)
class Deferred:
    """A value that is made when it is its turn to be read, and not held before or after; it has that value's key.

    Parameters
    ----------
    make : callable
        Returns the value.
    """

    make: Callable[[], Any]


_WRITERS: dict[type, Writer] = {
    type(None): lambda walk, value: walk.tag("none"),
    bool: lambda walk, value: walk.tag("bool", bytes([value])),
    int: feed_int,
    float: feed_float,
    complex: lambda walk, value: walk.tag("complex", struct.pack(">dd", value.real, value.imag)),
    str: lambda walk, value: walk.tag("str", value.encode("utf-8", "surrogatepass")),
    bytes: lambda walk, value: walk.tag("bytes", value),
    list: feed_sequence,
    tuple: feed_sequence,
    dict: feed_mapping,
    types.MappingProxyType: feed_mapping,
    set: feed_set,
    frozenset: feed_set,
    np.ndarray: feed_array,
    Deferred: lambda walk, value: walk.feed(value.make()),
    np.random.RandomState: feed_random_state,
    functools.partial: lambda walk, value: walk.feed(["partial", value.func, value.args, value.keywords, vars(value)]),
    types.FunctionType: feed_function,
    types.MethodType: lambda walk, value: walk.feed(["method", value.__func__, value.__self__]),
    types.BuiltinFunctionType: feed_compiled,
    types.MethodWrapperType: feed_compiled,
    types.ModuleType: feed_module,
    types.CodeType: lambda walk, value: walk.feed(["code", *code.parts_of_code(value)]),
    types.CellType: lambda walk, value: walk.feed(["cell", content_of(value)]),
    types.GetSetDescriptorType: feed_descriptor,
    types.MemberDescriptorType: feed_descriptor,
    types.WrapperDescriptorType: feed_descriptor,
    types.MethodDescriptorType: feed_descriptor,
    types.ClassMethodDescriptorType: feed_descriptor,
    property: lambda walk, value: walk.feed(["property", value.fget, value.fset, value.fdel]),
    staticmethod: lambda walk, value: walk.feed(["static", value.__func__]),
    classmethod: lambda walk, value: walk.feed(["of class", value.__func__]),
    functools.cached_property: lambda walk, value: walk.feed(["cached", value.func]),
    weakref.WeakKeyDictionary: feed_weak,
    type(threading.Lock()): lambda walk, value: walk.tag("lock"),
    type(threading.RLock()): lambda walk, value: walk.tag("lock"),
    code.Missing: lambda walk, value: walk.tag("missing", value.name.encode()),
    np.ufunc: feed_ufunc,
    range: lambda walk, value: walk.feed(["range", value.start, value.stop, value.step]),
}


def _writer_by_kind(value: Any) -> Writer:
    """Find the writer of a value whose exact type has none; nothing is imported for it."""
    if isinstance(value, type):
        return feed_class
    if isinstance(value, np.generic):
        return feed_scalar
    if isinstance(value, np.ndarray):
        return feed_array
    if hasattr(value, "get_params") and hasattr(type(value), "set_params"):
        return feed_estimator
    module = type(value).__module__.partition(".")[0]
    if module == "polars" and hasattr(value, "dtype" if not hasattr(value, "get_columns") else "columns"):
        return feed_polars
    if hasattr(value, "iloc"):
        return feed_frame if hasattr(value, "columns") else feed_series
    if module == "pandas" and hasattr(value, "dtype") and hasattr(value, "isna"):
        return feed_index if hasattr(value, "names") else feed_values
    if hasattr(value, "tocsr"):
        return feed_sparse
    if all(hasattr(value, part) for part in ("rvs", "dist", "args", "kwds")):
        return feed_frozen
    if hasattr(value, "py_func"):  # compiled from a function, as numba does it
        return lambda walk, value: walk.feed([type(value), value.py_func])
    return feed_object
