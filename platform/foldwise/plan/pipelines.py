"""What counts as a pipeline: scikit-learn's, and imbalanced-learn's, whose samplers change the rows that they are fitted on.

imbalanced-learn is never imported from here: its pipelines are known by their name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.pipeline import Pipeline


def is_pipeline(estimator: Any) -> bool:
    """Tell whether an estimator is a pipeline; a subclass may do anything with its steps, and is none.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> is_pipeline(make_pipeline(SVC())), is_pipeline(SVC())
    (True, False)
    """
    return type(estimator) is Pipeline or takes_samplers(estimator)


def takes_samplers(estimator: Any) -> bool:
    """Tell whether an estimator is a pipeline of imbalanced-learn's."""
    kind = type(estimator)
    return (kind.__module__, kind.__qualname__) == ("imblearn.pipeline", "Pipeline")


def is_sampler(step: Any) -> bool:
    """Tell whether a step changes the rows that it is fitted on, and is left out where a pipeline predicts."""
    return hasattr(step, "fit_resample") and not isinstance(step, type)


def is_nothing(step: Any) -> bool:
    """Tell whether a step does nothing."""
    return step is None or (isinstance(step, str) and step == "passthrough")


def transforming(pipeline: Any) -> Iterator[Any]:
    """Go through the steps before the last that rows pass where a pipeline predicts."""
    return (step for _, step in pipeline.steps[:-1] if not is_nothing(step) and not is_sampler(step))


def before_samplers(pipeline: Any) -> list[tuple[str, Any]]:
    """Return the steps before the first sampler; all of them where there is none."""
    steps: list[tuple[str, Any]] = pipeline.steps
    first = next((at for at, (_, step) in enumerate(steps) if is_sampler(step)), len(steps))
    return list(steps[:first])
