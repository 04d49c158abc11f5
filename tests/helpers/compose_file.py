"""The compose files as Compose reads them: variables put in, overlays merged."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


def load(name="docker-compose.yml", env=None):
    """Read a compose file of the project; with an environment, its variables are put in."""
    content = yaml.safe_load((ROOT / name).read_text())
    return content if env is None else interpolated(content, env)


def variables(name):
    """Return name -> how it is given if it is not set: "?" (an error), "-" (a default), None (empty)."""
    lines = (ROOT / name).read_text().splitlines()
    text = "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in lines)
    return {found["name"]: found["kind"] for found in _VARIABLE.finditer(text) if found["name"]}


def interpolated(value, env):
    """Put variables into all strings of a value: ``${A}``, ``${A:-default}``, ``${A:?why}`` and ``$$``."""
    if isinstance(value, dict):
        return {key: interpolated(part, env) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, env) for part in value]
    return _VARIABLE.sub(lambda found: _value_of(found, env), value) if isinstance(value, str) else value


def _value_of(found, env):
    if found[0] == "$$":
        return "$"
    if value := env.get(found["name"]):
        return value
    if found["kind"] == "?":
        raise LookupError(f"{found['name']}: {found['rest']}")
    return found["rest"] or ""


def merged(base, overlay):
    """Merge an overlay as Compose does, where it has mappings, single values and new lists."""
    if isinstance(base, dict) and isinstance(overlay, dict):
        return {
            key: merged(base[key], overlay[key]) if key in base and key in overlay else {**base, **overlay}[key]
            for key in {**base, **overlay}
        }
    return overlay
