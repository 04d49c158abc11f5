"""Step 9, a face: Job, for those who write YAML. A job file's imports are as trusted as a script."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foldwise.data import load_dataset
from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.events import FailuresForgotten, Listener
from foldwise.executors import Executor, find_executor, make_executor
from foldwise.inputs.checks import is_url
from foldwise.inputs.imports import add_import_paths, import_root, resolve
from foldwise.inputs.yaml_file import masked_yaml, parse_yaml, read_text, to_yaml
from foldwise.job.build import build, build_argument
from foldwise.job.overrides import override
from foldwise.job.schema import JobSpec, SearchSpec, TrackingSpec, validate_spec
from foldwise.job.words import PLACES, in_job_words
from foldwise.ledger import ENVIRONMENT_LEDGER, default_ledger, make_ledger
from foldwise.plan.plan import Plan
from foldwise.plan.problem import Problem, check_settings, make_problem
from foldwise.plan.settings import Settings
from foldwise.report import Report
from foldwise.search import OPTIONS, make_search
from foldwise.space.space import load_space, space_from_yaml

if TYPE_CHECKING:
    from foldwise.loop.pilot import Pilot

DEFAULT_TRACKING = "sqlite:///mlflow.db"


def default_tracking() -> str:
    """Return where a job is tracked if nobody says where: what ``MLFLOW_TRACKING_URI`` names, or the command line's."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING


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
        if not isinstance(path, str | os.PathLike):
            raise InputTypeError("path", f"expected the path of a job file, got {path!r}; Job.parse takes keys and values")
        file = Path(path)
        text = read_text(file)
        data = parse_yaml(text, str(file))
        if overrides:
            if not isinstance(overrides, Mapping):
                raise InputTypeError("overrides", f"expected paths of keys and values, got {overrides!r}; write a dict")
            if not isinstance(data, dict):
                raise InputError("", f"expected the keys of a job, got {data!r}", str(path))
            for key, value in overrides.items():
                override(data, key, value)
            text = to_yaml(data, str(path))
        data = {"name": file.stem, **data} if isinstance(data, dict) else data
        return cls(validate_spec(data, str(path)), str(path), file.resolve().parent, text)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Job:
        """Make a job of keys and values; paths are relative to the working folder."""
        if not isinstance(data, Mapping):
            raise InputTypeError("job", f"expected keys and values, got {data!r}; Job.load takes the path of a file")
        return cls(validate_spec(dict(data), "job"), "job", Path.cwd(), to_yaml(dict(data), "job"))

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
        problem: Problem = self._placed(lambda: self._open(self._settings()))
        return problem

    def check(self) -> None:
        """Import the code, all but the data's, and validate what can be told without the data.

        Raises
        ------
        InputError
            With the file, the key and the value that is wrong.
        """
        self._placed(self._check)

    def code_paths(self) -> tuple[Path, ...]:
        """Return the folders and files of the user's own code.

        Raises
        ------
        InputError
            If one is not there, or holds no Python code.
        """
        return tuple(self._code_path(number, given) for number, given in enumerate(self.spec.codes))

    def add_import_paths(self) -> None:
        """Let the user's own code be imported, here and on workers: what ``code`` names first, then what is beside the job."""
        roots = [import_root(path) for path in self.code_paths()]
        add_import_paths(Path.cwd(), self.folder, *reversed(roots))

    def _code_path(self, number: int, given: str) -> Path:
        place = self.spec.code_places()[number]
        path = Path(os.path.abspath(self.folder / given))  # noqa: PTH100  (a link keeps its name, which is the package's)
        if not given.strip() or not (_is(path.is_dir) or (_is(path.is_file) and path.suffix == ".py")):
            raise InputError(
                place, f"expected a folder or a .py file, got {given!r}; write its path from the job file", self.source
            )
        return path

    def plan(self, address: str | None = None) -> Plan:
        """Open the job and plan it, without running anything; ``address`` is a Ray that it would run on."""
        self._check_tracking(self.tracking_uri(None))
        return self._plan(address)[0]

    def n_at_once(self, plan: Plan, address: str | None = None) -> int | None:
        """Say how many of a plan's fits will run at once, as far as can be told before anything is started."""
        settings = plan.problem.settings
        room = self._executor(settings, address).foresee(settings.resources)
        return settings.n_jobs if room is None else min(room, settings.n_jobs or room)

    def pilot(self, plan: Plan, address: str | None = None) -> Pilot:
        """Time a few of a plan's fits where they would run, to say what the whole will cost."""
        from foldwise.loop.pilot import fly  # lazily: validating a job needs no loop

        settings = plan.problem.settings
        return fly(plan, self._executor(settings, address), settings.n_jobs)

    def run(
        self,
        *,
        listeners: Sequence[Listener] = (),
        address: str | None = None,
        tracking: str | None = None,
        ledger: str | None = None,
        retry_failed: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> Report:
        """Run the job.

        Parameters
        ----------
        listeners : sequence of callable
            Each hears every event.
        address : str, optional
            A running Ray.
        tracking : str, optional
            MLflow URI where the job itself says nothing of tracking; None: then it is not tracked.
        ledger : str, optional
            Path or URL of the ledger where the job itself says nothing of one; None: then fits are forgotten after the run.
        retry_failed : bool, default=False
            Whether the ledger first forgets which of this job's fits failed, so that they run again. A search that adapts
            may then ask otherwise than before.
        stop : callable, optional
            Asked between steps; once it says True, the run ends in good order.

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
        from foldwise.job.launch import run_plan  # lazily: validating a job needs no loop

        uri, experiment = self.tracking_uri(tracking), self.experiment
        self._check_tracking(uri)
        plan, executor = self._plan(address)
        fits = self._ledger(ledger)
        if retry_failed:
            forgotten = FailuresForgotten(fits.forget_failed(plan))
            for listener in listeners:
                listener(forgotten)
        _, report, _ = run_plan(
            plan, executor, listeners=listeners, tracking=uri, experiment=experiment,
            job_text=masked_yaml(self.text), ledger=fits, stop=stop,
        )  # fmt: skip
        return report

    @property
    def experiment(self) -> str:
        """MLflow experiment: the job's name, unless it says otherwise."""
        spec = self.spec.tracking
        return spec.experiment if isinstance(spec, TrackingSpec) and spec.experiment is not None else self.name

    def tracking_uri(self, default: str | None) -> str | None:
        """Return where the job is tracked, ``default`` where it says nothing of it."""
        spec = self.spec.tracking
        if spec is False:
            return None
        if isinstance(spec, TrackingSpec) and spec.uri is not None:
            return spec.uri
        return default_tracking() if spec else default

    def ledger_address(self, default: str | None) -> str | None:
        """Return the path or URL of the job's ledger, ``default`` where it says nothing of it; None: it has none."""
        spec = self.spec.ledger
        if isinstance(spec, str):
            return spec if is_url(spec) or not spec.strip() else str(self.folder / spec)
        return None if spec is False else default_ledger() if spec else default

    def _ledger(self, default: str | None) -> Any:
        address = self.ledger_address(default)
        if isinstance(self.spec.ledger, str) or address != os.environ.get(ENVIRONMENT_LEDGER):
            return self._placed(lambda: make_ledger(address))
        try:
            return make_ledger(address)
        except InputError as error:
            raise error.moved(ENVIRONMENT_LEDGER) from error.__cause__

    def _check_tracking(self, uri: str | None) -> None:
        from foldwise.listeners.tracking import check_tracking  # lazily: only tracked jobs need it

        given = isinstance(self.spec.tracking, TrackingSpec) and self.spec.tracking.uri is not None
        elsewhere = "MLFLOW_TRACKING_URI" if uri == os.environ.get("MLFLOW_TRACKING_URI") else "tracking"
        places = ("tracking.uri" if given else elsewhere, "tracking.experiment")
        self._placed(lambda: check_tracking(uri, self.experiment, places))

    def _executor(self, settings: Settings, address: str | None) -> Executor:
        given = self.spec.executor
        if address is not None and given != "ray":
            raise InputError("executor", f"expected ray beside the address {address!r}, got {given!r}; leave the address out")
        given = build(given, "executor") if isinstance(given, Mapping) else given
        return make_executor(given, settings, **({} if address is None else {"address": address}))

    def _placed(self, make: Callable[[], Any]) -> Any:
        """Call something, and say of which key of the file an error is."""
        try:
            return make()
        except InputError as error:
            if error.source:
                raise
            head, rest = re.match(r"([\w]*)(.*)", error.place, re.DOTALL).groups()  # type: ignore[union-attr]
            place = error.place if head == "search" and rest else PLACES.get(head, head) + rest
            raise error.moved(place, self.source, in_job_words) from error.__cause__

    def _plan(self, address: str | None) -> tuple[Plan, Executor]:
        """Plan the job, and make the executor that it would run on."""
        settings: Settings = self._placed(self._settings)
        executor: Executor = self._placed(lambda: self._executor(settings, address))
        return Plan.of(self._placed(lambda: self._open(settings))), executor

    def _open(self, settings: Settings) -> Problem:
        estimator, space, data = self._estimator(), self._space(), self.spec.data
        dataset = load_dataset(
            loader=data.loader, args=data.args, path=None if data.path is None else self.folder / data.path,
            target=data.target, drop=data.drop, groups=data.groups, fit_params=data.fit_params,
        )  # fmt: skip
        return make_problem(dataset, estimator, space, settings)

    def _check(self) -> None:
        settings = self._settings()
        check_settings(settings, self._estimator(), self._space())
        if isinstance(self.spec.executor, Mapping):  # what resources there are is told where it runs
            find_executor(build(self.spec.executor, "executor"), scheduled=settings.schedule is not None)

    def _settings(self) -> Settings:
        spec = self.spec
        self.add_import_paths()
        return Settings.of(
            {
                "search": _search(spec.search),
                "n_trials": spec.search.trials, "batch": spec.search.batch,
                "outer_cv": build(spec.folds.outer, "folds.outer"), "inner_cv": _inner_folds(spec.folds.inner),
                "repeats": spec.folds.repeats, "scoring": _scoring(spec.scoring), "refit": spec.refit,
                "return_train_score": spec.return_train_score, "error_score": spec.error_score, "schedule": spec.schedule,
                "resources": spec.resources, "limits": spec.limits, "n_jobs": spec.n_jobs, "random_state": spec.seed,
                "name": self.name,
            }
        )  # fmt: skip

    def _estimator(self) -> Any:
        return build(self.spec.estimator, "estimator")

    def _space(self) -> Any:
        space = self.spec.space
        try:
            return load_space(space, self.folder, build) if isinstance(space, str) else space_from_yaml(space, build)
        except InputError as error:
            raise (error if error.source else error.moved(".".join(part for part in ("space", error.place) if part))) from None


def _inner_folds(inner: Any) -> Any:
    return build(inner, "folds.inner") if isinstance(inner, dict) else inner


def _is(test: Callable[[], bool]) -> bool:
    """Ask something of a path; of one that no file can have, the answer is no."""
    try:
        return test()
    except (OSError, ValueError):
        return False


def _search(spec: SearchSpec) -> Any:
    """Make the search: a method by name with its options, or an object of the user's own class."""
    options, method = spec.model_extra or {}, spec.method
    known = OPTIONS.get(method, tuple(options)) if isinstance(method, str) else ()
    for name in options:
        if name not in known:
            hint = nearest(name, [*SearchSpec.model_fields, *known])
            raise InputError(f"search.{name}", f"expected an option of {method!r}, got {name!r}; {hint}")
    if isinstance(method, Mapping):
        return make_search(build(method, "search.method"))
    return make_search(method, **{name: build_argument(value, f"search.{name}") for name, value in options.items()})


def _scoring(scoring: Any) -> Any:
    """Resolve scorers that are given as ``module:function``."""
    if isinstance(scoring, Mapping):
        return {name: resolve(value, f"scoring.{name}") if ":" in value else value for name, value in scoring.items()}
    if isinstance(scoring, str) and ":" in scoring:
        return resolve(scoring, "scoring")
    return scoring
