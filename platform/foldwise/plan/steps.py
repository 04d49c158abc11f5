"""Step 4, plan: the parts of a composite estimator. What is asked of pipelines, unions and column transformers is asked here.

Pipelines are scikit-learn's, and imbalanced-learn's, whose samplers change the rows that they are fitted on; that library is
never imported from here, its pipelines are known by their name. A subclass may do anything with its parts, and has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline


def is_pipeline(estimator: Any) -> bool:
    """Tell whether an estimator is a pipeline.

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


def has_branches(estimator: Any) -> bool:
    """Tell whether an estimator is a feature union or a column transformer."""
    return type(estimator) is FeatureUnion or type(estimator) is ColumnTransformer


# --- steps ------------------------------------------------------------------------------------------------------------


def is_passed_through(step: Any) -> bool:
    """Tell whether a step does nothing."""
    return step is None or (isinstance(step, str) and step == "passthrough")


def is_absent(part: Any) -> bool:
    """Tell whether there is no transformer where a step or a branch stands."""
    return is_passed_through(part) or (isinstance(part, str) and part == "drop")


def is_sampler(step: Any) -> bool:
    """Tell whether a step changes the rows that it is fitted on, and is left out where a pipeline predicts."""
    return hasattr(step, "fit_resample") and not isinstance(step, type)


def steps_of(pipeline: Any) -> list[tuple[str, Any]]:
    """Return the names and steps of a pipeline."""
    return list(pipeline.steps)


def first_step(estimator: Any) -> Any:
    """Return the first step of a pipeline, of the innermost one if that is a pipeline itself; else the estimator."""
    while is_pipeline(estimator):
        estimator = estimator.steps[0][1]
    return estimator


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, of the innermost one if that is a pipeline itself; else the estimator."""
    while is_pipeline(estimator):
        estimator = estimator.steps[-1][1]
    return estimator


def scoring_step(estimator: Any) -> Any:
    """Return the last step likewise, of subclasses of pipelines, too: they also score by it."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def transforming_steps(pipeline: Any) -> Iterator[Any]:
    """Go through the steps before the last that rows pass where a pipeline predicts."""
    return (step for _, step in steps_of(pipeline)[:-1] if not is_passed_through(step) and not is_sampler(step))


def steps_before_samplers(pipeline: Any) -> list[tuple[str, Any]]:
    """Return the steps before the first sampler; all of them where there is none."""
    steps = steps_of(pipeline)
    first = next((at for at, (_, step) in enumerate(steps) if is_sampler(step)), len(steps))
    return steps[:first]


def steps_with_paths(estimator: Any, path: str = "") -> list[tuple[str, Any]]:
    """List the steps that rows go through, with the prefix of their params; nested pipelines at the end are opened.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> [path for path, _ in steps_with_paths(make_pipeline(StandardScaler(), SGDClassifier()))]
    ['standardscaler__', 'sgdclassifier__']
    """
    if not is_pipeline(estimator):
        return [(path, estimator)]
    *before, (last_name, last) = steps_of(estimator)
    passed = [(f"{path}{name}__", step) for name, step in before if not is_passed_through(step)]
    return [*passed, *steps_with_paths(last, f"{path}{last_name}__")]


# --- branches ---------------------------------------------------------------------------------------------------------


def branches_of(estimator: Any) -> list[tuple[str, Any]]:
    """Return the names and parts of a union or a column transformer, with what this does to the remaining columns."""
    if type(estimator) is FeatureUnion:
        return list(estimator.transformer_list)
    remainder = [] if isinstance(estimator.remainder, str) else [("remainder", estimator.remainder)]
    return [*((name, part) for name, part, _ in estimator.transformers), *remainder]


def replace_branches(estimator: Any, change: Callable[[Any], Any]) -> None:
    """Put others in the place of the parts of a union or a column transformer; the remainder stays."""
    name = "transformer_list" if type(estimator) is FeatureUnion else "transformers"
    parts: Iterable[tuple[Any, ...]] = getattr(estimator, name)
    setattr(estimator, name, [(part_name, change(part), *rest) for part_name, part, *rest in parts])


def replace_fitted_branches(estimator: Any, change: Callable[[Any], Any]) -> None:
    """Likewise for the fitted parts that a column transformer keeps apart, where there are any."""
    fitted = vars(estimator).get("transformers_")
    if fitted is not None:
        estimator.transformers_ = [(name, change(part), *rest) for name, part, *rest in fitted]
