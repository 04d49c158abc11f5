"""Step 9, a face: what all commands share: their arguments, and how they print."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TextIO

import typer

from foldwise.safety.masking import masked_texts, shown

JobPath = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="The job file.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the job; the value is read as YAML.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def load_job(path: Path, settings: list[str], more: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Load a job file with its overrides."""
    from foldwise.job.job import Job  # lazily: ``--help`` answers at once
    from foldwise.job.overrides import parse_overrides  # lazily: likewise

    return Job.load(path, {**parse_overrides(settings), **more})


def progress(verbose: int) -> Any:
    """Return a listener that shows how a run goes: a bar on a terminal, else lines."""
    from rich.console import Console  # lazily: ``--help`` answers at once

    from foldwise.listeners.progress import ProgressBar, ProgressLines  # lazily: likewise

    console = Console(stderr=True)
    if console.is_terminal and verbose < 2:
        return ProgressBar(console)
    return ProgressLines(sys.stderr, max(verbose, 1))


def out(text: str, file: TextIO | None = None) -> None:
    """Print a result, without secrets and control characters."""
    typer.echo(shown(text), file=file)


def out_json(data: Any, file: TextIO | None = None) -> None:
    """Print a result for machines, without secrets: one line of JSON, which writes control characters as escapes."""
    typer.echo(json.dumps(masked_texts(data)), file=file)


def err(text: str) -> None:
    """Print what is said beside a result, without secrets and control characters."""
    typer.echo(shown(text), err=True)


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Have Python print warnings as commands print all: without secrets and control characters."""
    plain = warnings.formatwarning

    def formatted(*args: Any, **options: Any) -> str:
        return shown(plain(*args, **options))

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = plain
