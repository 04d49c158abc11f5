"""What is sent of a job: the job file, made whole, and beside it the user's own code; never the data.

Ray unpacks it on every node, and puts it on the import path there.
"""

from __future__ import annotations

import json
import platform
import zipfile
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from foldwise.cluster.code_files import CodeFiles
from foldwise.cluster.submission import series_name
from foldwise.cluster.travel import check_travels
from foldwise.errors import InputError
from foldwise.inputs.imports import import_root
from foldwise.inputs.yaml_file import read_yaml, to_yaml
from foldwise.job.job import Job
from foldwise.space.space import find_space

JOB_FILE = "foldwise-job.yaml"
MOST_BYTES = 100 * 2**20
"""Ray's server takes no more in one request."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_N_LARGEST = 3


def python_here() -> str:
    """Return the version of this Python, as far as it must be the same on the cluster."""
    return ".".join(platform.python_version_tuple()[:2])


@dataclass(frozen=True)
class Parcel:
    """What is sent of a job.

    Parameters
    ----------
    name : str
        The job's name.
    content : dict
        The keys of the job file that is sent; its seed is missing where the job gives none.
    files : tuple of (str, Path)
        Place in the parcel and here, of each file of code.
    left_out : tuple of (Path, str)
        What is not sent of the code, though it may be missed, and why.
    """

    name: str
    content: dict[str, Any]
    files: tuple[tuple[str, Path], ...]
    left_out: tuple[tuple[Path, str], ...] = ()

    @classmethod
    def of(cls, job: Job) -> Parcel:
        """Gather what a job needs.

        Raises
        ------
        InputError
            If it names something that stays here, or is too large.
        """
        check_travels(job)
        files, left_out = _files_of(job)
        _check_size(files, job.source)
        content = {**job.spec.model_dump(exclude_unset=True, exclude={"code"}), "name": job.name}
        if isinstance(job.spec.space, str):
            content["space"] = _space(job.spec.space, job)
        return cls(job.name, content, files, left_out)

    @cached_property
    def digest(self) -> str:
        """Digest of all that is sent, whatever the order of keys and wherever the code lies."""
        parts = [json.dumps(self.content, sort_keys=True, default=str).encode()]
        parts += [part for place, path in self.files for part in (place.encode(), _hashed(path).encode())]
        return blake2b(b"\0".join(parts), digest_size=16).hexdigest()

    @property
    def series(self) -> str:
        """What all attempts at the job are called: ``<job>-<digest8>``."""
        return series_name(self.name, self.digest)

    @property
    def text(self) -> str:
        """The job file that is sent. A job without a seed gets one here, so that its next attempt asks the same."""
        content = dict(self.content)
        if content.get("seed") is None:
            content["seed"] = int(self.digest[:8], 16) & 0x7FFFFFFF
        return to_yaml(content, JOB_FILE)

    def listed(self) -> str:
        """Say what is sent, and what is not."""
        sent = [f"  {place}  {file.stat().st_size} bytes" for place, file in self.files]
        kept = [f"  {path}: {why}" for path, why in self.left_out]
        head = f"sent: {JOB_FILE}, its secrets too, and {len(self.files)} files of code"
        return "\n".join([head, *sent, *(["left out:", *kept] if kept else [])])

    def pack(self, folder: Path) -> Path:
        """Write the parcel; equal ones are equal to the byte, so that Ray takes each once."""
        path = folder / f"{self.series}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_entry(JOB_FILE), self.text)
            for place, file in self.files:
                archive.writestr(_entry(place), file.read_bytes())
        return path


def _space(name: str, job: Job) -> Any:
    """Read the space that a job names, so that it stands in what is sent."""
    try:
        return read_yaml(find_space(name, job.folder))
    except InputError as error:
        raise error.moved(error.place or "space", error.source or job.source) from None


def _entry(place: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(place, _EPOCH)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry


def _files_of(job: Job) -> tuple[tuple[tuple[str, Path], ...], tuple[tuple[Path, str], ...]]:
    """List the files of all code by their place beside the job; of two things of one name the first counts, as in imports."""
    files: list[tuple[str, Path]] = []
    left_out: list[tuple[Path, str]] = []
    taken = {JOB_FILE}
    for code, (place, include) in zip(job.code_paths(), job.spec.code_includes(), strict=True):
        root = import_root(code)
        try:
            listed = CodeFiles.of(code, include, place)
        except InputError as error:
            raise error.moved(error.place, job.source) from None
        found = [(file.relative_to(root).as_posix(), file) for file in listed.files]
        files += [(where, file) for where, file in found if where.partition("/")[0] not in taken]
        taken |= {where.partition("/")[0] for where, _ in found}
        left_out += listed.left_out
    return tuple(files), tuple(left_out)


def _check_size(files: tuple[tuple[str, Path], ...], source: str) -> None:
    sizes = {place: file.stat().st_size for place, file in files}
    if sum(sizes.values()) <= MOST_BYTES:
        return
    largest = sorted(sizes, key=lambda place: -sizes[place])[:_N_LARGEST]
    listed = ", ".join(f"{place} ({sizes[place] / 2**20:.0f} MiB)" for place in largest)
    raise InputError(
        "code", f"expected at most {MOST_BYTES >> 20} MiB of code, got {sum(sizes.values()) / 2**20:.0f} MiB; the largest: "
        f"{listed}. Data is not sent: keep it elsewhere, and let data name it as the cluster sees it", source,
    )  # fmt: skip


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        digest = blake2b(digest_size=16)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
