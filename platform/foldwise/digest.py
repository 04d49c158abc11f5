"""Content keys: of values, rows, data and estimators, over canonical bytes.

Equal content gives an equal key in every process and on every machine; no pickle is hashed. A value is walked by its
structure: numbers, text, containers, arrays (dtype, shape, content), frames (by column), estimators (class, params and
the version of the code that owns the class) and, failing all these, what the object itself hands to ``copyreg``.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from foldwise.errors import InputTypeError
from foldwise.versions import bytecode_of, code_version, module_version

_BYTES = 16  # 128 bits: no collision among any number of fits that can be run


class _Sink(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


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
        If a value has no content that can be told apart (an open file, a lock).

    Examples
    --------
    >>> digest({"a": 1, "b": 2.0}) == digest({"b": 2.0, "a": 1})
    True
    >>> digest(1) == digest(1.0)
    False
    """
    sink = hashlib.blake2b(digest_size=_BYTES)
    try:
        for value in values:
            _feed(sink, value, ())
    except RecursionError:
        raise InputTypeError(
            type(value).__name__, "expected a value that is nested less deep, or does not contain itself"
        ) from None
    return sink.hexdigest()


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


# --- one writer per kind of value -------------------------------------------------------------------------------------

_Path = tuple[int, ...]
"""Identities of the values around this one, which it must not contain."""

_FROZEN = -1
"""Stands in the path of all that is within an estimator that is cloned with what it has learned."""


def _feed(sink: _Sink, value: Any, path: _Path) -> None:
    writer = _WRITERS.get(type(value)) or _writer_by_kind(value)
    writer(sink, value, path)


def _tag(sink: _Sink, tag: str, data: bytes = b"") -> None:
    sink.update(f"{tag}:{len(data)}:".encode())
    sink.update(data)


def _feed_sequence(sink: _Sink, value: Iterable[Any], path: _Path) -> None:
    _guard(value, path)
    items = list(value)
    _tag(sink, f"{'tuple' if isinstance(value, tuple) else 'list'}{len(items)}")
    for item in items:
        _feed(sink, item, (*path, id(value)))


def _feed_mapping(sink: _Sink, value: Mapping[Any, Any], path: _Path) -> None:
    _guard(value, path)
    _tag(sink, f"dict{len(value)}")
    for key, item in sorted(((digest(k), v) for k, v in value.items()), key=lambda pair: pair[0]):
        _tag(sink, "key", key.encode())
        _feed(sink, item, (*path, id(value)))


def _feed_set(sink: _Sink, value: Iterable[Any], path: _Path) -> None:
    _tag(sink, "set")
    for key in sorted(digest(item) for item in value):
        _tag(sink, "item", key.encode())


def _feed_array(sink: _Sink, value: np.ndarray, path: _Path) -> None:
    if isinstance(value, np.ma.MaskedArray):
        _tag(sink, "masked")
        _feed_array(sink, np.ma.getmaskarray(value), path)
    if value.dtype.names:
        _tag(sink, f"array-fields{value.shape}")
        _feed(sink, {name: value[name] for name in value.dtype.names}, path)
        return
    if value.dtype.hasobject or value.dtype.kind == "T":
        _guard(value, path)
        _tag(sink, f"array-object{value.shape}")
        for item in value.ravel().tolist():
            _feed(sink, item, (*path, id(value)))
        return
    _tag(sink, f"array-{value.dtype.str}{value.shape}")
    contiguous = np.ascontiguousarray(value)
    sink.update(contiguous.view(np.uint8).reshape(-1).data if contiguous.size else b"")


def _feed_scalar(sink: _Sink, value: np.generic, path: _Path) -> None:
    plain = value.item()
    if isinstance(plain, np.generic):  # longdouble has no Python counterpart
        _tag(sink, f"scalar-{plain.dtype.str}", plain.tobytes())
    else:
        _feed(sink, plain, path)


def _feed_random_state(sink: _Sink, value: np.random.RandomState, path: _Path) -> None:
    if value is np.random.mtrand._rand:  # the global one, which scipy's distributions hold, is no content of theirs
        _tag(sink, "RandomState-global")
        return
    _tag(sink, "RandomState")
    _feed(sink, value.get_state(legacy=False), path)


def _feed_class(sink: _Sink, value: type, path: _Path) -> None:
    _tag(sink, "class", f"{value.__module__}.{value.__qualname__}".encode())
    _tag(sink, "code", code_version(value).encode())


def _feed_function(sink: _Sink, value: types.FunctionType, path: _Path) -> None:
    _guard(value, path)
    _tag(sink, "function", f"{value.__module__}.{value.__qualname__}".encode())
    _tag(sink, "code", code_version(value).encode())
    if "<" in value.__qualname__:  # a lambda or a local function, whose name may stand for several
        _feed(sink, bytecode_of(value.__code__), path)
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    _feed(sink, [value.__defaults__, value.__kwdefaults__, cells], (*path, id(value)))


def _feed_builtin(sink: _Sink, value: Any, path: _Path) -> None:
    _tag(sink, "builtin", f"{value.__module__}.{value.__qualname__}".encode())
    _tag(sink, "code", module_version(value.__module__).encode())
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        _feed(sink, owner, path)


def _feed_ufunc(sink: _Sink, value: np.ufunc, path: _Path) -> None:
    for owner in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(owner), value.__name__, None) is value:
            _tag(sink, "ufunc", f"{owner}.{value.__name__}".encode())
            _tag(sink, "code", module_version(owner).encode())
            return
    raise InputTypeError(
        "ufunc", f"expected a ufunc of NumPy or SciPy, got {value!r}; use a function that is defined in a module"
    )


def _feed_partial(sink: _Sink, value: functools.partial[Any], path: _Path) -> None:
    _tag(sink, "partial")
    _feed(sink, [value.func, value.args, value.keywords], path)


