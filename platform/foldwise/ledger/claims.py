"""Which process runs which fit, so that processes on one ledger take different ones.

Claims are advice. A claim ends ten seconds after its process last renewed it, and at once where the process is seen to be
gone. No process heeds a claim for much longer than the fit should take. So a claim delays nobody for long, and whatever goes
wrong with it costs a fit that runs twice, with the same result.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Sequence

from sqlalchemy import Connection, delete, or_, select, update

from foldwise.ledger.database import Database, in_parts
from foldwise.ledger.schema import claims

_LEASE = 10.0
"""Seconds that a claim lasts after its process renewed it."""

_LEAST_PATIENCE = 30.0
"""Seconds that another's claim is heeded at most, or three times as long as the longest fit took, if that is more."""


class Claims:
    """The claims of this process's run, and its view of others'.

    Parameters
    ----------
    database : Database
        The ledger's, open.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        self._renewed = time.monotonic()
        self._longest = 0.0
        self._heeded: dict[str, float] = {}
        self._bury()

    def begin(self, keys: Sequence[str]) -> set[str]:
        """Claim fits, and return those that others hold."""
        if not keys:
            return set()
        now = time.time()
        insert = self._database.insert(claims)
        free = or_(claims.c.expires < now, claims.c.owner == self._owner)
        values = {"owner": insert.excluded.owner, "expires": insert.excluded.expires}
        claim = insert.on_conflict_do_update(index_elements=[claims.c.fit], set_=values, where=free)
        with self._database.writing() as connection:
            connection.execute(claim, [{"fit": key, "owner": self._owner, "expires": now + _LEASE} for key in keys])
            others: set[str] = set()
            for some in in_parts(keys):
                others |= set(
                    connection.scalars(select(claims.c.fit).where(claims.c.fit.in_(some), claims.c.owner != self._owner))
                )
            return {key for key in others if self._is_patient_with(key)}

    def renew(self) -> None:
        """Put off the end of this run's claims, now and then."""
        if time.monotonic() - self._renewed < _LEASE / 4:
            return
        self._renewed = time.monotonic()
        with self._database.writing() as connection:
            mine = claims.c.owner == self._owner
            connection.execute(update(claims).where(mine).values(expires=time.time() + _LEASE))

    def end(self, connection: Connection, keys: Sequence[str], longest: float) -> None:
        """Drop the claims of fits that are finished, in the transaction that keeps them; the longest took so many seconds."""
        for some in in_parts(keys):
            connection.execute(delete(claims).where(claims.c.fit.in_(some)))
        self._longest = max(self._longest, longest)

    def end_all(self) -> None:
        """Drop all claims of this run."""
        with self._database.writing() as connection:
            connection.execute(delete(claims).where(claims.c.owner == self._owner))

    def _is_patient_with(self, key: str) -> bool:
        now = time.monotonic()
        since = self._heeded.setdefault(key, now)
        return now - since < max(_LEAST_PATIENCE, 3 * self._longest)

    def _bury(self) -> None:
        """Drop the claims of this machine's processes that are gone, and those that have ended."""
        with self._database.writing() as connection:
            gone = [owner for owner in connection.scalars(select(claims.c.owner).distinct()) if _is_gone(owner)]
            connection.execute(delete(claims).where(claims.c.expires < time.time()))
            for some in in_parts(gone):
                connection.execute(delete(claims).where(claims.c.owner.in_(some)))


def _is_gone(owner: str) -> bool:
    """Tell whether an owner was a process of this machine that has ended; if in doubt it was not."""
    host, _, rest = owner.partition("/")
    pid = rest.partition("/")[0]
    if host != socket.gethostname() or os.name != "posix" or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)  # asks whether it is there, and sends nothing
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's process, which is there
        return False
    return False
