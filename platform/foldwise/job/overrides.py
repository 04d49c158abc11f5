"""Step 9, a face: keys of a job file that are set from outside: ``search.trials=10``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foldwise.errors import InputError, InputTypeError
from foldwise.inputs.checks import is_url
from foldwise.inputs.yaml_file import parse_yaml


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


def override(data: dict[Any, Any], key: str, value: Any) -> None:
    """Set a key of a job's content by its path; a path among the values is taken from the working folder.

    Raises
    ------
    InputError
        If the path of the key leads nowhere.
    """
    if not isinstance(key, str):
        raise InputTypeError("overrides", f"expected paths of keys, such as 'search.trials', got {key!r}; write text")
    *parents, last = key.split(".")
    for parent in parents:
        inner = data.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError("--set", f"expected {key!r} to name a key, but {parent!r} holds {inner!r}")
        data = inner
    if key == "code":
        value = [_code_from_here(one) for one in value] if isinstance(value, list) else _code_from_here(value)
    from_here = isinstance(value, str) and (
        key in {"code.path", "data.path"}
        or (key == "space" and Path(value).suffix in {".yaml", ".yml"})
        or (key == "ledger" and not is_url(value))
    )
    data[last] = _from_here(value) if from_here else value


def _code_from_here(code: Any) -> Any:
    """Return code as a job names it, a folder or a mapping that holds one, its path taken from the working folder."""
    if isinstance(code, dict) and isinstance(code.get("path"), str):
        return {**code, "path": _from_here(code["path"])}
    return _from_here(code) if isinstance(code, str) else code


def _from_here(path: str) -> str:
    """Return a path that was given relative to the working folder; one that is absolute may be another machine's."""
    return path if Path(path).is_absolute() else os.path.join(Path.cwd(), path)  # noqa: PTH118  (whatever is in it)
