"""Optuna's samplers, driven by ask and tell."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler
from optuna.trial import TrialState as OptunaState

from foldwise.errors import InputError, InputTypeError, MissingPackageError, RunError, Setting, nearest
from foldwise.keys import digest
from foldwise.process.exclusive import ignored_warnings
from foldwise.search.base import Asker, Search
from foldwise.search.messages import Messages
from foldwise.search.random import DEFAULT_TRIALS
from foldwise.space.dimension import Categorical, Dimension, Distribution, Float, Int
from foldwise.space.space import SearchSpace
from foldwise.trial import Trial, TrialState

_STATES = {TrialState.PRUNED: OptunaState.PRUNED}
_SUBSPACE = "subspace"
_PROBED = 10
"""Trials by which a sampler without a seed is found out."""


@dataclass(frozen=True)
class OptunaSearch(Search):
    """Optuna's ask and tell.

    Parameters
    ----------
    sampler : str or optuna.samplers.BaseSampler, default="tpe"
        A sampler's name ("tpe", "cmaes", "gp", "nsgaii", "qmc", "random", ...) or a sampler with a seed of its own, which
        is copied for each study.
    options : mapping, optional
        Arguments of a sampler that is given by name.

    References
    ----------
    Akiba, Sano, Yanase, Ohta, Koyama. Optuna: a next-generation hyperparameter optimization framework. KDD 2019.
    """

    sampler: Any = "tpe"
    options: Mapping[str, Any] = field(default_factory=dict)

    method: ClassVar[str] = "optuna"
    adapts: ClassVar[bool] = True
    runs_on: ClassVar[tuple[str, ...]] = ("optuna", "cmaes", "torch")

    def check(self, space: SearchSpace, n_trials: int | None) -> int:  # noqa: D102
        space.check_bounded()
        if not isinstance(self.options, Mapping):
            raise InputTypeError("options", f"expected names and values of the sampler's options, got {self.options!r}")
        if isinstance(self.sampler, BaseSampler) and self.options:
            raise InputError("options", f"expected none beside a sampler object, got {dict(self.options)!r}; set them on it")
        _rehearse(self.open(space, 3, 0))
        if isinstance(self.sampler, BaseSampler):
            _check_seed(self, space)
        return n_trials or DEFAULT_TRIALS

    def open(self, space: SearchSpace, n_trials: int, seed: int) -> Asker:  # noqa: D102
        sampler = copy.deepcopy(self.sampler) if isinstance(self.sampler, BaseSampler) else self._named(space, seed)
        if isinstance(sampler, GridSampler | BruteForceSampler):
            raise InputError(
                "sampler",
                f"expected a sampler that adapts, got {type(sampler).__name__}, which lists a grid",
                fix=(
                    "use ",
                    Setting("search", "'grid'"),
                    ", or ",
                    Setting("search", "'random'"),
                    " for its points in any order",
                ),
            )
        _check_packages(sampler)
        return _OptunaAsker(space, n_trials, sampler, Messages.of(self, "optuna"))

    def _named(self, space: SearchSpace, seed: int) -> BaseSampler:
        if not isinstance(self.sampler, str):
            raise InputTypeError("sampler", f"expected a sampler's name or an Optuna sampler, got {self.sampler!r}")
        classes = {
            name.removesuffix("Sampler").lower(): getattr(optuna.samplers, name)
            for name in optuna.samplers.__all__
            if name.endswith("Sampler") and name not in {"BaseSampler", "BaseGASampler", "PartialFixedSampler"}
        }
        wanted = self.sampler.lower().removesuffix("sampler")
        if wanted not in classes:
            raise InputError(
                "sampler", f"expected a sampler of Optuna, got {self.sampler!r}; {nearest(wanted, sorted(classes))}"
            )
        options = dict(self.options)
        if wanted == "tpe" and (space.is_conditional or len(space.subspaces) > 1):
            options.setdefault("group", True)  # conditional params are modelled in the groups they occur in
        if wanted == "grid":
            options.setdefault("search_space", {})
        try:
            with ignored_warnings(category=optuna.exceptions.ExperimentalWarning):
                return classes[wanted](seed=seed, **options)  # type: ignore[no-any-return]
        except (TypeError, ValueError) as error:
            raise InputError(
                "options", f"expected options that {classes[wanted].__name__} takes, got {options!r} ({error})"
            ) from error


class _OptunaAsker(Asker):
    """One Optuna study in this process's memory."""

    def __init__(self, space: SearchSpace, n_trials: int, sampler: BaseSampler, messages: Messages) -> None:
        self._messages = messages
        with _logging_from(optuna.logging.WARNING):
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._space, self._n_trials = space, n_trials
        self._asked: dict[int, optuna.Trial] = {}
        self._n_asked = 0

    def ask(self, n: int) -> list[Trial]:
        with self._messages.once(), self._called("asked"):
            return [self._ask_one() for _ in range(min(n, self._n_trials - self._n_asked))]

    def tell(self, trials: Sequence[Trial]) -> None:
        with self._messages.once(), self._called("told"):
            self._tell(trials)

    @contextlib.contextmanager
    def _called(self, how: str) -> Iterator[None]:
        """Name the sampler in the error that it raises."""
        try:
            yield
        except Exception as error:  # any sampler may raise anything
            name = type(self._study.sampler).__name__
            raise RunError(
                f"the sampler {name} failed when it was {how} after {self._n_asked} trials: {type(error).__name__}: {error}"
            ) from error

    def _tell(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            asked = self._asked.pop(trial.number)
            assert trial.state is not None
            _report_curve(asked, trial)
            if trial.state is TrialState.COMPLETE and not math.isnan(trial.value):
                self._study.tell(asked, trial.value)
            else:
                self._study.tell(asked, state=_STATES.get(trial.state, OptunaState.FAIL))

    @property
    def done(self) -> bool:
        return self._n_asked >= self._n_trials

    @property
    def native(self) -> optuna.Study:
        """The Optuna study."""
        return self._study

    def _ask_one(self) -> Trial:
        asked = self._study.ask()
        number, self._n_asked = self._n_asked, self._n_asked + 1
        self._asked[number] = asked
        n_subspaces = len(self._space.subspaces)
        subspace = asked.suggest_categorical(_SUBSPACE, list(range(n_subspaces))) if n_subspaces > 1 else 0

        def suggest(name: str, dimension: Dimension) -> Any:
            return _suggest(asked, f"{name}@{subspace}" if n_subspaces > 1 else name, dimension)

        return Trial(number, self._space.choose(int(subspace), suggest))


def _report_curve(asked: optuna.Trial, trial: Trial) -> None:
    """Report how a scheduled trial went: of a stopped one Optuna's samplers go by the last value and its epoch."""
    if trial.epochs is None or math.isnan(trial.value):
        return
    curve = {epoch: score for epoch, score in trial.curve if math.isfinite(score)}
    for epoch, score in {**curve, trial.epochs: trial.value}.items():
        asked.report(score, epoch)


def _suggest(asked: optuna.Trial, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Categorical):
        labels = _labels(dimension)
        return dimension.choices[labels.index(asked.suggest_categorical(name, labels))]
    distribution = _distribution(dimension)
    if isinstance(distribution, IntDistribution):
        return asked.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
    return asked.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def _distribution(dimension: Float | Int | Distribution) -> FloatDistribution | IntDistribution:
    if isinstance(dimension, Distribution):
        dimension = dimension.bounded()
    if isinstance(dimension, Int):
        step = dimension.step or 1
        high = dimension.low + (dimension.high - dimension.low) // step * step
        return IntDistribution(dimension.low, high, log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.highest, log=dimension.log, step=dimension.step)


def _labels(dimension: Categorical) -> list[Any]:
    """Name choices as Optuna can store them: themselves where it knows their type, else their text."""
    plain = [c if c is None or isinstance(c, bool | int | float | str) else str(c) for c in dimension.choices]
    keys = [(type(c), c) for c in plain]
    return plain if len(set(keys)) == len(plain) == len(set(plain)) else [f"{i}: {c}" for i, c in enumerate(plain)]


# --- checks -----------------------------------------------------------------------------------------------------------

_PACKAGES = {"GPSampler": "torch", "CmaEsSampler": "cmaes"}
"""What samplers import only once they have been told of enough trials."""


def _check_packages(sampler: BaseSampler) -> None:
    """Import what a sampler will import: what is installed may yet be broken, a library that it is linked to missing."""
    for base in type(sampler).__mro__:
        package = _PACKAGES.get(base.__name__)
        if package is not None:
            _import_for(base.__name__, package)


def _import_for(sampler: str, package: str) -> None:
    expected = f"expected the package {package}, which {sampler} needs"
    if importlib.util.find_spec(package) is None:
        raise MissingPackageError("sampler", f"{expected}; pip install {package}")
    try:
        importlib.import_module(package)
    except Exception as error:  # whatever its own code raises: an OSError where a shared library is missing
        raise MissingPackageError(
            "sampler",
            f"{expected}, to be importable, got {type(error).__name__}: {' '.join(str(error).split())}; mend or reinstall it, "
            "or choose another sampler",
        ) from error


def _check_seed(search: OptunaSearch, space: SearchSpace) -> None:
    """Refuse a sampler whose copies ask differently."""
    with _logging_from(optuna.logging.ERROR), ignored_warnings():
        asked = [digest([trial.params for trial in search.open(space, _PROBED, 0).ask(_PROBED)]) for _ in range(2)]
    if asked[0] != asked[1]:
        name = type(search.sampler).__name__
        raise InputError(
            "sampler",
            f"expected a sampler with a seed of its own, so that all studies start alike, got {name} without one; "
            f"write {name}(seed=0)",
        )


def _rehearse(asker: Asker) -> None:
    """Ask a few trials of a copy that is thrown away, so that what a sampler lacks shows before anything runs.

    What it warns of is told when the search runs.
    """
    try:
        with _logging_from(optuna.logging.ERROR), ignored_warnings():
            for value in (0.0, 1.0, 0.5):
                for trial in asker.ask(1):
                    asker.tell([Trial(trial.number, trial.params, state=TrialState.COMPLETE, value=value)])
    except RunError as failure:
        error = failure.__cause__ or failure
        if isinstance(error, ImportError):
            raise MissingPackageError("sampler", f"expected the packages that the sampler needs, got {error}") from error
        if isinstance(error, InputError):
            raise error from None
        problem = f"expected a sampler that suits the space, got {type(error).__name__}: {error}"
        raise InputError("sampler", problem) from error


@contextlib.contextmanager
def _logging_from(level: int) -> Iterator[None]:
    """Keep Optuna's log messages below a level from the terminal."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(level, verbosity))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
