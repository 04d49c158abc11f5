"""Step 9, a face: errors that speak of Python's arguments, said in the words of a job file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

PLACES: Mapping[str, str] = {
    "n_trials": "search.trials", "batch": "search.batch", "search": "search.method", "sampler": "search.sampler",
    "options": "search.options",
    "outer_cv": "folds.outer", "inner_cv": "folds.inner", "repeats": "folds.repeats", "random_state": "seed",
    "X": "data", "y": "data.target", "fit_params": "data.fit_params", "groups": "data.groups", "loader": "data.loader",
    "args": "data.args", "path": "data.path", "target": "data.target", "drop": "data.drop",
}  # fmt: skip
"""Where an argument of the Python face stands in a job file."""

_QUOTED = r"(?<![\w=])'[^']*'|(?<![\w=])\"[^\"]*\""
_LISTED = r"did you mean [^?]*\?|Known: [^;]*"
_CALL = r"[\w.]+\("
_ECHOED = re.compile(f"{_QUOTED}|{_LISTED}|(?P<call>{_CALL})")
_BRACKETS = re.compile(f"{_QUOTED}|[()]")


def in_the_words_of_a_job(advice: str) -> str:
    """Say ``folds.inner: 5`` where Python's face says ``inner_cv=5``.

    What a message echoes of the user's own stays as it is: values, calls, and lists of what an estimator knows.

    Examples
    --------
    >>> in_the_words_of_a_job("expected folds, got 1; use outer_cv=5, or KFold(5, random_state=0)")
    'expected folds, got 1; use folds.outer: 5, or KFold(5, random_state=0)'
    >>> in_the_words_of_a_job("expected a param of SVC, got 'c'; did you mean C? Known: C, random_state, tol")
    "expected a param of SVC, got 'c'; did you mean C? Known: C, random_state, tol"
    """
    return "".join(part if is_echo else _reworded(part) for part, is_echo in _parts(advice))


def _parts(advice: str) -> Iterator[tuple[str, bool]]:
    """Split a message into foldwise's own words and what it echoes."""
    at = 0
    while (found := _ECHOED.search(advice, at)) is not None:
        end = _closing(advice, found.end()) if found["call"] else found.end()
        yield advice[at : found.start()], False
        yield advice[found.start() : end], True
        at = end
    yield advice[at:], False


def _closing(text: str, at: int) -> int:
    """Return where the bracket closes that was opened before; the end where it never does, in a text that was cut."""
    depth = 1
    for found in _BRACKETS.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return len(text)


def _reworded(advice: str) -> str:
    names = "|".join(re.escape(name) for name in PLACES if PLACES[name].count(".") or name == "random_state")
    advice = re.sub(r"\bsearch='(\w+)'", r"search.method: \1", advice)
    advice = re.sub(rf"\b({names})=", lambda found: f"{PLACES[found[1]]}: ", advice)
    return re.sub(rf"\b({names})(?= |,|;|$)", lambda found: PLACES[found[1]] if "_" in found[1] else found[1], advice)
