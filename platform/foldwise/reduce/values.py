"""Step 6, reduce: how values of params are shown, and how they are kept as JSON.

Plain values come back from JSON as they were. All others come back as `ShownValue`: the text and the JSON that a report
prints of them, without secrets.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldwise.safety.masking import is_secret, masked, masked_tree, masked_value, printable, shown
from foldwise.trial import Params

_NUMPY = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "str_",
}  # fmt: skip
"""Names of NumPy's scalar types whose values Python's own types hold exactly."""


@dataclass(frozen=True, slots=True)
class ShownValue:
    """Stands for a value that is no plain data, or that holds secrets: as a report prints it.

    Parameters
    ----------
    text : str
        The value on one line.
    content : str
        The value as `plain` gives it, as JSON.
    """

    text: str
    content: str

    def __repr__(self) -> str:
        return self.text


# --- as text ---


def show(value: Any) -> str:
    """Show a value on one line: floats with four digits, objects without line breaks."""
    value = scalar(value)
    return f"{value:.4g}" if isinstance(value, float) else as_text(value)


def as_text(value: Any) -> str:
    """Show a value in full on one line.

    Examples
    --------
    >>> as_text(0.1), as_text("rbf"), as_text(None)
    ('0.1', 'rbf', 'None')
    """
    value = scalar(value)
    return " ".join((value if isinstance(value, str) else repr(value)).split())


def show_param(name: str, value: Any) -> str:
    """Show the value of a param of a name, without secrets."""
    return shown(show(masked_value(name, value)))


def show_params(params: Params) -> str:
    """Show params on one line, by name, without secrets.

    Examples
    --------
    >>> show_params({"svc__C": 0.125, "kernel": "rbf", "token": "abc"})
    'kernel=rbf, svc__C=0.125, token=***'
    """
    return ", ".join(f"{printable(name)}={show_param(name, value)}" for name, value in sorted(params.items()))


def duration(seconds: float) -> str:
    """Word a duration.

    Examples
    --------
    >>> duration(7.25), duration(200)
    ('7.2 s', '3 min 20 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


# --- as what JSON can hold, for other tools ---


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers, text, lists, dicts; NaN and infinities become None, objects their text."""
    value = scalar(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    return json.loads(value.content) if isinstance(value, ShownValue) else show(value)


def plain_params(params: Params | None) -> Any:
    """Return params as what JSON can hold, without secrets."""
    return masked_tree(plain(params))


def scalar(value: Any) -> Any:
    """Return Python's own value for one of NumPy's; others as they are."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


# --- as JSON that is read back ---


def encode(name: str, value: Any) -> Any:
    """Return what JSON can hold of the value of a param, so that `decode` gives a value which reports print alike.

    Examples
    --------
    >>> encode("C", 0.1), encode("sizes", (8, 4)), encode("token", "abc")
    (0.1, {'tuple': [8, 4]}, '***')
    >>> decode(encode("sizes", (8, 4))), decode(encode("of", object))
    ((8, 4), <class 'object'>)
    """
    if value is None or type(value) is bool or (type(value) in (int, float) and not is_secret(name)):
        return value
    kept = masked_value(name, value)
    text, (content,) = masked(show(kept)), plain_params({name: value}).values()
    with contextlib.suppress(_NotPlainError):
        typed = _typed(kept)
        if text == show(kept) and content == plain(kept):  # else it holds a secret
            return typed
    return {"text": text, "content": json.dumps(content)}


def decode(data: Any) -> Any:
    """Return the value that was encoded, or what is shown of it."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if "text" in data:
        return ShownValue(data["text"], data["content"])
    ((kind, content),) = data.items()
    if kind == "tuple":
        return tuple(decode(content))
    if kind == "dict":
        return {decode(key): decode(item) for key, item in content}
    if kind in _NUMPY:
        return getattr(np, kind)(content)
    raise ValueError(f"expected a value of a known kind, got {kind!r}")


def encode_params(params: Params) -> dict[str, Any]:
    """Return what JSON can hold of params."""
    return {name: encode(name, value) for name, value in params.items()}


def decode_params(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params that were encoded."""
    return {name: decode(value) for name, value in data.items()}


class _NotPlainError(TypeError):
    """The value is of a type that JSON does not bring back."""


def _typed(value: Any) -> Any:
    """Write plain values, those that are no JSON with the name of their type."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [_typed(item) for item in value]
    if kind is tuple:
        return {"tuple": [_typed(item) for item in value]}
    if kind is dict:
        return {"dict": [[_typed(key), _typed(item)] for key, item in value.items()]}
    if isinstance(value, np.generic) and kind.__name__ in _NUMPY:
        return {kind.__name__: value.item()}
    raise _NotPlainError
