"""Step 4, plan: what is known of scikit-learn's metrics, by name or made into a scorer: their range, and what they need."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer, get_scorer_names

from foldwise.errors import FoldsError
from foldwise.plan.compat import is_made, parts_of_scorer
from foldwise.plan.folds import NestedFolds
from foldwise.plan.steps import scoring_step
from foldwise.process.exclusive import ignored_warnings

_INF = math.inf
_RANGES: dict[tuple[float, float], str] = {
    (0.0, 1.0): (
        "accuracy_score average_precision_score completeness_score f1_score fbeta_score fowlkes_mallows_score hamming_loss "
        "homogeneity_score jaccard_score label_ranking_average_precision_score label_ranking_loss ndcg_score "
        "normalized_mutual_info_score precision_score rand_score recall_score roc_auc_score top_k_accuracy_score "
        "v_measure_score zero_one_loss"
    ),
    (-1.0, 1.0): "balanced_accuracy_score cohen_kappa_score matthews_corrcoef silhouette_score adjusted_rand_score",
    (-_INF, 1.0): (
        "adjusted_mutual_info_score d2_absolute_error_score d2_brier_score d2_log_loss_score d2_pinball_score "
        "d2_tweedie_score explained_variance_score r2_score"
    ),
    (0.0, 2.0): "brier_score_loss",
    (0.0, _INF): (
        "calinski_harabasz_score coverage_error davies_bouldin_score dcg_score hinge_loss log_loss max_error "
        "mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance mean_pinball_loss mean_poisson_deviance "
        "mean_squared_error mean_squared_log_error mean_tweedie_deviance median_absolute_error mutual_info_score "
        "root_mean_squared_error root_mean_squared_log_error"
    ),
}
_RANGE_OF: Mapping[Callable[..., Any], tuple[float, float]] = {
    getattr(metrics, name): limits for limits, names in _RANGES.items() for name in names.split()
}
_RIGHT_AND_WRONG = {metrics.accuracy_score, metrics.top_k_accuracy_score, metrics.zero_one_loss}
_COUNTING = {*_RIGHT_AND_WRONG, metrics.hamming_loss}
_UNKNOWN = (-_INF, _INF)


@dataclass(frozen=True, slots=True)
class Metric:
    """What is known of a metric, as a scorer gives it.

    Parameters
    ----------
    limits : (float, float)
        Lowest and highest possible score.
    zero_one : bool
        Whether it is the share of right rows, or minus the share of wrong ones.
    """

    limits: tuple[float, float] = _UNKNOWN
    zero_one: bool = False


def metric_of(scorer: Any) -> Metric:
    """Say what is known of a scorer's metric.

    Examples
    --------
    >>> from sklearn.metrics import make_scorer, mean_squared_error
    >>> metric_of(make_scorer(mean_squared_error, greater_is_better=False)).limits
    (-inf, 0.0)
    """
    if not is_made(scorer):
        return Metric()
    parts = parts_of_scorer(scorer)
    function, sign, keywords = parts.function, parts.sign, parts.keywords
    low, high = _RANGE_OF.get(function, _UNKNOWN)
    if function in _COUNTING and not keywords.get("normalize", True):
        high = _INF  # rows are counted
    if function is metrics.balanced_accuracy_score and not keywords.get("adjusted", False):
        low = 0.0
    if function is metrics.cohen_kappa_score and keywords.get("weights") is not None:
        low = -_INF
    is_share = function in _RIGHT_AND_WRONG and high == 1.0
    gains = function is not metrics.zero_one_loss  # what grows with right rows
    limits = (low, high) if sign > 0 else (-high + 0.0, -low + 0.0)
    return Metric(limits, is_share and gains == (sign > 0))


def name_of(scorer: Any) -> str:
    """Name the metric of a scorer that ``make_scorer`` made: as scikit-learn lists it, else by its function."""
    listed = (name for name in get_scorer_names() if repr(get_scorer(name)) == repr(scorer))
    return str(next(listed, getattr(parts_of_scorer(scorer).function, "__name__", "its score")))


def made_scorers(estimator: Any, scoring: Any) -> dict[str, Any]:
    """Map metrics to their scorers, where these are scikit-learn's own or made by it.

    Parameters
    ----------
    estimator : estimator
        Whose own ``score`` counts where ``scoring`` is None.
    scoring : None, str, callable, list or dict
        As scikit-learn takes it.
    """
    if scoring is None:
        given: dict[str, Any] = {"score": _default_metric(estimator)}
    elif isinstance(scoring, str):
        given = {scoring: scoring}
    elif callable(scoring):
        given = {"score": scoring}
    else:
        given = {str(k): v for k, v in scoring.items()} if isinstance(scoring, Mapping) else {name: name for name in scoring}
    known = get_scorer_names()
    scorers = {name: get_scorer(one) if isinstance(one, str) and one in known else one for name, one in given.items()}
    return {name: scorer for name, scorer in scorers.items() if is_made(scorer)}


def _default_metric(estimator: Any) -> str | None:
    """Name the metric behind an estimator's own ``score``, where scikit-learn defines it."""
    own = getattr(type(scoring_step(estimator)), "score", None)
    if is_classifier(estimator) and own is ClassifierMixin.score:
        return "accuracy"
    return "r2" if is_regressor(estimator) and own is RegressorMixin.score else None


