"""What names a fit: code as it is loaded. What a function does, and what it and a class refer to.

Nothing here reads a source file, which may be newer or older than what runs. Installed code is told by its distribution's
version (`versions`); of the user's own, a function is its bytecode, defaults, closure and the globals that it reads, and a
class its bases and attributes, whatever they in turn refer to.
"""

from __future__ import annotations

import builtins
import dis
import functools
import importlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from foldwise.keys.versions import PYTHON, owner_of

Owner: TypeAlias = type | types.FunctionType
"""What holds code."""

_DYNAMIC = {"globals", "eval", "exec", "__import__"}
"""Builtins by which a function may reach whatever is in its module."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None))

_BY_NAME = {"import_module", "modules", "__import__"}
"""Names by which a function may reach modules that it names in text."""

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
    return owner_of(module) if isinstance(module, str) else PYTHON  # some classes in C have none of their own to tell


def parts_of_code(code: types.CodeType) -> list[Any]:
    """Return what a function does, without where it stands."""
    names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    return [code.co_code, code.co_exceptiontable, names, counts, [_constant(one) for one in code.co_consts]]


def attributes_of(owner: type) -> dict[str, Any]:
    """Return the attributes of a class's own that decide what it does."""
    return {name: value for name, value in vars(owner).items() if name not in _SAYS_NOTHING}


def changes_in(owner: type) -> dict[str, Any]:
    """Return what may have been changed of an installed class since it was loaded, or of one that it inherits from.

    That is whatever of user code was put into it, and the plain values among its attributes.
    """
    return {
        f"{one.__module__}.{one.__qualname__}.{name}": value
        for one in owner.__mro__[:-1]
        if home_of(one) is not None
        for name, value in attributes_of(one).items()
        if (isinstance(value, _PLAIN) and not name.startswith("__")) or _is_own(value)
    }


def is_told_by_version(owner: Any) -> bool:
    """Tell whether installed code is told by its name and version: what a decorator made of user code is not."""
    return is_found_by_name(owner) and home_of(owner) == owner_of(owner.__module__)


def references_of(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function refers to by global names, and of user modules only what it reads of them."""
    found: dict[str, Any] = {}
    for code in _codes_in(function.__code__):
        found |= dict(_references_in(code, function.__globals__))
    return found


def names_in(module: types.ModuleType) -> dict[str, Any]:
    """Return all that a user module holds."""
    return {name: value for name, value in vars(module).items() if not (name.startswith("__") and name.endswith("__"))}


def _is_own(value: Any) -> bool:
    """Tell whether an attribute of an installed class is, or holds, user code."""
    if isinstance(value, property):
        return any(_is_own(part) for part in (value.fget, value.fset, value.fdel))
    if isinstance(value, functools.partial):
        return _is_own(value.func)
    value = getattr(value, "__func__", value)
    if isinstance(value, types.FunctionType | type):
        return home_of(value) is None
    return home_of(type(value)) is None


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
        if one.opname in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}:
            if one.argval in space:
                yield _read(one.argval, space[one.argval], instructions[at + 1 :])
            elif one.argval in _DYNAMIC:
                yield from ((name, value) for name, value in space.items() if not name.startswith("__"))
            elif not hasattr(builtins, one.argval):
                yield one.argval, Missing(one.argval)
        elif one.opname == "IMPORT_NAME":
            level, names = (before.argval for before in instructions[at - 2 : at])
            name = _absolute(one.argval, level, space)
            yield from _imported_names(name, names) if names else _imported_module(name, code, instructions[at + 1 :])
    if _BY_NAME & set(code.co_names):
        named = [one for one in code.co_consts if isinstance(one, str)]
        if "__name__" in code.co_names:
            named.append(str(space.get("__name__")))
        yield from ((f"import {name}", sys.modules[name]) for name in named if name in sys.modules and owner_of(name) is None)


def _read(name: str, value: Any, following: list[dis.Instruction]) -> tuple[str, Any]:
    """Follow the attributes that are read of a user module, as in ``tools.scale``."""
    for one in following:
        if not isinstance(value, types.ModuleType) or owner_of(value.__name__) is not None:
            break
        if one.opname not in {"LOAD_ATTR", "LOAD_METHOD"}:
            break  # the module itself is handed on
        name, value = f"{name}.{one.argval}", getattr(value, one.argval, Missing(one.argval))
    return name, value


def _imported_names(name: str, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield what ``from name import names`` inside a function brings.

    User modules are imported now, as the function would: what it refers to is the same before and after it has run.
    """
    module = _module(name)
    if isinstance(module, Missing) or owner_of(name) is not None:
        yield f"import {name}", module
        return
    for one in names:
        found = getattr(module, one, None) if hasattr(module, one) else _module(f"{name}.{one}")
        yield f"import {name}.{one}", module if one == "*" else found


def _imported_module(name: str, code: types.CodeType, following: list[dis.Instruction]) -> Iterator[tuple[str, Any]]:
    """Yield what is read of a module that is imported inside a function; all of one that is imported for its effects."""
    is_renamed = False
    bound: Any = None
    for one in following:
        is_renamed |= one.opname == "IMPORT_FROM"
        if one.opname.startswith("STORE_"):
            bound = one.argval
            break
    deepest = _module(name)
    value = deepest if is_renamed else _module(name.partition(".")[0])
    used = list(_uses_of(bound, value, code))
    yield from used or [(f"import {name}", deepest)]


def _uses_of(bound: Any, value: Any, code: types.CodeType) -> Iterator[tuple[str, Any]]:
    """Yield what is read of a value that a local name is bound to, in a function and in those inside it."""
    for inner in _codes_in(code):
        instructions = [one for one in dis.get_instructions(inner) if one.opname not in {"CACHE", "EXTENDED_ARG", "PRECALL"}]
        for at, one in enumerate(instructions):
            if not one.opname.startswith("LOAD_") or one.opname == "LOAD_CONST":
                continue
            if one.argval == bound and not one.opname.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_CLOSURE")):
                name, found = _read(f"import {bound}", value, instructions[at + 1 :])
                yield name, found
            elif isinstance(one.argval, tuple) and bound in one.argval:  # two at once, which are handed on
                yield f"import {bound}", value


def _module(name: str) -> Any:
    """Return a module: loaded if it is user code; one that is installed only where it is loaded already."""
    if name in sys.modules:
        return sys.modules[name]
    if owner_of(name) is not None:
        return Missing(name)
    try:
        return importlib.import_module(name)
    except Exception:  # a user's module may raise anything; the function that imports it will say so
        return Missing(name)


def _absolute(name: str, level: int, space: Mapping[str, Any]) -> str:
    if not level:
        return name
    package = str(space.get("__package__") or str(space.get("__name__", "")).rpartition(".")[0])
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name else base
