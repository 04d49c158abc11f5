"""Step 6, reduce: the archive, which is all that a run leaves but its final model. Reports are made of it and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import ArrowException

from foldwise.errors import Failure, InputError, InputTypeError
from foldwise.events import Counts
from foldwise.keys import digest, label
from foldwise.plan.plan import Plan
from foldwise.plan.study import FINAL
from foldwise.plan.summary import PlanSummary
from foldwise.reduce.provenance import Provenance
from foldwise.reduce.records import (
    dumps,
    failure_record,
    loads,
    outer_record,
    plan_record,
    read_failure,
    read_outer,
    read_plan,
    read_trial,
    trial_record,
)
from foldwise.reduce.reduce import Choice, FitWarning, OuterResult
from foldwise.reduce.tables import read_outer_results, read_trials, write_outer, write_trials
from foldwise.safety.masking import masked
from foldwise.trial import Trial

VERSION = 1
"""Of the format; another one is refused."""
HEAD, TRIALS, OUTER = "archive.json", "trials.parquet", "outer.parquet"
_UPDATE = "read it with the foldwise that wrote it, or update foldwise"


@dataclass(frozen=True, slots=True)
class Tracked:
    """Where a run is tracked in MLflow.

    Parameters
    ----------
    run_id, address : str or None
        The job's run, and where it can be seen.
    missing : str or None
        What could not be tracked, and why.
    """

    run_id: str | None = None
    address: str | None = None
    missing: str | None = None


@dataclass(frozen=True, repr=False)
class Archive:
    """What a run leaves.

    A folder holds an archive as ``archive.json``, ``trials.parquet`` and ``outer.parquet``. It holds no rows of the data, no
    pickles and no secrets. Numbers come back to the bit, and so do params that are plain values: None, booleans, numbers,
    text, lists, tuples, dicts and NumPy's scalars. Params that are other objects, such as estimators, functions and arrays,
    come back as `ShownValue`: as the text that reports print.

    Parameters
    ----------
    plan : PlanSummary
        What was planned.
    trials : mapping of str to tuple of Trial
        Those that are reduced, by study and in the order asked.
    outer : tuple of OuterResult
        The outer folds that are complete, in order.
    choice : Choice or None
        The final study's; None where it has none.
    n_asked : mapping of str to int
        Trials that each study asked.
    n_params : int
        Distinct params that the final study tried.
    n_rows_judged : int or None
        Distinct rows that the complete outer folds are judged on; None where no metric counts right and wrong rows, or
        rows are grouped.
    counts : Counts
        Fits.
    seconds : float
        Wall time.
    complete : bool
        Whether all outer folds, the final study and its model are there.
    ended : str or None
        Why the run ended before its end.
    model_error : Failure or None
        Why the final model could not be fitted.
    warned : tuple of FitWarning
        Kinds of warnings that fits gave, the commonest first.
    causes : tuple of (str, int)
        Why fits failed, with how many did; the commonest first.
    provenance : Provenance
        Where the results come from.
    tracked : Tracked
        Where the run is tracked.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> import foldwise as fw
    >>> search = fw.NestedSearchCV(SVC(), {"C": [1, 10]}, search="grid", executor="serial")
    >>> report = search.fit(*load_iris(return_X_y=True)).report()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report.archive.save(folder)
    ...     str(fw.Report(fw.Archive.load(folder))) == str(report)
    True
    """

    plan: PlanSummary
    trials: Mapping[str, tuple[Trial, ...]]
    outer: tuple[OuterResult, ...]
    choice: Choice | None
    n_asked: Mapping[str, int]
    n_params: int
    n_rows_judged: int | None
    counts: Counts
    seconds: float
    complete: bool
    ended: str | None = None
    model_error: Failure | None = None
    warned: tuple[FitWarning, ...] = ()
    causes: tuple[tuple[str, int], ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    tracked: Tracked = field(default_factory=Tracked)

    def __repr__(self) -> str:
        n_trials = sum(len(trials) for trials in self.trials.values())
        return (
            f"Archive({masked(self.plan.name)!r}, {n_trials} trials, {len(self.outer)} of {len(self.plan.folds)} outer folds)"
        )

    # --- folders ---

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the archive's files into a folder; it is made if need be, and what is there of an archive is replaced.

        Parameters
        ----------
        folder : str or Path
            Where to.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        home = _folder(folder)
        home.mkdir(parents=True, exist_ok=True)
        aside = {name: home / f".{name}.{os.getpid()}" for name in self.files()}
        try:
            for name, write in self.files().items():
                write(aside[name])
            for name, written in aside.items():
                written.replace(home / name)
        finally:
            for left in aside.values():
                left.unlink(missing_ok=True)

    def files(self) -> dict[str, Callable[[Path], None]]:
        """Return what writes each of the archive's files."""
        return {
            TRIALS: partial(write_trials, studies=self.trials, stamp=self._stamp),
            OUTER: partial(write_outer, outer=self.outer, folds=self.plan.folds, stamp=self._stamp),
            HEAD: self._write_head,
        }

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Archive:
        """Read an archive that was saved.

        Parameters
        ----------
        folder : str or Path
            Where it is.

        Raises
        ------
        InputError
            If there is none, if it is of another version, or if its files cannot be read or are not of one archive.
        """
        home = _folder(folder)
        try:
            head = loads((home / HEAD).read_bytes())
        except OSError as error:
            problem = f"expected the folder of an archive, got {str(home)!r} ({HEAD}: {error.strerror})"
            raise InputError("folder", problem) from error
        except (ValueError, RecursionError) as error:
            raise InputError("folder", f"expected an archive, got {str(home / HEAD)!r}, which is no JSON: {error}") from error
        check_version(head, str(home))
        try:
            trials: dict[str, list[Trial]] = {study["name"]: [] for study in head["plan"]["studies"]}
            for study, trial in read_trials(home / TRIALS, head["stamp"]):
                trials[study].append(trial)
            return _read_head(head, trials, tuple(read_outer_results(home / OUTER, head["stamp"])))
        except (ArrowException, OSError, *_DAMAGED) as error:
            raise InputError("folder", f"expected a whole archive, got {str(home)!r}: {_cause(error)}") from error

    # --- one text ---

    def to_json(self) -> str:
        """Return the whole archive as one JSON object, for `from_json`."""
        trials = {study: [trial_record(trial) for trial in trials] for study, trials in self.trials.items()}
        return dumps({**self._head(), "trials": trials, "outer": [outer_record(one) for one in self.outer]})

    @classmethod
    def from_json(cls, text: str) -> Archive:
        """Read an archive that `to_json` wrote.

        Raises
        ------
        InputError
            If it is none, or of another version.
        """
        try:
            whole = loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError("text", f"expected an archive, got what is no JSON: {error}") from error
        check_version(whole, "the text")
        try:
            trials = {study: [read_trial(record) for record in records] for study, records in whole["trials"].items()}
            return _read_head(whole, trials, tuple(read_outer(record) for record in whole["outer"]))
        except _DAMAGED as error:
            raise InputError("text", f"expected a whole archive: {_cause(error)}") from error

    # --- all but the tables ---

    def _head(self) -> dict[str, Any]:
        return {"version": VERSION, "stamp": self._stamp, **self._content, "tracked": asdict(self.tracked)}

    @cached_property
    def _content(self) -> dict[str, Any]:
        choice = self.choice
        return {
            "plan": plan_record(self.plan),
            "choice": None if choice is None else {"trial": choice.trial.number, "metrics": choice.metrics},
            "n_asked": dict(self.n_asked),
            "n_params": self.n_params,
            "n_rows_judged": self.n_rows_judged,
            "counts": asdict(self.counts),
            "seconds": self.seconds,
            "complete": self.complete,
            "ended": None if self.ended is None else masked(self.ended),
            "model_error": failure_record(self.model_error),
            "warned": [asdict(one) for one in self.warned],
            "causes": self.causes,
            "provenance": asdict(self.provenance),
        }

    @cached_property
    def _stamp(self) -> str:
        """What the files of one archive have in common."""
        return digest(dumps(self._content))

    def _write_head(self, path: Path) -> None:
        path.write_text(dumps(self._head()), encoding="utf-8")


_DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
"""What reading raises of an archive that is not whole."""


def _read_head(head: Mapping[str, Any], trials: Mapping[str, Sequence[Trial]], outer: tuple[OuterResult, ...]) -> Archive:
    of_studies = {study: tuple(found) for study, found in trials.items()}
    choice = head["choice"]
    if choice is not None:
        choice = Choice(of_studies[FINAL][choice["trial"]], tuple(choice["metrics"]))
    return Archive(
        plan=read_plan(head["plan"]),
        trials=of_studies,
        outer=outer,
        choice=choice,
        n_asked=head["n_asked"],
        n_params=head["n_params"],
        n_rows_judged=head["n_rows_judged"],
        counts=Counts(**head["counts"]),
        seconds=head["seconds"],
        complete=head["complete"],
        ended=head["ended"],
        model_error=read_failure(head["model_error"]),
        warned=tuple(FitWarning(**one) for one in head["warned"]),
        causes=tuple((cause, n_fits) for cause, n_fits in head["causes"]),
        provenance=Provenance(**head["provenance"]),
        tracked=Tracked(**head["tracked"]),
    )


def check_version(head: Any, where: str) -> None:
    """Refuse what is no archive, or is one of another version.

    Raises
    ------
    InputError
        With both versions.
    """
    if not isinstance(head, dict) or "version" not in head:
        raise InputError("archive", f"expected an archive in {where}, got JSON without a version")
    if head["version"] != VERSION:
        raise InputError("archive", f"expected version {VERSION} in {where}, got {head['version']!r}; {_UPDATE}")


def _folder(folder: Any) -> Path:
    if not isinstance(folder, str | os.PathLike):
        raise InputTypeError("folder", f"expected the path of a folder, got {folder!r}")
    return Path(folder)


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


# --- what only live objects tell ---


def count_distinct(trials: Sequence[Trial]) -> int:
    """Count distinct params, by their content."""
    return len({label(dict(trial.params)) for trial in trials})


def count_judged(plan: Plan, outer: Sequence[OuterResult], zero_one: frozenset[str]) -> int | None:
    """Count the distinct rows that outer results are judged on; None where no interval needs to know."""
    if not outer or not zero_one or plan.problem.dataset.groups is not None:
        return None
    judged = [study.judged.held_out for study in plan.studies if study.judged is not None]
    return len(np.unique(np.concatenate([plan.rows[judged[one.fold]] for one in outer])))
