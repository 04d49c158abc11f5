"""YAML files, read by the safe loader with the scalars of YAML 1.2, so that ``1e-5`` is a number and ``no`` a word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from foldwise.errors import InputError, InputTypeError
from foldwise.safety.masking import masked, masked_tree

_MOST_BYTES = 2**22
_MOST_NODES = 100_000
_DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """The safe loader, with YAML 1.2's numbers and booleans, refusing a key that stands twice.

    Aliases cost nothing to read, but whatever walks over what was read sees each of them in full: so what they stand for
    is counted, and a text that unfolds to too much, or to itself, is refused.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in {"null", "merge"}]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._extents: dict[int, tuple[int, int]] = {}

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _too_deep(line)
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._extents:  # what it stands for is not finished
            raise InputError(f"line {line}", "expected values that end, got an alias of what it stands in")
        if node is not None:
            self._measure(node, line)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return node

    def _measure(self, node: yaml.Node, line: int) -> None:
        """Note how many nodes a node unfolds to, and how deep; those below it were noted before."""
        if id(node) in self._extents:
            return
        children = [] if isinstance(node, yaml.ScalarNode) else node.value
        children = [part for pair in children for part in pair] if isinstance(node, yaml.MappingNode) else children
        below = [self._extents[id(child)] for child in children]
        size, depth = 1 + sum(size for size, _ in below), 1 + max((depth for _, depth in below), default=0)
        if size > _MOST_NODES:
            raise InputError(f"line {line}", f"expected at most {_MOST_NODES} values, got aliases that stand for {size:.0e}")
        if depth > _DEEPEST:
            raise _too_deep(line)
        self._extents[id(node)] = size, depth


def _too_deep(line: int) -> InputError:
    return InputError(f"line {line}", f"expected at most {_DEEPEST} levels, got lists or mappings nested deeper")


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$"),
    list("-+.0123456789"),
)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


class _Dumper(yaml.SafeDumper):
    """The safe dumper, quoting what the loader would not read as text."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(data: Any, source: str) -> str:
    """Write values as YAML that `parse_yaml` reads back.

    Raises
    ------
    InputTypeError
        If YAML has no such value.

    Examples
    --------
    >>> print(to_yaml({"C": [1e-05, "1e-5", None], "shrinking": "no"}, "here"), end="")
    C:
    - 1.0e-05
    - '1e-5'
    - null
    shrinking: no
    """
    try:
        return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        problem, value = (*error.args, "")[:2]
        raise InputTypeError(
            "", f"expected values that YAML has, got {value!r} ({problem}); use lists, numbers and text", source
        ) from None


def parse_yaml(text: str, source: str) -> Any:
    """Read YAML text.

    Raises
    ------
    InputError
        With the line, if it is none, or unfolds to more than a job can need.

    Examples
    --------
    >>> parse_yaml("{C: 1e-5, shrinking: no, depth: [1, null]}", "here")
    {'C': 1e-05, 'shrinking': 'no', 'depth': [1, None]}
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except InputError as error:
        raise error.moved(error.place, source) from None
    except Exception as error:  # besides YAML's own errors: what a value under an explicit tag makes of its constructor
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or f"{error}".partition("\n")[0] or type(error).__name__
        fix = "; indent with spaces" if r"'\t'" in problem else ""
        raise InputError(place, f"expected YAML, got a text that is none: {problem}{fix}", source) from None


def masked_yaml(text: str) -> str:
    r"""Return YAML without secrets: as it was written where that can be told, else written anew.

    Examples
    --------
    >>> print(masked_yaml("args: {user: ann, password: abc}  # ours\nname: x"))
    args: {user: ann, password: '***'}  # ours
    name: x
    """
    data = parse_yaml(text, "")
    wanted, as_written = masked_tree(data), masked(text).replace(": ***", ": '***'")
    try:
        is_whole = parse_yaml(as_written, "") == wanted
    except InputError:
        is_whole = False
    return as_written if is_whole else masked(to_yaml(wanted, ""))


def read_text(path: Path) -> str:
    """Read a text file that a person wrote, as UTF-8.

    Raises
    ------
    InputError
        If it cannot be read, is no text, or is larger than any such file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content[:_MOST_BYTES].decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("", "expected a readable file (it is not UTF-8 text; save it as UTF-8)", str(path)) from None
    except (OSError, ValueError) as error:  # a ValueError: no file can have such a name
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("", f"expected a readable file ({reason})", str(path)) from None
    if len(content) > _MOST_BYTES:
        raise InputError("", f"expected a file of at most {_MOST_BYTES >> 20} MiB, got a larger one", str(path))
    return text


def read_yaml(path: Path) -> Any:
    """Read a YAML file."""
    return parse_yaml(read_text(path), str(path))
