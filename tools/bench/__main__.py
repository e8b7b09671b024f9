"""Measure, print the table, and, where everything was measured, write docs/performance.md, .svg and .json."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.commands import environment
from bench.experiment import Series
from bench.machine import machine, versions
from bench.page import Report, table, write
from bench.rows import EXPERIMENTS
from bench.server import serving

ROOT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENTS: Final = ROOT / "build/bench"


def python(name: str) -> Path:
    """Return the Python of one of the two environments."""
    return ENVIRONMENTS / name / "bin/python"


def measure(name: str, url: str, share: float) -> Series:
    """Let a process of the right environment measure an experiment."""
    experiment = EXPERIMENTS[name]
    rounds = max(1, round(experiment.rounds * share))
    command = [str(python(experiment.environment)), "-m", "bench.child", name, url, str(rounds), str(min(share, 1.0))]
    # In a folder of its own, as an interpreter takes modules from where it is, before those that are installed.
    tools = environment(PYTHONPATH=str(ROOT / "tools"))
    ran = subprocess.run(command, env=tools, cwd=ENVIRONMENTS, stdout=subprocess.PIPE, check=True)
    found: Series = json.loads(ran.stdout)
    return found


def main() -> int:
    """Measure what was asked for. Return 1 if figures are spread so far that they say nothing."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rows", default="", metavar="NAME,...", help=f"only these: {', '.join(EXPERIMENTS)}")
    parser.add_argument("--share", type=float, default=1.0, metavar="X", help="so much of the usual work (default: 1)")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON rather than a table")
    arguments = parser.parse_args()
    names = arguments.rows.split(",") if arguments.rows else list(EXPERIMENTS)
    if unknown := set(names) - set(EXPERIMENTS):
        parser.error(f"no rows are called {', '.join(sorted(unknown))}. There are: {', '.join(EXPERIMENTS)}")
    here = machine()
    series = {}
    with serving() as url:
        for name in names:
            began = time.monotonic()
            series[name] = measure(name, url, arguments.share)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    report = Report(series, here, versions(python("peers")))
    print(json.dumps(report.as_json(), indent=2) if arguments.json else "\n".join(table(report)))
    if doubtful := report.doubtful():
        print(f"\nThe machine was too busy to tell: {'; '.join(doubtful)}. Measure again.", file=sys.stderr)
        return 1
    if len(names) == len(EXPERIMENTS) and arguments.share >= 1:
        write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
