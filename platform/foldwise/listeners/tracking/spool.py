"""Spool: what could not be tracked, kept on disk as plain data until it can be.

One folder per job and store below ``.foldwise/untracked`` of the working folder: ``about.json`` (where it belongs, the job
as it started and ended), ``runs.jsonl`` (studies, then trials, one entry per line), ``data.json``, ``files/`` and ``model/``.
It is written aside and then renamed, so a folder is whole or not there. Only its owner can read it. It holds no secrets,
and nothing is pickled for it;
the model is saved as MLflow keeps it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foldwise.errors import TrackingError
from foldwise.keys import digest
from foldwise.listeners.tracking.entry import Entry
from foldwise.safety.masking import masked
from foldwise.safety.private_files import make_folder

UNTRACKED = Path(".foldwise", "untracked")
_VERSION = 1
_ABOUT, _RUNS, _DATA, _FILES, _MODEL = "about.json", "runs.jsonl", "data.json", "files", "model"


@dataclass(frozen=True, slots=True)
class About:
    """Where a spool belongs.

    Parameters
    ----------
    uri : str
        Of the store, without a password; "" for MLflow's own choice.
    experiment : str
        Name of the experiment.
    parent : str or None
        Id of the run that the job's run is nested below.
    started, ended : Entry
        The job as it started and as it ended.
    model_tags : mapping of str to str
        Of the final model.
    is_whole : bool
        Whether all of the job is kept, since MLflow may hold another result of it; else it completes what is there.
    """

    uri: str
    experiment: str
    parent: str | None
    started: Entry
    ended: Entry
    model_tags: Mapping[str, str]
    is_whole: bool = False

    @property
    def folder(self) -> str:
        """Name of the spool's folder."""
        return f"{self.started.key}-{digest(self.uri, self.experiment)[:8]}"


@dataclass(frozen=True, slots=True)
class Left:
    """What is to be kept: entries, what makes each file, the data's fields, and what saves the model into a folder."""

    entries: Iterable[Entry]
    files: Mapping[str, Callable[[Path], Any]]
    data: Callable[[], Mapping[str, str]] | None
    model: Callable[[Path], Path] | None


def write_spool(root: Path, about: About, left: Left) -> None:
    """Keep what is left; what was kept of the same job before stays beside it.

    Raises
    ------
    OSError
        If it cannot be written.
    TrackingError
        If the model cannot be stored; all else is kept.
    """
    make_folder(root)
    aside = root / f".{about.folder}.{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    make_folder(aside / _FILES)
    with (aside / _RUNS).open("w", encoding="utf-8") as lines:
        for entry in left.entries:
            lines.write(json.dumps(asdict(entry)) + "\n")
    for name, make in left.files.items():
        make(aside / _FILES / name)
    if left.data is not None:
        (aside / _DATA).write_text(json.dumps(dict(left.data())), encoding="utf-8")
    (aside / _ABOUT).write_text(json.dumps({"version": _VERSION, **asdict(about)}), encoding="utf-8")
    unsaved: TrackingError | None = None
    if left.model is not None:
        try:
            with tempfile.TemporaryDirectory(dir=aside) as attempts:
                left.model(Path(attempts)).rename(aside / _MODEL)
        except TrackingError as error:
            unsaved = error
    aside.rename(_free(root, about.folder))
    if unsaved is not None:
        raise unsaved


def _free(root: Path, name: str) -> Path:
    names = (name, *(f"{name}.{number}" for number in range(1, 10_000)))
    return next(root / one for one in names if not (root / one).exists())


class Spool:
    """A folder that waits for its store.

    Parameters
    ----------
    folder : Path
        Where it is.

    Raises
    ------
    TrackingError
        If it is not a spool, or was written by a newer foldwise.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            fields = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            version = fields.pop("version")
            entries = {name: _entry(fields[name]) for name in ("started", "ended")} if version == _VERSION else {}
            self.about = About(**{**fields, **entries})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TrackingError(
                f"expected what foldwise keeps for MLflow in {folder}, got {error}; delete the folder"
            ) from error
        if version != _VERSION:
            raise TrackingError(f"expected version {_VERSION} in {folder}, got {version}; update foldwise")

    def entries(self) -> Iterator[Entry]:
        """Go through the runs that are left: studies, then trials."""
        with (self.folder / _RUNS).open(encoding="utf-8") as lines:
            for line in lines:
                yield _entry(json.loads(line))

    def files(self) -> list[Path]:
        """Return the files that are left."""
        return sorted((self.folder / _FILES).iterdir())

    def data(self) -> dict[str, str] | None:
        """Return the fields that name the data, if that is left."""
        file = self.folder / _DATA
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    @property
    def model(self) -> Path | None:
        """The folder of the final model, if that is left."""
        return self.folder / _MODEL if (self.folder / _MODEL).is_dir() else None

    def remove(self) -> None:
        """Delete the folder: all that it held is tracked. Renamed first, so that it never stands there half."""
        aside = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.done")
        self.folder.rename(aside)
        shutil.rmtree(aside)


def find_spools(root: Path) -> list[Path]:
    """Return the folders that wait below a root, the oldest first."""
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))


def _entry(fields: Mapping[str, Any]) -> Entry:
    entry = Entry(**fields)
    return replace(entry, metrics=tuple((name, value, step) for name, value, step in entry.metrics))


def address_of(uri: str | None) -> str:
    """Return what two URIs of one store have in common: neither password nor a slash at the end."""
    return masked(uri or "").rstrip("/")
