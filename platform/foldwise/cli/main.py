"""Step 9, a face: the command line. Heavy imports wait until a command needs them, so that ``--help`` answers at once."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from foldwise.cli import cluster as cli_cluster
from foldwise.cli.console import AsJson, JobPath, Settings, err, load_job, out, out_json, progress, shown_warnings
from foldwise.errors import FoldwiseError, InputError
from foldwise.inputs.words import counted
from foldwise.job.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT, error_line, exit_code

app = typer.Typer(
    name="foldwise",
    help="Tune as hard as you like in one job, and still publish its score: nested cross-validated search on Ray.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for _command in (cli_cluster.submit, cli_cluster.jobs, cli_cluster.status, cli_cluster.logs, cli_cluster.stop):
    app.command()(_command)

ledger_app = typer.Typer()
app.add_typer(ledger_app, name="ledger")

Address = Annotated[str | None, typer.Option(help="A running Ray to join, as host:port or auto.")]
LedgerAddress = Annotated[str | None, typer.Option("--ledger", metavar="URL", help="Database URL or path of the ledger.")]
Tracking = Annotated[str | None, typer.Option("--tracking", metavar="URI", help="MLflow tracking URI.")]


def _port(text: Any) -> int:
    """Read the number of a port."""
    if not (str(text).isdecimal() and 1 <= int(text) <= 65535):
        raise typer.BadParameter(f"expected a number from 1 to 65535, got {text!r}.")
    return int(text)


@app.command()
def run(
    job: JobPath,
    settings: Settings = [],  # noqa: B006  (typer reads it)
    as_json: AsJson = False,
    address: Address = None,
    ledger: LedgerAddress = None,
    retry: Annotated[
        str | None, typer.Option(metavar="failed", help="Forget first which fits failed, so that they run again.")
    ] = None,
) -> None:
    """Run a job and report its honest score; what the ledger holds already is not run again."""
    from foldwise.executors.address import check_address  # lazily: likewise
    from foldwise.job.drive import drive  # lazily: see the module's docstring

    if retry not in {None, "failed"}:
        raise InputError("--retry", f"expected failed, got {retry!r}")
    check_address(address, "--address")
    loaded = load_job(job, settings, {} if ledger is None else {"ledger": ledger})
    result = sys.stdout
    sys.stdout = sys.stderr  # what loaders, estimators and Ray print must not stand among the result
    ending = drive(loaded, [progress(loaded.spec.verbose)], err, address=address, retry_failed=retry is not None)
    if ending.code == INTERRUPTED:
        err(f"interrupted; {_how_to_go_on(loaded, ending.report)}")
    if ending.report is not None:
        if as_json:
            out_json(ending.report.to_dict(), result)
        else:
            out(str(ending.report), result)
    raise typer.Exit(ending.code)


@app.command()
def plan(
    job: JobPath,
    settings: Settings = [],  # noqa: B006
    as_json: AsJson = False,
    pilot: Annotated[bool, typer.Option("--pilot", help="Time a few fits, to say what the whole will cost.")] = False,
    address: Address = None,
) -> None:
    """Say what a job would run, without running it."""
    loaded = load_job(job, settings)
    planned = loaded.plan(address)
    flown = loaded.pilot(planned, address) if pilot else None
    if as_json:
        costs = {} if flown is None else {"pilot": flown.to_dict()}
        out_json({"job": planned.problem.settings.name, "seed": planned.problem.settings.seed, **planned.summary(), **costs})
    else:
        out("\n".join([planned.explain(loaded.n_at_once(planned, address)), *([] if flown is None else [flown.explain()])]))


@app.command()
def validate(job: JobPath, settings: Settings = []) -> None:  # noqa: B006
    """Check a job: its keys, its code, its data, its folds."""
    planned = load_job(job, settings).plan()
    out(f"{job}: valid, {counted(planned.n_fits_at_most, 'fit')}{'' if planned.n_fits is not None else ' at most'}")


@app.command()
def report(
    target: Annotated[
        str, typer.Argument(metavar="JOB", help="A job file, a job's name, an MLflow run id, or a folder with an archive.")
    ],
    tracking: Tracking = None,
    address: cli_cluster.ClusterAddress = None,
    as_json: AsJson = False,
) -> None:
    """Print the report of a job that was run and tracked, of a saved archive, or with --address of a job submitted there."""
    if address is not None:
        if tracking is not None:
            raise InputError("--tracking", f"expected none beside --address, got {tracking!r}; give one of them")
        cli_cluster.report(target, address, as_json=as_json)
        return
    if os.path.isfile(Path(target, "archive.json")):  # noqa: PTH113  (which raises for a name that no file can have)
        _print_archive(target, as_json=as_json)
        return
    from foldwise.job.job import Job  # lazily: see the module's docstring
    from foldwise.listeners.tracking import check_uri, find_report  # lazily: MLflow takes seconds to import

    uri = _tracking(tracking)
    name = target
    if Path(target).suffix in {".yaml", ".yml"}:
        loaded = Job.load(target)
        name, uri = loaded.name, tracking or loaded.tracking_uri(uri) or uri
        check_uri(uri, "tracking.uri")
    if as_json:
        out_json(json.loads(find_report(uri, name, "report.json")))
    else:
        out(find_report(uri, name))


@app.command()
def sync(tracking: Tracking = None) -> None:
    """Write to MLflow what could not be tracked while jobs ran."""
    from foldwise.job.job import default_tracking  # lazily: see the module's docstring
    from foldwise.listeners.tracking import UNTRACKED, sync_all  # lazily: MLflow takes seconds to import

    left = sync_all(UNTRACKED.absolute(), tracking, default_tracking(), out)
    raise typer.Exit(FAILED if left else DONE)


@app.command()
def ui(
    tracking: Tracking = None,
    port: Annotated[int, typer.Option(parser=_port, metavar="PORT", help="Port on the loopback interface.")] = 5000,
) -> None:
    """Open the MLflow UI on this machine's loopback interface."""
    from foldwise.listeners.tracking import serve_ui  # lazily: MLflow takes seconds to import

    raise typer.Exit(serve_ui(_tracking(tracking), port, out))


