"""Step 9, a face: the commands for jobs on a cluster: submit, jobs, status, logs, stop, and report with an address."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from foldwise.cli.console import AsJson, JobPath, Settings, err, load_job, out, out_json
from foldwise.job.exit_codes import DONE, INTERRUPTED

if TYPE_CHECKING:
    from foldwise.cluster import Submission, SubmittedJob
    from foldwise.report import Report

ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="URL",
        help="Ray's Jobs API; else RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265.",
    ),
]  # fmt: skip
Name = Annotated[str, typer.Argument(metavar="NAME", help="A job's name, which means its latest attempt, or an attempt's id.")]


def submit(
    job: JobPath,
    address: ClusterAddress = None,
    settings: Settings = [],  # noqa: B006  (typer reads it)
    wait: Annotated[bool, typer.Option("--wait", help="Show its progress, and end with its report and exit code.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Begin another attempt although one has succeeded.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List what is sent, and what is left out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a job to a Ray cluster, or join it if it was submitted before."""
    from foldwise import cluster  # lazily: ``--help`` answers at once

    warn = lambda text: err(f"warning: {text}")  # noqa: E731
    handle = cluster.submit(load_job(job, settings), address, again=again, say=warn, show=err if verbose else None)
    if wait:
        err(_begun(handle))
        raise typer.Exit(_watch(handle, as_json=as_json))
    if as_json:
        out_json({**handle.status().to_dict(), "address": handle.address, "new": handle.is_new})
    else:
        out(_begun(handle))
        out(f"foldwise logs -f {handle.id} shows its progress, foldwise report {handle.id} --address {handle.address} its end")


def jobs(address: ClusterAddress = None, as_json: AsJson = False) -> None:
    """List the jobs that were submitted to a cluster, the oldest first."""
    from foldwise import cluster  # lazily: ``--help`` answers at once

    found = cluster.connect(address).submissions()
    if as_json:
        out_json([one.to_dict() for one in found])
        return
    width = max((len(one.id) for one in found), default=0)
    for one in found:
        out(f"{one.id:<{width}}  {one.state.value:<9}  {_when(one)}")
    if not found:
        err("no job was submitted here")


def status(name: Name, address: ClusterAddress = None, as_json: AsJson = False) -> None:
    """Say how far a job is."""
    from foldwise import cluster  # lazily: ``--help`` answers at once
    from foldwise.cluster.postscript import last_progress  # lazily: likewise

    handle = cluster.submitted(name, address)
    found = handle.status()
    said = last_progress("\n".join(handle.lines(follow=False)))
    if as_json:
        out_json({**found.to_dict(), "said": said})
    else:
        out(f"{found.id}  {found.state.value}  {_when(found)}" + (f"\n{said}" if said else ""))


def logs(
    name: Name,
    address: ClusterAddress = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
) -> None:
    """Print what a job says: its progress, the tracebacks of its first failures, its report."""
    from foldwise import cluster  # lazily: ``--help`` answers at once

    for line in cluster.submitted(name, address).logs(follow=follow):
        out(line)


def stop(name: Name, address: ClusterAddress = None) -> None:
    """End a job in good order: what is finished is kept, and submitting the job again goes on from there."""
    from foldwise import cluster  # lazily: ``--help`` answers at once

    handle = cluster.submitted(name, address)
    before = handle.status()
    if before.state.is_over:
        out(f"{before.id} was over already: {before.state.value}")
        return
    err(f"stopping {before.id}")
    after = handle.stop()
    out(f"{after.id}  {after.state.value}; what is finished is kept, and submitting the job again goes on from there")


def report(name: str, address: str, *, as_json: bool) -> None:
    """Print the report of a job that was submitted."""
    from foldwise import cluster  # lazily: ``--help`` answers at once

    found = cluster.submitted(name, address).report()
    _print(found, as_json=as_json)


def _watch(handle: SubmittedJob, *, as_json: bool) -> int:
    """Show a job's progress and its report; returns its exit code."""
    from foldwise.cluster.postscript import before_report  # lazily: ``--help`` answers at once
    from foldwise.errors import ClusterError  # lazily: likewise

    try:
        for line in before_report(handle.lines(follow=True)):
            err(line)
        code = handle.exit_code()
    except KeyboardInterrupt:
        err(f"{handle.id} goes on without you: foldwise logs -f {handle.id} shows it, foldwise stop {handle.id} ends it")
        return INTERRUPTED
    try:
        found = handle.report()
    except ClusterError:
        if code == DONE:
            raise
        return code  # the log has said why
    _print(found, as_json=as_json)
    return code


def _begun(handle: SubmittedJob) -> str:
    if handle.is_new:
        return f"{handle.id} submitted to {handle.address}"
    state = handle.status().state
    done = "has succeeded before; --again runs it again" if state.is_over else f"is {state.value} already"
    return f"{handle.id} {done}"


def _when(submission: Submission) -> str:
    if submission.started is None:
        return ""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(submission.started))
    return f"{began}  {(submission.ended or time.time()) - submission.started:.0f} s"


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        out_json(report.to_dict())
    else:
        out(str(report))
