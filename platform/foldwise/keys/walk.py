"""What names a fit: a walk through a value, of which its key is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from foldwise.errors import InputTypeError
from foldwise.keys.versions import version_of

BYTES = 16  # 128 bits: no collision among any number of fits that can be run


class Remembers(Protocol):
    """What a walk leaves to who makes it: how kinds of values are written, and what is known of code."""

    def writer_for(self, value: Any) -> Writer:
        """Return what feeds a value of its kind."""
        ...

    def code_key(self, owner: Any) -> str:
        """Return the key of a class or function."""
        ...

    def meet(self, distribution: str) -> None:
        """Note that code of a distribution was met."""
        ...

    def meet_own(self, module: str) -> None:
        """Note that user code was met."""
        ...

    def meet_class(self, owner: type) -> None:
        """Note a class of user code."""
        ...


class Walk:
    """Feeds values to a hash.

    Parameters
    ----------
    digester : Digester
        Whose walk it is.
    met : dict of int to int, optional
        Of a walk through code: the classes, functions and modules met so far, by identity, and their places in it. None: a
        walk through values, for which those have keys of their own.
    """

    def __init__(self, digester: Remembers, met: dict[int, int] | None) -> None:
        self.digester, self.met = digester, met
        self.sink = hashlib.blake2b(digest_size=BYTES)
        self.path: list[int] = []

    def feed(self, value: Any) -> None:
        """Feed a value, whatever its kind."""
        self.digester.writer_for(value)(self, value)

    def tag(self, tag: str, data: bytes = b"") -> None:
        """Feed bytes, after what they are and how many."""
        self.sink.update(f"{tag}:{len(data)}:".encode())
        self.sink.update(data)

    def feed_names(self, names: Mapping[str, Any]) -> None:
        """Feed values by their names, in the order of these."""
        self.tag(f"names{len(names)}")
        for name in sorted(names):
            self.tag("name", name.encode("utf-8", "surrogatepass"))
            self.feed(names[name])

    def apart(self, value: Any) -> str:
        """Return the key of an item that has no place of its own in a set or mapping."""
        walk = Walk(self.digester, None if self.met is None else dict(self.met))
        walk.path = list(self.path)
        walk.feed(value)
        return walk.sink.hexdigest()

    def enter(self, value: Any) -> bool:
        """Go into a value; False if the walk is in it already, which is said instead."""
        if id(value) in self.path:
            self.tag("again", str(len(self.path) - self.path.index(id(value))).encode())
            return False
        self.path.append(id(value))
        return True

    def leave(self) -> None:
        """Come out of the value that was gone into last."""
        self.path.pop()

    def guard(self, value: Any) -> bool:
        """Go into a container; one that contains itself is refused, unless that is how code refers to it."""
        if self.met is None and id(value) in self.path:
            raise InputTypeError(type(value).__name__, "expected a value that does not contain itself")
        return self.enter(value)

    def meets(self, owner: Any) -> bool:
        """Go into code; False if the walk has been there, which is said instead."""
        assert self.met is not None
        if id(owner) in self.met:
            self.tag("met", str(self.met[id(owner)]).encode())
            return False
        self.met[id(owner)] = len(self.met)
        return True

    def saved(self) -> Any:
        """Return where the walk is, so that it can be taken up again from there."""
        return self.sink.copy(), list(self.path), None if self.met is None else dict(self.met)

    def restore(self, saved: Any) -> None:
        """Take the walk up again from where it was saved."""
        self.sink, self.path, self.met = saved

    def mark(self, distribution: str) -> None:
        """Feed whose code it is, by the version that is loaded."""
        self.digester.meet(distribution)
        self.tag("version", f"{distribution}=={version_of(distribution)}".encode())


Writer: TypeAlias = Callable[[Walk, Any], None]
"""Feeds a value of one kind."""
