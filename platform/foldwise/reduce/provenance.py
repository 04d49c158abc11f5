"""Step 6, reduce: where results come from. It enters no key, and reports do not print it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foldwise.keys.versions import versions_of
from foldwise.safety.masking import masked

_PATIENCE = 2.0  # seconds that git may take
_LONGEST = 2000  # characters of the command line


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where results come from.

    Parameters
    ----------
    versions : mapping of str to str
        Of Python and of the distributions whose code the fits ran.
    platform : str
        Operating system and processor.
    command : str
        The command line, without secrets.
    commit : str or None
        Of the git checkout that the user's code is in; None if there is none, or git does not answer.
    is_dirty : bool or None
        Whether files differ from that commit; None where there is no commit.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    command: str = ""
    commit: str | None = None
    is_dirty: bool | None = None

    @classmethod
    def here(cls, distributions: Iterable[str] = ()) -> Provenance:
        """Describe this process, with the versions of some distributions."""
        command = masked(shlex.join(sys.orig_argv))
        commit, is_dirty = git_state(_code_folder())
        return cls(versions_of(distributions), platform.platform(), command[:_LONGEST], commit, is_dirty)


def git_state(folder: Path | None) -> tuple[str | None, bool | None]:
    """Return the commit of the git checkout that a folder is in, and whether files differ from it.

    Returns
    -------
    commit, is_dirty
        Both None if there is no checkout or no commit, or if git does not answer within two seconds.
    """
    try:
        lines = [] if folder is None else _status(folder)
    except (OSError, subprocess.SubprocessError):
        return None, None
    mark = "# branch.oid "
    commit = next((line.removeprefix(mark) for line in lines if line.startswith(mark)), "")
    if not commit or commit.startswith("("):  # there is no commit yet
        return None, None
    return commit, any(not line.startswith("#") for line in lines)


def _status(folder: Path) -> list[str]:
    git = shutil.which("git")
    if git is None or not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return []
    # What the checkout's own configuration names is not run, and a file takes what git says: a pipe may stay open for longer.
    command = [git, "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    with tempfile.TemporaryFile() as said:
        subprocess.run(  # noqa: S603  (our own command)
            command, cwd=folder, env=environment, check=True, timeout=_PATIENCE,
            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        said.seek(0)
        return said.read().decode("utf-8", "replace").splitlines()


def _code_folder() -> Path | None:
    """Return the folder of the script that runs; the working folder where a tool runs that is installed, or a notebook."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    try:
        if script is not None:
            path, installed = Path(script).resolve(), (Path(sys.prefix).resolve(), Path(__file__).resolve().parents[1])
            if not any(path.is_relative_to(place) for place in installed):
                return path.parent
        return Path.cwd()
    except OSError:  # the working folder has been removed
        return None
