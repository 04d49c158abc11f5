"""Step 9, a face: objects from what a job file says of them, such as ``{use: module:Class, param: value}``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from foldwise.errors import InputError, InputTypeError, MissingPackageError
from foldwise.inputs.imports import resolve


def build(value: Any, place: str) -> Any:
    """Make what a value of a job file stands for.

    Parameters
    ----------
    value : object
        ``"module:Class"`` (at the top), ``{use: module:Class, param: value}``, ``{pipeline: [...]}``,
        ``{columns: [...], remainder: ...}`` or ``{object: module:name}``; anything else stands for itself.
    place : str
        Its key path, for errors.

    Returns
    -------
    object
        The object.

    Raises
    ------
    InputError
        If it cannot be imported or made.

    Examples
    --------
    >>> build({"use": "sklearn.svm:SVC", "C": 10}, "estimator")
    SVC(C=10)
    >>> build({"pipeline": ["sklearn.preprocessing:StandardScaler", "sklearn.svm:SVC"]}, "estimator")
    Pipeline(steps=[('standardscaler', StandardScaler()), ('svc', SVC())])
    """
    if isinstance(value, str):
        return _call(value, {}, place)
    if not isinstance(value, Mapping):
        return value
    for kind, maker in _MAKERS.items():
        if kind in value:
            return maker(value, place)
    raise InputError(place, f"expected module:Class, or one of the keys {', '.join(_MAKERS)}, got {dict(value)!r}")


def build_argument(value: Any, place: str) -> Any:
    """Make an argument: objects where a mapping says so, also inside lists."""
    if isinstance(value, Mapping) and any(kind in value for kind in _MAKERS):
        return build(value, place)
    if isinstance(value, list):
        return [build_argument(item, f"{place}[{index}]") for index, item in enumerate(value)]
    return value


def _call(name: str, arguments: Mapping[str, Any], place: str) -> Any:
    factory = resolve(name, place)
    if not callable(factory):
        raise InputTypeError(place, f"expected a class or a function, got {name!r}, which is {type(factory).__name__}")
    made = {key: build_argument(value, f"{place}.{key}") for key, value in arguments.items()}
    try:
        return factory(**made)
    except (Exception, SystemExit) as error:  # a class of the user's may raise anything
        shown = f"{type(error).__name__}: {error}"
        raise InputError(place, f"expected arguments that {name} takes, got {dict(arguments)!r} ({shown})") from error


def _use(value: Mapping[str, Any], place: str) -> Any:
    return _call(value["use"], {key: item for key, item in value.items() if key != "use"}, place)


def _object(value: Mapping[str, Any], place: str) -> Any:
    _only(value, {"object"}, place)
    return resolve(value["object"], place)


def _pipeline(value: Mapping[str, Any], place: str) -> Any:
    _only(value, {"pipeline", "memory"}, place)
    steps, memory = value["pipeline"], value.get("memory")
    if isinstance(steps, Mapping) and steps:
        named = [(str(n), _step(s, f"{place}.pipeline.{n}")) for n, s in steps.items()]
        return _pipelines([step for _, step in named], place).Pipeline(named, memory=memory)
    if isinstance(steps, list) and steps:
        made = [_step(s, f"{place}.pipeline[{i}]") for i, s in enumerate(steps)]
        return _pipelines(made, place).make_pipeline(*made, memory=memory)
    raise InputTypeError(f"{place}.pipeline", f"expected a list of steps, or names and steps, got {steps!r}")


def _pipelines(steps: Sequence[Any], place: str) -> Any:
    """Return the module whose pipelines take some steps: imbalanced-learn's where one is a sampler."""
    if not any(hasattr(step, "fit_resample") for step in steps):
        return importlib.import_module("sklearn.pipeline")  # lazily: a job is validated without scikit-learn
    try:
        return importlib.import_module("imblearn.pipeline")  # lazily: only who has samplers needs it
    except ImportError as error:
        raise MissingPackageError(
            f"{place}.pipeline", "expected the package imbalanced-learn, whose pipelines take samplers; "
            f"pip install imbalanced-learn ({error})"
        ) from error  # fmt: skip


def _columns(value: Mapping[str, Any], place: str) -> Any:
    from sklearn.compose import make_column_transformer  # lazily: a job is validated without scikit-learn

    entries = value["columns"]
    if not isinstance(entries, list) or not entries:
        raise InputTypeError(f"{place}.columns", f"expected a list of transformers, got {entries!r}")
    parts = []
    for index, entry in enumerate(entries):
        where = f"{place}.columns[{index}]"
        if not isinstance(entry, Mapping) or "on" not in entry:
            raise InputError(where, f"expected {{on: [column, ...], use: module:Class}}, got {entry!r}")
        rest = {key: item for key, item in entry.items() if key != "on"}
        step = rest["step"] if set(rest) == {"step"} else rest
        parts.append((_step(step, where), _selector(entry["on"], f"{where}.on")))
    options = {key: _step(item, place) if key == "remainder" else item for key, item in value.items() if key != "columns"}
    try:
        return make_column_transformer(*parts, **options)
    except TypeError as error:
        raise InputError(place, f"expected options of a ColumnTransformer, got {options!r} ({error})") from error


def _step(value: Any, place: str) -> Any:
    return value if value in ("passthrough", "drop") else build(value, place)


def _selector(on: Any, place: str) -> Any:
    from sklearn.compose import make_column_selector  # lazily: a job is validated without scikit-learn

    if isinstance(on, list) and on:
        return on
    if isinstance(on, Mapping) and on and set(on) <= {"dtype_include", "dtype_exclude", "pattern"}:
        return make_column_selector(**on)
    raise InputError(
        place, f"expected column names, or {{dtype_include: ...}}, {{dtype_exclude: ...}} or {{pattern: ...}}, got {on!r}"
    )


def _only(value: Mapping[str, Any], known: set[str], place: str) -> None:
    for key in value:
        if key not in known:
            raise InputError(place, f"expected the keys {', '.join(sorted(known))}, got {key!r}")


_MAKERS: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    "use": _use, "pipeline": _pipeline, "columns": _columns, "object": _object,
}  # fmt: skip
