"""Tracking URIs and experiments, checked before MLflow is imported: the tracker itself never stops a search."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit

from foldwise.errors import InputError, InputTypeError, MissingPackageError, nearest
from foldwise.listeners.tracking.database import sqlite_file

_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_FIX = "write sqlite:///mlflow.db, http://host:port or postgresql://host/name"
_LONGEST_EXPERIMENT = 500
_HEADER = b"SQLite format 3\0"


def check_tracking(uri: Any, experiment: Any, places: tuple[str, str] = ("tracking", "experiment")) -> None:
    """Refuse a tracking URI or an experiment that MLflow could not take; None stands for none.

    Raises
    ------
    InputError
        With its place.
    """
    if uri is not None:
        check_uri(uri, places[0])
    if experiment is None:
        return
    if not isinstance(experiment, str):
        raise InputTypeError(places[1], f"expected an experiment's name, got {experiment!r}; write it as text")
    if not (experiment.strip() and experiment.isprintable() and len(experiment) <= _LONGEST_EXPERIMENT):
        raise InputError(
            places[1], f"expected a name of 1 to {_LONGEST_EXPERIMENT} characters in one line, got {experiment!r}; give another"
        )


def check_uri(uri: Any, place: str) -> None:
    """Refuse a tracking URI of a kind that MLflow does not know, or that is not complete.

    Examples
    --------
    >>> check_uri("sqlite:///mlflow.db", "tracking")
    >>> check_uri("htp://host:5000", "tracking")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    foldwise.errors.InputError: tracking: expected an MLflow tracking URI, got 'htp://host:5000'; did you mean http? ...
    """
    if not isinstance(uri, str):
        raise InputTypeError(place, f"expected an MLflow tracking URI, got {uri!r}; {_FIX}")
    scheme, colon, _ = uri.partition(":")
    kind = scheme.partition("+")[0]
    if kind in _SERVERS:
        _check_server(uri, place)
    elif kind in _DATABASES:
        _check_database(uri, kind, place)
    elif not colon or scheme == "file":
        if uri == "databricks" or os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in {"1", "true"}:
            return
        raise InputError(place, f"expected a database or a server, got {uri!r}, where MLflow keeps nothing any more; {_FIX}")
    elif scheme not in {"databricks", *(one.name for one in entry_points(group="mlflow.tracking_store"))}:
        known = nearest(scheme, [*_SERVERS, *_DATABASES])
        raise InputError(place, f"expected an MLflow tracking URI, got {uri!r}; {known}; {_FIX}")


def _check_server(uri: str, place: str) -> None:
    try:
        parts = urlsplit(uri)
        complete = bool(parts.hostname) and parts.port != 0 and uri.isprintable() and " " not in uri
    except ValueError:  # a port that is none, brackets that do not close
        complete = False
    if not complete:
        raise InputError(place, f"expected a server's address, got {uri!r}; write http://host:port, the port from 1 to 65535")


def _check_database(uri: str, kind: str, place: str) -> None:
    if kind == "sqlite" and sqlite_file(uri) is None:
        raise InputError(place, f"expected a database's file, got {uri!r}; write sqlite:///mlflow.db, with three slashes")
    if uri.startswith("sqlite:"):
        _check_file(uri, place)
        return
    from sqlalchemy import make_url  # lazily: only searches that are tracked in such a database need it
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ImportError as error:
        raise MissingPackageError(place, f"expected the package that {uri!r} needs, got {error}; install it") from error
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InputError(place, f"expected a database's address, got {uri!r} ({error}); {_FIX}") from None


def _check_file(uri: str, place: str) -> None:
    file = sqlite_file(uri)
    assert file is not None
    try:
        with file.open("rb") as content:
            is_one = content.read(len(_HEADER)) in (b"", _HEADER)
    except FileNotFoundError:
        return  # MLflow makes it, with its folder
    except (OSError, ValueError):
        is_one = False
    if not is_one:
        raise InputError(place, f"expected a SQLite database, got {uri!r}, which is none; name another file")
