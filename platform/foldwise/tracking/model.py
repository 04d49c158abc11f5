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
from foldwise.tracking.connect import IMPORTING, prepare_mlflow

_EXAMPLE_ROWS = 5


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
    MLflow cannot store is left out.

    Raises
    ------
    TrackingError
        If it can be stored in no way.
    """
    prepare()  # also where the tracker's thread is still at it
    import mlflow.sklearn

    with IMPORTING, _quiet():
        import_module("mlflow.pyfunc")

    example, signature = _example(model, dataset)
    causes = []
    for number, (form, shown) in enumerate((form, shown) for shown in (example, None) for form in ("skops", "cloudpickle")):
        target = folder / str(number)
        try:
            trusted = _own_types(model, folder) if form == "skops" else None
            with _quiet():
                mlflow.sklearn.save_model(
                    model, str(target), serialization_format=form, skops_trusted_types=trusted, signature=signature or False,
                    input_example=shown, pip_requirements=requirements(model, form, example),
                )  # fmt: skip
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


def _example(model: Any, dataset: Dataset) -> tuple[Any, Any]:
    """Return a few rows, and the types of what goes in and comes out; None for what cannot be had."""
    from mlflow.models import infer_signature

    X, _, _ = dataset.take(np.arange(min(_EXAMPLE_ROWS, dataset.n_rows)))
    try:
        with _quiet():
            signature = infer_signature(X, model.predict(X) if hasattr(model, "predict") else None)
    except Exception:  # MLflow has no type for some data: lists of texts of several kinds, nested frames
        signature = None
    return X, signature


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
