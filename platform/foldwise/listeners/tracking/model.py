"""The final model as MLflow keeps it: saved to a folder, with its signature and an input example."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from foldwise.data import Dataset
from foldwise.errors import TrackingError
from foldwise.listeners.tracking.connection import IMPORTING, prepare_mlflow
from foldwise.worker.compat import no_autologging

_EXAMPLE_ROWS = 5
_MOST_ROWS = 5000
"""Rows that the signature is made of and tried on, spread over all, beside those where values are missing."""


def prepare() -> None:
    """Do what takes seconds and needs no model: import what stores one, and find out which distribution owns what."""
    prepare_mlflow()
    with IMPORTING:
        for module in ("mlflow.sklearn", "skops.io"):
            import_module(module)
    _owners()


@functools.cache
def _owners() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def save_model(model: Any, dataset: Dataset, folder: Path) -> Path:
    """Save a fitted model below a folder; return where.

    It is stored with skops, which runs no code when it is loaded; what skops cannot store, with cloudpickle. An example that
    MLflow cannot store is left out, and so is a signature that does not take the rows the model was trained on.

    Raises
    ------
    TrackingError
        If it can be stored in no way.
    """
    prepare()  # also where the tracker's thread is still at it
    import mlflow.sklearn

    with IMPORTING, _quiet():
        import_module("mlflow.pyfunc")

    rows = _rows(dataset)
    example, signature = dataset.take(np.arange(min(_EXAMPLE_ROWS, dataset.n_rows)))[0], _signature(model, rows)

    def save(target: Path, form: str, shown: Any, signature: Any) -> Path:
        trusted = _own_types(model, folder) if form == "skops" else None
        with _quiet():
            mlflow.sklearn.save_model(
                model, str(target), serialization_format=form, skops_trusted_types=trusted, signature=signature or False,
                input_example=shown, pip_requirements=requirements(model, form, example),
            )  # fmt: skip
        return target

    causes = []
    for number, (form, shown) in enumerate((form, shown) for shown in (example, None) for form in ("skops", "cloudpickle")):
        target = folder / str(number)
        try:
            save(target, form, shown, signature)
            if signature is not None and not _takes(target, model, rows):
                target = save(folder / f"{number}-plain", form, shown, None)
        except Exception as error:  # an estimator may hold anything, and its pickling may raise anything
            causes.append(f"{form}: {' '.join(str(error).split())[:200]}")
        else:
            return target
    raise TrackingError(f"the final model {type(model).__name__} cannot be stored ({'; '.join(causes[:2])})")


def _own_types(model: Any, folder: Path) -> list[str]:
    """Name the types in a model that skops does not know: it was made here, so they are trusted."""
    import skops.io

    file = folder / "types.skops"
    try:
        skops.io.dump(model, file)
        return list(skops.io.get_untrusted_types(file=file))
    finally:
        file.unlink(missing_ok=True)


def _rows(dataset: Dataset) -> Any:
    """Return the rows that a signature is to take: all, or many of them and one where each column has none."""
    if dataset.n_rows <= _MOST_ROWS:
        return dataset.take(np.arange(dataset.n_rows))[0]
    rows = np.linspace(0, dataset.n_rows - 1, _MOST_ROWS).astype(int)
    X = dataset.X
    if hasattr(X, "isna"):
        is_missing = X.isna().to_numpy()
        rows = np.union1d(rows, is_missing.argmax(axis=0)[is_missing.any(axis=0)])
    return dataset.take(rows)[0]


def _signature(model: Any, X: Any) -> Any:
    """Return the types of what goes in and comes out; None for what MLflow has no types for."""
    from mlflow.models import infer_signature

    try:
        with _quiet():
            return infer_signature(X, model.predict(X) if hasattr(model, "predict") else None)
    except Exception:  # lists of texts of several kinds, nested frames
        return None


def _takes(folder: Path, model: Any, X: Any) -> bool:
    """Tell whether a saved model, with its signature, answers to rows as the model itself does.

    MLflow changes rows to the types of a signature before it hands them on, and refuses what it cannot change: categories,
    integers of which some are missing.
    """
    import mlflow.pyfunc

    if not hasattr(model, "predict"):
        return True
    try:
        with _quiet():
            answered, expected = mlflow.pyfunc.load_model(str(folder)).predict(X), model.predict(X)
        np.testing.assert_array_equal(np.asarray(answered), np.asarray(expected))
    except Exception:  # whatever MLflow or the model makes of them
        return False
    return True


def requirements(model: Any, form: str, X: Any) -> list[str]:
    """Name what must be installed to load a model: the distributions that own the classes in it.

    MLflow would find out by loading it in another process, which takes seconds.
    """
    parts = [model, X, *(model.get_params(deep=True).values() if hasattr(model, "get_params") else ())]
    classes = [part if isinstance(part, type) else type(part) for part in parts]
    packages = {base.__module__.partition(".")[0] for owner in classes for base in owner.__mro__}
    packages |= {package for owner in classes for package in getattr(owner, "_foldwise_depends_on", ())}
    owners = _owners()
    names = {owners[package][0] for package in packages if package in owners} | {"numpy", "scikit-learn", form}
    return sorted(f"{name}=={metadata.version(name)}" for name in names)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings, such as MLflow's about integers that cannot be missing.

    This changes the whole process, which is why it is for the end only: no fit runs here any more.
    """
    with no_autologging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
