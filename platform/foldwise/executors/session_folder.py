"""The folder of a private Ray's session, which only its owner can enter.

Ray makes its own folders open to everybody: sockets, logs, and files that it unpickles. So they lie in one that is not,
which is removed when Ray stops; what killed processes have left behind is removed by the next.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foldwise.errors import ClusterError
from foldwise.safety.private_files import is_own, open_to_others

_PREFIX = "fw-"
_LOCK = ".foldwise-session"
_OF_RAY = "ray"
_MOST_TRIES = 5
_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
_BELOW = len(f"/{_PREFIX}01234567/{_OF_RAY}/session_2026-01-31_23-59-59_123456_4194304/sockets/plasma_store")
LONGEST_BASE = _LONGEST_SOCKET - _BELOW
"""Bytes of a temporary folder's path, beyond which a socket's path in it would be longer than systems take."""


class SessionFolder:
    """A fresh folder, locked as long as this process lives.

    It lies where ``RAY_TMPDIR`` says, else in the first temporary folder whose path is short enough for sockets and in which
    others cannot replace it.

    Raises
    ------
    ClusterError
        If there is no such place.
    """

    def __init__(self) -> None:
        base = _base()
        remove_left(base)
        self._lock: int | None = None
        for _ in range(_MOST_TRIES):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))  # for its owner alone, whatever the umask
            with contextlib.suppress(FileNotFoundError):
                self._lock = _locked(self.path / _LOCK)
            if os.name != "posix" or (self._lock is not None and (self.path / _LOCK).exists()):
                return  # else another process took it for one that was left, before it was locked
        raise ClusterError(f"expected a folder of this process's own in {base}, got {self.path}, which others remove")

    @property
    def for_ray(self) -> Path:
        """What Ray takes for its temporary folder, and opens to everybody who gets so far."""
        return self.path / _OF_RAY

    def remove(self) -> None:
        """Remove all of it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        shutil.rmtree(self.path, ignore_errors=True)


def remove_left(base: Path) -> None:
    """Remove what processes of this user have left that are gone: nobody holds its lock any more."""
    for folder in base.glob(f"{_PREFIX}????????"):
        with contextlib.suppress(OSError):
            if not folder.is_symlink() and is_own(folder.lstat()) and (lock := _locked(folder / _LOCK, make=False)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _locked(file: Path, *, make: bool = True) -> int | None:
    """Lock a file; returns what holds the lock, which ends with the process, or None if another process holds it."""
    if os.name != "posix":
        return None
    import fcntl  # lazily: not on Windows

    held = os.open(file, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if make else 0), 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def _base() -> Path:
    """Choose where a session's folder may lie."""
    wanted = os.environ.get("RAY_TMPDIR")
    if wanted:
        base = Path(wanted).absolute()
        with contextlib.suppress(OSError):
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (trouble := _trouble(base)) is not None:
            raise ClusterError(f"expected a RAY_TMPDIR that can hold a private Ray's session, got {wanted!r}, {trouble}")
        return base
    told = []
    for base in _candidates():
        if (trouble := _trouble(base)) is None:
            return base
        told.append(f"{base}, {trouble}")
    raise ClusterError(f"expected a temporary folder for a private Ray's session, got {'; '.join(told)}; set RAY_TMPDIR")


def _candidates() -> Iterator[Path]:
    yield Path(tempfile.gettempdir()).absolute()
    yield from (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  (a fresh folder in it, which others cannot enter)
    runtime: Any = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield Path(runtime)


def _trouble(base: Path) -> str | None:
    """Say why a session's folder cannot lie in another one; None if it can."""
    if not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
        return "which is no folder that can be written to"
    length = len(os.fsencode(base))
    if length > LONGEST_BASE:
        return f"whose path has {length} bytes, and sockets leave it {LONGEST_BASE}; name a shorter one"
    opened = open_to_others(base / _PREFIX)
    if opened is not None:
        return f"where others may replace what is in {opened}; take that right from them, or set the sticky bit (chmod +t)"
    return None
