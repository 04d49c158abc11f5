"""Ledgers as users name them: a database's URL, a file's path, or a Ledger."""

from __future__ import annotations

import os
from typing import Any

from foldwise.errors import InputTypeError
from foldwise.ledger.base import Ledger, NoLedger

DEFAULT_LEDGER = ".foldwise/ledger.db"
"""The command line's, in the working folder."""

ENVIRONMENT_LEDGER = "FOLDWISE_LEDGER"
"""The environment variable that names another one."""


def default_ledger() -> str:
    """Return where finished fits are kept if nobody says where: what ``FOLDWISE_LEDGER`` names, or the command line's."""
    return os.environ.get(ENVIRONMENT_LEDGER) or DEFAULT_LEDGER


def make_ledger(ledger: Any) -> Ledger:
    """Turn a URL, a path, a Ledger or None into a Ledger; nothing is opened yet.

    Raises
    ------
    InputError
        If it names no database that can be one.
    """
    if ledger is None:
        return NoLedger()
    if isinstance(ledger, Ledger):
        return ledger
    if not isinstance(ledger, str | os.PathLike) or isinstance(ledger, bytes):
        raise InputTypeError("ledger", f"expected a database URL, a path, a Ledger or None, got {ledger!r}")
    from foldwise.ledger.sql import SqlLedger  # lazily: SQLAlchemy takes a moment to import

    return SqlLedger(os.fspath(ledger))
