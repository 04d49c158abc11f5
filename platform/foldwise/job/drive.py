"""Step 9: run a job to its end for a command, here or on a cluster's head: signals, and what the exit code is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foldwise.events import Listener
from foldwise.job.exit_codes import DONE, FAILED, INTERRUPTED
from foldwise.job.interruption import Interruption
from foldwise.job.job import Job, default_tracking
from foldwise.ledger import default_ledger
from foldwise.report import Report


@dataclass(frozen=True)
class Ending:
    """How a job ended: its exit code, and its report if there is one."""

    code: int
    report: Report | None


def drive(
    job: Job,
    listeners: Sequence[Listener],
    say: Callable[[str], object],
    *,
    address: str | None = None,
    retry_failed: bool = False,
) -> Ending:
    """Run a job until it ends or a signal comes; the first ends it in good order, the second at once.

    Parameters
    ----------
    job : Job
        What to run; it is tracked and kept where the environment says, unless it says itself.
    listeners : sequence of callable
        Each hears every event.
    say : callable
        Told what a signal will do.
    address : str, optional
        A running Ray.
    retry_failed : bool, default=False
        Whether the ledger first forgets which fits failed.
    """
    with Interruption(say) as interruption:
        report: Report | None
        try:
            report = job.run(
                listeners=listeners, address=address, tracking=default_tracking(), ledger=default_ledger(),
                retry_failed=retry_failed, stop=interruption,
            )  # fmt: skip
            code = FAILED if report.partial else DONE
        except KeyboardInterrupt as interrupted:
            archive, code = getattr(interrupted, "archive", None), INTERRUPTED
            report = None if archive is None else Report(archive)
    return Ending(INTERRUPTED if interruption.came and code != DONE else code, report)
