"""Helpers that start a cluster of their own, in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path


def helped(name, *arguments):
    """Run a helper, and return what it says."""
    variables = {variable: value for variable, value in os.environ.items() if not variable.startswith("RAY_")}
    command = [sys.executable, str(Path(__file__).with_name(name)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    return next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
