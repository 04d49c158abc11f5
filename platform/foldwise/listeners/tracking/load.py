"""The final model of a job that was tracked, loaded without running code that came with it."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foldwise.errors import InputError, InputTypeError, TrackingError
from foldwise.inputs.yaml_file import read_yaml
from foldwise.listeners.tracking.connection import prepare_mlflow
from foldwise.listeners.tracking.database import sqlite_file
from foldwise.listeners.tracking.lookup import find_run
from foldwise.listeners.tracking.store import cause
from foldwise.listeners.tracking.uri import check_uri

_MOST_BYTES, _MOST_TIMES = 2**28, 100
"""An archive is refused that unfolds to more bytes than the one, and to more times its own than the other."""


def load_model(uri: str, name: str, trusted: Sequence[str] = ()) -> Any:
    """Load the final model of a job that was tracked.

    Types that skops does not know run their own code when they are loaded, so each must be named as trusted. MLflow's own
    ``mlflow.sklearn.load_model`` does not ask: it trusts what the model's own files say.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.
    name : str
        The job's name, whose latest run is taken, or an MLflow run id.
    trusted : sequence of str
        Types, by their full names, that may be loaded beside those that skops knows.

    Returns
    -------
    estimator
        The model, fitted.

    Raises
    ------
    InputError
        If the model holds types that are not trusted, or was not stored with skops.
    TrackingError
        If the store cannot be read, or has no such run or model.
    """
    check_uri(uri, "uri")
    if not isinstance(trusted, Sequence) or isinstance(trusted, str) or not all(isinstance(one, str) for one in trusted):
        raise InputTypeError("trusted", f"expected names of types, such as ['my_models.Mine'], got {trusted!r}; write a list")
    prepare_mlflow()
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise TrackingError(f"expected a tracking database, got {uri!r}, which is not there; run the job first")
    with tempfile.TemporaryDirectory() as folder:
        return _load(_downloaded(uri, name, folder), trusted)


def _downloaded(uri: str, name: str, folder: str) -> Path:
    """Bring a job's model here; return its folder."""
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    try:
        run_id = find_run(client, name)
        if run_id is None:
            raise TrackingError(f"expected a job's name or an MLflow run id that {uri} has, got {name!r}")
        outputs = client.get_run(run_id).outputs
        models = [client.get_logged_model(one.model_id) for one in (outputs.model_outputs if outputs else [])]
        ready = [model for model in models if str(model.status) == "READY"]
        if not ready:
            raise TrackingError(f"expected a job with a final model in {uri}, got {name!r}, which has none")
        # MLflow would look up a models:/ address in the store that this process uses otherwise.
        return Path(download_artifacts(artifact_uri=ready[-1].artifact_location, dst_path=folder, tracking_uri=uri))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"expected the model of {name!r} in {uri}, got {cause(error)}") from error


def _flavor(folder: Path) -> Mapping[str, Any]:
    """Read what MLflow keeps of how a model is stored; whatever stands there is no more than text."""
    content = read_yaml(folder / "MLmodel")
    for key in ("flavors", "sklearn"):
        content = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(content.get("pickled_model"), str):
        raise InputError("model", "expected a model of scikit-learn's, got an artifact that does not say how it is stored")
    return content


def _load(folder: Path, trusted: Sequence[str]) -> Any:
    """Load a model, whose files may be anything: what is wrong with them is an error in plain words."""
    try:
        return _load_skops(folder, trusted)
    except InputError as error:
        raise error.moved(error.place, "the model's files") if error.source else error from None
    except (Exception, RecursionError) as error:  # whatever skops makes of a file that is damaged, or made to do harm
        raise TrackingError(f"expected a model that skops can load, got files of which it says {cause(error)}") from error


def _load_skops(folder: Path, trusted: Sequence[str]) -> Any:
    import skops.io  # lazily: only who loads a model needs it

    flavor = _flavor(folder)
    form = flavor.get("serialization_format")
    if form != "skops":
        raise InputError(
            "model", f"expected a model that is stored with skops, got {form}, which runs whatever code it holds when it is "
            "loaded; if you trust who wrote it, use mlflow.sklearn.load_model"
        )  # fmt: skip
    file = folder / Path(flavor["pickled_model"]).name
    _check_size(file)
    unknown = sorted(set(skops.io.get_untrusted_types(file=file)) - set(trusted))
    if unknown:
        raise InputError(
            "trusted", f"expected the types that the model holds to be trusted, got {', '.join(unknown)}; if you trust their "
            f"code, give trusted={unknown!r}"
        )  # fmt: skip
    return skops.io.load(file, trusted=list(trusted))


def _check_size(file: Path) -> None:
    """Refuse an archive that unfolds to far more than it is: its reader takes all of it into memory."""
    with zipfile.ZipFile(file) as archive:
        n_bytes = sum(entry.file_size for entry in archive.infolist())
    if n_bytes > _MOST_BYTES and n_bytes > _MOST_TIMES * file.stat().st_size:
        raise InputError("model", f"expected a model, got an archive that unfolds to {n_bytes:.0e} bytes")
