"""Step 9, a face: the command line. Heavy imports wait until a command needs them, so that ``--help`` answers at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NoReturn

import typer

from foldwise.errors import FoldwiseError, InputError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="foldwise",
    help="Tune as hard as you like in one job, and still publish its score: nested cross-validated search on Ray.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ledger_app = typer.Typer()
app.add_typer(ledger_app, name="ledger")

JobPath = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="The job file.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the job; the value is read as YAML.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
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
    from foldwise.executors.address import check_address  # lazily: see the module's docstring
    from foldwise.interruption import Interruption  # lazily: likewise
    from foldwise.job import DEFAULT_TRACKING  # lazily: likewise
    from foldwise.ledger import DEFAULT_LEDGER  # lazily: likewise

    if retry not in {None, "failed"}:
        raise InputError("--retry", f"expected failed, got {retry!r}")
    check_address(address, "--address")
    loaded = _load(job, settings, {} if ledger is None else {"ledger": ledger})
    tracking = _environment_tracking() or DEFAULT_TRACKING
    result = sys.stdout
    sys.stdout = sys.stderr  # what loaders, estimators and Ray print must not stand among the result
    with Interruption(_err) as interruption:
        try:
            report = loaded.run(
                listeners=[_progress(loaded.spec.verbose)], address=address, tracking=tracking,
                ledger=DEFAULT_LEDGER, retry_failed=retry is not None, stop=interruption,
            )  # fmt: skip
            code = FAILED if report.partial else DONE
        except KeyboardInterrupt as interrupted:
            report, code = getattr(interrupted, "report", None), INTERRUPTED
    if interruption.came and code != DONE:
        code = INTERRUPTED
    if code == INTERRUPTED:
        _err(f"interrupted; {_how_to_go_on(loaded, report, DEFAULT_LEDGER)}")
    if report is not None:
        typer.echo(report.to_json() if as_json else str(report), file=result)
    raise typer.Exit(code)


@app.command()
def plan(
    job: JobPath,
    settings: Settings = [],  # noqa: B006
    as_json: AsJson = False,
    pilot: Annotated[bool, typer.Option("--pilot", help="Time a few fits, to say what the whole will cost.")] = False,
    address: Address = None,
) -> None:
    """Say what a job would run, without running it."""
    loaded = _load(job, settings)
    planned = loaded.plan(address)
    flown = loaded.pilot(planned, address) if pilot else None
    if as_json:
        costs = {} if flown is None else {"pilot": flown.to_dict()}
        _out(json.dumps({"job": planned.problem.name, "seed": planned.problem.seed, **planned.summary(), **costs}))
    else:
        _out("\n".join([planned.explain(loaded.n_at_once(planned, address)), *([] if flown is None else [flown.explain()])]))


@app.command()
def validate(job: JobPath, settings: Settings = []) -> None:  # noqa: B006
    """Check a job: its keys, its code, its data, its folds."""
    planned = _load(job, settings).plan()
    _out(f"{job}: valid, {planned.n_fits_at_most} fits{'' if planned.n_fits is not None else ' at most'}")


@app.command()
def report(
    target: Annotated[str, typer.Argument(metavar="JOB", help="A job file, a job's name or an MLflow run id.")],
    tracking: Tracking = None,
    as_json: AsJson = False,
) -> None:
    """Print the report of a job that was run and tracked."""
    from foldwise.job import Job  # lazily: see the module's docstring
    from foldwise.tracking import check_uri, find_report  # lazily: MLflow takes seconds to import

    uri = _tracking(tracking)
    name = target
    if Path(target).suffix in {".yaml", ".yml"}:
        loaded = Job.load(target)
        name, uri = loaded.name, tracking or loaded.tracking_uri(uri) or uri
        check_uri(uri, "tracking.uri")
    _out(find_report(uri, name, "report.json" if as_json else "report.txt"))


@app.command()
def sync(tracking: Tracking = None) -> None:
    """Write to MLflow what could not be tracked while jobs ran."""
    from foldwise.job import DEFAULT_TRACKING  # lazily: see the module's docstring
    from foldwise.tracking import UNTRACKED, sync_all  # lazily: MLflow takes seconds to import

    left = sync_all(UNTRACKED.absolute(), tracking, _environment_tracking() or DEFAULT_TRACKING, _out)
    raise typer.Exit(FAILED if left else DONE)


@app.command()
def ui(
    tracking: Tracking = None,
    port: Annotated[int, typer.Option(parser=_port, metavar="PORT", help="Port on the loopback interface.")] = 5000,
) -> None:
    """Open the MLflow UI on this machine's loopback interface."""
    from foldwise.tracking import serve_ui  # lazily: MLflow takes seconds to import

    raise typer.Exit(serve_ui(_tracking(tracking), port, _out))


