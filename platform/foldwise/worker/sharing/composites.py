"""Which parts of a composite estimator can share: it walks pipelines, feature unions and column transformers.

A pipeline has a ``memory`` for its steps; what comes after a sampler of imbalanced-learn's is not shared. The branches of a
union or a column transformer have none, so each stands in a `Branch` while it is fitted. Subclasses and other meta-estimators
may do anything with what is within them: they are left alone.
"""

from __future__ import annotations

from typing import Any

from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from foldwise.plan.steps import (
    has_branches,
    is_passed_through,
    is_pipeline,
    replace_branches,
    replace_fitted_branches,
    steps_before_samplers,
    steps_of,
)
from foldwise.worker.sharing.memory import PrefixMemory


class Branch(BaseEstimator):  # type: ignore[misc]
    """A transformer of a union or a column transformer, fitted and applied through a memory.

    Parameters
    ----------
    transformer : estimator
        What it stands for.
    memory : PrefixMemory
        What it shares through.
    """

    def __init__(self, transformer: Any, memory: PrefixMemory) -> None:
        self.transformer = transformer
        self.memory = memory

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit and transform; column transformers hand over columns that are new objects, so these are known by content.

        The transformer itself is fitted, and no clone: who clones it is the composite, as it does without a memory.
        """
        X = self.memory.lend_by_content(X)
        Xt, self.fitted_ = self.memory.fit_transform(_fit_transform, self.transformer, X, y, params=params)
        return Xt

    def fit(self, X: Any, y: Any = None, **params: Any) -> Branch:
        """Fit, and let the memory keep what comes of it."""
        self.fit_transform(X, y, **params)
        return self

    def transform(self, X: Any) -> Any:
        """Transform."""
        return self.memory.transform(self.fitted_, self.memory.lend_by_content(X))

    def __getattr__(self, name: str) -> Any:
        """Have what the transformer has: feature names, say."""
        if name.startswith("__") or name in {"transformer", "fitted_", "memory"}:
            raise AttributeError(name)
        return getattr(vars(self).get("fitted_", self.transformer), name)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.transformer)

    def __sklearn_is_fitted__(self) -> bool:
        return "fitted_" in vars(self)


def _fit_transform(transformer: Any, X: Any, y: Any, params: dict[str, Any]) -> tuple[Any, Any]:
    if hasattr(transformer, "fit_transform"):
        return transformer.fit_transform(X, y, **params), transformer
    return transformer.fit(X, y, **params).transform(X), transformer


def lend(estimator: Any, memory: PrefixMemory) -> None:
    """Let the parts of an estimator that is about to be fitted share through a memory, where that changes no result."""
    if is_pipeline(estimator) and estimator.memory is None:
        estimator.memory = memory
        for _, step in steps_before_samplers(estimator):
            lend(step, memory)
    elif has_branches(estimator) and estimator.n_jobs is None and not get_config()["enable_metadata_routing"]:
        replace_branches(estimator, lambda part: _branch(part, memory))


def can_share(estimator: Any) -> bool:
    """Tell whether fits of an estimator can share more than their rows: those of a pipeline that transforms."""
    if not is_pipeline(estimator) or estimator.memory is not None:
        return False
    steps, shared = steps_of(estimator), steps_before_samplers(estimator)
    if any(not is_passed_through(step) for _, step in shared[: len(steps) - 1]):
        return True
    return len(shared) == len(steps) and can_share(steps[-1][1])


def release(estimator: Any) -> None:
    """Take the memory out of an estimator again, fitted or not."""
    if is_pipeline(estimator):
        if isinstance(estimator.memory, PrefixMemory):
            estimator.memory = None
            for _, step in steps_of(estimator):
                release(step)
    elif has_branches(estimator):
        replace_branches(estimator, _original)
        replace_fitted_branches(estimator, _original)


def _branch(part: Any, memory: PrefixMemory) -> Any:
    if not hasattr(part, "transform") or isinstance(part, type | str):
        return part
    lend(part, memory)
    return Branch(part, memory)


def _original(part: Any) -> Any:
    original = vars(part).get("fitted_", part.transformer) if isinstance(part, Branch) else part
    release(original)
    return original
