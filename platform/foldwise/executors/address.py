"""Addresses of a running Ray, checked before Ray is imported."""

from __future__ import annotations

import re
from typing import Any

from foldwise.errors import InputError, InputTypeError

_ADDRESS = re.compile(r"^(?:ray://)?(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):([0-9]{1,5})$")
_FIX = "write host:port, ray://host:port or auto"


def check_address(address: Any, place: str) -> None:
    """Refuse what cannot be the address of a Ray; None and "local" stand for a private one.

    Raises
    ------
    InputError
        If it is none, and where it was given.

    Examples
    --------
    >>> check_address("127.0.0.1:6379", "address")
    >>> check_address("http://127.0.0.1:8265", "RAY_ADDRESS")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    foldwise.errors.InputError: RAY_ADDRESS: expected a running Ray, got 'http://127.0.0.1:8265'; write host:port, ...
    """
    if address in (None, "auto", "local"):
        return
    if not isinstance(address, str):
        raise InputTypeError(place, f"expected the address of a running Ray, got {address!r}; {_FIX}")
    match = _ADDRESS.match(address)
    if match is None:
        raise InputError(place, f"expected a running Ray, got {address!r}; {_FIX}")
    if not 1 <= int(match[1]) <= 65535:
        raise InputError(place, f"expected a port from 1 to 65535, got {address!r}; {_FIX}")
