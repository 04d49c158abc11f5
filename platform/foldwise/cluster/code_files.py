"""Which files of the user's own code are sent: no secrets, nothing that is not code's, nothing from outside its folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from foldwise.errors import InputError

_NOT_CODE = (
    "__pycache__", ".git", ".git?*", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules", ".foldwise",
    "mlruns", "mlartifacts", "mlflow.db*", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis",
    ".ipynb_checkpoints", ".ds_store", "*.py[co]", "*.egg-info",
)  # fmt: skip
SECRETS = (
    ".env*", "*.env", ".netrc", "_netrc", ".pgpass", "pgpass.conf", ".my.cnf", ".mylogin.cnf", ".npmrc", ".yarnrc*",
    ".pypirc", ".htpasswd", ".dockercfg", ".docker", ".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".gcp", ".config",
    ".kube", "kubeconfig", ".ray", ".databrickscfg", ".snowflake", ".s3cfg", ".boto", ".terraform*", "*.tfstate*",
    "*.tfvars", ".vault-token", "auth_token", ".token", "*.token", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg", "*.asc", "*.secret",
    "*.secrets", "credentials", "credentials.json", "credentials.y*ml", "credentials.toml", "credentials.ini",
    "client_secret*.json", "service_account*.json", "service-account*.json", "secrets", "secrets.json", "secrets.y*ml",
    "secrets.toml", "secrets.ini", "secret.json", "secret.y*ml", "secret.toml", ".*_history", ".passwd*", "passwords.txt",
    "passwords.csv",
)  # fmt: skip
"""Names, whatever their case, of files and folders that are there for secrets."""


@dataclass(frozen=True)
class CodeFiles:
    """The files of a folder of code, or of a file that is code.

    Parameters
    ----------
    files : tuple of Path
        Those that are sent, in order.
    left_out : tuple of (Path, str)
        Those that are not, though they may be missed, and why.
    """

    files: tuple[Path, ...]
    left_out: tuple[tuple[Path, str], ...] = ()

    @classmethod
    def of(cls, code: Path, include: Sequence[str] = (), place: str = "code") -> CodeFiles:
        """List the files of code.

        Parameters
        ----------
        code : Path
            A folder, or a file, which is sent as it is.
        include : sequence of str
            Patterns from the folder on (``certs/*.pem``), of what is sent although it would be left out.
        place : str
            Where errors say that these patterns stand.

        Raises
        ------
        InputError
            If a pattern leads out of the folder, or finds nothing.
        """
        if code.is_file():
            if include:
                raise InputError(f"{place}.include", f"expected none beside a file, got {list(include)!r}; name its folder")
            return cls((code,))
        walk = _Walk(code)
        found = set(walk.files())
        for pattern in include:
            found |= _included(code, pattern, place)
        return cls(tuple(sorted(found)), tuple(one for one in walk.left_out if one[0] not in found))


class _Walk:
    """Goes through a folder, links followed as long as they stay in it, and notes what is left out."""

    def __init__(self, code: Path) -> None:
        self._code, self._real = code, Path(os.path.realpath(code))
        self._seen = {str(self._real)}
        self.left_out: list[tuple[Path, str]] = []

    def files(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self._code, followlinks=True):
            folders[:] = [name for name in sorted(folders) if self._is_sent(Path(folder, name)) and self._is_new(folder, name)]
            yield from (path for name in names if (path := Path(folder, name)).is_file() and self._is_sent(path))

    def _is_sent(self, path: Path) -> bool:
        if _is_named(path, _NOT_CODE) or (path / "pyvenv.cfg").is_file():
            return False
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._real):
            self.left_out.append((path, f"it leads out of the folder, to {real}"))
            return False
        within = real.relative_to(self._real).parts
        if _is_named(path, SECRETS) or any(_is_named(PurePath(part), SECRETS) for part in within):
            self.left_out.append((path, "it may hold secrets"))
            return False
        return not any(_is_named(PurePath(part), _NOT_CODE) for part in within)

    def _is_new(self, folder: str, name: str) -> bool:
        """Tell whether a folder was not walked through before: links may lead in circles."""
        real = os.path.realpath(Path(folder, name))
        if real in self._seen:
            return False
        self._seen.add(real)
        return True


def _included(code: Path, pattern: str, place: str) -> set[Path]:
    """Find the files that a pattern names, and those in the folders that it names."""
    parts = PurePath(pattern).parts
    if not parts or "\0" in pattern or PurePath(pattern).is_absolute() or ".." in parts:
        raise InputError(
            f"{place}.include", f"expected a pattern from the folder {code.name!r} on, got {pattern!r}; write it as certs/*.pem"
        )
    found: set[Path] = set()
    for path in code.glob(pattern):
        inside = path.rglob("*") if path.is_dir() else (path,)
        found |= {one for one in inside if one.is_file()}
    if not found:
        raise InputError(f"{place}.include", f"expected a pattern that finds files in {code.name!r}, got {pattern!r}; mend it")
    return found


def _is_named(path: PurePath, patterns: Sequence[str]) -> bool:
    name = path.name.lower()
    return any(fnmatchcase(name, pattern) for pattern in patterns)
