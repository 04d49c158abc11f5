"""Step 1, describe: which params a search may ask about.

A space maps names to dimensions; a list of spaces is a union. A param may exist only ``when`` others have given values.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from foldwise.errors import InputError, SpaceError, nearest, placed
from foldwise.inputs.checks import is_file, is_integer
from foldwise.inputs.yaml_file import read_yaml
from foldwise.space.dimension import MOST_POINTS, Categorical, Dimension, Distribution, Float, Int, to_dimension
from foldwise.trial import Params

Subspace: TypeAlias = Mapping[str, Dimension]


class SearchSpace:
    """Names and their dimensions, with conditions and unions.

    Parameters
    ----------
    space : mapping, list of mappings, str, Path or SearchSpace
        Name -> dimension, or what converts to one; a list is a union; text is the name of a shipped space (``"svm_rbf"``)
        or the path of a YAML file.

    Raises
    ------
    SpaceError
        If a dimension is wrong or has no exact counterpart here, or a condition names what is not there.

    Examples
    --------
    >>> space = SearchSpace({"kernel": ["rbf", "linear"], "gamma": Categorical([0.1, 1], when={"kernel": "rbf"})})
    >>> space.grid()
    [{'kernel': ['rbf'], 'gamma': [0.1, 1]}, {'kernel': ['linear']}]
    """

    def __init__(self, space: Any) -> None:
        self.subspaces: tuple[Subspace, ...]
        if isinstance(space, SearchSpace):
            self.subspaces = space.subspaces
        elif isinstance(space, str | Path):
            self.subspaces = load_space(space).subspaces
        else:
            self.subspaces = tuple(_subspace(one) for one in (space if isinstance(space, list | tuple) else [space]))
            if not self.subspaces:
                raise SpaceError("", "expected a mapping of names, or a list of them, got an empty list")

    def __repr__(self) -> str:
        return f"SearchSpace({[dict(sub) for sub in self.subspaces]!r})"

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({name for sub in self.subspaces for name in sub})

    @property
    def is_conditional(self) -> bool:
        """Whether some param exists only at times."""
        return any(dimension.when for sub in self.subspaces for dimension in sub.values())

    @property
    def is_finite(self) -> bool:
        """Whether every dimension is a list of values."""
        return all(isinstance(dimension, Categorical) for sub in self.subspaces for dimension in sub.values())

    def grid(self) -> list[dict[str, list[Any]]]:
        """List the plain grids whose union is this space, as ``ParameterGrid`` takes them.

        A space without conditions is itself; a conditional one becomes a grid for each way to set the params that
        others depend on.
        """
        return [grid for sub in self.subspaces for grid in _plain_grids(sub)]

    @property
    def n_points(self) -> int:
        """Number of points of the grid, repeated ones included; a whole number of any size."""
        return sum(math.prod(len(values) for values in grid.values()) for grid in self.grid())

    def check_bounded(self) -> None:
        """Check that every dimension is a list or has bounds, which a model-based search needs.

        Raises
        ------
        SpaceError
            If one is a distribution without an exact counterpart.
        """
        for sub in self.subspaces:
            for name, dimension in sub.items():
                if isinstance(dimension, Distribution):
                    with placed(name):
                        dimension.bounded()

    def draws(self) -> list[dict[str, Any]]:
        """List the mappings that ``ParameterSampler`` draws from; conditions are for `prune` to apply."""
        if self.is_finite:
            return self.grid()
        return [
            {name: list(d.choices) if isinstance(d, Categorical) else d for name, d in sub.items()} for sub in self.subspaces
        ]

    def prune(self, drawn: Params, subspace: int) -> dict[str, Any]:
        """Drop the params that do not exist, given the others."""
        kept: dict[str, Any] = {}
        sub = self.subspaces[subspace]
        for name in _by_dependency(sub):
            if _exists(sub[name], kept):
                kept[name] = drawn[name]
        return {name: kept[name] for name in drawn if name in kept}

    def choose(self, subspace: int, suggest: Callable[[str, Dimension], Any]) -> dict[str, Any]:
        """Ask for a value of each param that exists, those that others depend on first."""
        chosen: dict[str, Any] = {}
        sub = self.subspaces[subspace]
        for name in _by_dependency(sub):
            if _exists(sub[name], chosen):
                chosen[name] = suggest(name, sub[name])
        return chosen


# --- conditions -------------------------------------------------------------------------------------------------------


def _plain_grids(sub: Subspace) -> Iterator[dict[str, list[Any]]]:
    points: dict[str, list[Any]] = {}
    for name, dimension in sub.items():
        with placed(name):
            points[name] = dimension.points()
    parents = [name for name in _by_dependency(sub) if any(name in (d.when or {}) for d in sub.values())]
    if (n_ways := math.prod(len(points[name]) for name in parents)) > MOST_POINTS:
        raise SpaceError(
            parents[0], f"expected at most {MOST_POINTS} ways to set what conditions name, got {n_ways}; give fewer values"
        )

    def settle(left: list[str], chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not left:
            yield chosen
        elif not _exists(sub[left[0]], chosen):
            yield from settle(left[1:], chosen)
        else:
            for value in points[left[0]]:
                yield from settle(left[1:], {**chosen, left[0]: value})

    for chosen in settle(parents, {}):
        grid = {n: [chosen[n]] if n in chosen else points[n] for n in sub if n in chosen or n not in parents}
        yield {n: values for n, values in grid.items() if _exists(sub[n], chosen)}


def _exists(dimension: Dimension, chosen: Params) -> bool:
    return all(
        parent in chosen and any(_same(chosen[parent], value) for value in _allowed(wanted))
        for parent, wanted in (dimension.when or {}).items()
    )


def _allowed(wanted: Any) -> list[Any]:
    """List the values that a condition names; a tuple is a value itself (``hidden_layer_sizes=(50, 50)``)."""
    return list(wanted) if isinstance(wanted, list | set | frozenset) else [wanted]


def _same(one: Any, other: Any) -> bool:
    one, other = (value.item() if isinstance(value, np.generic) else value for value in (one, other))
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, numbers.Number):
        return one is other or (type(one) is type(other) and bool(np.all(one == other)))
    return isinstance(other, numbers.Number) and one == other


def _by_dependency(sub: Subspace) -> list[str]:
    """Order names so that each follows those it depends on, alphabetically otherwise."""
    ordered: list[str] = []
    left = sorted(sub)
    while left:
        ready = [name for name in left if all(parent in ordered for parent in sub[name].when or {})]
        if not ready:
            raise SpaceError(left[0], f"expected conditions without a circle, got one among {', '.join(left)}")
        ordered += ready
        left = [name for name in left if name not in ready]
    return ordered


# --- checks -----------------------------------------------------------------------------------------------------------


def _subspace(space: Any) -> Subspace:
    if not isinstance(space, Mapping):
        raise SpaceError("", f"expected a mapping of names to values, or a list of them, got {space!r}")
    sub: dict[str, Dimension] = {}
    for name, value in space.items():
        if not isinstance(name, str) or not name:
            raise SpaceError(str(name), f"expected the name of a param, got {name!r}")
        with placed(name):
            sub[name] = to_dimension(value)
    for name, dimension in sub.items():
        with placed(name):
            _check_condition(dimension, sub)
    _by_dependency(sub)
    return sub


def _check_condition(dimension: Dimension, sub: Subspace) -> None:
    if dimension.when is None:
        return
    if not isinstance(dimension.when, Mapping):
        raise SpaceError("", f"expected when to be a mapping of names to values, got {dimension.when!r}")
    for parent, wanted in dimension.when.items():
        if parent not in sub:
            raise SpaceError("", f"expected when to name another param of the space, got {parent!r}; {nearest(parent, sub)}")
        owner = sub[parent]
        if not isinstance(owner, Categorical | Int):
            raise SpaceError("", f"expected when to name a Categorical or an Int, got {parent!r}, which is {owner!r}")
        for value in _allowed(wanted):
            if isinstance(owner, Int):
                can_have = is_integer(value) and value in range(owner.low, owner.high + 1, owner.step or 1)
                hint = repr(owner)
            else:
                can_have, hint = any(_same(value, one) for one in owner.choices), nearest(value, owner.choices)
            if not can_have:
                raise SpaceError("", f"expected when to give a value that {parent!r} can have, got {value!r}; {hint}")


# --- YAML -------------------------------------------------------------------------------------------------------------


def space_from_yaml(data: Any, build: Callable[[Any, str], Any] | None = None) -> SearchSpace:
    """Build a space from what a YAML file holds.

    Parameters
    ----------
    data : mapping or list of mappings
        ``name: [values]``, ``name: {float: [low, high], log: true}``, ``name: {int: [low, high], step: 2}`` or
        ``name: {values: [...]}``, each with ``when: {other: value}`` if wanted.
    build : callable, optional
        Makes an object of a value that is a mapping (``{use: module:Class}``); it is given the value and its place.

    Returns
    -------
    SearchSpace
        The space.
    """
    if isinstance(data, list) and data:
        return SearchSpace([_mapping_from_yaml(one, build, f"[{i}]") for i, one in enumerate(data)])
    return SearchSpace(_mapping_from_yaml(data, build, ""))


_YAML_FIELDS = {"float": {"log", "step", "when"}, "int": {"log", "step", "when"}, "values": {"when"}}


def _mapping_from_yaml(data: Any, build: Callable[[Any, str], Any] | None, place: str) -> dict[str, Any]:
    if not isinstance(data, Mapping) or not data:
        raise SpaceError(place, f"expected names and their values, got {data!r}")
    dimensions = {}
    for name, value in data.items():
        with placed(str(name)):
            dimensions[str(name)] = _dimension_from_yaml(value, build, str(name))
    return dimensions


def _dimension_from_yaml(value: Any, build: Callable[[Any, str], Any] | None, name: str) -> Dimension:
    if isinstance(value, list):
        value = {"values": value}
    if not isinstance(value, Mapping):
        raise SpaceError(
            "",
            f"expected a list, {{float: [low, high]}} or {{int: [low, high]}}, got {value!r}; write [{value!r}] for one value",
        )
    kinds = [kind for kind in _YAML_FIELDS if kind in value]
    if len(kinds) != 1:
        raise SpaceError("", f"expected one of float, int and values, got {', '.join(map(str, value)) or 'nothing'}")
    kind = kinds[0]
    for key in value:
        if key != kind and key not in _YAML_FIELDS[kind]:
            raise SpaceError("", f"expected another key, got {key!r}; {nearest(key, sorted(_YAML_FIELDS[kind]))}")
    options = {key: item for key, item in value.items() if key != kind}
    if kind == "values":
        choices = value[kind]
        if not isinstance(choices, list):
            raise SpaceError("", f"expected a list of values, got {choices!r}; write [{choices!r}] for a single one")
        return Categorical([build(c, name) if build and isinstance(c, Mapping) else c for c in choices], **options)
    bounds = value[kind]
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise SpaceError("", f"expected {kind}: [low, high], got {bounds!r}")
    return (Float if kind == "float" else Int)(*bounds, **options)


def shipped_spaces() -> dict[str, Path]:
    """Map the names of the spaces that ship with the package to their files."""
    package = Path(str(resources.files("foldwise")))
    # An editable install serves the package from the source root, where the folder stands two levels up.
    folders = [package / "search_spaces", package.parents[1] / "search_spaces"]
    folder = next((f for f in folders if f.is_dir()), folders[0])
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_space(name: str | Path, beside: Path | None = None) -> Path:
    """Find the file of a space: a path, a name in ``search_spaces/`` beside the job, or a shipped name."""
    folder = beside or Path()
    path = Path(name)
    looks_like_path = path.suffix in {".yaml", ".yml"} or len(path.parts) > 1
    candidates = [folder / path] if looks_like_path else [folder / "search_spaces" / f"{path}.yaml"]
    shipped = shipped_spaces()
    candidates += [shipped[str(name)]] if str(name) in shipped else []
    for candidate in candidates:
        if is_file(candidate):
            return candidate
    raise SpaceError("", f"expected a space's path or name, got {str(name)!r}; {nearest(str(name), shipped)}")


def load_space(name: str | Path, beside: Path | None = None, build: Callable[[Any, str], Any] | None = None) -> SearchSpace:
    """Load a space from its YAML file, by path or name."""
    path = find_space(name, beside)
    data = read_yaml(path)
    try:
        return space_from_yaml(data, build)
    except InputError as error:
        raise error.moved(error.place, source=str(path)) from None