# --- held-out rows that a metric cannot judge ---------------------------------------------------------------------------


def check_judgeable(estimator: Any, scorer: Any, metric: str, y: Any, folds: NestedFolds) -> None:
    """Refuse folds whose held-out rows the metric that chooses cannot judge, whatever is predicted.

    Each kind of held-out rows is tried on a dummy: what cannot score that one will score none.

    Raises
    ------
    FoldsError
        If a fold is held out on which the metric is not defined.
    """
    is_class = is_classifier(estimator)
    targets = np.asarray(y)
    if not (is_class or is_regressor(estimator)) or targets.ndim > (1 if is_class else 2):
        return
    with ignored_warnings():
        try:
            dummy = (DummyClassifier() if is_class else DummyRegressor()).fit(np.zeros((len(targets), 1)), targets)
        except ValueError:  # targets that the estimator itself will speak of
            return
        if _why_not(scorer, dummy, targets) is not None:  # a dummy says nothing of it
            return
        codes = np.unique(targets, return_inverse=True)[1].reshape(len(targets), -1)[:, 0] if is_class else None
        tried: set[Any] = set()
        for place, number, rows in _held_out(folds):
            kind = (min(len(rows), 3), codes is not None and np.unique(codes[rows]).tobytes())
            if kind in tried:
                continue
            tried.add(kind)
            why = _why_not(scorer, dummy, targets[rows])
            if why is not None:
                raise FoldsError(place, _problem(metric, number, targets[rows], targets if is_class else None, why))


def _held_out(folds: NestedFolds) -> list[tuple[str, int, np.ndarray]]:
    """List the sets of held-out rows, each once, with the loop that they belong to and their number there."""
    choosing = "outer_cv" if folds.shared else "inner_cv"
    sets: dict[int, tuple[str, int, np.ndarray]] = {}
    for place, loop in [("outer_cv", folds.outer), *((choosing, study) for study in (*folds.inner, folds.final))]:
        for number, fold in enumerate(loop):
            sets.setdefault(id(fold.held_out), (place, number, fold.held_out.numbers()))
    return list(sets.values())


def _why_not(scorer: Any, dummy: Any, y: np.ndarray) -> str | None:
    try:
        score = scorer(dummy, np.zeros((len(y), 1)), y)
    except Exception as error:  # metrics raise ValueErrors, and what their formulas raise
        return " ".join(str(error).split())
    return None if np.isfinite(score) else f"it is {score}"


def _problem(metric: str, number: int, held_out: np.ndarray, whole: np.ndarray | None, why: str) -> str:
    n_rows = len(held_out)
    lacking: Sequence[Any] = [] if whole is None else np.setdiff1d(whole, held_out).tolist()
    got = f"{n_rows} row{'s' * (n_rows > 1)}" + (f" without class {lacking[0]!r}" if len(lacking) else "")
    other = "accuracy" if whole is not None else "neg_mean_squared_error"
    fix = "a stratified splitter with fewer folds" if len(lacking) and n_rows > 1 else "fewer folds, of several rows each"
    return (
        f"expected held-out rows on which {metric}, which chooses, can be computed, got fold {number} with {got} ({why}); "
        f"use {fix}, or a metric that can be computed there, such as {other}"
    )
