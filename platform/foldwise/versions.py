"""Whose code runs: the version of what a class or a function belongs to, as content keys hold it.

Installed code is told by its distribution's version. Code of the user's is told by its source: that of its module, of
the modules of the user's that this one imports, and the versions of the distributions that they import. Code of a script
or a notebook, where any line may change without a change of meaning, is told by the functions and classes themselves and
by what they refer to.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any, TypeAlias

Owner: TypeAlias = type | types.FunctionType | types.BuiltinFunctionType

# Looking through all that is installed takes a second; most distributions are named as what they hold, and these are not.
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn", "yaml": "PyYAML", "PIL": "pillow", "cv2": "opencv-python", "skimage": "scikit-image",
    "dateutil": "python-dateutil", "bs4": "beautifulsoup4", "imblearn": "imbalanced-learn", "umap": "umap-learn",
}  # fmt: skip
_SCRIPT = "__main__"
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_ITSELF = "foldwise"
"""Whose seeds and row sets are in the keys already: importing it does not make a module depend on its version."""


@functools.cache
def code_version(owner: Owner) -> str:
    """Return the version of the code that a class or function belongs to; of a class also of those it inherits from.

    Examples
    --------
    >>> from sklearn.metrics import f1_score
    >>> import sklearn
    >>> code_version(f1_score) == f"scikit-learn=={sklearn.__version__}"
    True
    """
    owners = owner.__mro__[:-1] if isinstance(owner, type) else (owner,)
    marks = {mark for one in owners or (object,) for mark in _marks_of(one, frozenset())}
    for package in getattr(owner, "_foldwise_depends_on", ()):  # which our own estimators import late
        marks |= _marks_of_module(package)
    return ", ".join(sorted(marks)) or "python"


def module_version(name: str | None) -> str:
    """Return the version of a module's code."""
    return ", ".join(sorted(_marks_of_module(name))) if name else ""


def bytecode_of(code: types.CodeType) -> list[Any]:
    """Return what a function does, without where it stands."""
    return [code.co_code, [_constant(one) for one in code.co_consts], code.co_names]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return bytecode_of(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value  # whose order differs between processes


def _marks_of(owner: Any, around: frozenset[Any]) -> frozenset[str]:
    """Collect the marks of a class or function, of a script or of a module; ``around`` are those that refer to it."""
    name = getattr(owner, "__module__", None) or ""
    if name.partition(".")[0] != _SCRIPT and (_installed(name) is not None or _file_of(name) is not None):
        return _marks_of_module(name)
    if owner in around:
        return frozenset()
    functions = list(_functions_in(owner))
    marks = {f"{owner.__qualname__} {_hashed(repr(_described(owner, functions)).encode())}"}
    for function in functions:
        for referred in _names_in(function.__code__):
            if referred in function.__globals__:
                marks |= _marks_of_value(referred, function.__globals__[referred], around | {owner})
    return frozenset(marks)


def _described(owner: Any, functions: list[types.FunctionType]) -> list[Any]:
    """Describe a class or function of a script: its source or, where none can be read, its bytecode."""
    try:
        if isinstance(owner, type):
            return [inspect.getsource(owner)]
    except (OSError, TypeError):
        pass  # typed into an interpreter
    return [[function.__qualname__, *bytecode_of(function.__code__)] for function in functions]


def _marks_of_value(name: str, value: Any, around: frozenset[Any]) -> frozenset[str]:
    """Collect the marks of what a script's function refers to by a global name."""
    if isinstance(value, types.ModuleType):
        return _marks_of_module(value.__name__)
    if isinstance(value, type | types.FunctionType):
        return _marks_of(value, around)
    return frozenset([f"{name}={value!r}"]) if type(value) in _PLAIN else frozenset()


def _functions_in(owner: Any) -> Iterator[types.FunctionType]:
    for value in vars(owner).values() if isinstance(owner, type) else [owner]:
        parts = [value.fget, value.fset] if isinstance(value, property) else [getattr(value, "__func__", value)]
        unwrapped = (inspect.unwrap(part) for part in parts if callable(part))
        yield from (part for part in unwrapped if isinstance(part, types.FunctionType))


def _names_in(code: types.CodeType) -> set[str]:
    inner = (_names_in(one) for one in code.co_consts if isinstance(one, types.CodeType))
    return set(code.co_names).union(*inner)


@functools.cache
def _marks_of_module(name: str) -> frozenset[str]:
    """Collect the marks of a module and of all that it imports, as far as that is the user's."""
    marks: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        one = waiting.pop()
        installed = _installed(one)
        if installed is not None:
            marks |= {installed} - {""}
            continue
        source = _source_of(one)
        if source is None:
            continue
        marks.add(f"{one} {_hashed(source)}")
        for imported in _imports_in(source, one) - seen:
            seen.add(imported)
            waiting.append(imported)
    return frozenset(marks)


def _installed(name: str) -> str | None:
    """Return "distribution==version" of installed code, "" of the standard library's, None of the user's own or nobody's."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return ""
    file = _file_of(name)
    if file is not None and not {"site-packages", "dist-packages"} & set(file.parts):
        return None
    owner = _distribution_of(top)
    return None if owner is None else f"{owner}=={metadata.version(owner)}"


@functools.cache
def _distribution_of(top: str) -> str | None:
    """Return the distribution that owns a top-level package: mostly one of its name, else found among all."""
    name = _DISTRIBUTIONS.get(top, top)
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return next(iter(metadata.packages_distributions().get(top, ())), None)
    return name


def _file_of(name: str) -> Path | None:
    module = sys.modules.get(name)
    try:
        file = getattr(module, "__file__", None) if module is not None else getattr(util.find_spec(name), "origin", None)
    except (ImportError, ValueError):  # a part of it cannot be imported, or has no place
        return None
    return Path(file) if file and Path(file).is_file() else None


def _source_of(name: str) -> bytes | None:
    """Return a module's file: its source, or the library that it is compiled to."""
    file = _file_of(name)
    return file.read_bytes().replace(b"\r\n", b"\n") if file is not None else None


def _imports_in(source: bytes, name: str) -> set[str]:
    """Return the modules that a source imports anywhere in it, by full names."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # compiled
        return set()
    file = _file_of(name)
    package = name if file is not None and file.stem == "__init__" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            found |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return {one for one in found if one and one.partition(".")[0] != _ITSELF and not _is_attribute(one)}


def _is_attribute(name: str) -> bool:
    """Tell whether a dotted name is something in a module, and no module."""
    if name in sys.modules:
        return False
    try:
        return util.find_spec(name) is None
    except (ImportError, ValueError, AttributeError):
        return True


def _hashed(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
