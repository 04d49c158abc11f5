"""Step 4, plan: which params each transformer of a composite estimator depends on, hence what fits can share.

A pipeline's step depends on its own params and on those of the steps before it; a branch of a union or of a column
transformer on its own and on what comes before the whole. What comes after a sampler of imbalanced-learn's shares nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from foldwise.keys import Digester, label
from foldwise.plan.steps import branches_of, has_branches, is_absent, is_pipeline, steps_before_samplers, steps_of
from foldwise.trial import Params


@dataclass(frozen=True)
class Transformer:
    """A transformer within an estimator.

    Parameters
    ----------
    path : str
        As params name it: ``columntransformer__num__pca``.
    depends_on : tuple of str
        Paths of the parts whose params decide what it learns, itself included.
    present : bool
        Whether there is one unless the params say otherwise: not where "passthrough" stands.
    """

    path: str
    depends_on: tuple[str, ...]
    present: bool

    def is_present(self, params: Params) -> bool:
        """Tell whether it is there with some params."""
        return not is_absent(params[self.path]) if self.path in params else self.present

    def is_decided_by(self, name: str) -> bool:
        """Tell whether a param decides what it learns: one of a part it depends on, or one that replaces what it is in."""
        return any(name == path or name.startswith(f"{path}__") for path in self.depends_on) or self.path.startswith(
            f"{name}__"
        )

    def relevant(self, params: Params) -> dict[str, Any]:
        """Return those of some params that decide what it learns."""
        return {name: value for name, value in params.items() if self.is_decided_by(name)}


@dataclass(frozen=True)
class Prefixes:
    """The transformers of an estimator, in the order in which they are fitted."""

    estimator: Any

    @cached_property
    def transformers(self) -> tuple[Transformer, ...]:
        """All of them; none for an estimator that is no pipeline."""
        return tuple(_walk(self.estimator, "", (), ends_in_a_model=True))

    def order_of(self, params: Params) -> tuple[tuple[int, str, str], ...]:
        """Return what to sort params by, so that those with equal prefixes follow each other."""
        found = ((self._position(name), name, value) for name, value in params.items())
        return tuple(sorted((at, name, self._label(value)) for at, name, value in found if at < len(self.transformers)))

    def count_fits(self, trials: Iterable[Params]) -> tuple[int, int]:
        """Count the transformers to fit, on one set of train rows: one by one, and with equal prefixes fitted once."""
        plain, distinct = 0, set[tuple[str, str]]()
        for params in trials:
            for one in self.transformers:
                if one.is_present(params):
                    plain += 1
                    distinct.add((one.path, self._label(one.relevant(params))))
        return plain, len(distinct)

    @cached_property
    def _digester(self) -> Digester:
        return Digester()

    def _label(self, value: Any) -> str:
        return label(value, self._digester)

    def _position(self, name: str) -> int:
        """Return the place of the first transformer that a param decides; one beyond the last for the model's own."""
        places = (at for at, one in enumerate(self.transformers) if one.is_decided_by(name))
        return next(places, len(self.transformers))


def _walk(estimator: Any, path: str, before: tuple[str, ...], *, ends_in_a_model: bool) -> Iterator[Transformer]:
    """Yield the transformers of a composite; ``before`` are the paths of the parts whose output it is given."""
    if is_pipeline(estimator):
        for position, (name, step) in enumerate(steps_before_samplers(estimator)):
            is_model = ends_in_a_model and position == len(steps_of(estimator)) - 1
            yield from _part(step, path + name, before, is_model=is_model)
            before = (*before, path + name)
    elif has_branches(estimator):
        for name, part in branches_of(estimator):
            yield from _part(part, path + name, before, is_model=False)


def _part(part: Any, path: str, before: tuple[str, ...], *, is_model: bool) -> Iterator[Transformer]:
    if is_pipeline(part) or has_branches(part):
        yield from _walk(part, f"{path}__", before, ends_in_a_model=is_model)
    elif not is_model:
        yield Transformer(path, (*before, path), not is_absent(part))
