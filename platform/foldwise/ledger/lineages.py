"""Lineages as text, and back: unlike a fit's params, which a search asks anew, what a schedule made of them must be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from foldwise.keys import label
from foldwise.safety.masking import masked_tree
from foldwise.space.dimension import Categorical
from foldwise.space.space import SearchSpace
from foldwise.trial import Lineage, Segment

_CHOICE = "choice"


class LineageWriter:
    """Writes lineages as JSON, and reads them.

    Numbers and text stand there as they are. Any other value, and one that is a secret, is one of the space's choices, and is
    named by its digest.

    Parameters
    ----------
    space : SearchSpace
        Where the params come from.
    """

    def __init__(self, space: SearchSpace) -> None:
        dimensions = (dimension for sub in space.subspaces for dimension in sub.values())
        listed = (dimension.choices for dimension in dimensions if isinstance(dimension, Categorical))
        self._choices = {label(choice): choice for choices in listed for choice in choices}

    def write(self, lineage: Lineage) -> str:
        """Return a lineage as JSON."""
        return json.dumps([[{name: _word(name, value) for name, value in one.params.items()}, one.epochs] for one in lineage])

    def read(self, text: str) -> Lineage | None:
        """Return what was written; None if it has a value that the space has not."""
        try:
            return tuple(
                Segment({name: self._value(word) for name, word in params.items()}, epochs)
                for params, epochs in json.loads(text)
            )
        except KeyError:
            return None

    def _value(self, word: Any) -> Any:
        return self._choices[word[_CHOICE]] if isinstance(word, Mapping) else word


def _word(name: str, value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    is_open = _is_plain(plain) and not (isinstance(plain, str) and masked_tree({name: plain}) != {name: plain})
    return plain if is_open else {_CHOICE: label(value)}


def _is_plain(value: Any) -> bool:
    return value is None or type(value) in {bool, int, float, str}
