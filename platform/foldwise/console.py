"""Step 9, a face: what all commands share: their arguments, and how they print."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

JobPath = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="The job file.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the job; the value is read as YAML.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def load_job(path: Path, settings: list[str], more: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Load a job file with its overrides."""
    from foldwise.job import Job  # lazily: ``--help`` answers at once
    from foldwise.overrides import parse_overrides  # lazily: likewise

    return Job.load(path, {**parse_overrides(settings), **more})


def progress(verbose: int) -> Any:
    """Return a listener that shows how a run goes: a bar on a terminal, else lines."""
    from rich.console import Console  # lazily: ``--help`` answers at once

    from foldwise.report.progress import ProgressBar, ProgressLines  # lazily: likewise

    console = Console(stderr=True)
    if console.is_terminal and verbose < 2:
        return ProgressBar(console)
    return ProgressLines(sys.stderr, max(verbose, 1))


def out(text: str) -> None:
    """Print a result."""
    typer.echo(text)


def err(text: str) -> None:
    """Print what is said beside a result."""
    typer.echo(text, err=True)
