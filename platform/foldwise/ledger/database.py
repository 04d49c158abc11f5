"""The database behind a ledger: opened by URL, its tables made or their version checked, its errors told in plain words."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_random

from foldwise.errors import InputError, LedgerError, MissingPackageError
from foldwise.inputs.checks import is_url
from foldwise.ledger.schema import SCHEMA, meta, metadata
from foldwise.safety.masking import masked
from foldwise.safety.private_files import make_file

_PATIENCE = 60  # seconds that a write waits for other processes' writes
_TURN = 0x666F6C64  # PostgreSQL's advisory lock of whoever writes

_ADVICE = {
    "locked|lock timeout": f"another process held it for {_PATIENCE} s",
    "full|disk i/o error|no space|too large": "the disk or a quota is full; make room",
    "readonly|read-only|permission denied": "it may not be written; check its permissions",
    "not a database|malformed": "it is damaged or no ledger; move it away, and a new one is begun",
    "unable to open": "its folder does not exist or may not be written",
    "password|authentication|role .* does not exist": "check the user and the password in its URL",
    "connection|could not translate|timeout expired": "check that the server runs and that its address is right",
}


Key = TypeVar("Key")
_MOST_KEYS = 500
"""Of one query; every database takes a few hundred values."""


def in_parts(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """Yield keys in lists that a query may hold, each key once."""
    each = iter(dict.fromkeys(keys))
    while part := list(islice(each, _MOST_KEYS)):
        yield part


class Database:
    """A ledger's database.

    Parameters
    ----------
    address : str
        A SQLAlchemy URL of SQLite or PostgreSQL, or the path of a SQLite file.

    Raises
    ------
    InputError
        If it is the URL of something else.
    """

    def __init__(self, address: str) -> None:
        self.url = _url(address)
        _check_name(address, self.file)
        self.insert: Any = sqlite.insert if self.is_sqlite else postgresql.insert
        self._engine: Engine | None = None

    def __str__(self) -> str:
        """Return the file's path, or the URL without its password."""
        return (self.file and str(self.file)) or masked(self.url.render_as_string(hide_password=True))

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file's path; None for a server's."""
        return Path(self.url.database or "") if self.is_sqlite and not self.url.query else None

    def exists(self) -> bool:
        """Tell whether there is something to open; of a server only opening it tells."""
        return self.file is None or self.file.exists()

    def open(self) -> None:
        """Connect, make the tables that are missing, and refuse those of a newer foldwise.

        Raises
        ------
        LedgerError
            If it cannot be opened.
        """
        try:
            with self._told("opened"):
                if self.file is not None:
                    make_file(self.file)  # for its owner alone; what SQLite puts beside it is as open as it is
                self._engine = self._connected()
                with self._engine.connect() as connection:
                    made = inspect(connection).has_table(meta.name)
                if not made or self.schema() < SCHEMA:
                    self._make()
            self._check(self.schema())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read by."""
        assert self._engine is not None
        with self._told("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction: all that is written is kept when it ends well, and none of it otherwise."""
        assert self._engine is not None
        with self._told("written"), self._engine.begin() as connection:
            # Writers take turns from the start, so that two that touch the same rows cannot wait for each other.
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURN})")
            yield connection

    def schema(self) -> int:
        """Return the version of the tables."""
        with self.reading() as connection:
            found = connection.scalar(select(meta.c.value).where(meta.c.name == "schema"))
        return int(found or 0)

    def n_bytes(self) -> int:
        """Return how much room it takes."""
        if self.file is not None:
            parts = (self.file.with_name(self.file.name + end) for end in ("", "-wal"))
            return sum(part.stat().st_size for part in parts if part.exists())
        with self.reading() as connection:
            sizes = (connection.scalar(select(text(f"pg_total_relation_size('{name}')"))) for name in metadata.tables)
            return sum(int(size or 0) for size in sizes)

    def shrink(self) -> None:
        """Give back the room that pruned rows took, where the database does not do so by itself."""
        if self.is_sqlite:
            assert self._engine is not None
            with self._told("shrunk; what was pruned is gone"), self._engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")

    def _connected(self) -> Engine:
        if not self.is_sqlite:
            # A connection that the server has dropped meanwhile is replaced before it is used.
            options: dict[str, Any] = {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
            try:
                return create_engine(self.url, hide_parameters=True, **options)
            except ImportError as error:
                raise MissingPackageError(
                    "ledger", f"expected the package psycopg, got {error}; pip install 'foldwise[postgres]'"
                ) from error
        engine = create_engine(self.url, hide_parameters=True, connect_args={"timeout": _PATIENCE})
        event.listen(engine, "connect", _prepare_sqlite)
        return engine

    def _make(self) -> None:
        with self.writing() as connection:
            metadata.create_all(connection)
            now = self.insert(meta).values(name="created", value=f"{time.time():.0f}")
            connection.execute(now.on_conflict_do_nothing())
            version = self.insert(meta).values(name="schema", value=str(SCHEMA))
            connection.execute(version.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": str(SCHEMA)}))

    def _check(self, schema: int) -> None:
        if schema > SCHEMA:
            raise LedgerError(
                f"ledger {self}: expected tables of version {SCHEMA} at most, got {schema}; "
                "a newer foldwise made them: update foldwise, or name another ledger"
            )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Tell of the database's errors in plain words."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = " ".join(masked(str(getattr(error, "orig", None) or error)).split())
            advice = next((words for pattern, words in _ADVICE.items() if re.search(pattern, cause, re.IGNORECASE)), "")
            raise LedgerError(f"ledger {self} could not be {what}: {cause}" + (f"; {advice}" if advice else "")) from error


def _url(address: str) -> URL:
    """Read a URL, or take a path for that of a SQLite file."""
    if not is_url(address):
        if not address.strip():
            raise InputError("ledger", f"expected a database URL or a path, got {address!r}")
        return URL.create("sqlite", database=address)
    try:
        url = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", address))
    except (ArgumentError, ValueError):
        raise InputError("ledger", "expected a URL like postgresql://host/database, got one that cannot be read") from None
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise InputError("ledger", f"expected a URL of SQLite or PostgreSQL, got {url.render_as_string(hide_password=True)}")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise InputError("ledger", f"expected the path of a file, as in sqlite:///ledger.db, got {address!r}")
    driver = url.drivername.partition("+")[2]
    if driver and driver not in {"pysqlite", "psycopg"}:
        raise InputError("ledger", f"expected the driver psycopg, as in postgresql://host/database, got {driver!r}")
    return url


def _check_name(address: str, file: Path | None) -> None:
    """Refuse an address that no database can have."""
    try:
        if "\0" in address:
            raise ValueError("it holds a zero byte")
        address.encode()
        if file is not None:
            file.lstat()
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            why = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
            raise InputError("ledger", f"expected an address that a database can have, got {address!r} ({why})") from None


def _prepare_sqlite(connection: Any, record: Any) -> None:
    """Let readers and a writer work at once, and a commit not wait for the disk; a crash of the process loses nothing."""
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000}")
    connection.execute("PRAGMA synchronous = NORMAL")
    for attempt in _until_free():
        with attempt:
            connection.execute("PRAGMA journal_mode = WAL")


def _until_free() -> Retrying:
    """Try again while others open the file too: SQLite does not itself wait for its turn to change the journal's mode."""
    busy = retry_if_exception_message(match=".*locked")
    return Retrying(retry=busy, wait=wait_random(0.01, 0.1), stop=stop_after_delay(_PATIENCE), reraise=True)
