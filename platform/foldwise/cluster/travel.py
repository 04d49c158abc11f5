"""Whether a job can run elsewhere: what it names that stays here is refused before anything is sent."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path, PurePosixPath  # the latter for the cluster's paths, whatever this machine is
from typing import Any

from foldwise.errors import InputError
from foldwise.inputs.checks import is_url
from foldwise.inputs.imports import import_root
from foldwise.job.job import Job
from foldwise.job.schema import TrackingSpec
from foldwise.listeners.tracking import check_uri

_NAMED = re.compile(r"^([A-Za-z_]\w*)(?:\.\w+)*:[A-Za-z_][\w.]*$")


def check_travels(job: Job) -> None:
    """Refuse a job that names files, databases or modules that stay on this machine.

    Raises
    ------
    InputError
        With the key, and what to write instead.
    """
    spec = job.spec
    if spec.executor != "ray":
        raise InputError("executor", f"expected ray for a job that is submitted, got {spec.executor!r}", job.source)
    _check_data(spec.data.path, job.source)
    if isinstance(spec.tracking, TrackingSpec) and spec.tracking.uri is not None:
        _check_tracking(spec.tracking.uri, job.source)
    if isinstance(spec.ledger, str) and not (_is_far(spec.ledger) or PurePosixPath(spec.ledger).is_absolute()):
        raise InputError("ledger", f"expected a database that the cluster reaches, got {spec.ledger!r}; {_OWN}", job.source)
    for key in ("estimator", "data", "space", "search", "folds", "scoring"):
        for place, name in _named(spec.model_dump()[key], key):
            _check_module(place, name, job)


_OWN = "write its URL, or leave it out: then it is the cluster's own"


def _check_data(path: str | None, source: str) -> None:
    if path is None or PurePosixPath(path).is_absolute():
        return
    if is_url(path):
        fix = 'let a loader read it: {loader: "pandas:read_csv", args: {filepath_or_buffer: URL}}'
    else:
        fix = "data is not sent: write the path by which the cluster's head sees it, as in --set data.path=/data/table.csv"
    raise InputError("data.path", f"expected a path that begins with /, got {path!r}; {fix}", source)


def _check_tracking(uri: str, source: str) -> None:
    try:
        check_uri(uri, "tracking.uri")
    except InputError as error:
        raise error.moved(error.place, source) from None
    if uri.startswith("sqlite:") and not uri.startswith("sqlite:////"):
        raise InputError("tracking.uri", f"expected a server or database that the cluster reaches, got {uri!r}; {_OWN}", source)


def _is_far(ledger: str) -> bool:
    return is_url(ledger) and (not ledger.startswith("sqlite:") or ledger.startswith("sqlite:////"))


def _named(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """List whatever may be the name of a module's object, with its place."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _named(inner, f"{place}[{number}]")
    elif isinstance(value, str) and (match := _NAMED.match(value)):
        yield place, match[1]


def _check_module(place: str, name: str, job: Job) -> None:
    """Refuse a module that is found beside the job or in the working folder, and is no part of its code."""
    roots = {str(import_root(path)) for path in job.code_paths()}
    if name == "foldwise" or name in sys.stdlib_module_names or any(PathFinder.find_spec(name, [root]) for root in roots):
        return
    for folder in (job.folder, Path.cwd()):
        found = PathFinder.find_spec(name, [str(folder)])
        if found is None or (found.origin is None and _has_file(PathFinder.find_spec(name))):
            continue  # a folder that happens to be called as what is installed
        path = Path(found.origin or folder / name)
        here = path.parent if path.name == "__init__.py" else path
        first = "" if found.origin else "give it an __init__.py and "
        raise InputError(
            place, f"expected code that is sent along, got {name!r}, which stands in {here}; {first}add {here.name} to code",
            job.source,
        )  # fmt: skip


def _has_file(spec: ModuleSpec | None) -> bool:
    return spec is not None and spec.origin is not None
