"""Step 9, a face: Job, for those who write YAML. A job file's imports are as trusted as a script."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from foldwise.errors import InputError, InputTypeError
from foldwise.events import Listener
from foldwise.executors import make_executor
from foldwise.imports import add_import_paths, resolve
from foldwise.job_schema import JobSpec, SearchSpec, TrackingSpec, validate_spec
from foldwise.plan import Plan
from foldwise.problem import Problem
from foldwise.report import Report
from foldwise.yaml_file import parse_yaml, read_yaml

DEFAULT_TRACKING = "sqlite:///mlflow.db"

_PLACES = {
    "n_trials": "search.trials", "batch": "search.batch", "search": "search.method", "sampler": "search.sampler",
    "options": "search.options",
    "outer_cv": "folds.outer", "inner_cv": "folds.inner", "repeats": "folds.repeats", "random_state": "seed",
    "X": "data", "y": "data.target", "fit_params": "data.fit_params", "groups": "data.groups", "loader": "data.loader",
    "args": "data.args", "path": "data.path", "target": "data.target", "drop": "data.drop",
}  # fmt: skip
"""Where an argument of the Python face stands in a job file."""


@dataclass(frozen=True)
class Job:
    """What a job file asks for, validated.

    Parameters
    ----------
    spec : JobSpec
        The file's content.
    source : str
        Its path, for errors; "job" where there is none.
    folder : Path
        What paths in it are relative to.
    text : str
        The file as it was written, overrides applied.

    Examples
    --------
    >>> job = Job.parse({
    ...     "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.svm:SVC",
    ...     "space": {"C": [1, 10, 100]}, "search": {"method": "grid"}, "executor": "serial", "seed": 0,
    ... })
    >>> job.run().n_fits
    46
    """

    spec: JobSpec
    source: str
    folder: Path
    text: str

    @classmethod
    def load(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> Job:
        """Load a job file.

        Parameters
        ----------
        path : str or Path
            The YAML file.
        overrides : mapping, optional
            Key path (``"search.trials"``) -> value. Paths among them are relative to the working folder.

        Returns
        -------
        Job
            The job; data and code that it names are not touched yet.

        Raises
        ------
        InputError
            If the file cannot be read or a key is wrong.
        """
        file = Path(path)
        data = read_yaml(file)
        text = file.read_text(encoding="utf-8")
        if overrides:
            if not isinstance(data, dict):
                raise InputError("", f"expected the keys of a job, got {data!r}", str(path))
            for key, value in overrides.items():
                _override(data, key, value)
            text = yaml.safe_dump(data, sort_keys=False)
        data = {"name": file.stem, **data} if isinstance(data, dict) else data
        return cls(validate_spec(data, str(path)), str(path), file.resolve().parent, text)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Job:
        """Make a job of keys and values; paths are relative to the working folder."""
        return cls(validate_spec(dict(data), "job"), "job", Path.cwd(), yaml.safe_dump(dict(data), sort_keys=False))

    @property
    def name(self) -> str:
        """The job's name; its file's where it gives none."""
        return self.spec.name or "job"

    def open(self) -> Problem:
        """Load the data, import the code and validate all of it.

        Raises
        ------
        InputError
            With the file, the key and the value that is wrong.
        """
        problem: Problem = self._placed(self._open)
        return problem

    def plan(self, address: str | None = None) -> Plan:
        """Open the job and plan it, without running anything; ``address`` is a Ray that it would run on."""
        plan = Plan.of(self.open())
        self._placed(lambda: self._executor(address).check(plan.problem.resources))
        return plan

    def run(self, *, listeners: Sequence[Listener] = (), address: str | None = None, tracking: str | None = None) -> Report:
        """Run the job.

        Parameters
        ----------
        listeners : sequence of callable
            Each hears every event.
        address : str, optional
            A running Ray.
        tracking : str, optional
            MLflow URI where the job itself says nothing of tracking; None: then it is not tracked.

        Returns
        -------
        Report
            What was found.

        Raises
        ------
        InputError
            If something is wrong with the job; nothing was started.
        RunError
            If the run failed.
        """
        from foldwise.launch import n_at_once, run_plan  # lazily: validating a job needs no loop

        plan = self.plan(address)
        executor = self._placed(lambda: self._executor(address))
        n_jobs = self._placed(lambda: n_at_once(self.spec.n_jobs))
        uri, experiment = self.tracking_uri(tracking), self.experiment
        _, report, _ = run_plan(
            plan, executor, n_jobs=n_jobs, listeners=listeners, tracking=uri, experiment=experiment, job_text=self.text
        )
        return report

    @property
    def experiment(self) -> str:
        """MLflow experiment: the job's name, unless it says otherwise."""
        spec = self.spec.tracking
        return (spec.experiment if isinstance(spec, TrackingSpec) else None) or self.name

    def tracking_uri(self, default: str | None) -> str | None:
        """Return where the job is tracked, ``default`` where it says nothing of it."""
        spec = self.spec.tracking
        if spec is False:
            return None
        if isinstance(spec, TrackingSpec) and spec.uri:
            return spec.uri
        return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_TRACKING) if spec else default

    def _executor(self, address: str | None) -> Any:
        return make_executor(self.spec.executor, **({"address": address} if address and self.spec.executor == "ray" else {}))

    def _placed(self, make: Callable[[], Any]) -> Any:
        """Call something, and say of which key of the file an error is."""
        try:
            return make()
        except InputError as error:
            if error.source:
                raise
            head, rest = re.match(r"([\w]*)(.*)", error.place, re.DOTALL).groups()  # type: ignore[union-attr]
            place = error.place if head == "search" and rest else _PLACES.get(head, head) + rest
            moved = type(error)(place, _in_the_words_of_a_job(error.problem), self.source)
            raise moved from error.__cause__

    def _open(self) -> Problem:
        from foldwise.data import load_dataset  # lazily: a job is validated without scikit-learn
        from foldwise.problem import make_problem  # lazily: likewise
        from foldwise.search import make_search  # lazily: likewise
        from foldwise.space import load_space, space_from_yaml  # lazily: likewise

        spec = self.spec
        add_import_paths(Path.cwd(), self.folder)
        try:
            space = (
                load_space(spec.space, self.folder, build)
                if isinstance(spec.space, str)
                else space_from_yaml(spec.space, build)
            )
        except InputError as error:
            raise (error if error.source else error.moved(".".join(part for part in ("space", error.place) if part))) from None
        data = spec.data
        dataset = load_dataset(
            loader=data.loader, args=data.args, path=None if data.path is None else self.folder / data.path,
            target=data.target, drop=data.drop, groups=data.groups, fit_params=data.fit_params,
        )  # fmt: skip
        return make_problem(
            dataset,
            build(spec.estimator, "estimator"),
            space,
            search=make_search(spec.search.method, **_search_options(spec.search)),
            n_trials=spec.search.trials,
            batch=spec.search.batch,
            outer_cv=build(spec.folds.outer, "folds.outer"),
            inner_cv=build(spec.folds.inner, "folds.inner") if isinstance(spec.folds.inner, dict) else spec.folds.inner,
            repeats=spec.folds.repeats,
            scoring=_scoring(spec.scoring),
            refit=spec.refit,
            return_train_score=spec.return_train_score,
            error_score=spec.error_score,
            resources=spec.resources,
            random_state=spec.seed,
            name=self.name,
        )


