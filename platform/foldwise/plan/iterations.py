"""Step 4: what an epoch of an estimator is, and of which estimators so many epochs are a plain fit of so many iterations.

What scikit-learn's estimators do between two calls is known of each, by measurement: a test trains every one of them in
epochs and by ``fit``, and compares. An estimator of others' is taken at its word: an epoch is a call of ``partial_fit``, or
of ``fit`` with ``warm_start`` for one iteration more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

HORIZON = "epochs"
"""The param by which an estimator with ``partial_fit`` is told how many epochs its learning rate's schedule spans."""


@dataclass(frozen=True)
class Way:
    """How an estimator trains in epochs.

    Parameters
    ----------
    counter : str
        ``"epochs"``: an epoch is a call of ``partial_fit``; else the param of which it is one more, with ``warm_start``.
    adds_up : bool, default=False
        Whether the param counts what stands already, as in ensembles, or the iterations of one call.
    draws_on : bool, default=False
        Whether each call begins its random state anew where that is an integer: it is then given a generator that goes on,
        so that each epoch has an order of rows of its own.
    weighs : bool, default=False
        Whether its ``partial_fit`` refuses ``class_weight="balanced"``: it is then given the weights that ``fit`` computes.
    instead : mapping of str to (object, object)
        Params that have one value, and are given another one while it trains.
    refuses : mapping of str to (callable, str)
        Params with which it cannot train in epochs: a test of the value, and what to do.
    """

    counter: str
    adds_up: bool = False
    draws_on: bool = False
    weighs: bool = False
    instead: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    refuses: Mapping[str, tuple[Callable[[Any], bool], str]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Say what an epoch is."""
        return "a call of `partial_fit`" if self.counter == HORIZON else f"one more of `{self.counter}`"


def _is(*values: Any) -> Callable[[Any], bool]:
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def _is_not(*values: Any) -> Callable[[Any], bool]:
    return lambda value: not _is(*values)(value)


def _is_on(value: Any) -> bool:
    return not isinstance(value, str) and bool(value)


_STOPS = {"early_stopping": (_is_on, "the schedule stops trials; leave it False")}
_FORGETS = "it forgets between epochs what it has learned of the loss"

_ADAPTS = {"learning_rate": (_is("adaptive"), "it forgets between epochs what it has adapted to; use another learning rate")}
_ONLINE = Way(HORIZON, draws_on=True, weighs=True, refuses=_STOPS)
_SGD = Way(HORIZON, draws_on=True, weighs=True, refuses={**_STOPS, **_ADAPTS})
_ONE_CLASS = Way(HORIZON, draws_on=True, refuses=_ADAPTS)
_MLP = Way(HORIZON, draws_on=True, refuses={**_STOPS, "solver": (_is("lbfgs"), f"{_FORGETS}; use 'adam' or 'sgd'")})
_FOREST = Way("n_estimators", adds_up=True)
_BAGGING = Way(
    "n_estimators", adds_up=True, refuses={"oob_score": (_is_on, "with warm_start it has no such score; leave it False")}
)
_BOOSTING = Way(
    "n_estimators", adds_up=True, refuses={"n_iter_no_change": (_is_not(None), "the schedule stops trials; leave it None")}
)
_HISTOGRAMS = Way("max_iter", adds_up=True, instead={"early_stopping": ("auto", False)}, refuses=_STOPS)
_DESCENT = Way("max_iter", draws_on=True)
_MIXTURE = Way("max_iter", refuses={"n_init": (_is_not(1), "the first epoch alone would begin several times; use 1")})
_GLM = Way("max_iter", refuses={"solver": (_is_not("newton-cholesky"), f"{_FORGETS}; use 'newton-cholesky'")})
_LOGISTIC = Way(
    "max_iter",
    refuses={
        "solver": (
            _is_not("newton-cholesky", "newton-cg"),
            f"{_FORGETS}; use 'newton-cholesky', 'newton-cg' or SGDClassifier(loss='log_loss')",
        )
    },
)

KNOWN: Mapping[str, Way] = {
    "BaggingClassifier": _BAGGING, "BaggingRegressor": _BAGGING,
    "BayesianGaussianMixture": _MIXTURE, "GaussianMixture": _MIXTURE,
    "ElasticNet": _DESCENT, "Lasso": _DESCENT, "MultiTaskElasticNet": _DESCENT, "MultiTaskLasso": _DESCENT,
    "ExtraTreesClassifier": _FOREST, "ExtraTreesRegressor": _FOREST, "IsolationForest": _FOREST,
    "RandomForestClassifier": _FOREST, "RandomForestRegressor": _FOREST, "RandomTreesEmbedding": _FOREST,
    "GammaRegressor": _GLM, "PoissonRegressor": _GLM, "TweedieRegressor": _GLM,
    "GradientBoostingClassifier": _BOOSTING, "GradientBoostingRegressor": _BOOSTING,
    "HistGradientBoostingClassifier": _HISTOGRAMS, "HistGradientBoostingRegressor": _HISTOGRAMS,
    "LogisticRegression": _LOGISTIC,
    "MLPClassifier": _MLP, "MLPRegressor": _MLP,
    "PassiveAggressiveClassifier": _ONLINE, "PassiveAggressiveRegressor": _ONLINE, "Perceptron": _ONLINE,
    "SGDClassifier": _SGD, "SGDOneClassSVM": _ONE_CLASS, "SGDRegressor": _SGD,
}  # fmt: skip
"""scikit-learn's estimators that train in epochs."""

WRAPPERS = ("MultiOutputClassifier", "MultiOutputRegressor", "OneVsOneClassifier", "OneVsRestClassifier")
"""Those that train copies of the estimator that they hold, each in its own way."""

_COUNTS = "its partial_fit adds rows to what it has counted, so that a second epoch would count them twice"
_STEP = "a call of its partial_fit is a single step on all rows, where an epoch of fit has many on some"
_NEVER: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "BernoulliNB", "CategoricalNB", "ComplementNB", "GaussianNB", "MultinomialNB", "Birch", "IncrementalPCA",
            "StandardScaler", "MinMaxScaler", "MaxAbsScaler",
        ),
        _COUNTS,
    ),
    **dict.fromkeys(("BernoulliRBM", "MiniBatchDictionaryLearning", "MiniBatchKMeans", "MiniBatchNMF"), _STEP),
    "LatentDirichletAllocation": "its partial_fit assumes total_samples rows, and is another algorithm than its fit",
    "HuberRegressor": f"its solver is L-BFGS: {_FORGETS}",
    "NeighborhoodComponentsAnalysis": f"its solver is L-BFGS: {_FORGETS}",
    "HashingVectorizer": "it learns nothing",
    "SelectFromModel": "it selects features, and predicts nothing",
    "FrozenEstimator": "it is frozen, and learns nothing",
}  # fmt: skip
"""scikit-learn's that have ``partial_fit``, or ``warm_start`` and a param that counts, and yet do not train in epochs."""

