"""Run cases: ``python -m benchmarks [CASE ...] [--repeats 3] [--small] [--out benchmarks/results]``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.race import say
from benchmarks.table import as_table, draw

CASES = ("digits", "prefix", "tiny", "tracking", "memory", "nodes", "startup", "schedule", "idle", "epochs")


def main() -> int:
    """Run the cases that are named, each in a process of its own; returns 1 if a figure is not reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="foldwise beside its peers.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if left out")
    parser.add_argument("--repeats", type=int, default=3, help="of each timing; medians are reported (default: 3)")
    parser.add_argument("--small", action="store_true", help="less work: shows that the cases run, not what they measure")
    parser.add_argument("--out", type=Path, help="folder for results.json and results.png")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)  # how a case's own process is told where to write
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.cases) - set(CASES))
    if unknown or arguments.repeats < 1:
        parser.error(f"unknown case {unknown[0]!r}; known: {', '.join(CASES)}" if unknown else "--repeats must be at least 1")
    if arguments.into is not None:
        (case,) = arguments.cases
        found = import_module(f"benchmarks.cases.{case}").run(arguments.repeats, arguments.small)
        arguments.into.write_text(json.dumps(asdict(found)), encoding="utf-8")
        return 0
    results = [run_apart(case, arguments.repeats, small=arguments.small) for case in arguments.cases or CASES]
    sys.stdout.write(as_table(results) + "\n")
    if arguments.out is not None:
        keep(results, arguments.out)
    missed = any(not ratio["holds"] for result in results for ratio in result["ratios"])
    return int(missed and not arguments.small)  # small ones are not measured, only run


def run_apart(case: str, repeats: int, *, small: bool) -> dict[str, Any]:
    """Run a case in a process of its own, so that no case meets another's workers, imports or memory."""
    say(f"{case}:")
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder, "result.json")
        command = [sys.executable, "-m", "benchmarks", case, "--repeats", str(repeats), "--into", str(into)]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}
        clock = time.perf_counter()
        subprocess.run([*command, *(["--small"] if small else [])], check=True, env=environment, stdout=sys.stderr)
        result: dict[str, Any] = json.loads(into.read_text(encoding="utf-8"))
    for ratio in result["ratios"]:
        ratio["holds"] = ratio["value"] >= ratio["limit"] if ratio["at_least"] else ratio["value"] <= ratio["limit"]
    return {**result, "small": small, "took": time.perf_counter() - clock}


def keep(results: list[dict[str, Any]], folder: Path) -> None:
    """Write results as JSON and as a chart; cases that were run before and not now are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "results.json"
    known = {one["case"]: one for one in json.loads(file.read_text(encoding="utf-8"))["results"]} if file.exists() else {}
    known |= {one["case"]: one for one in results}
    ordered = [known[case] for case in CASES if case in known]
    file.write_text(json.dumps({"machine": describe(), "results": ordered}, indent=1) + "\n", encoding="utf-8")
    draw(ordered, folder / "results.png")


if __name__ == "__main__":
    sys.exit(main())
