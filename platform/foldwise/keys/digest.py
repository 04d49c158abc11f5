"""What names a fit: content keys of values, rows, data, estimators and code, over canonical bytes.

Equal content gives an equal key in every process and on every machine; no pickle is hashed. A value is walked by its
structure: numbers, text, containers, arrays (dtype, shape, layout, content), frames (by column, with their row labels),
estimators (their whole state), functions and classes (`code`) and, failing all these, what the object itself hands to
``copyreg``. What differs in any of these has another key; what cannot be read has none.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import struct
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from foldwise.errors import InputTypeError
from foldwise.keys import code
from foldwise.keys.versions import file_key, owner_of, version_of

_BYTES = 16  # 128 bits: no collision among any number of fits that can be run


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
        ``module:qualname`` -> key of the classes and functions met as values that are, or reach, code of the user's own.
    own_modules : set of str
        Where code of the user's own stands.
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
        """Return the content key of some values, and whether code of the user's own is among what they hold."""
        self._reaches_own = False
        walk = _Walk(self, None)
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
            walk = _Walk(self, {})
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

    def meet_own(self, module: str) -> None:
        """Note that code of the user's own was met; that of a checkout of foldwise is read likewise, and is nobody's own."""
        if module.partition(".")[0] != "foldwise":
            self._reaches_own = True
            self.own_modules.add(module)


# --- one writer per kind of value -------------------------------------------------------------------------------------


class _Walk:
    """Feeds values to a hash.

    Parameters
    ----------
    digester : Digester
        Whose walk it is.
    met : dict of int to int, optional
        Of a walk through code: the classes, functions and modules met so far, by identity, and their places in it. None: a
        walk through values, for which those have keys of their own.
    """

    def __init__(self, digester: Digester, met: dict[int, int] | None) -> None:
        self.digester, self.met = digester, met
        self.sink = hashlib.blake2b(digest_size=_BYTES)
        self.path: list[int] = []

    def feed(self, value: Any) -> None:
        (_WRITERS.get(type(value)) or _writer_by_kind(value))(self, value)

    def tag(self, tag: str, data: bytes = b"") -> None:
        self.sink.update(f"{tag}:{len(data)}:".encode())
        self.sink.update(data)

    def feed_names(self, names: Mapping[str, Any]) -> None:
        """Feed values by their names, in the order of these."""
        self.tag(f"names{len(names)}")
        for name in sorted(names):
            self.tag("name", name.encode("utf-8", "surrogatepass"))
            self.feed(names[name])

    def apart(self, value: Any) -> str:
        """Return the key of an item that has no place of its own in a set or mapping."""
        walk = _Walk(self.digester, None if self.met is None else dict(self.met))
        walk.path = list(self.path)
        walk.feed(value)
        return walk.sink.hexdigest()

    def enter(self, value: Any) -> bool:
        """Go into a value; False if the walk is in it already, which is said instead."""
        if id(value) in self.path:
            self.tag("again", str(len(self.path) - self.path.index(id(value))).encode())
            return False
        self.path.append(id(value))
        return True

    def leave(self) -> None:
        self.path.pop()

    def guard(self, value: Any) -> bool:
        """Go into a container; one that contains itself is refused, unless that is how code refers to it."""
        if self.met is None and id(value) in self.path:
            raise InputTypeError(type(value).__name__, "expected a value that does not contain itself")
        return self.enter(value)

    def meets(self, owner: Any) -> bool:
        """Go into code; False if the walk has been there, which is said instead."""
        assert self.met is not None
        if id(owner) in self.met:
            self.tag("met", str(self.met[id(owner)]).encode())
            return False
        self.met[id(owner)] = len(self.met)
        return True

    def saved(self) -> Any:
        """Return where the walk is, so that it can be taken up again from there."""
        return self.sink.copy(), list(self.path), None if self.met is None else dict(self.met)

    def restore(self, saved: Any) -> None:
        self.sink, self.path, self.met = saved

    def mark(self, distribution: str) -> None:
        """Feed whose code it is, by the version that is loaded."""
        self.digester.meet(distribution)
        self.tag("version", f"{distribution}=={version_of(distribution)}".encode())


def _feed_sequence(walk: _Walk, value: Any) -> None:
    if not walk.guard(value):
        return
    items = list(value)
    walk.tag(f"{'tuple' if isinstance(value, tuple) else 'list'}{len(items)}")
    for item in items:
        walk.feed(item)
    walk.leave()


def _feed_mapping(walk: _Walk, value: Mapping[Any, Any]) -> None:
    if not walk.guard(value):
        return
    walk.tag(f"dict{len(value)}")
    for key, item in sorted(((walk.apart(k), v) for k, v in value.items()), key=lambda pair: pair[0]):
        walk.tag("key", key.encode())
        walk.feed(item)
    walk.leave()


