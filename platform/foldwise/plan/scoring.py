"""Step 4, plan: scorers, as scikit-learn takes them, and what is known of their metrics."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.utils.multiclass import type_of_target

from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.plan.compat import is_made
from foldwise.plan.metrics import made_scorers, metric_of, name_of
from foldwise.process.exclusive import ignored_warnings


@dataclass(frozen=True)
class Scoring:
    """How fits are scored, and which metric chooses.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)`` -> a number, or a dict of them; predictions are computed once for all metrics.
    metrics : tuple of str
        Names; empty for a callable whose names are known only once it was called.
    refit : str, callable or None
        The metric that chooses, or a function from ``cv_results_`` to the index of the chosen params; None: the first.
    single : bool
        Whether there is one metric, which scikit-learn's ``cv_results_`` calls "score".
    zero_one : frozenset of str
        Metrics that are means of right and wrong rows.
    ranges : mapping of str to (float, float)
        Lowest and highest possible score of the metrics, where known.
    titles : mapping of str to str
        How sentences call metrics, where not by their names.
    needs_only_predictions : bool
        Whether every scorer looks at nothing but predictions, or is the estimator's own ``score``.
    """

    scorer: Any
    metrics: tuple[str, ...]
    refit: Any
    single: bool
    zero_one: frozenset[str]
    ranges: Mapping[str, tuple[float, float]]
    titles: Mapping[str, str] = field(default_factory=dict)
    needs_only_predictions: bool = False

    @property
    def objective(self) -> str:
        """The metric that a search maximises."""
        return self.refit if isinstance(self.refit, str) else (self.metrics or ("score",))[0]

    def named(self, metrics: Sequence[str]) -> Scoring:
        """Return the scoring of a callable whose metrics are known now.

        Raises
        ------
        InputError
            If ``refit`` names none of them.
        """
        single = tuple(metrics) == ("score",)
        if isinstance(self.refit, str) and self.refit not in metrics and not single:
            raise InputError("refit", f"expected one of the metrics, got {self.refit!r}; {nearest(self.refit, metrics)}")
        refit = "score" if single and not callable(self.refit) else self.refit
        return replace(self, metrics=tuple(metrics), single=single, refit=refit)

    def __call__(
        self, estimator: Any, X: Any, y: Any, handed: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, float], dict[str, str]]:
        """Score a fitted estimator; ``handed`` is what the scorer is given beside, such as weights.

        Returns
        -------
        scores : dict of str to float
            Per metric that could be computed.
        errors : dict of str to str
            Per metric that could not, the traceback.

        Raises
        ------
        TypeError
            If a scorer returns something other than a number.
        """
        raw = self.scorer(estimator, X, *(() if y is None else (y,)), **(handed or {}))
        if not isinstance(raw, Mapping):
            raw = {self.objective if self.metrics else "score": raw}
        scores: dict[str, float] = {}
        errors: dict[str, str] = {}
        for name, value in raw.items():
            if isinstance(value, str) and self.metrics and not self.single:  # scikit-learn's scorer of several metrics
                errors[name] = value
                continue
            with suppress(AttributeError, ValueError):
                value = value.item()
            if not isinstance(value, numbers.Real):
                raise TypeError(f"scoring must return a number, got {value!r} ({type(value).__name__}) for {name}")
            scores[str(name)] = float(value) + 0.0  # a negated loss of zero is -0.0, which not every database keeps apart
        return scores, errors


def make_scoring(estimator: Any, scoring: Any, refit: Any) -> Scoring:
    """Resolve ``scoring`` and ``refit``.

    Parameters
    ----------
    estimator : estimator
        Scored by its own ``score`` where ``scoring`` is None.
    scoring : None, str, callable, list or dict
        As scikit-learn takes it.
    refit : bool, str or callable
        The metric that chooses, by name; with several metrics True means the first.

    Returns
    -------
    Scoring
        The scorers.

    Raises
    ------
    InputError
        If a scorer is unknown or ``refit`` names no metric.
    """
    if isinstance(scoring, str | list | tuple | set):
        names = [scoring] if isinstance(scoring, str) else sorted(scoring) if isinstance(scoring, set) else list(scoring)
        _check_names(names)
        several = not isinstance(scoring, str)
    elif isinstance(scoring, Mapping):
        names, several = [str(name) for name in scoring], True
        for name, value in scoring.items():
            if not isinstance(value, str) and not callable(value):
                raise InputTypeError("scoring", f"expected a metric's name or a callable for {name!r}, got {value!r}")
        _check_names(list(dict.fromkeys(value for value in scoring.values() if isinstance(value, str))))
    elif scoring is None or callable(scoring):
        names, several = ["score"], False
    else:
        raise InputTypeError("scoring", f"expected a metric's name, a callable, a list or a dict, got {scoring!r}")
    if not names:
        raise InputError("scoring", f"expected at least one metric, got {scoring!r}")
    try:
        whole = dict(scoring) if isinstance(scoring, Mapping) else names
        scorer = check_scoring(estimator, whole, raise_exc=False) if several else check_scoring(estimator, scoring)
    except (TypeError, ValueError) as error:
        raise InputTypeError("scoring", f"expected scorers for {type(estimator).__name__}, got {scoring!r}: {error}") from error
    # Another callable may return a dict, whose names show with its first scores.
    metrics = () if callable(scoring) and not is_made(scoring) else tuple(names)
    made = made_scorers(estimator, scoring)
    known = {name: metric_of(scorer) for name, scorer in made.items()}
    return Scoring(
        scorer,
        metrics,
        _check_refit(refit, names, several) if metrics else None if isinstance(refit, bool) else refit,
        not several and bool(metrics),
        frozenset(name for name, metric in known.items() if metric.zero_one),
        {name: metric.limits for name, metric in known.items()},
        {"score": _title_of(scoring, made.get("score"))} if names == ["score"] else {},
        _needs_only_predictions(scoring),
    )


def _title_of(scoring: Any, made: Any) -> str:
    """Say how a sentence calls the only metric, which has no name of its own."""
    if made is not None:
        return name_of(made)
    name = getattr(scoring, "__name__", "score")
    return "its own score" if scoring is None else "score" if name == "<lambda>" else name


def _needs_only_predictions(scoring: Any) -> bool:
    given = (
        scoring.values() if isinstance(scoring, Mapping) else scoring if isinstance(scoring, list | tuple | set) else [scoring]
    )
    return all(one is None or isinstance(one, str) or is_made(one) for one in given)


_PREDICTING = ("predict", "predict_proba", "decision_function")
_TRIED_ROWS, _TRIED_CLASSES = 100, 50


def check_scorable(estimator: Any, scoring: Any, y: Any) -> None:
    """Refuse metrics, given by name, that no fit of the estimator could be judged by on such targets.

    Each is tried on a dummy that learned a few of the targets: what cannot score that one will score none.

    Raises
    ------
    InputError
        If the estimator predicts nothing, or a metric does not suit the targets.
    """
    names = _named_in(scoring)
    if names and not any(hasattr(estimator, method) for method in _PREDICTING):
        shown = type(estimator).__name__
        raise InputTypeError("estimator", f"expected one that predicts, got {shown}, which has no predict(); add a model to it")
    dummy_class = DummyClassifier if is_classifier(estimator) else DummyRegressor if is_regressor(estimator) else None
    if not names or y is None or dummy_class is None or np.ndim(y) != 1:
        return
    targets = _some_of(np.asarray(y), every_class=dummy_class is DummyClassifier)
    rows = np.zeros((len(targets), 1))
    with ignored_warnings():
        try:
            dummy = dummy_class().fit(rows, targets)
        except ValueError:  # targets that the estimator itself will speak of
            return
        for name in names:
            problem = _why_not(name, dummy, rows, targets)
            if problem is not None:
                suited = [f"{name}{kind}" for kind in ("_macro", "_ovr", "_weighted") if f"{name}{kind}" in get_scorer_names()]
                suited += ["accuracy"] if is_classifier(estimator) else ["r2", "neg_mean_squared_error"]
                advice = " or ".join(one for one in suited if _why_not(one, dummy, rows, targets) is None)
                raise InputError(
                    "scoring",
                    f"expected a metric that suits {type_of_target(y)} targets, got {name!r} ({problem}); use {advice}",
                )


def _named_in(scoring: Any) -> list[str]:
    given = [scoring] if isinstance(scoring, str) else scoring.values() if isinstance(scoring, Mapping) else scoring
    return [one for one in given if isinstance(one, str)] if isinstance(given, Iterable) else []


def _some_of(y: np.ndarray, *, every_class: bool) -> np.ndarray:
    """Take a few targets: the first rows, and a row of each class or the lowest and the highest."""
    if every_class:
        extremes = np.unique(y, return_index=True)[1][:_TRIED_CLASSES]
    else:
        extremes = np.array([y.argmin(), y.argmax()]) if y.dtype.kind in "biuf" else np.array([], dtype=int)
    some: np.ndarray = y[np.union1d(extremes, np.arange(min(_TRIED_ROWS, len(y)))).astype(int)]
    return some


def _why_not(name: str, dummy: Any, X: np.ndarray, y: np.ndarray) -> str | None:
    try:
        get_scorer(name)(dummy, X, y)
    except Exception as error:  # metrics raise ValueErrors, and what their formulas raise on text
        return str(error).partition("\n")[0]
    return None


def scorers_by_name(estimator: Any, scoring: Any) -> Any:
    """Return what scikit-learn's searches keep as ``scorer_``: a scorer, or a dict of them."""
    if isinstance(scoring, Mapping):
        return {str(name): check_scoring(estimator, value) for name, value in scoring.items()}
    if isinstance(scoring, list | tuple | set):
        return {name: check_scoring(estimator, name) for name in scoring}
    return check_scoring(estimator, scoring)


def _check_names(names: list[Any]) -> None:
    known = get_scorer_names()
    for name in names:
        if not isinstance(name, str):
            raise InputTypeError("scoring", f"expected names in a list of metrics, got {name!r}; use a dict for callables")
        if name not in known:
            raise InputError("scoring", f"expected a metric that scikit-learn has, got {name!r}; {nearest(name, known)}")
    if len(set(names)) != len(names):
        raise InputError("scoring", f"expected each metric once, got {names!r}")


def _check_refit(refit: Any, names: list[str], several: bool) -> Any:
    if isinstance(refit, bool):
        return names[0]
    if callable(refit):
        return refit
    if isinstance(refit, str):
        if refit in names or names == ["score"]:
            return refit if several else names[0]
        raise InputError("refit", f"expected one of the metrics, got {refit!r}; {nearest(refit, names)}")
    raise InputTypeError("refit", f"expected true, false, a metric's name or a callable, got {refit!r}")