def _feed_frame(sink: _Sink, value: Any, path: _Path) -> None:
    _tag(sink, f"frame{value.shape}")
    _feed(sink, [value.columns.tolist(), value.columns.names], path)
    for position in range(value.shape[1]):
        _feed_series(sink, value.iloc[:, position], path)


def _feed_series(sink: _Sink, value: Any, path: _Path) -> None:
    """Feed a pandas Series or Index: its dtype and values; row labels teach an estimator nothing."""
    _tag(sink, "series", str(value.dtype).encode())
    if hasattr(value, "cat"):
        _feed(sink, [value.cat.categories.tolist(), value.cat.ordered], path)
        _feed_array(sink, value.cat.codes.to_numpy(), path)
    elif isinstance(value.dtype, np.dtype):
        _feed_array(sink, value.to_numpy(), path)
    else:
        missing = value.isna()
        _feed_array(sink, np.asarray(missing), path)
        for text in value[~missing].tolist():
            _feed(sink, text, path)


def _feed_sparse(sink: _Sink, value: Any, path: _Path) -> None:
    rows = value.tocsr(copy=True)
    rows.sum_duplicates()
    _tag(sink, f"sparse-{value.format}{value.shape}")
    _feed(sink, [rows.data, rows.indices.astype(np.int64), rows.indptr.astype(np.int64)], path)


def _feed_estimator(sink: _Sink, value: Any, path: _Path) -> None:
    """Feed the class and the params, which are all that a clone keeps; of a frozen one also what it has learned."""
    clone = getattr(type(value), "__sklearn_clone__", None)
    if _FROZEN in path or getattr(clone, "__qualname__", "BaseEstimator").partition(".")[0] != "BaseEstimator":
        _feed_object(sink, value, (*path, _FROZEN))
        return
    _guard(value, path)
    _feed_class(sink, type(value), path)
    _feed(sink, value.get_params(deep=False), (*path, id(value)))


def _feed_frozen(sink: _Sink, value: Any, path: _Path) -> None:
    """Feed a scipy frozen distribution: its family and arguments, not the generator that it would draw from by default."""
    _feed(sink, [type(value.dist), value.dist.name, list(value.args), dict(value.kwds)], path)


def _feed_object(sink: _Sink, value: Any, path: _Path) -> None:
    """Feed what an object hands over when it is copied: its class, arguments and state."""
    if id(value) in path:  # an object may hold itself, as one of its bound methods does
        _tag(sink, "again", str(len(path) - path.index(id(value))).encode())
        return
    inner = (*path, id(value))
    try:
        parts = value.__reduce_ex__(4)
    except TypeError as error:
        raise InputTypeError(
            type(value).__name__, f"expected a value with content that can be compared, got {value!r} ({error})"
        ) from None
    if isinstance(parts, str):
        module = getattr(value, "__module__", None) or type(value).__module__
        _tag(sink, "global", f"{module}.{parts}".encode())
        if hasattr(value, "__wrapped__"):  # a decorated function, such as a cached one
            _feed(sink, value.__wrapped__, inner)
        return
    _feed_class(sink, type(value), inner)
    builder, arguments, *state = parts
    for part in arguments if builder.__module__ != "copyreg" else arguments[1:]:
        _feed(sink, part, inner)
    for part in state:
        _feed(sink, list(part) if isinstance(part, types.GeneratorType | zip) or hasattr(part, "__next__") else part, inner)


def _guard(value: Any, path: _Path) -> None:
    if id(value) in path:
        raise InputTypeError(type(value).__name__, "expected a value that does not contain itself")


def _feed_int(sink: _Sink, value: int, path: _Path) -> None:
    _tag(sink, "int", str(value).encode())


def _feed_float(sink: _Sink, value: float, path: _Path) -> None:
    _tag(sink, "float", struct.pack(">d", value) if value == value else b"nan")


_Writer = Callable[[_Sink, Any, _Path], None]

_WRITERS: dict[type, _Writer] = {
    type(None): lambda sink, value, path: _tag(sink, "none"),
    bool: lambda sink, value, path: _tag(sink, "bool", bytes([value])),
    int: _feed_int,
    float: _feed_float,
    complex: lambda sink, value, path: _tag(sink, "complex", struct.pack(">dd", value.real, value.imag)),
    str: lambda sink, value, path: _tag(sink, "str", value.encode("utf-8", "surrogatepass")),
    bytes: lambda sink, value, path: _tag(sink, "bytes", value),
    list: _feed_sequence,
    tuple: _feed_sequence,
    dict: _feed_mapping,
    set: _feed_set,
    frozenset: _feed_set,
    np.ndarray: _feed_array,
    np.random.RandomState: _feed_random_state,
    functools.partial: _feed_partial,
    types.FunctionType: _feed_function,
    types.BuiltinFunctionType: _feed_builtin,
    np.ufunc: _feed_ufunc,
    range: lambda sink, value, path: _feed(sink, ["range", value.start, value.stop, value.step], path),
}


def _writer_by_kind(value: Any) -> _Writer:
    """Find the writer of a value whose exact type has none; nothing is imported for it."""
    if isinstance(value, type):
        return _feed_class
    if isinstance(value, np.generic):
        return _feed_scalar
    if isinstance(value, np.ndarray):
        return _feed_array
    if hasattr(value, "get_params") and hasattr(type(value), "set_params"):
        return _feed_estimator
    if hasattr(value, "iloc"):
        return _feed_frame if hasattr(value, "columns") else _feed_series
    if hasattr(value, "tocsr"):
        return _feed_sparse
    if all(hasattr(value, part) for part in ("rvs", "dist", "args", "kwds")):
        return _feed_frozen
    return _feed_object