def _feed_set(walk: _Walk, value: Iterable[Any]) -> None:
    walk.tag("set")
    for key in sorted(walk.apart(item) for item in value):
        walk.tag("item", key.encode())


def _feed_array(walk: _Walk, value: np.ndarray) -> None:
    if type(value) is not np.ndarray:
        walk.feed(type(value))
        walk.feed(
            {name: one for name, one in getattr(value, "__dict__", {}).items() if not name.startswith(("_mask", "_fill"))}
        )
    if isinstance(value, np.ma.MaskedArray):
        walk.tag("masked")
        walk.feed([np.ma.getmaskarray(value), value.fill_value])
        value = np.ma.getdata(value)
    if value.dtype.names:
        walk.tag(f"array-fields{value.shape}")
        walk.feed([(name, value[name]) for name in value.dtype.names])
        return
    if value.ndim > 1:  # which decides the last bits of sums
        walk.tag("layout", _layout(value))
    if value.dtype.hasobject or value.dtype.kind == "T":
        if not walk.guard(value):
            return
        walk.tag(f"array-{value.dtype}{value.shape}")
        for item in value.ravel().tolist():
            walk.feed(item)
        walk.leave()
        return
    walk.tag(f"array-{value.dtype.str}{value.shape}")
    contiguous = np.ascontiguousarray(value)
    walk.sink.update(contiguous.view(np.uint8).reshape(-1).data if contiguous.size else b"")


_OF_MASKED = {"_mask", "_fill_value", "_sharedmask", "_isfield", "_baseclass", "_optinfo", "_basedict", "_hardmask"}
"""What NumPy's masked arrays attach to themselves."""


def _layout(value: np.ndarray) -> bytes:
    """Tell columns first from rows first, which rows that are taken have of what is neither."""
    return b"F" if value.flags.f_contiguous and not value.flags.c_contiguous else b"C"


def _feed_scalar(walk: _Walk, value: np.generic) -> None:
    """Feed a number of NumPy's with its type: a factor of numpy.float64 makes float64 of float32 rows, Python's does not."""
    walk.tag(f"scalar-{value.dtype.str}", value.tobytes())


def _feed_random_state(walk: _Walk, value: np.random.RandomState) -> None:
    if value is np.random.mtrand._rand:  # the global one, which scipy's distributions hold, is no content of theirs
        walk.tag("RandomState-global")
        return
    walk.tag("RandomState")
    walk.feed(value.get_state(legacy=False))


# --- code -------------------------------------------------------------------------------------------------------------


def _feed_class(walk: _Walk, value: type) -> None:
    if walk.met is None:
        walk.tag("class", walk.digester.code_key(value).encode())
        return
    if not walk.meets(value):
        return
    walk.tag("class", code.name_of(value).encode())
    for package in vars(value).get("_foldwise_depends_on", ()):  # which our own estimators import late
        walk.mark(owner_of(package) or package)
    home = code.home_of(value)
    if home is not None and (code.is_found_by_name(value) or not isinstance(value.__module__, str)):
        walk.mark(home)
        walk.feed_names(code.changes_in(value))
        return
    if home is None:
        walk.digester.meet_own(value.__module__)
        walk.digester.own_classes.append(value)
    else:
        walk.digester.meet(home)
    walk.feed([type(value), *value.__bases__])
    walk.feed_names(code.attributes_of(value))
    _feed_annotations(walk, vars(value))
    walk.feed({name: one.metadata for name, one in vars(value).get("__dataclass_fields__", {}).items()})


def _feed_function(walk: _Walk, value: types.FunctionType) -> None:
    if walk.met is None:
        walk.tag("function", walk.digester.code_key(value).encode())
        return
    if not walk.meets(value):
        return
    walk.tag("function", code.name_of(value).encode())
    home = code.home_of(value)
    if home is not None:
        walk.mark(home)
        if code.is_replaceable(value):
            return
        if "registry" in vars(value):  # a generic function, whose closure is a cache
            walk.feed(["generic", value.__wrapped__, value.registry])  # type: ignore[attr-defined]
            return
        walk.feed(code.parts_of_code(value.__code__))
    else:
        walk.digester.meet_own(str(value.__globals__.get("__name__")))
        walk.feed(code.parts_of_code(value.__code__))
        walk.feed_names(code.references_of(value))
        _feed_annotations(walk, {"__annotations__": value.__annotations__})
    walk.feed([value.__defaults__, value.__kwdefaults__, [_content_of(cell) for cell in value.__closure__ or ()]])
    walk.feed_names(vars(value))


def _feed_annotations(walk: _Walk, attributes: Mapping[str, Any]) -> None:
    """Feed what types are said to be, which code may read as it runs; what cannot be read of them is left out."""
    before, annotations = walk.saved(), attributes.get("__annotations__")
    if not isinstance(annotations, dict):
        return
    try:
        walk.feed(annotations)
    except InputTypeError:
        walk.restore(before)


