"""What stands in a ledger's database, and how to prune it: behind ``foldwise ledger``."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.filesize import decimal
from sqlalchemy import ColumnElement, Table, and_, delete, func, select

from foldwise.errors import InputError
from foldwise.inputs.words import counted
from foldwise.ledger.database import Database
from foldwise.ledger.schema import fits, origins, scores, trials

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class JobSummary:
    """What a job added to a ledger.

    Parameters
    ----------
    job : str
        Its name.
    fits, failed : int
        Fits that it ran first, and those of them that failed.
    seconds : float
        How long they took in all, in seconds.
    oldest, newest : float
        When the first and the last of them began, in seconds since the epoch.
    """

    job: str
    fits: int
    failed: int
    seconds: float
    oldest: float
    newest: float


@dataclass(frozen=True)
class Overview:
    """What stands in a ledger.

    Parameters
    ----------
    ledger : str
        Where it is; without a password.
    schema : int
        Version of its tables.
    n_bytes : int
        Its size.
    jobs : tuple of JobSummary
        The latest first.
    """

    ledger: str
    schema: int
    n_bytes: int
    jobs: tuple[JobSummary, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    def __str__(self) -> str:
        n_fits = sum(one.fits for one in self.jobs)
        kept = f"{counted(n_fits, 'fit')} of {counted(len(self.jobs), 'job')}"
        head = f"{self.ledger}: {kept}, {decimal(self.n_bytes)}, schema {self.schema}"
        width = max((len(one.job) for one in self.jobs), default=0)
        lines = [
            f"  {one.job:<{width}}  {one.fits:>8} fits, {one.failed} failed, {one.seconds:.1f} s of fitting, "
            f"{_day(one.oldest)} to {_day(one.newest)}"
            for one in self.jobs
        ]
        return "\n".join([head, *lines])


def look_into(address: str) -> Overview:
    """Look into the ledger at a path or URL.

    Raises
    ------
    InputError
        If there is none.
    LedgerError
        If it cannot be read.
    """
    failed = func.count(fits.c.error_kind)
    columns = [fits.c.job, func.count(), failed, func.sum(fits.c.seconds), func.min(fits.c.started), func.max(fits.c.started)]
    with _opened(address) as database:
        with database.reading() as connection:
            rows = connection.execute(select(*columns).group_by(fits.c.job).order_by(func.max(fits.c.started).desc())).all()
        return Overview(str(database), database.schema(), database.n_bytes(), tuple(JobSummary(*row) for row in rows))


def prune(address: str, job: str | None = None, older_than: float | None = None) -> int:
    """Delete the fits that a job ran, or that began long ago, and return how many there were.

    Parameters
    ----------
    address : str
        The ledger's path or URL.
    job : str, optional
        A job's name.
    older_than : float, optional
        Seconds. Where both are given, both must hold.

    Raises
    ------
    InputError
        If neither is given, or there is no such ledger.
    LedgerError
        If it cannot be written.
    """
    if job is None and older_than is None:
        raise InputError("foldwise ledger prune", "expected --job NAME or --older-than AGE, got neither")
    latest = None if older_than is None else time.time() - older_than
    chosen = _chosen(fits, job, latest)
    with _opened(address) as database:
        with database.writing() as connection:
            connection.execute(delete(scores).where(scores.c.fit.in_(select(fits.c.key).where(chosen))))
            n_fits = connection.execute(delete(fits).where(chosen)).rowcount
            connection.execute(delete(trials).where(_chosen(trials, job, latest)))
            connection.execute(delete(origins).where(origins.c.key.not_in(select(fits.c.origin))))
        if n_fits:
            database.shrink()
    return int(n_fits)


def _chosen(table: Table, job: str | None, latest: float | None) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [] if job is None else [table.c.job == job]
    if latest is not None:
        conditions.append(table.c.started < latest)
    return and_(*conditions)


def parse_age(age: str) -> float:
    """Read an age in seconds, minutes, hours, days or weeks.

    Examples
    --------
    >>> parse_age("30d"), parse_age("12h")
    (2592000.0, 43200.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", age)
    if match is None:
        raise InputError("--older-than", f"expected a number and one of s, m, h, d, w, as in 30d, got {age!r}")
    return float(match[1]) * _UNITS[match[2]]


@contextmanager
def _opened(address: str) -> Iterator[Database]:
    database = Database(address)
    if not database.exists():
        raise InputError("ledger", f"expected a ledger, got {str(database)!r}, which does not exist")
    database.open()
    try:
        yield database
    finally:
        database.close()


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
