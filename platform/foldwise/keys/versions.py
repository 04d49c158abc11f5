"""What names a fit: the versions of Python and of the distributions whose code a fit runs, as they are loaded here."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata, util
from pathlib import Path

# Looking through all that is installed takes a second; most distributions are named as what they hold, and these are not.
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn", "yaml": "PyYAML", "PIL": "pillow", "cv2": "opencv-python", "skimage": "scikit-image",
    "dateutil": "python-dateutil", "bs4": "beautifulsoup4", "imblearn": "imbalanced-learn", "umap": "umap-learn",
}  # fmt: skip
_MODULES = {distribution: module for module, distribution in _DISTRIBUTIONS.items()}
PYTHON = "python"
"""Stands for the interpreter and its standard library."""

ITSELF = "foldwise"
ALWAYS = (ITSELF, "numpy", "scikit-learn", "scipy")
"""Distributions whose code every fit runs."""

_RUNS_ON = {"keras": ("tensorflow", "jax", "torch")}
"""Distributions that run others which they do not import by name."""


def owner_of(module: str | None) -> str | None:
    """Return the distribution that a module belongs to.

    Returns
    -------
    str or None
        `PYTHON` for the standard library; None for user code, that of a checkout included.

    Examples
    --------
    >>> owner_of("sklearn.svm._classes"), owner_of("json"), owner_of("__main__")
    ('scikit-learn', 'python', None)
    """
    top = (module or "").partition(".")[0]
    if not top or top == "__main__":
        return None
    if top == ITSELF:
        return ITSELF
    if top in sys.stdlib_module_names or top in sys.builtin_module_names or top.startswith("_cython_"):
        return PYTHON
    return _installed(top, _file_of(top))


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of some distributions, with those that all fits run and those that they run themselves.

    Examples
    --------
    >>> sorted(versions_of([]))
    ['foldwise', 'numpy', 'python', 'scikit-learn', 'scipy']
    """
    named = {*distributions, PYTHON, *ALWAYS}
    named |= {other for one in named for other in _RUNS_ON.get(one, ()) if _metadata_version(other) is not None}
    return {name: version_of(name) for name in sorted(named)}


def version_of(distribution: str) -> str:
    """Return the version that is loaded here or, if it is not loaded, the one that is installed; "none" if it is not."""
    if distribution == PYTHON:
        return f"{platform.python_implementation()} {platform.python_version()}"
    if distribution == ITSELF:
        return _own_version()
    module = sys.modules.get(_module_of(distribution))
    loaded = getattr(module, "__version__", None)
    return loaded if isinstance(loaded, str) else _metadata_version(distribution) or "none"


def file_key(module: str) -> str:
    """Return the key of the file that a user module is loaded from, such as one that was compiled."""
    file = getattr(sys.modules.get(module), "__file__", None)
    content = Path(file).read_bytes() if file and Path(file).is_file() else b""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def differences(expected: Mapping[str, str]) -> list[str]:
    """Say in which versions this process differs from others' that are given by name.

    Examples
    --------
    >>> differences({"numpy": "0.1"})[0].startswith("numpy 0.1, got ")
    True
    >>> differences(versions_of([]))
    []
    """
    here = {name: _version_as(name, version) for name, version in expected.items()}
    return [
        f"{name} {version}, got {here[name]}"
        for name, version in expected.items()
        if here[name].partition("+")[0] != version.partition("+")[0] or (here[name] != version and name != ITSELF)
    ]


def _version_as(distribution: str, expected: str) -> str:
    """Return a version; of what is not loaded yet, and may call itself otherwise than it is installed, the loaded one."""
    if version_of(distribution) != expected and distribution != PYTHON:
        with contextlib.suppress(Exception):  # it may not be there, or raise anything
            importlib.import_module(_module_of(distribution))
    return version_of(distribution)


def _module_of(distribution: str) -> str:
    return _MODULES.get(distribution, distribution.replace("-", "_"))


@functools.cache
def _own_version() -> str:
    """Return foldwise's version; of a checkout, whose files may change under one version, with a digest of these."""
    folder = Path(__file__).parents[1]
    version = _metadata_version(ITSELF) or "none"
    if {"site-packages", "dist-packages"} & set(folder.parts):
        return version
    sink = hashlib.blake2b(digest_size=8)
    for file in sorted(folder.rglob("*.py")):
        sink.update(file.read_bytes())
    return f"{version}+{sink.hexdigest()}"


@functools.lru_cache(maxsize=4096)
def _installed(top: str, file: Path | None) -> str | None:
    if file is not None and not {"site-packages", "dist-packages"} & set(file.parts):
        return None
    return _distribution_of(top) if file is not None or top in sys.modules else None


@functools.cache
def _distribution_of(top: str) -> str | None:
    """Return the distribution that owns a top-level package: mostly one of its name, else found among all."""
    name = _DISTRIBUTIONS.get(top, top)
    if _metadata_version(name) is not None:
        return name
    return next(iter(metadata.packages_distributions().get(top, ())), None)


@functools.cache
def _metadata_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _file_of(top: str) -> Path | None:
    module = sys.modules.get(top)
    try:
        spec = util.find_spec(top) if module is None else getattr(module, "__spec__", None)
    except (ImportError, ValueError, AttributeError):
        spec = None
    file = getattr(module, "__file__", None) or getattr(spec, "origin", None)
    if not file or file in ("built-in", "frozen"):
        places = list(getattr(module, "__path__", None) or getattr(spec, "submodule_search_locations", None) or ())
        return Path(places[0]) if places else None
    return Path(file)
