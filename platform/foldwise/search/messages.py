"""What a search's library warns and logs: each message is told once per search, not once per study."""

from __future__ import annotations

import contextlib
import logging
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

from foldwise.process.exclusive import ONE_AT_A_TIME


class Messages:
    """The messages of one search that were told.

    Parameters
    ----------
    search : Search
        The search. The askers that it opens share one `Messages` for as long as any of them lives.
    logger : str
        Name of the library's logger.
    """

    _of: weakref.WeakValueDictionary[int, Messages] = weakref.WeakValueDictionary()

    def __init__(self, search: Any, logger: str) -> None:
        self._search, self._logger = search, logger  # held, so that no other search has its identity meanwhile
        self._told: set[tuple[Any, ...]] = set()

    @classmethod
    def of(cls, search: Any, logger: str) -> Messages:
        """Return the messages that the askers of a search share."""
        found = cls._of.get(id(search))
        if found is None:
            found = cls._of[id(search)] = cls(search, logger)
        return found

    @contextlib.contextmanager
    def once(self) -> Iterator[None]:
        """Keep back what was told before, of what is warned and logged for a time."""
        caught: list[warnings.WarningMessage] = []
        with ONE_AT_A_TIME, self._filtered_log():
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    yield
            finally:
                for one in caught:
                    if self._is_new(one.category, str(one.message)):
                        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be logged: one of another library, or one that is new."""
        is_ours = record.name == self._logger or record.name.startswith(f"{self._logger}.")
        return not is_ours or self._is_new(record.name, record.levelno, record.getMessage())

    @contextlib.contextmanager
    def _filtered_log(self) -> Iterator[None]:
        """Filter what reaches the handlers of the library, or of all where it hands its records on."""
        logger: logging.Logger | None = logging.getLogger(self._logger)
        handlers: list[logging.Handler] = []
        while logger is not None:
            handlers += logger.handlers
            logger = logger.parent if logger.propagate else None
        seen: dict[int, bool] = {}

        def is_told(record: logging.LogRecord) -> bool:
            """Answer alike for all handlers of one record."""
            if id(record) not in seen:
                seen.clear()
                seen[id(record)] = self.filter(record)
            return seen[id(record)]

        for handler in handlers:
            handler.addFilter(is_told)
        try:
            yield
        finally:
            for handler in handlers:
                handler.removeFilter(is_told)

    def _is_new(self, *message: Any) -> bool:
        is_new = message not in self._told
        self._told.add(message)
        return is_new

    def __deepcopy__(self, memo: Any) -> Messages:
        return self
