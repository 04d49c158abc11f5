"""The first use of a tracking database: its tables are made whole or not at all, however many jobs begin at once.

MLflow makes a database by some sixty migrations, each on its own; two processes at it leave tables that fit no version. So
a SQLite database is made aside and copied in one transaction, and the first use of a server's database waits its turn by a
lock of that server.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from foldwise.errors import TrackingError
from foldwise.listeners.tracking.compat import FILLED_TABLES, FIRST_TABLES
from foldwise.safety.masking import masked
from foldwise.safety.private_files import make_file, make_folder

_PATIENCE = 60.0
"""Seconds that are waited for another process that makes the tables; then it is tried without."""
_STILL = 5.0
"""Seconds without a change after which nobody seems to be making them any more."""
_LOOK = 0.2
_LOCK_NAME, _LOCK_NUMBER = "foldwise-mlflow", 0x666F6C64
_SHARED = {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}


@contextlib.contextmanager
def first_use(uri: str | None, make: Callable[[str], object]) -> Iterator[None]:
    """Hold while a database is opened that may have no tables yet; what it says of half-made ones names the way out.

    Parameters
    ----------
    uri : str or None
        Of the store; nothing is done for a server, and for None.
    make : callable
        Makes the tables in the database of a URI.

    Raises
    ------
    TrackingError
        If the database holds some of MLflow's tables, and nobody makes the others.
    """
    file = None if uri is None else sqlite_file(uri)
    if uri is None or (file is None and uri.partition(":")[0].partition("+")[0] not in _LOCKS):
        yield
        return
    if file is not None:
        _make_file(file, make)
    with contextlib.nullcontext() if file is not None else _turn(uri):
        try:
            yield
        except Exception as error:
            if _is_half_made(uri, error):
                raise _half_made(uri) from error
            raise


# --- SQLite -----------------------------------------------------------------------------------------------------------


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite database, None for anything else."""
    scheme, _, path = uri.partition(":///")
    if scheme.partition("+")[0] != "sqlite" or not path.partition("?")[0]:
        return None
    return Path(path.partition("?")[0]).absolute()


def _make_file(file: Path, make: Callable[[str], object]) -> None:
    """Make the tables of a SQLite database that has none, or wait for who is making them."""
    is_new = not file.exists()
    if not is_new and (tables := _tables(file)) != set():
        if tables is not None and not _is_whole(file):
            _await(file)
        return
    statements = _statements(make)
    if is_new:
        make_file(file)  # for its owner alone, and so are the artifacts beside it
        make_folder(file.parent / "mlruns")
    with contextlib.closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as database:
        if is_new and not _is_shared(file.parent):
            with contextlib.suppress(sqlite3.OperationalError):  # another process is at it, which does the same
                database.execute("PRAGMA journal_mode=WAL")  # MLflow commits six times per run
        database.execute("BEGIN IMMEDIATE")  # one at a time; who comes next finds the tables
        if not _mlflow_tables(database):
            for statement in statements:
                database.execute(statement)
        database.execute("COMMIT")


def _statements(make: Callable[[str], object]) -> list[str]:
    """Have the tables made elsewhere; return what makes them here."""
    with tempfile.TemporaryDirectory(prefix="foldwise-", ignore_cleanup_errors=True) as folder:
        aside = Path(folder, "mlflow.db")
        make(f"sqlite:///{aside.as_posix()}")
        with contextlib.closing(sqlite3.connect(aside)) as made:
            return list(made.iterdump())[1:-1]  # less its own transaction


def _tables(file: Path) -> set[str] | None:
    """Name those of MLflow's first tables that a database has; None where it cannot be read, which MLflow will say better."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as database:
            return _mlflow_tables(database)
    except sqlite3.Error:
        return None


def _mlflow_tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master")} & FIRST_TABLES


def _is_whole(file: Path) -> bool:
    """Tell whether the tables were made to their end: a version and, last of all, the default experiment."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as database:
            counts = [database.execute(f"SELECT count(*) FROM {one}").fetchone()[0] for one in FILLED_TABLES]  # noqa: S608
    except sqlite3.Error:
        return False
    return all(counts)


def _await(file: Path) -> None:
    """Wait while another process makes the tables."""
    ends, seen, since = time.monotonic() + _PATIENCE, None, time.monotonic()
    while time.monotonic() < ends and not _is_whole(file):
        now = tuple(one.stat().st_mtime_ns for one in (file, Path(f"{file}-wal"), Path(f"{file}-journal")) if one.exists())
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > _STILL:
            return
        time.sleep(_LOOK)


def _is_shared(folder: Path) -> bool:
    """Tell whether a folder lies on a file system that several hosts may mount, where no log can be kept in shared memory."""
    mounts = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    nearest = next((mounts[path] for path in (folder, *folder.parents) if path in mounts), "")
    return nearest.lower() in _SHARED


# --- servers' databases -----------------------------------------------------------------------------------------------

_LOCKS = {
    "postgresql": (f"SELECT pg_try_advisory_lock({_LOCK_NUMBER})", f"SELECT pg_advisory_unlock({_LOCK_NUMBER})"),
    "mysql": (f"SELECT GET_LOCK('{_LOCK_NAME}', 0)", f"SELECT RELEASE_LOCK('{_LOCK_NAME}')"),
}
"""What takes a lock of a session's own if it is free, and what gives it back; it ends with its session at the latest."""


@contextlib.contextmanager
def _turn(uri: str) -> Iterator[None]:
    """Wait for the turn of this process where the tables are not there yet."""
    import sqlalchemy  # lazily: only searches that are tracked in such a database need it

    take, give_back = _LOCKS[uri.partition(":")[0].partition("+")[0]]
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):  # MLflow will say what is wrong
            engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
            connection = stack.enter_context(engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
            if not _has_version(connection):
                ends = time.monotonic() + _PATIENCE
                while not connection.execute(sqlalchemy.text(take)).scalar() and time.monotonic() < ends:
                    time.sleep(_LOOK)
                stack.callback(_quietly, connection, give_back)
        yield


def _has_version(connection: Any) -> bool:
    return all(_counted(connection, table) for table in FILLED_TABLES)


def _counted(connection: Any, table: str) -> int:
    """Count the rows of a table; none where it is not there."""
    import sqlalchemy  # lazily: as above

    if not sqlalchemy.inspect(connection).has_table(table):
        return 0
    return int(connection.execute(sqlalchemy.text(f"SELECT count(*) FROM {table}")).scalar())  # noqa: S608  (one of our own)


def _quietly(connection: Any, statement: str) -> None:
    import sqlalchemy  # lazily: as above

    with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):  # it ends with the connection
        connection.execute(sqlalchemy.text(statement))


# --- what is half-made ------------------------------------------------------------------------------------------------


def _is_half_made(uri: str, error: Exception) -> bool:
    """Tell whether a database that MLflow could not open has some of MLflow's tables, and not all."""
    import sqlalchemy  # lazily: only where MLflow could not open a database

    try:
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            if not any(sqlalchemy.inspect(connection).has_table(name) for name in FIRST_TABLES):
                return False
            is_begun = _counted(connection, "alembic_version") != 1 or not _counted(connection, "experiments")
    except sqlalchemy.exc.SQLAlchemyError:
        return False
    from_migrating = isinstance(error, sqlalchemy.exc.SQLAlchemyError) and "locked" not in str(error)
    return is_begun or from_migrating


def _half_made(uri: str) -> TrackingError:
    where = masked(uri)
    return TrackingError(
        f"expected a whole MLflow database, got {where!r}, whose first use was broken off before all its tables were there; "
        f"move it away, or run: mlflow db upgrade {where}"
    )
