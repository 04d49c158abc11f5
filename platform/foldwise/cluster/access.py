"""How a cluster is reached: its address, the token that opens it, and whether what answers there can take our jobs."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from foldwise.errors import ClusterError, InputError
from foldwise.executors.ray_session import SESSION
from foldwise.safety.masking import masked

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
_ENVIRONMENT = "RAY_API_SERVER_ADDRESS"
_TOKEN, _TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_PATIENCE = 15.0  # seconds that a server may take to answer


@dataclass(frozen=True)
class Access:
    """The address of Ray's Jobs API, and the token for it.

    Parameters
    ----------
    address : str
        ``http://host:port``, without a slash at the end.
    token : str or None
        None: none was found.
    token_source : str
        Where it was found.
    """

    address: str
    token: str | None = field(default=None, repr=False)
    token_source: str = "nowhere"  # noqa: S105  (a place)

    @classmethod
    def find(cls, address: str | None = None) -> Access:
        """Find the address and the token.

        The address is the given one, else what ``RAY_API_SERVER_ADDRESS`` names, else this machine's. The token stands in
        ``RAY_AUTH_TOKEN``, in the file that ``RAY_AUTH_TOKEN_PATH`` names, for addresses of this machine in ``.env`` in the
        working folder, or in Ray's own file.

        Raises
        ------
        InputError
            If the address is none.
        """
        given, place = (address, "--address") if address is not None else (os.environ.get(_ENVIRONMENT), _ENVIRONMENT)
        checked = _checked(given or DEFAULT_ADDRESS, place)
        return cls(checked, *_find_token(checked))

    @property
    def is_here(self) -> bool:
        """Whether the address is this machine's, as through an SSH tunnel."""
        host = urlsplit(self.address).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.is_here or self.address.startswith("https:")

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each request."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def check(self) -> None:
        """Ask who is there.

        Raises
        ------
        ClusterError
            If it is nobody, somebody who does not take the token, or a Ray of another version.
        """
        theirs = self.get("/api/version").get("ray_version")
        if not isinstance(theirs, str):
            raise ClusterError(f"expected Ray's Jobs API at {self.address}, got another server; check the address")
        ours = version("ray")
        if _minor(theirs) != _minor(ours):
            raise ClusterError(
                f"expected Ray {_minor(ours)} at {self.address}, as here, got {theirs}; install the cluster's version here, or "
                "ours there"
            )

    def is_open(self) -> bool:
        """Tell whether the cluster lets in whoever reaches it."""
        try:
            Access(self.address).get("/api/version")
        except ClusterError:
            return False
        return True

    def get(self, path: str) -> dict[str, Any]:
        """Ask for something.

        Raises
        ------
        ClusterError
            If there is no answer, or it is a refusal.
        """
        request = urllib.request.Request(self.address + path)  # noqa: S310  (http or https: checked)
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)  # the token is for this server alone
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310  (likewise)
                content = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            raise ClusterError(self.refusal(error.code) or f"expected an answer from {self.address}, got {error}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ClusterError(
                f"expected Ray's Jobs API at {self.address}, got no answer ({reason}); start the cluster, or give its --address"
            ) from None
        return content if isinstance(content, dict) else {}

    def refusal(self, code: int) -> str:
        """Word the refusal of a token by its HTTP status; empty if it is about something else."""
        where = f"{_TOKEN}, {_TOKEN_PATH}, {'.env in the working folder, ' if self.is_here else ''}{_ray_file()}"
        if code == 401:
            return f"expected the token of the cluster at {self.address}, got none; looked into {where}"
        if code == 403:
            return f"expected the token of the cluster at {self.address}, got another one from {self.token_source}"
        return ""


def _checked(address: str, place: str) -> str:
    text = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, brackets that do not close
        is_one = False
    if not is_one or any(character.isspace() for character in text):
        raise InputError(place, f"expected the address of Ray's Jobs API, got {address!r}; write http://host:8265")
    if parts.username or parts.password:
        raise InputError(place, f"expected no user in {masked(text)}; put the token into {_TOKEN}")
    return text.rstrip("/")


def _find_token(address: str) -> tuple[str | None, str]:
    places: list[tuple[str, Callable[[], str | None]]] = [
        (_TOKEN, lambda: os.environ.get(_TOKEN)),
        (_TOKEN_PATH, lambda: _file_of_environment()),
        (".env", lambda: _from_env_file(Path(".env")) if Access(address).is_here else None),
        (_ray_file(), lambda: _content(Path(_ray_file()).expanduser())),
    ]
    for source, look in places:
        if (token := (look() or "").strip()) and not SESSION.made_token(token):
            return token, source
    return None, "nowhere"


def _file_of_environment() -> str | None:
    path = os.environ.get(_TOKEN_PATH)
    if not path:
        return None
    content = _content(Path(path).expanduser())
    if content is None:
        raise InputError(_TOKEN_PATH, f"expected a readable file, got {path!r}; name the file that holds the token")
    return content


def _from_env_file(path: Path) -> str | None:
    """Read the token from lines of ``NAME=value``, as Docker Compose reads them."""
    for line in reversed((_content(path) or "").splitlines()):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() == _TOKEN:
            return value.strip().strip("'\"")
    return None


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _ray_file() -> str:
    return "~/.ray/auth_token"


def _minor(release: str) -> str:
    return ".".join(release.split(".")[:2])
