"""The error tree. Every error says what was expected, what was given, and the fix."""

from __future__ import annotations

import builtins
import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from foldwise.safety.masking import masked, printable, shown

_LONGEST = 1000
"""Characters of an input error's problem: a job file may hold values of any length."""


class FoldwiseError(Exception):
    """Base of everything that foldwise raises on purpose; said without secrets and control characters."""

    def __init__(self, *words: object) -> None:
        super().__init__(*(shown(word) if isinstance(word, str) else word for word in words))


@dataclass(frozen=True, slots=True)
class Setting:
    """An argument in an error's fix. The Python face writes it as ``inner_cv=5``, a job file as ``folds.inner: 5``.

    Parameters
    ----------
    name : str
        The argument.
    value : str, optional
        As Python writes it; empty: the argument is named, and nothing is said of its value.
    """

    name: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.value}" if self.value else self.name


class InputError(FoldwiseError, ValueError):
    """The input is wrong, and nothing was started.

    Parameters
    ----------
    place : str
        Where the input stands: an argument (``n_trials``) or a job file's key (``search.trials``).
    problem : str
        What was expected and what was given; the fix, where it is not obvious.
    source : str, optional
        The file that the place is in.
    fix : sequence of str and Setting, optional
        The fix, where it names arguments: ``("use ", Setting("inner_cv", "5"))``. It stands behind the problem.
    say : callable, optional
        Setting -> how to write it; None: as Python does.
    """

    def __init__(
        self,
        place: str,
        problem: str,
        source: str | None = None,
        fix: Sequence[str | Setting] = (),
        say: Callable[[Setting], str] | None = None,
    ) -> None:
        self.place, self.source = _one_line(place), None if source is None else _one_line(source)
        self._problem, self._fix = problem, tuple(fix)
        words = "".join(part if isinstance(part, str) else (say or str)(part) for part in fix)
        whole = f"{problem}; {words}" if words else problem
        self.problem = _one_line(masked(" ".join(masked(whole).split())))  # on its lines a secret may be told
        super().__init__(": ".join(part for part in (source, self.place, self.problem) if part))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.place, self.problem, self.source)

    def moved(self, place: str, source: str | None = None, say: Callable[[Setting], str] | None = None) -> InputError:
        """Return the same error, said of another place; ``say`` writes the arguments that its fix names."""
        return type(self)(place, self._problem, source or self.source, self._fix, say)


class InputTypeError(InputError, TypeError):
    """The input is of a type that cannot serve."""


class MissingPackageError(InputError, ImportError):
    """Something asked for needs a package or an object that cannot be imported."""


class FoldsError(InputError):
    """The folds cannot be made, or would give a score that is not honest."""


class DataError(InputError):
    """The data cannot be read or cannot be searched over."""


class SpaceError(InputError):
    """The search space is wrong."""


class ResourcesError(InputError):
    """The resources asked for do not exist here."""


class RunError(FoldwiseError, RuntimeError):
    """The input was right, and the run failed."""


class ClusterError(RunError):
    """Ray could not be started, joined or kept."""


class LedgerError(RunError):
    """The ledger could not be opened, read or written; what it kept before is there."""


class TrackingError(RunError):
    """The tracking server could not be reached or has not what was asked of it."""


class FitFailedError(RunError):
    """A fit failed and ``error_score="raise"`` asks to hear of it."""


class DivergedError(RunError, FloatingPointError):
    """A network's training ran away: its loss or its predictions are no numbers any more."""


class StudyFailedError(RunError):
    """No trial of a study finished."""


def _one_line(text: str) -> str:
    """Write what cannot be printed as escapes, and leave out the middle of what is long: the fix stands last."""
    text = printable(text).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= _LONGEST else f"{text[: 2 * _LONGEST // 3]} ... {text[-_LONGEST // 3 :]}"


NON_FINITE = "NonFiniteScore"
"""Kind of the failure that nobody raised."""

_OF_SURROUNDINGS = {
    "TimeLimitExceeded", "WorkerLost", "OutOfMemory", "NodeLost", "DataLost", "MemoryError", "_ArrayMemoryError",
    "ResourceExhaustedError", "OutOfMemoryError",
}  # fmt: skip
"""Kinds of failures that say something of the time and the machine that a fit had, and nothing of the fit."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The cause of a failed fit, as plain data; it holds no secrets.

    Parameters
    ----------
    kind : str
        Name of the exception's class; or ``"NonFiniteScore"``, ``"TimeLimitExceeded"``, or what befell its worker:
        ``"WorkerLost"``, ``"OutOfMemory"``, ``"NodeLost"``, ``"DataLost"``.
    message : str
        Its first words; never empty.
    traceback : str
        The remote traceback; empty where there is none.
    is_own : bool
        Whether foldwise's own code raised it.
    """

    kind: str
    message: str
    traceback: str = ""
    is_own: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether the fit itself is the cause, so that it would fail again; else the next run tries it again."""
        return not self.is_own and self.kind not in _OF_SURROUNDINGS

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", masked(self.message))
        object.__setattr__(self, "traceback", masked(self.traceback))

    def __str__(self) -> str:
        return printable(f"{self.kind}: {self.message}")


def causes_counted(causes: Iterable[Failure], most: int = 5) -> str:
    """Word the commonest causes, each with how often it occurred."""
    counted = Counter(str(cause) for cause in causes)
    return "; ".join(f"{count} x {cause}" for cause, count in counted.most_common(most))


def failed(error: type[RunError], message: str, causes: Iterable[Failure]) -> RunError:
    """Build a run error that is also of its causes' common built-in type.

    So ``except ValueError`` around a search sees what it would see around a single fit.
    """
    kinds = {cause.kind for cause in causes}
    kind = getattr(builtins, kinds.pop(), None) if len(kinds) == 1 else None
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(error, kind):
        return error(message)
    try:
        return _failed_as(error, kind, message)
    except TypeError:  # a built-in type with another layout or signature
        return error(message)


def _failed_as(error: type[RunError], kind: type[Exception], message: str) -> RunError:
    """Build an error that is of both types; not a class at module level, so it says how to unpickle it."""
    own = {
        "__module__": error.__module__,
        "__str__": Exception.__str__,  # a KeyError's own text would be the repr of its message
        "__reduce__": lambda self: (_failed_as, (error, kind, message)),
    }
    both: RunError = type(error.__name__, (error, kind), own)(message)
    return both


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Give an input error that is raised without a place this one."""
    try:
        yield
    except InputError as error:
        if error.place or error.source:
            raise
        raise error.moved(place) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names the given one may have meant.

    Examples
    --------
    >>> nearest("trails", ["trials", "batch"])
    'did you mean trials? Known: trials, batch'
    """
    names = [str(one) for one in known]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    return (f"did you mean {close[0]}? " if close else "") + f"Known: {listed or 'none'}"
