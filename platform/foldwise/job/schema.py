"""What a job file may hold: names, types and defaults. Validated here, opened by `foldwise.job.job`."""

from __future__ import annotations

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from foldwise.errors import InputError, nearest

LONGEST_NAME = 250
"""Characters of a job's name, which is an experiment's and a run's in MLflow."""


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSpec(_Spec):
    """Where the data comes from; see `foldwise.data.load_dataset`."""

    loader: StrictStr | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    path: StrictStr | None = None
    target: StrictStr | None = None
    drop: list[StrictStr] = Field(default_factory=list)
    groups: StrictStr | None = None
    fit_params: dict[str, StrictStr] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> DataSpec:
        if (self.loader is None) == (self.path is None):
            given = "both" if self.loader else "neither"
            raise ValueError(f"expected one of loader and path, got {given}")
        if self.path is not None and self.args:
            raise ValueError(f"expected args with a loader only, got {self.args!r}")
        return self


class SearchSpec(_Spec):
    """How params are searched; further keys are options of a method given by name (``sampler``)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    method: StrictStr | dict[str, Any] = "random"
    trials: StrictInt | None = None
    batch: StrictInt = 8


class FoldsSpec(_Spec):
    """Both loops' folds: a number, ``shared`` (inner), or ``{use: module:Class, ...}``."""

    outer: StrictInt | dict[str, Any] = 5
    inner: StrictInt | StrictStr | dict[str, Any] = "shared"
    repeats: StrictInt = 1


class TrackingSpec(_Spec):
    """Where trials are tracked; an absent URI means ``MLFLOW_TRACKING_URI`` or ``sqlite:///mlflow.db``."""

    uri: StrictStr | None = None
    experiment: StrictStr | None = None


class CodeSpec(_Spec):
    """A folder of the user's own code, and patterns of what is sent of it although it would be left out."""

    path: StrictStr
    include: list[StrictStr] = Field(default_factory=list)


class JobSpec(_Spec):
    """A job file."""

    name: StrictStr | None = None
    data: DataSpec
    code: StrictStr | CodeSpec | list[StrictStr | CodeSpec] = Field(default_factory=list)
    estimator: StrictStr | dict[str, Any]
    space: StrictStr | dict[str, Any] | list[dict[str, Any]]
    search: SearchSpec = Field(default_factory=SearchSpec)
    folds: FoldsSpec = Field(default_factory=FoldsSpec)
    scoring: StrictStr | list[StrictStr] | dict[str, StrictStr] | None = None
    refit: StrictBool | StrictStr = True
    return_train_score: StrictBool = False
    error_score: StrictFloat | StrictStr = float("nan")
    n_jobs: StrictInt | None = None
    schedule: dict[str, Any] | None = None
    resources: dict[str, Any] = Field(default_factory=dict)
    limits: dict[str, Any] = Field(default_factory=dict)
    executor: StrictStr | dict[str, Any] = "ray"
    tracking: TrackingSpec | StrictBool | None = None
    ledger: StrictStr | StrictBool | None = None
    seed: StrictInt | None = None
    verbose: StrictInt = Field(default=0, ge=0)

    @property
    def codes(self) -> tuple[str, ...]:
        """Folders and files of the user's own code, as they were written."""
        return tuple(one.path if isinstance(one, CodeSpec) else one for one in self._codes)

    def code_places(self) -> tuple[str, ...]:
        """Return the key under which each of them stands."""
        if not isinstance(self.code, list):
            return ("code",)
        return tuple(f"code[{number}]" for number in range(len(self.code)))

    def code_includes(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return, for each of them, its key and what is sent of it although it would be left out."""
        includes = (tuple(one.include) if isinstance(one, CodeSpec) else () for one in self._codes)
        return tuple(zip(self.code_places(), includes, strict=True))

    @property
    def _codes(self) -> tuple[str | CodeSpec, ...]:
        return tuple(self.code) if isinstance(self.code, list) else (self.code,)

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str | None) -> str | None:
        if name is not None and not (name.strip() and name.isprintable() and len(name) <= LONGEST_NAME):
            raise ValueError(f"expected a name of 1 to {LONGEST_NAME} characters in one line, got {name!r}; give another")
        return name


def validate_spec(data: Any, source: str) -> JobSpec:
    """Check a job file's content.

    Raises
    ------
    InputError
        One line: the file, the key's path, what was expected and what was given.
    """
    if not isinstance(data, dict):
        shown = "nothing" if data is None else repr(data)
        raise InputError("", f"expected the keys of a job (data, estimator, space, ...), got {shown}", source)
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        raise _one_line(error, source) from None


_WORDS = {
    "invalid_key": "expected keys that are text",
    "greater_than_equal": "expected an integer >= 0",
    "missing": "expected this key, which is required, got none",
    "string_type": "expected text",
    "int_type": "expected an integer",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected keys and values",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "model_type": "expected keys and values",
    "model_attributes_type": "expected keys and values",
}
_SPECS: dict[str, type[BaseModel]] = {
    "": JobSpec, "code": CodeSpec, "data": DataSpec, "search": SearchSpec, "folds": FoldsSpec, "tracking": TrackingSpec,
}  # fmt: skip


def _one_line(error: ValidationError, source: str) -> InputError:
    # Of a union's several complaints an unknown key says most, then the one that reached deepest.
    problems = sorted(error.errors(include_url=False), key=lambda p: (p["type"] != "extra_forbidden", -len(p["loc"])))
    problem = problems[0]
    keys = [str(part) for part in problem["loc"] if not _is_branch(part)]
    if problem["type"] == "extra_forbidden":
        *above, key = map(str, problem["loc"])  # a key may look like a branch
        owner = [part for part in above if not _is_branch(part)]
        hint = nearest(key, _SPECS.get(".".join(owner), JobSpec).model_fields)
        return InputError(".".join([*owner, key]), f"expected a known key, got {key!r}; {hint}", source)
    place, given = ".".join(keys), problem["input"]
    if problem["type"] == "value_error":
        return InputError(place, str(problem["ctx"]["error"]), source)
    same_place = [p for p in problems if [str(part) for part in p["loc"] if not _is_branch(part)] == keys]
    words = list(dict.fromkeys(_WORDS.get(p["type"], "expected " + p["msg"]).removeprefix("expected ") for p in same_place))
    shown = "" if problem["type"] == "missing" else f", got {given!r}"
    return InputError(place, f"expected {' or '.join(words)}{shown}", source)


def _is_branch(part: int | str) -> bool:
    """Tell whether a part of an error's place names a branch of a union rather than a key."""
    return isinstance(part, str) and (part.endswith("Spec") or "[" in part or part in {"str", "int", "bool", "float"})