@ledger_app.callback(invoke_without_command=True)
def ledger(context: typer.Context, address: LedgerAddress = None, as_json: AsJson = False) -> None:
    """Show what is in a ledger: jobs, fits, failures, size and ages."""
    if context.invoked_subcommand is not None:
        return
    from foldwise.ledger import default_ledger  # lazily: see the module's docstring
    from foldwise.ledger.overview import look_into  # lazily: SQLAlchemy takes a moment to import

    overview = look_into(address or default_ledger())
    if as_json:
        out_json(overview.to_dict())
    else:
        out(str(overview))


@ledger_app.command()
def prune(
    address: LedgerAddress = None,
    job: Annotated[str | None, typer.Option(metavar="NAME", help="Fits that this job ran.")] = None,
    older_than: Annotated[str | None, typer.Option(metavar="AGE", help="Fits that began longer ago: 12h, 30d, 8w.")] = None,
) -> None:
    """Delete fits from a ledger, by job, by age or by both; they run again when they are next asked for."""
    from foldwise.ledger import (
        default_ledger,  # lazily: see the module's docstring
        overview,  # lazily: SQLAlchemy takes a moment to import
    )

    age = None if older_than is None else overview.parse_age(older_than)
    out(f"{counted(overview.prune(address or default_ledger(), job, age), 'fit')} pruned")


@app.command()
def spaces(name: Annotated[str | None, typer.Argument(help="Print this one.")] = None) -> None:
    """List the search spaces that ship with foldwise, or print one."""
    from foldwise.inputs.yaml_file import read_text  # lazily: likewise
    from foldwise.space.space import find_space, shipped_spaces  # lazily: see the module's docstring

    if name is not None:
        out(read_text(find_space(name)).rstrip())
        return
    found = shipped_spaces()
    width = max(map(len, found), default=0)
    for one, path in found.items():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        out(f"{one:<{width}}  {first.removeprefix('#').strip()}")


def main() -> NoReturn:
    """Run the command line; every expected error is one line and an exit code."""
    try:
        with shown_warnings():
            code = app(standalone_mode=False)
    except FoldwiseError as error:
        err(error_line(error))
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        err("interrupted")
        sys.exit(INTERRUPTED)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what click raises has it; typer brings a click of its own
            err("".join(traceback.format_exception(error)).rstrip())
            sys.exit(FAILED)
        _say_wrong_option(error)
        sys.exit(WRONG_INPUT)
    sys.exit(code or 0)


def _print_archive(folder: str, *, as_json: bool) -> None:
    from foldwise.reduce.archive import Archive  # lazily: see the module's docstring
    from foldwise.report import Report  # lazily: likewise

    found = Report(Archive.load(folder))
    if as_json:
        out_json(found.to_dict())
    else:
        out(str(found))


def _how_to_go_on(job: Any, report: Any) -> str:
    from foldwise.ledger import default_ledger  # lazily: see the module's docstring

    if job.ledger_address(default_ledger()) is None:
        return "the job has no ledger, so it begins anew next time"
    if job.spec.seed is not None:
        return "the same command goes on from here"
    seed = "N" if report is None else report.seed  # drawn for this run; another one would ask other questions
    return f"the job has no seed of its own: the same command with --set seed={seed} goes on from here"


def _tracking(given: str | None) -> str:
    """Return the tracking URI that a command reads from, checked."""
    from foldwise.job.job import default_tracking  # lazily: see the module's docstring
    from foldwise.listeners.tracking import check_uri  # lazily: likewise

    uri = given or default_tracking()
    check_uri(uri, "MLFLOW_TRACKING_URI" if given is None else "--tracking")
    return uri


def _say_wrong_option(error: Any) -> None:
    """Say in one line what is wrong with an option, and where to read on; without any arguments, print the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    command = getattr(getattr(error, "ctx", None), "command_path", "foldwise")
    err(f"error: {' '.join(error.format_message().split()).rstrip('.')}; see {command} --help")


if __name__ == "__main__":
    main()
