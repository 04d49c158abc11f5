"""The final model is loaded again, and runs no code that nobody vouched for."""

import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import foldwise as fw
from foldwise.errors import InputError, InputTypeError, TrackingError
from foldwise.listeners.tracking import load, load_model
from foldwise.listeners.tracking.load import _load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")


class Mine(LogisticRegression):
    """A type that skops does not know."""


MINE = f"{Mine.__module__}.Mine"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two small searches, tracked: one of scikit-learn's own classes, one of a class of ours."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    X, y = load_iris(return_X_y=True)
    found = {"uri": uri, "folder": folder, "X": X}
    for name, estimator in (("known", LogisticRegression(max_iter=500)), ("mine", Mine(max_iter=500))):
        search = fw.NestedSearchCV(
            estimator, {"C": [1.0]}, search="grid", outer_cv=3, executor="serial", tracking=uri, experiment=name, random_state=0
        )
        found[name] = search.fit(X, y)
    return SimpleNamespace(**found)


def files(store, search):
    """Return the folder that a search's model was stored in."""
    from mlflow import MlflowClient

    client = MlflowClient(store.uri)
    (output,) = client.get_run(search.run_id_).outputs.model_outputs
    location = client.get_logged_model(output.model_id).artifact_location
    return store.folder / location.partition(str(store.folder) + "/")[2]


def test_the_model_of_a_job_is_loaded_by_name_and_by_run(store):
    for name in ("known", store.known.run_id_):
        model = load_model(store.uri, name)
        assert type(model) is LogisticRegression
        np.testing.assert_array_equal(model.predict_proba(store.X), store.known.predict_proba(store.X))


def test_a_type_that_is_not_trusted_is_refused_by_name(store):
    with pytest.raises(InputError, match=rf"^trusted: .* got {MINE}; if you trust .* give trusted=\['{MINE}'\]"):
        load_model(store.uri, "mine")
    with pytest.raises(InputError, match=MINE):
        load_model(store.uri, "mine", trusted=["another.Type"])
    model = load_model(store.uri, "mine", trusted=[MINE])
    assert type(model).__name__ == "Mine"
    np.testing.assert_array_equal(model.predict(store.X), store.mine.predict(store.X))


def test_what_the_models_own_files_trust_does_not_count(store):
    """MLflow's loader takes the list of trusted types from the artifact itself, which anybody may have written."""
    import mlflow.sklearn

    folder = files(store, store.mine)
    assert MINE in yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["sklearn"]["skops_trusted_types"]
    assert type(mlflow.sklearn.load_model(str(folder))).__name__ == "Mine"
    with pytest.raises(InputError, match=MINE):
        load_model(store.uri, "mine")


def test_a_pickle_is_refused_and_not_opened(store, tmp_path):
    opened = tmp_path / "opened"

    class Bomb:
        def __reduce__(self):
            return open, (str(opened), "w")

    folder = files(store, store.known)
    description = folder / "MLmodel"
    kept = description.read_text()
    content = yaml.safe_load(kept)
    content["flavors"]["sklearn"].update(serialization_format="cloudpickle", pickled_model="model.pkl")
    (folder / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    description.write_text(yaml.safe_dump(content))
    try:
        with pytest.raises(InputError, match=r"^model: expected a model that is stored with skops, got cloudpickle"):
            load_model(store.uri, "known", trusted=["builtins.open"])
        assert not opened.exists()
    finally:
        description.write_text(kept)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"uri": "htp://ann:s3cr3t@x"}, InputError, "^uri: expected an MLflow tracking URI, got 'htp://x'"),
        ({"name": "unknown"}, TrackingError, "expected a job's name or an MLflow run id .* got 'unknown'"),
        ({"trusted": MINE}, InputTypeError, "^trusted: expected names of types"),
        ({"trusted": [Mine]}, InputTypeError, "^trusted: expected names of types"),
        ({"trusted": True}, InputTypeError, "^trusted: expected names of types"),
    ],
)
def test_what_cannot_be_loaded_is_said(store, arguments, kind, words):
    with pytest.raises(kind, match=words):
        load_model(**{"uri": store.uri, "name": "known", **arguments})


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(TrackingError, match="not there"):
        load_model(f"sqlite:///{tmp_path / 'gone.db'}", "known")
    assert list(tmp_path.iterdir()) == []


HOSTILE = {
    "no text": ("MLmodel", b"\xff\xfe\x00"),
    "no YAML": ("MLmodel", b"{"),
    "no mapping": ("MLmodel", b"- 1"),
    "no flavors": ("MLmodel", b"flavors: 3"),
    "a flavor that is text": ("MLmodel", b"flavors: {sklearn: x}"),
    "a file that is no text": ("MLmodel", b"flavors: {sklearn: {serialization_format: skops, pickled_model: [1]}}"),
    "a file that is not there": ("MLmodel", b"flavors: {sklearn: {serialization_format: skops, pickled_model: gone}}"),
    "a file outside": ("MLmodel", b"flavors: {sklearn: {serialization_format: skops, pickled_model: ../../../../etc/passwd}}"),
    "a zero byte": ("MLmodel", b'flavors: {sklearn: {serialization_format: skops, pickled_model: "a\\0b"}}'),
    "an object": ("MLmodel", b"!!python/object/apply:os.system ['exit 1']"),
    "aliases without end": ("MLmodel", b"a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 10)) for n in range(99, 109))),
    "no archive": ("model.skops", b"x"),
    "an empty archive": ("model.skops", {}),
    "a schema that is no JSON": ("model.skops", {"schema.json": b"{"}),
    "a schema of nothing": ("model.skops", {"schema.json": b"[]"}),
    "a schema that nests without end": ("model.skops", {"schema.json": b'{"a":' * 100_000}),
    "a loader that is not known": ("model.skops", {"schema.json": b'{"__loader__": "Nope", "__class__": "x", "__module__": "y"}'}),
    "an archive that unfolds": ("model.skops", {"schema.json": b"{}", "zeros": bytes(2**20)}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content"), HOSTILE.values(), ids=HOSTILE.keys())
def test_files_that_are_damaged_or_made_to_do_harm_are_an_error_in_plain_words(tmp_path, monkeypatch, name, content):
    monkeypatch.setattr(load, "_MOST_BYTES", 2**20)
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {serialization_format: skops, pickled_model: model.skops}}")
    if isinstance(content, dict):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, data in content.items():
                archive.writestr(part, data)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((InputError, TrackingError), match="expected ") as caught:
        _load(tmp_path, [])
    assert len(str(caught.value).splitlines()) == 1
