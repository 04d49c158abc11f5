"""Submit a job to a cluster: validate it here, send it, or join the attempt that is under way."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from foldwise.cluster.access import Access
from foldwise.cluster.handle import STOP_SECONDS, SubmittedJob
from foldwise.cluster.jobs_api import JobsApi, TakenError
from foldwise.cluster.parcel import JOB_FILE, Parcel, python_here
from foldwise.cluster.submission import find, latest_of
from foldwise.errors import ClusterError, InputError, MissingPackageError
from foldwise.executors.capacity import Capacity
from foldwise.job.job import Job
from foldwise.plan.resources import Resources
from foldwise.safety.masking import masked

_MOST_RACES = 5
_MOST_NAMED = 5
_CLOSED = "RAY_AUTH_MODE=token"


def connect(address: str | None = None) -> JobsApi:
    """Reach the cluster at an address, as `submit` takes it."""
    return JobsApi(Access.find(address))


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def submit(
    job: Job | str | Path | Mapping[str, Any],
    address: str | None = None,
    *,
    again: bool = False,
    say: Callable[[str], object] = _warn,
    show: Callable[[str], object] | None = None,
) -> SubmittedJob:
    """Submit a job to a Ray cluster.

    It is validated here first, as far as that goes without its data. What is sent is the job file and what its ``code``
    names, never the data. While an attempt at the same job runs, or if one has succeeded, that one is joined; after a stop
    or a failure the next attempt begins, which finds in the ledger what is finished.

    Parameters
    ----------
    job : Job, path or mapping
        The job: a file, or its keys and values.
    address : str, optional
        Of Ray's Jobs API; None takes ``RAY_API_SERVER_ADDRESS`` and, without it, ``http://127.0.0.1:8265``. The token is
        taken from ``RAY_AUTH_TOKEN``, the file ``RAY_AUTH_TOKEN_PATH``, ``.env`` in the working folder (for a cluster on this
        machine), or Ray's own file.
    again : bool, default=False
        Whether to begin another attempt although one has succeeded, as where the data has changed.
    say : callable, optional
        Told what is not safe about sending the job, before it is sent, and what could not be checked here; a warning if
        left out.
    show : callable, optional
        Told which files are sent, before they are.

    Returns
    -------
    SubmittedJob
        Its handle: ``status()``, ``logs()``, ``wait()``, ``stop()``, ``report()``.

    Raises
    ------
    InputError
        If something is wrong with the job, or it names what stays on this machine.
    ClusterError
        If the cluster does not answer, refuses the token, is of another Ray version, or has no node for the job.

    Examples
    --------
    >>> handle = submit("jobs/digits_svm.yaml", "http://127.0.0.1:8265")  # doctest: +SKIP
    >>> handle.wait().state  # doctest: +SKIP
    <SubmissionState.SUCCEEDED: 'SUCCEEDED'>
    >>> print(handle.report())  # doctest: +SKIP
    """
    loaded = job if isinstance(job, Job) else Job.parse(job) if isinstance(job, Mapping) else Job.load(job)
    parcel = Parcel.of(loaded)
    if show is not None:
        show(parcel.listed())
    elif parcel.left_out:
        listed = "; ".join(f"{path}: {why}" for path, why in parcel.left_out[:_MOST_NAMED])
        more = len(parcel.left_out) - _MOST_NAMED
        say(f"not sent: {listed}{f' and {more} more' if more > 0 else ''}; name in code.include what the job needs")
    _validate(loaded, say)
    access = Access.find(address)
    _say_what_shows(loaded, access, say)
    jobs = JobsApi(access)
    if access.is_open():
        say(f"{access.address} asks for no token: whoever reaches it can run code on it; start its nodes with {_CLOSED}")
    _check_room(loaded, jobs)
    submission_id, is_new = _begin_or_join(jobs, parcel, again=again)
    return SubmittedJob(jobs, submission_id, is_new=is_new)


def submitted(name: str, address: str | None = None) -> SubmittedJob:
    """Return the handle of a job that was submitted.

    Parameters
    ----------
    name : str
        An id, or the name of a job or ``<job>-<digest8>``: the latest attempt is meant then.
    address : str, optional
        As `submit` takes it.

    Raises
    ------
    ClusterError
        If nothing on the cluster is called so.
    """
    jobs = connect(address)
    return SubmittedJob(jobs, find(name, jobs.submissions(), jobs.address).id, is_new=False)


def _validate(job: Job, say: Callable[[str], object]) -> None:
    """Check a job as far as that goes here: what needs a package that this machine lacks, the cluster will check."""
    try:
        job.check()
    except MissingPackageError as error:
        cause = error.__cause__
        package = (getattr(cause, "name", None) or "").partition(".")[0]
        if not isinstance(cause, ModuleNotFoundError) or not package or find_spec(package) is not None:
            raise
        say(f"{error.place}: {package} is not installed here, so the cluster will check what needs it")


def _check_room(job: Job, jobs: JobsApi) -> None:
    """Refuse what no node could ever give, unless the job is willing to wait for one; the driver will check it again."""
    nodes = jobs.nodes()
    if job.spec.limits.get("wait_seconds") is not None or not any(node["Alive"] for node in nodes):
        return
    try:
        Capacity.of(Resources.of(job.spec.resources), nodes).check()
    except InputError as error:
        raise error.moved(error.place, job.source) from None


def _say_what_shows(job: Job, access: Access, say: Callable[[str], object]) -> None:
    """Say what others could read on the way."""
    if access.is_private:
        return
    say(f"{access.address} is not encrypted: token, code and job file can be read on the way; use https, or an SSH tunnel")
    if masked(job.text) != job.text:
        say("the job file holds a password, which is sent in the open; set FOLDWISE_LEDGER or MLFLOW_TRACKING_URI there")


def _begin_or_join(jobs: JobsApi, parcel: Parcel, *, again: bool) -> tuple[str, bool]:
    for _ in range(_MOST_RACES):
        latest = latest_of(parcel.series, jobs.submissions())
        if latest is not None and latest.state.is_worth_joining and not (again and latest.state.is_over):
            return latest.id, False
        submission_id = f"{parcel.series}-{1 if latest is None else latest.attempt + 1}"
        if _begin(jobs, parcel, submission_id):
            return submission_id, True
    raise ClusterError(
        f"expected to begin or join {parcel.series}, got other attempts {_MOST_RACES} times; submit it once more"
    )


def _begin(jobs: JobsApi, parcel: Parcel, submission_id: str) -> bool:
    """Send a parcel; False if somebody else began the same attempt at this moment."""
    entrypoint = f"exec python -m foldwise.cluster.driver {JOB_FILE} {python_here()}"
    environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}
    with tempfile.TemporaryDirectory(prefix="foldwise-") as folder:
        try:
            jobs.start(submission_id, entrypoint, parcel.pack(Path(folder)), parcel.name, environment)
        except TakenError:
            return False
    return True
