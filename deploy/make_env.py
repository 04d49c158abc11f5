"""Make ``.env``, the secrets of ``docker-compose.yml``: ``.env.example`` with a random value for each name without one,
and the image of the Python that runs this.

usage: python deploy/make_env.py [FOLDER]

Needs nothing but Python. A file that exists is never overwritten: the databases keep the passwords they were made with.
"""

import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = {(3, 12): "3.12-slim-bookworm", (3, 13): "3.13-slim-bookworm"}
"""Tags of Docker's python image for what is not the Dockerfile's own 3.11: jobs are submitted by the cluster's Python."""
_PYTHON = re.compile(r"^# PYTHON=.*$", re.MULTILINE)
_EMPTY = re.compile(r"^([A-Z][A-Z0-9_]*)=[ \t]*$", re.MULTILINE)


def make_env(example, python=sys.version_info[:2]):
    """Return the text of an example with a random value for each name that has none, and the image of a Python.

    Values are hexadecimal, since they become parts of URLs, and 256 bits long.

    >>> make_env("A=1\\n# B=2\\n")
    'A=1\\n# B=2\\n'
    >>> len(make_env("TOKEN=\\n"))
    71
    >>> make_env("# PYTHON=3.11.15-slim-bookworm\\n", (3, 13))
    'PYTHON=3.13-slim-bookworm\\n'
    """
    if python in IMAGES:
        example = _PYTHON.sub(f"PYTHON={IMAGES[python]}", example)
    return _EMPTY.sub(lambda line: f"{line[1]}={secrets.token_hex(32)}", example)


def main(folder):
    """Write the file, readable by its owner only, and say so; return the exit code."""
    path = folder / ".env"
    text = make_env((ROOT / ".env.example").read_text(encoding="utf-8"))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(
            f"{path} exists and was left as it is. The databases keep the passwords that they were made with: to begin "
            "anew, remove them (docker compose down --volumes) and the file.",
            file=sys.stderr,
        )
        return 1
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"Wrote {path} with random passwords and a token for Ray. It is not for version control.")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