@ledger_app.callback(invoke_without_command=True)
def ledger(context: typer.Context, address: LedgerAddress = None, as_json: AsJson = False) -> None:
    """Show what is in a ledger: jobs, fits, failures, size and ages."""
    if context.invoked_subcommand is not None:
        return
    from foldwise.ledger import DEFAULT_LEDGER  # lazily: see the module's docstring
    from foldwise.ledger.overview import look_into  # lazily: SQLAlchemy takes a moment to import

    overview = look_into(address or DEFAULT_LEDGER)
    _out(json.dumps(overview.to_dict()) if as_json else str(overview))


@ledger_app.command()
def prune(
    address: LedgerAddress = None,
    job: Annotated[str | None, typer.Option(metavar="NAME", help="Fits that this job ran.")] = None,
    older_than: Annotated[str | None, typer.Option(metavar="AGE", help="Fits that began longer ago: 12h, 30d, 8w.")] = None,
) -> None:
    """Delete fits from a ledger, by job, by age or by both; they run again when they are next asked for."""
    from foldwise.ledger import (
        DEFAULT_LEDGER,  # lazily: see the module's docstring
        overview,  # lazily: SQLAlchemy takes a moment to import
    )

    age = None if older_than is None else overview.parse_age(older_than)
    _out(f"{overview.prune(address or DEFAULT_LEDGER, job, age)} fits pruned")


@app.command()
def spaces(name: Annotated[str | None, typer.Argument(help="Print this one.")] = None) -> None:
    """List the search spaces that ship with foldwise, or print one."""
    from foldwise.space import find_space, shipped_spaces  # lazily: see the module's docstring
    from foldwise.yaml_file import read_text  # lazily: likewise

    if name is not None:
        _out(read_text(find_space(name)).rstrip())
        return
    found = shipped_spaces()
    width = max(map(len, found), default=0)
    for one, path in found.items():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        _out(f"{one:<{width}}  {first.removeprefix('#').strip()}")


def main() -> NoReturn:
    """Run the command line; every expected error is one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except FoldwiseError as error:
        _err(f"error: {_one_line(error)}")
        sys.exit(WRONG_INPUT if isinstance(error, InputError) else FAILED)
    except KeyboardInterrupt:
        _err("interrupted")
        sys.exit(INTERRUPTED)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what click raises has it; typer brings a click of its own
            raise
        _say_wrong_option(error)
        sys.exit(WRONG_INPUT)
    sys.exit(code or DONE)


def _load(path: Path, settings: list[str], more: Mapping[str, Any] = MappingProxyType({})) -> Any:
    from foldwise.job import Job, parse_overrides  # lazily: see the module's docstring

    return Job.load(path, {**parse_overrides(settings), **more})


def _how_to_go_on(job: Any, report: Any, default_ledger: str) -> str:
    if job.ledger_address(default_ledger) is None:
        return "the job has no ledger, so it begins anew next time"
    if job.spec.seed is not None:
        return "the same command goes on from here"
    seed = "N" if report is None else report.seed  # drawn for this run; another one would ask other questions
    return f"the job has no seed of its own: the same command with --set seed={seed} goes on from here"


def _progress(verbose: int) -> Any:
    from rich.console import Console  # lazily: see the module's docstring

    from foldwise.report.progress import ProgressBar, ProgressLines  # lazily: likewise

    console = Console(stderr=True)
    if console.is_terminal and verbose < 2:
        return ProgressBar(console)
    return ProgressLines(sys.stderr, max(verbose, 1))


def _tracking(given: str | None) -> str:
    """Return the tracking URI that a command reads from, checked."""
    from foldwise.job import DEFAULT_TRACKING  # lazily: see the module's docstring
    from foldwise.tracking import check_uri  # lazily: likewise

    uri = _environment_tracking() if given is None else given
    check_uri(uri or DEFAULT_TRACKING, "MLFLOW_TRACKING_URI" if given is None else "--tracking")
    return uri or DEFAULT_TRACKING


def _environment_tracking() -> str | None:
    return os.environ.get("MLFLOW_TRACKING_URI")


def _say_wrong_option(error: Any) -> None:
    """Say in one line what is wrong with an option, and where to read on; without any arguments, print the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    command = getattr(getattr(error, "ctx", None), "command_path", "foldwise")
    _err(f"error: {' '.join(error.format_message().split()).rstrip('.')}; see {command} --help")


def _one_line(error: FoldwiseError) -> str:
    return " ".join(str(error).split("\n")[0].split()) if isinstance(error, InputError) else str(error)


def _out(text: str) -> None:
    typer.echo(text)


def _err(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    main()