def _content_of(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return code.Missing("empty")


def _feed_module(walk: _Walk, value: types.ModuleType) -> None:
    walk.tag("module", value.__name__.encode())
    home = owner_of(value.__name__)
    if home is not None:
        walk.mark(home)
    elif walk.met is None or walk.meets(value):
        inner = walk if walk.met is not None else _Walk(walk.digester, {id(value): 0})
        walk.digester.meet_own(value.__name__)
        inner.feed_names(code.names_in(value))
        if inner is not walk:
            walk.tag("content", inner.sink.hexdigest().encode())


def _feed_compiled(walk: _Walk, value: Any) -> None:
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


def _feed_ufunc(walk: _Walk, value: np.ufunc) -> None:
    for owner in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(owner), value.__name__, None) is value:
            walk.tag("ufunc", f"{owner}.{value.__name__}".encode())
            walk.mark(owner.partition(".")[0])
            return
    raise InputTypeError(
        "ufunc", f"expected a ufunc of NumPy or SciPy, got {value!r}; use a function that is defined in a module"
    )


def _feed_descriptor(walk: _Walk, value: Any) -> None:
    owner = getattr(value, "__objclass__", None)
    walk.tag("descriptor", f"{getattr(owner, '__qualname__', '')}.{value.__name__}".encode())


# --- frames -----------------------------------------------------------------------------------------------------------


def _feed_frame(walk: _Walk, value: Any) -> None:
    """Feed a frame of pandas': its columns, their values, its row labels, and what is attached to it."""
    walk.tag(f"frame{value.shape}")
    _feed_attached(walk, value)
    walk.feed([value.columns, value.index])
    for position in range(value.shape[1]):
        _feed_values(walk, value.iloc[:, position])


def _feed_series(walk: _Walk, value: Any) -> None:
    walk.tag("series")
    _feed_attached(walk, value)
    walk.feed([value.name, value.index])
    _feed_values(walk, value)


def _feed_attached(walk: _Walk, value: Any) -> None:
    """Feed the class, and what is attached to a frame or a series beside its values."""
    walk.feed(type(value))
    named = {name: getattr(value, name, None) for name in type(value)._metadata}
    walk.feed([value.attrs, value.flags.allows_duplicate_labels, named])


def _feed_index(walk: _Walk, value: Any) -> None:
    walk.tag("index", f"{type(value).__qualname__} {value.dtype!r}".encode())
    walk.feed(list(value.names))
    if hasattr(value, "levels"):
        walk.feed([list(value.levels), list(value.codes)])
    elif hasattr(value, "step"):
        walk.feed([value.start, value.stop, value.step])
    else:
        _feed_values(walk, value)


def _feed_values(walk: _Walk, value: Any) -> None:
    """Feed the dtype and the values of a series, an index or an extension array of pandas'."""
    dtype = value.dtype
    walk.tag("dtype", f"{dtype!r} {getattr(dtype, 'storage', '')} {getattr(value, 'freq', '')}".encode())
    if hasattr(dtype, "categories"):
        codes = getattr(value, "cat", value).codes
        walk.feed([dtype.categories, dtype.ordered])
        _feed_array(walk, np.asarray(codes))
    elif isinstance(dtype, np.dtype):
        _feed_array(walk, value.to_numpy())
    else:
        missing = np.asarray(value.isna())
        _feed_array(walk, missing)
        for item in value[~missing].tolist():
            walk.feed(item)


def _feed_polars(walk: _Walk, value: Any) -> None:
    columns = value.get_columns() if hasattr(value, "get_columns") else [value]
    walk.tag(f"polars{value.shape}")
    walk.feed(type(value))
    for column in columns:
        walk.tag("dtype", repr(column.dtype).encode())
        walk.feed([column.name, column.is_null().to_list()])
        if column.dtype.is_numeric() and not column.null_count():
            walk.feed(column.to_numpy())
        else:
            walk.feed(column.to_list())


def _feed_sparse(walk: _Walk, value: Any) -> None:
    walk.tag(f"sparse-{type(value).__qualname__}{value.shape}")
    if value.format in {"csr", "csc"}:  # as they are stored: unsorted indices and double entries reach the estimator
        walk.feed([value.data, value.indices, value.indptr])
    else:
        rows = value.tocsr(copy=True)
        rows.sum_duplicates()
        walk.feed([rows.data, rows.indices.astype(np.int64), rows.indptr.astype(np.int64)])


# --- objects ----------------------------------------------------------------------------------------------------------


