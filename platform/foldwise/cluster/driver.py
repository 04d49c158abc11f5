"""On a cluster's head: run the job that was sent, and say how it ended where whoever sent it can read it.

Ray runs it as ``python -m foldwise.cluster.driver JOB.yaml PYTHON``, in the folder that was sent.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from foldwise.cluster.parcel import python_here
from foldwise.cluster.postscript import Postscript
from foldwise.errors import ClusterError, FoldwiseError, InputError, MissingPackageError
from foldwise.events import Listener
from foldwise.job.drive import drive
from foldwise.job.exit_codes import error_line, exit_code
from foldwise.job.job import Job, default_tracking
from foldwise.ledger import DEFAULT_LEDGER, ENVIRONMENT_LEDGER, default_ledger
from foldwise.listeners.progress import ProgressLines
from foldwise.report.tracebacks import FirstTracebacks
from foldwise.safety.masking import masked, shown

_FOLDER = "foldwise"
_SEEN_HERE = "the cluster's head must see it by this path"
_IMPORTED_HERE = "on the cluster it must be installed, or be sent: add it to code"


def main(job_file: str, python: str) -> int:
    """Run a job; returns its exit code."""
    try:
        postscript = _run(job_file, python)
    except FoldwiseError as error:
        _say(error_line(_as_seen_from_afar(error)))
        postscript = Postscript(exit_code(error))
    _write(str(postscript))
    return postscript.code


def _run(job_file: str, python: str) -> Postscript:
    _check_python(python)
    job = Job.load(job_file)
    _leave_the_parcel()
    _introduce(job)
    listeners: list[Listener] = [FirstTracebacks(_say), ProgressLines(sys.stdout, max(job.spec.verbose, 1))]
    ending = drive(job, listeners, _say)
    report = ending.report
    return Postscript(ending.code) if report is None else Postscript.of(ending.code, report.archive)


def _check_python(theirs: str) -> None:
    ours = python_here()
    if ours != theirs:
        raise ClusterError(
            f"expected Python {theirs} on the cluster, as where the job was submitted, got {ours}; submit it with Python {ours}"
        )


def _leave_the_parcel() -> None:
    """Go where files stay: Ray deletes the folder that was sent, and what is written there, once the job is over.

    Ledger and tracking are there too, unless the head's environment names the cluster's own.
    """
    folder = Path.home() / _FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
    except OSError as error:
        raise ClusterError(
            f"expected a folder that can be written on the cluster's head, got {folder} ({error.strerror}); set HOME there"
        ) from error
    os.environ.setdefault(ENVIRONMENT_LEDGER, str(folder / DEFAULT_LEDGER))
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")


def _introduce(job: Job) -> None:
    ledger, tracking = job.ledger_address(default_ledger()), job.tracking_uri(default_tracking())
    _say(
        f"foldwise {version('foldwise')}, Python {platform.python_version()} on {platform.node()} in {Path.cwd()}; ledger: "
        f"{masked(ledger or 'none')}; tracking: {masked(tracking or 'none')}"
    )


def _as_seen_from_afar(error: FoldwiseError) -> FoldwiseError:
    """Add to an error that is about what a machine has that this is another machine."""
    if not isinstance(error, InputError):
        return error
    here = _IMPORTED_HERE if isinstance(error, MissingPackageError) else _SEEN_HERE if error.place == "data.path" else ""
    return type(error)(error.place, f"{error.problem}; {here}", error.source) if here else error


def _say(text: str) -> None:
    """Say something in the log, which everybody who may submit can read."""
    _write(shown(text))


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