def _in_the_words_of_a_job(advice: str) -> str:
    """Say ``folds.inner: 5`` where Python's face says ``inner_cv=5``."""
    names = "|".join(re.escape(name) for name in _PLACES if _PLACES[name].count(".") or name == "random_state")
    advice = re.sub(rf"\b({names})=", lambda found: f"{_PLACES[found[1]]}: ", advice)
    advice = re.sub(rf"\b({names})(?= |,|;|$)", lambda found: _PLACES[found[1]] if "_" in found[1] else found[1], advice)
    return re.sub(r"\bsearch='(\w+)'", r"search.method: \1", advice)


def parse_overrides(settings: Sequence[str]) -> dict[str, Any]:
    """Read ``key.path=value`` settings; values are YAML.

    Examples
    --------
    >>> parse_overrides(["search.trials=10", "scoring=[accuracy, f1_macro]"])
    {'search.trials': 10, 'scoring': ['accuracy', 'f1_macro']}
    """
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not all(key.split(".")):
            raise InputError("--set", f"expected key=value, as in search.trials=10, got {setting!r}")
        overrides[key.strip()] = parse_yaml(value, f"--set {key}")
    return overrides


def _override(data: dict[Any, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = data.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError("--set", f"expected {key!r} to name a key, but {parent!r} holds {inner!r}")
        data = inner
    from_here = (
        key in {"data.path", "space"}
        and isinstance(value, str)
        and (key == "data.path" or Path(value).suffix in {".yaml", ".yml"})
    )
    data[last] = str(Path(value).resolve()) if from_here else value


# --- objects from text ------------------------------------------------------------------------------------------------


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


def _argument(value: Any, place: str) -> Any:
    """Make an argument: objects where a mapping says so, also inside lists."""
    if isinstance(value, Mapping) and any(kind in value for kind in _MAKERS):
        return build(value, place)
    if isinstance(value, list):
        return [_argument(item, f"{place}[{index}]") for index, item in enumerate(value)]
    return value


def _call(name: str, arguments: Mapping[str, Any], place: str) -> Any:
    factory = resolve(name, place)
    if not callable(factory):
        raise InputTypeError(place, f"expected a class or a function, got {name!r}, which is {type(factory).__name__}")
    made = {key: _argument(value, f"{place}.{key}") for key, value in arguments.items()}
    try:
        return factory(**made)
    except Exception as error:  # a class of the user's may raise anything
        shown = f"{type(error).__name__}: {error}"
        raise InputError(place, f"expected arguments that {name} takes, got {dict(arguments)!r} ({shown})") from error


def _use(value: Mapping[str, Any], place: str) -> Any:
    return _call(value["use"], {key: item for key, item in value.items() if key != "use"}, place)


def _object(value: Mapping[str, Any], place: str) -> Any:
    _only(value, {"object"}, place)
    return resolve(value["object"], place)


def _pipeline(value: Mapping[str, Any], place: str) -> Any:
    from sklearn.pipeline import Pipeline, make_pipeline  # lazily: a job is validated without scikit-learn

    _only(value, {"pipeline", "memory"}, place)
    steps, memory = value["pipeline"], value.get("memory")
    if isinstance(steps, Mapping) and steps:
        return Pipeline([(str(n), _step(s, f"{place}.pipeline.{n}")) for n, s in steps.items()], memory=memory)
    if isinstance(steps, list) and steps:
        return make_pipeline(*(_step(s, f"{place}.pipeline[{i}]") for i, s in enumerate(steps)), memory=memory)
    raise InputTypeError(f"{place}.pipeline", f"expected a list of steps, or names and steps, got {steps!r}")


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


def _search_options(search: SearchSpec) -> dict[str, Any]:
    return {name: _argument(value, f"search.{name}") for name, value in (search.model_extra or {}).items()}


def _scoring(scoring: Any) -> Any:
    """Resolve scorers that are given as ``module:function``."""
    if isinstance(scoring, Mapping):
        return {name: resolve(value, f"scoring.{name}") if ":" in value else value for name, value in scoring.items()}
    if isinstance(scoring, str) and ":" in scoring:
        return resolve(scoring, "scoring")
    return scoring
