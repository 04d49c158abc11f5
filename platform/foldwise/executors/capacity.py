"""What the nodes of a cluster can give to fits, and what is missing. Knows nothing of Ray but the names of resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from foldwise.errors import ResourcesError
from foldwise.plan.resources import Resources

Amounts = Mapping[str, float]

_OUR_NAMES = {"CPU": "cpu", "GPU": "gpu"}
_ALIKE = 1e-3
"""Share by which amounts may differ that are the same: Ray counts in ten thousandths."""


@dataclass(frozen=True)
class Capacity:
    """The nodes, as one fit after the other sees them.

    Parameters
    ----------
    resources : Resources
        Of one fit.
    totals : tuple of mapping
        What each node has in all.

    Examples
    --------
    >>> Capacity(Resources(cpu=2), ({}, {"CPU": 4.0}, {"CPU": 5.0})).n_fits
    4
    """

    resources: Resources
    totals: tuple[Amounts, ...] = ()

    @classmethod
    def of(cls, resources: Resources, nodes: Iterable[Mapping[str, Any]]) -> Capacity:
        """Make it of the nodes as ``ray.nodes()`` gives them, of which some may have left."""
        return cls(resources, tuple(node["Resources"] for node in nodes if node["Alive"]))

    @property
    def n_fits(self) -> int:
        """How many fits run at once, if nobody else takes anything."""
        return sum(self._fits_on(total) for total in self.totals)

    def could_give(self, amounts: Amounts) -> bool:
        """Tell whether some node, if nothing ran on it, had such amounts."""
        return any(all(total.get(name, 0) >= amount for name, amount in amounts.items()) for total in self.totals)

    def check(self) -> None:
        """Refuse what no single node could ever give.

        Raises
        ------
        ResourcesError
            If so; it says the most that a node has.
        """
        wanted, most = self.resources.amounts(), self._most()
        if self.could_give(wanted):
            return
        short = next((name for name in wanted if wanted[name] > most[name]), "resources")
        raise ResourcesError(
            f"resources.{_ours(short)}",
            f"expected what one node can give, got {_listed(wanted)}; the most that any of {len(self.totals)} nodes has: "
            f"{_listed(most)}",
        )

    def lacks(self) -> str:
        """Say what no node could ever give; empty if one could."""
        wanted, most = self.resources.amounts(), self._most()
        if self.could_give(wanted):
            return ""
        short = {name for name in wanted if wanted[name] > most[name]} or set(wanted)
        return "a node with " + ", ".join(
            f"{_ours(name)} {amount:g} (the most that one has: {most[name]:g})"
            for name, amount in wanted.items()
            if name in short
        )

    def has_free(self, free: Amounts) -> bool:
        """Tell whether what all nodes together have left is enough for a fit."""
        return all(free.get(name, 0) >= amount for name, amount in self.resources.amounts().items())

    def taken(self, free: Amounts) -> str:
        """Say what others hold of what a fit needs, where ``free`` is what all nodes together have left."""
        wanted = self.resources.amounts()
        short = [name for name in wanted if free.get(name, 0) < wanted[name]]
        if not short:
            return f"a node with {_listed(wanted)} free at once: other jobs hold a part of each"
        return ", ".join(
            f"{_ours(name)}: {total - free.get(name, 0):g} of {total:g} are taken by other jobs"
            for name in short
            for total in [sum(node.get(name, 0) for node in self.totals)]
        )

    def others_in(self, shapes: Iterable[Amounts]) -> bool:
        """Tell whether some of the amounts that are waited for are not a fit's, and could be given."""
        return any(self.could_give(shape) and not _alike(shape, self.resources.amounts()) for shape in shapes)

    def _fits_on(self, total: Amounts) -> int:
        return min(int(total.get(name, 0) / amount + 1e-9) for name, amount in self.resources.amounts().items())

    def _most(self) -> dict[str, float]:
        return {name: max((total.get(name, 0) for total in self.totals), default=0) for name in self.resources.amounts()}


def _alike(one: Amounts, other: Amounts) -> bool:
    return one.keys() == other.keys() and all(abs(one[name] - other[name]) <= _ALIKE * other[name] for name in other)


def _ours(name: str) -> str:
    return _OUR_NAMES.get(name, name)


def _listed(amounts: Amounts) -> str:
    return ", ".join(f"{_ours(name)} {amount:g}" for name, amount in amounts.items())
