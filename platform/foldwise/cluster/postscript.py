"""What a driver on the cluster says last: its report to people, and the archive to whoever submitted the job.

The log of a job is the one thing that everyone who can submit can also read, so both stand at its end: the report as text,
the archive in a line of JSON that commands do not show.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from foldwise.errors import ClusterError
from foldwise.reduce.archive import Archive
from foldwise.report import Report

_REPORT = "==== report ===="
_MARK = "==== foldwise: "
_MOST_BYTES = 2**30
"""An archive that unpacks to more is refused."""
_LINE = re.compile(rf"^{re.escape(_MARK)}(\{{.*\}})$", re.MULTILINE)


@dataclass(frozen=True)
class Postscript:
    """How a driver ended.

    Parameters
    ----------
    code : int
        The job's exit code.
    packed : str or None
        The archive of what it found, as compressed JSON in base64; None if there is none.
    """

    code: int
    packed: str | None = None

    @classmethod
    def of(cls, code: int, archive: Archive) -> Postscript:
        """Pack what a driver found."""
        return cls(code, b64encode(zlib.compress(archive.to_json().encode("ascii"))).decode("ascii"))

    def archive(self) -> Archive | None:
        """Unpack what it found; None if there is nothing.

        Raises
        ------
        ClusterError
            If it cannot be read.
        InputError
            If it is of another version.
        """
        if self.packed is None:
            return None
        try:
            inflater = zlib.decompressobj()
            text = inflater.decompress(b64decode(self.packed, validate=True), _MOST_BYTES)
        except (ValueError, zlib.error) as error:
            raise ClusterError(f"expected a report at the end of the job's log, got what cannot be read: {error}") from error
        if not inflater.eof:
            raise ClusterError("expected a report at the end of the job's log, got a part of one, or too large a one")
        return Archive.from_json(text.decode("utf-8", "replace"))

    def __str__(self) -> str:
        archive = self.archive()
        report = "" if archive is None else f"{_REPORT}\n{Report(archive)}\n"
        return f"\n{report}{_MARK}{json.dumps(asdict(self))}"  # on lines of its own, whatever was printed before

    @classmethod
    def read(cls, log: str) -> Postscript | None:
        r"""Read it from a log; None if the driver did not get so far.

        Examples
        --------
        >>> Postscript.read("...\n" + str(Postscript(1)))
        Postscript(code=1, packed=None)
        """
        found = _LINE.findall(log)
        return cls(**json.loads(found[-1])) if found else None


def shown(lines: Iterable[str]) -> Iterator[str]:
    """Leave out the line that is for machines."""
    return (line for line in lines if not line.startswith(_MARK))


def before_report(lines: Iterable[str]) -> Iterator[str]:
    """Leave out the report and what follows, and empty lines at the end."""
    n_empty = 0
    for line in shown(lines):
        if line == _REPORT:
            return
        if not line:
            n_empty += 1
            continue
        yield from [""] * n_empty
        n_empty = 0
        yield line


def last_progress(log: str) -> str:
    """Return the last line before the report; empty if there is none."""
    return last_line("\n".join(before_report(log.splitlines())))


def last_line(log: str) -> str:
    """Return the last line of a log that says something; empty if none does."""
    return next((line.strip() for line in reversed(list(shown(log.splitlines()))) if line.strip()), "")