_OTHERS_COUNTERS = ("n_estimators", "max_iter")


def way_of(last: Any) -> Way | str:
    """Return how an estimator trains in epochs, or why it does not; empty: for want of any way.

    Examples
    --------
    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> way_of(GradientBoostingClassifier()).words
    'one more of `n_estimators`'
    >>> way_of(GaussianNB())
    'its partial_fit adds rows to what it has counted, so that a second epoch would count them twice'
    """
    name = scikit_learn_name(last)
    if name in WRAPPERS:
        inner = way_of(last.estimator)
        if isinstance(inner, str):
            return inner and f"{type(last.estimator).__name__}: {inner}"
        return Way(HORIZON, draws_on=inner.draws_on) if inner.counter == HORIZON else ""
    if name is not None:
        return KNOWN.get(name) or _NEVER.get(name, _counts(last) and "what its epochs come to is not known")
    counter = _counts(last)
    return Way(counter, adds_up=counter == "n_estimators", refuses=_STOPS) if counter else ""


def refusals(last: Any, path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Go through the params with which an estimator cannot train in epochs: path, value, and what to do."""
    way = way_of(last)
    if isinstance(way, str):
        return
    own = last.get_params(deep=False)
    for name, (is_refused, fix) in way.refuses.items():
        if name in own and is_refused(own[name]):
            yield f"{path}{name}", own[name], fix
    if scikit_learn_name(last) in WRAPPERS:
        inner = last.estimator
        if _is("balanced")(getattr(inner, "class_weight", None)):
            name = type(inner).__name__
            fix = f"the partial_fit of {name} refuses it, and here it would have to differ by output; give weights"
            yield f"{path}estimator__class_weight", "balanced", fix
        yield from refusals(inner, f"{path}estimator__")


def scikit_learn_name(last: Any) -> str | None:
    """Return the name of the class of scikit-learn's that says how an estimator trains; None if that is others' code."""
    classes = type(last).__mro__
    for method in ("partial_fit", "fit"):
        definer = next((one for one in classes if method in vars(one)), None)
        if definer is not None and not _is_scikit_learns(definer):
            return None
    return next((one.__name__ for one in classes if _is_scikit_learns(one) and one.__name__ != "BaseEstimator"), None)


def refused_names() -> frozenset[str]:
    """Return the names of the params that decide whether an estimator trains in epochs."""
    return frozenset({"class_weight", *(name for way in KNOWN.values() for name in way.refuses)})


def _is_scikit_learns(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "sklearn"


def _counts(last: Any) -> str:
    """Return what an estimator seems to count its epochs by; empty: nothing."""
    if callable(getattr(last, "partial_fit", None)):
        return HORIZON
    own = last.get_params(deep=False) if hasattr(last, "get_params") else {}
    return next((name for name in _OTHERS_COUNTERS if name in own), "") if "warm_start" in own else ""