def _feed_estimator(walk: _Walk, value: Any) -> None:
    """Feed the class and the whole state: params, output settings, metadata requests, what ``__init__`` derived."""
    if not walk.enter(value):
        return
    _feed_class(walk, type(value))
    before = walk.saved()
    try:
        walk.feed_names(_state_of(value))
        walk.leave()
    except InputTypeError:  # what it hands over when it is copied may leave out what cannot be read
        if not _has_own_getstate(value):
            raise
        walk.restore(before)
        walk.leave()
        _feed_object(walk, value)


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


def _feed_frozen(walk: _Walk, value: Any) -> None:
    """Feed a scipy frozen distribution: its family and arguments, not the generator that it would draw from by default."""
    walk.feed([type(value.dist), value.dist.name, list(value.args), dict(value.kwds)])


def _feed_object(walk: _Walk, value: Any) -> None:
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
        _feed_global(walk, value, parts)
        walk.leave()
        return
    _feed_class(walk, type(value))
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


def _feed_global(walk: _Walk, value: Any, name: str) -> None:
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


def _feed_weak(walk: _Walk, value: Any) -> None:
    """Feed a weak mapping by classes, which is a cache of lookups; no other can be read while it may lose what it holds."""
    if not all(isinstance(key, type) for key in value):
        raise InputTypeError(type(value).__name__, f"expected a value with content that can be compared, got {value!r}")
    walk.tag("weak")


def _feed_int(walk: _Walk, value: int) -> None:
    walk.tag("int", str(value).encode())


def _feed_float(walk: _Walk, value: float) -> None:
    walk.tag("float", struct.pack(">d", value) if value == value else b"nan")


_Writer = Callable[[_Walk, Any], None]

_WRITERS: dict[type, _Writer] = {
    type(None): lambda walk, value: walk.tag("none"),
    bool: lambda walk, value: walk.tag("bool", bytes([value])),
    int: _feed_int,
    float: _feed_float,
    complex: lambda walk, value: walk.tag("complex", struct.pack(">dd", value.real, value.imag)),
    str: lambda walk, value: walk.tag("str", value.encode("utf-8", "surrogatepass")),
    bytes: lambda walk, value: walk.tag("bytes", value),
    list: _feed_sequence,
    tuple: _feed_sequence,
    dict: _feed_mapping,
    types.MappingProxyType: _feed_mapping,
    set: _feed_set,
    frozenset: _feed_set,
    np.ndarray: _feed_array,
    np.random.RandomState: _feed_random_state,
    functools.partial: lambda walk, value: walk.feed(["partial", value.func, value.args, value.keywords, vars(value)]),
    types.FunctionType: _feed_function,
    types.MethodType: lambda walk, value: walk.feed(["method", value.__func__, value.__self__]),
    types.BuiltinFunctionType: _feed_compiled,
    types.MethodWrapperType: _feed_compiled,
    types.ModuleType: _feed_module,
    types.CodeType: lambda walk, value: walk.feed(["code", *code.parts_of_code(value)]),
    types.CellType: lambda walk, value: walk.feed(["cell", _content_of(value)]),
    types.GetSetDescriptorType: _feed_descriptor,
    types.MemberDescriptorType: _feed_descriptor,
    types.WrapperDescriptorType: _feed_descriptor,
    types.MethodDescriptorType: _feed_descriptor,
    types.ClassMethodDescriptorType: _feed_descriptor,
    property: lambda walk, value: walk.feed(["property", value.fget, value.fset, value.fdel]),
    staticmethod: lambda walk, value: walk.feed(["static", value.__func__]),
    classmethod: lambda walk, value: walk.feed(["of class", value.__func__]),
    functools.cached_property: lambda walk, value: walk.feed(["cached", value.func]),
    weakref.WeakKeyDictionary: _feed_weak,
    type(threading.Lock()): lambda walk, value: walk.tag("lock"),
    type(threading.RLock()): lambda walk, value: walk.tag("lock"),
    code.Missing: lambda walk, value: walk.tag("missing", value.name.encode()),
    np.ufunc: _feed_ufunc,
    range: lambda walk, value: walk.feed(["range", value.start, value.stop, value.step]),
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
    module = type(value).__module__.partition(".")[0]
    if module == "polars" and hasattr(value, "dtype" if not hasattr(value, "get_columns") else "columns"):
        return _feed_polars
    if hasattr(value, "iloc"):
        return _feed_frame if hasattr(value, "columns") else _feed_series
    if module == "pandas" and hasattr(value, "dtype") and hasattr(value, "isna"):
        return _feed_index if hasattr(value, "names") else _feed_values
    if hasattr(value, "tocsr"):
        return _feed_sparse
    if all(hasattr(value, part) for part in ("rvs", "dist", "args", "kwds")):
        return _feed_frozen
    if hasattr(value, "py_func"):  # compiled from a function, as numba does it
        return lambda walk, value: walk.feed([type(value), value.py_func])
    return _feed_object
