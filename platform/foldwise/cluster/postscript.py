"""What a driver on the cluster says last: its report, to people and to whoever submitted the job.

The log of a job is the one thing that everyone who can submit can also read, so the report stands at its end: as text, and
in a line of JSON that commands do not show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

_REPORT = "==== report ===="
_MARK = "==== foldwise: "
_LINE = re.compile(rf"^{re.escape(_MARK)}(\{{.*\}})$", re.MULTILINE)


@dataclass(frozen=True)
class RemoteReport:
    """A report as it came from a cluster: `foldwise.Report`'s text and plain data.

    Parameters
    ----------
    text : str
        As ``str(report)`` gives it.
    data : dict
        As ``report.to_dict()`` gives it.
    """

    text: str
    data: dict[str, Any]

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Return the report as what JSON can hold."""
        return self.data

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(self.data, allow_nan=False)


@dataclass(frozen=True)
class Postscript:
    """How a driver ended.

    Parameters
    ----------
    code : int
        The job's exit code.
    report : RemoteReport or None
        What it found; None if there is no report.
    """

    code: int
    report: RemoteReport | None = None

    def __str__(self) -> str:
        shown = "" if self.report is None else f"{_REPORT}\n{self.report.text}\n"
        content = {"code": self.code, "report": None if self.report is None else asdict(self.report)}
        return f"\n{shown}{_MARK}{json.dumps(content)}"  # on lines of its own, whatever was printed before

    @classmethod
    def read(cls, log: str) -> Postscript | None:
        r"""Read it from a log; None if the driver did not get so far.

        Examples
        --------
        >>> Postscript.read("...\n" + str(Postscript(1)))
        Postscript(code=1, report=None)
        """
        found = _LINE.findall(log)
        if not found:
            return None
        content = json.loads(found[-1])
        report = content["report"]
        return cls(content["code"], None if report is None else RemoteReport(**report))


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
