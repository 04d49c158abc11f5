"""What names a fit: code as it is loaded. What a function does, and what it and a class refer to.

Nothing here reads a source file, which may be newer or older than what runs. Installed code is told by its distribution's
version (`versions`); of the user's own, a function is its bytecode, defaults, closure and the globals that it reads, and a
class its bases and attributes, whatever they in turn refer to.
"""

from __future__ import annotations

import builtins
import dis
import importlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from foldwise.keys.versions import owner_of

Owner: TypeAlias = type | types.FunctionType
"""What holds code."""

_DYNAMIC = {"globals", "eval", "exec", "__import__"}
"""Builtins by which a function may reach whatever is in its module."""

_SAYS_NOTHING = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__abstractmethods__", "_abc_impl", "__firstlineno__", "__static_attributes__", "__orig_bases__",
    "__parameters__", "__type_params__", "__dataclass_fields__", "__slotnames__",
}  # fmt: skip
"""Attributes of a class that change nothing that it does, or that its methods hold, too."""


class Missing:
    """Stands for what a function refers to and cannot be found yet."""

    def __init__(self, name: str) -> None:
        self.name = name


def name_of(owner: Any) -> str:
    """Return ``module:qualname``."""
    return f"{getattr(owner, '__module__', None)}:{getattr(owner, '__qualname__', type(owner).__qualname__)}"


def found_by_name(name: str) -> Any:
    """Return what ``module:qualname`` names in this process; None if nothing."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def is_found_by_name(owner: Any) -> bool:
    """Tell whether a class or function is what its name says, so that another process can find it by that."""
    return found_by_name(name_of(owner)) is owner


def home_of(owner: Any) -> str | None:
    """Return the distribution that a class's or function's code belongs to, whatever a decorator calls it; None: the user's."""
    module = owner.__globals__.get("__name__") if isinstance(owner, types.FunctionType) else owner.__module__
    return owner_of(module)


def parts_of_code(code: types.CodeType) -> list[Any]:
    """Return what a function does, without where it stands."""
    names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    return [code.co_code, code.co_exceptiontable, names, counts, [_constant(one) for one in code.co_consts]]


def attributes_of(owner: type) -> dict[str, Any]:
    """Return the attributes of a class's own that decide what it does."""
    return {name: value for name, value in vars(owner).items() if name not in _SAYS_NOTHING}


def put_into(owner: type) -> dict[str, types.FunctionType]:
    """Return the functions of the user's own that someone put into an installed class, or into one that it inherits from."""
    return {
        f"{one.__module__}.{one.__qualname__}.{name}": function
        for one in owner.__mro__[:-1]
        if home_of(one) is not None
        for name, value in vars(one).items()
        for function in _functions_in(value)
        if home_of(function) is None
    }


def references_of(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function refers to by global names, and of the user's own modules only what it reads of them."""
    found: dict[str, Any] = {}
    for code in _codes_in(function.__code__):
        found |= dict(_references_in(code, function.__globals__))
    return found


def names_in(module: types.ModuleType) -> dict[str, Any]:
    """Return all that a module of the user's own holds."""
    return {name: value for name, value in vars(module).items() if not (name.startswith("__") and name.endswith("__"))}


def _functions_in(value: Any) -> Iterator[types.FunctionType]:
    parts = [value.fget, value.fset, value.fdel] if isinstance(value, property) else [getattr(value, "__func__", value)]
    yield from (part for part in parts if isinstance(part, types.FunctionType))


def _constant(value: Any) -> Any:
    return parts_of_code(value) if isinstance(value, types.CodeType) else value


def _codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes_in(constant)


def _references_in(code: types.CodeType, space: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    instructions = [one for one in dis.get_instructions(code) if one.opname not in {"CACHE", "EXTENDED_ARG", "PRECALL"}]
    for at, one in enumerate(instructions):
        following = instructions[at + 1 :]
        if one.opname in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}:
            if one.argval in space:
                yield _read(one.argval, space[one.argval], following)
            elif one.argval in _DYNAMIC:
                yield from ((name, value) for name, value in space.items() if not name.startswith("__"))
            elif not hasattr(builtins, one.argval):
                yield one.argval, Missing(one.argval)
        elif one.opname == "IMPORT_NAME":
            level = next((before.argval for before in instructions[at - 2 : at] if isinstance(before.argval, int)), 0)
            name = _absolute(one.argval, level, space)
            names = [step.argval for step in following[: _n_imported(following)]]
            yield from _imported(name, names)


def _read(name: str, value: Any, following: list[dis.Instruction]) -> tuple[str, Any]:
    """Follow the attributes that are read of a module of the user's own, as in ``tools.scale``."""
    for one in following:
        if not isinstance(value, types.ModuleType) or owner_of(value.__name__) is not None:
            break
        if one.opname not in {"LOAD_ATTR", "LOAD_METHOD"}:
            break  # the module itself is handed on
        name, value = f"{name}.{one.argval}", getattr(value, one.argval, Missing(one.argval))
    return name, value


def _n_imported(following: list[dis.Instruction]) -> int:
    """Count the IMPORT_FROM instructions behind an IMPORT_NAME, each with the STORE that follows it."""
    n = 0
    while n + 1 < len(following) and following[n].opname == "IMPORT_FROM":
        n += 2
    return n


def _imported(name: str, names: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield what an import inside a function brings: the named things, or the whole module."""
    if owner_of(name) is not None:
        yield f"import {name}", Missing(name) if name not in sys.modules else sys.modules[name]
        return
    try:
        module = importlib.import_module(name)
    except Exception:  # a user's module may raise anything; the function that imports it will say so
        yield f"import {name}", Missing(name)
        return
    if not names[::2]:
        yield f"import {name}", module
    for one in names[::2]:
        yield f"import {name}.{one}", getattr(module, one, Missing(one))


def _absolute(name: str, level: int, space: Mapping[str, Any]) -> str:
    if not level:
        return name
    package = str(space.get("__package__") or str(space.get("__name__", "")).rpartition(".")[0])
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name else base
