"""Files and folders that only their owner can read or change, whatever the umask; and whether others could change one."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_OWNER_ONLY = 0o077  # what is taken from everybody else
_ROOT = 0


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for their owner alone; one that exists is left as it is."""
    for one in (*reversed(folder.parents), folder):
        with suppress(FileExistsError):
            if not one.exists():
                one.mkdir(0o777 & ~_OWNER_ONLY)  # a umask can only take more away
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file")


def make_file(file: Path) -> None:
    """Make an empty file for its owner alone, if it is not there."""
    make_folder(file.parent)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 & ~_OWNER_ONLY))


def is_own(status: os.stat_result) -> bool:
    """Tell whether something belongs to this user and nobody else may write to it."""
    if os.name != "posix":
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def open_to_others(path: Path) -> Path | None:
    """Return the first of a path and the folders above it in which others may replace what is there; None if none is.

    In a folder with the sticky bit everybody may add things, and replace their own alone.
    """
    if os.name != "posix":
        return None
    real = path.resolve()
    for one in (real, *real.parents):
        try:
            status = one.stat()
        except OSError:  # not there yet: whoever makes it decides
            continue
        is_sticky = bool(status.st_mode & stat.S_ISVTX)
        may_write = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and not _is_alone_in(status.st_gid))
        if (may_write and not (is_sticky and one != real)) or status.st_uid not in {os.geteuid(), _ROOT}:
            return one
    return None


def _is_alone_in(group: int) -> bool:
    """Tell whether a group is this user's own, as many systems give everybody one."""
    import grp  # lazily: not on Windows
    import pwd

    try:
        me, members = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return group == os.getegid() and members.gr_name == me and set(members.gr_mem) <= {me}
