"""States of trials in training, from which another actor goes on when theirs is lost, or another run of the job.

A state is a file named by its trial, replaced as a whole. It lies in the run's folder below the storage: a folder that all
nodes see, or a URL of an object store. Knows nothing of Ray.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyarrow import ArrowException, fs

from foldwise.errors import InputError
from foldwise.safety.private_files import is_own, make_file, open_to_others

DEFAULT_STORAGE = ".foldwise/tune"
_HERE = ".here"
STORAGE = "FOLDWISE_STORAGE"
"""Environment variable: where the states of scheduled trials are kept."""


@dataclass(frozen=True)
class Storage:
    """A run's folder.

    Parameters
    ----------
    root : str
        An absolute path, or a URL such as ``s3://bucket/folder``.
    run : str
        The run's name in it.
    """

    root: str
    run: str

    @classmethod
    def of(cls, root: str | None, run: str) -> Storage:
        """Return a run's folder in the given storage, in that of ``FOLDWISE_STORAGE``, or below the working folder."""
        chosen = root or os.environ.get(STORAGE) or DEFAULT_STORAGE
        return cls(chosen if "://" in chosen else str(Path(chosen).absolute()), run)

    @property
    def url(self) -> str:
        """The run's folder."""
        return posixpath.join(self.root, self.run)

    def check(self) -> None:
        """Make sure that states can be kept.

        Raises
        ------
        InputError
            If not.
        """
        try:
            self.write(_HERE, b"")
            self.forget(_HERE)
        except (OSError, ValueError, ArrowException) as error:
            raise InputError(
                STORAGE, f"expected a folder or a URL that can be written to, got {self.root!r} ({error}); set {STORAGE}"
            ) from error

    def read(self, name: str) -> bytes | None:
        """Return what was kept; None if nothing was, or if it is a file that others have written or may write."""
        if isinstance(self._files, fs.LocalFileSystem):
            return _read_own(Path(self._at(name)))
        try:
            with self._files.open_input_stream(self._at(name)) as stream:
                content: bytes = stream.read()
                return content
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Keep something, in place of what was kept; a reader sees the one or the other."""
        if isinstance(self._files, fs.LocalFileSystem):
            aside = Path(self._at(f".{name}.{uuid.uuid4().hex}"))
            make_file(aside)
            aside.write_bytes(content)
            aside.replace(self._at(name))
            return
        self._files.create_dir(self._folder, recursive=True)
        with self._files.open_output_stream(self._at(name)) as stream:  # an object appears once it is whole
            stream.write(content)

    def forget(self, name: str) -> None:
        """Remove what was kept."""
        try:
            self._files.delete_file(self._at(name))
        except FileNotFoundError:
            return

    def remove_if_empty(self) -> None:
        """Remove the folder if nothing is kept in it."""
        with contextlib.suppress(OSError):  # somebody else may be at it
            if not self._files.get_file_info(fs.FileSelector(self._folder, allow_not_found=True)):
                self.clear()

    def clear(self) -> None:
        """Remove the whole folder."""
        try:
            self._files.delete_dir(self._folder)
        except FileNotFoundError:
            return

    def open_to_others(self) -> Path | None:
        """Return the folder on the way here in which others may replace files; None if there is none, or it is a URL."""
        return open_to_others(Path(self._folder)) if isinstance(self._files, fs.LocalFileSystem) else None

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        return fs.FileSystem.from_uri(self.root) if "://" in self.root else (fs.LocalFileSystem(), self.root)

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def _folder(self) -> str:
        return posixpath.join(self._opened[1], self.run)

    def _at(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "run": self.run}


def _read_own(file: Path) -> bytes | None:
    """Read a file that belongs to this user and nobody else may write to: what is looked at is what is read."""
    try:
        with file.open("rb") as stream:
            return stream.read() if is_own(os.fstat(stream.fileno())) else None
    except FileNotFoundError:
        return None


class SaveInterval:
    """Says when to keep a state: after every epoch, or less often where that would take more than a twentieth of the time."""

    SHARE = 0.05

    def __init__(self) -> None:
        self._not_before = 0.0

    def is_due(self) -> bool:
        """Tell whether it is time."""
        return time.monotonic() >= self._not_before

    def took(self, seconds: float) -> None:
        """Note how long keeping one took."""
        self._not_before = time.monotonic() + seconds / self.SHARE
