"""Measure, print the table, and, where everything was measured, write docs/performance.md, .svg and .json."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import evolve

from bench.commands import environment
from bench.experiment import Series
from bench.machine import machine, versions
from bench.page import table, write
from bench.report import Report
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


def measured(report: Report, names: Iterable[str], url: str, share: float) -> Report:
    """Return the report with these experiments measured, or measured anew."""
    series = dict(report.series)
    for name in names:
        began = time.monotonic()
        series[name] = measure(name, url, share)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return evolve(report, series=series)


def main() -> int:
    """Measure what was asked for. Return 1 if figures are spread so far, twice, that they say nothing."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rows", default="", metavar="NAME,...", help=f"only these: {', '.join(EXPERIMENTS)}")
    parser.add_argument("--share", type=float, default=1.0, metavar="X", help="so much of the usual work (default: 1)")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON rather than a table")
    arguments = parser.parse_args()
    names = arguments.rows.split(",") if arguments.rows else list(EXPERIMENTS)
    if unknown := set(names) - set(EXPERIMENTS):
        parser.error(f"no rows are called {', '.join(sorted(unknown))}. There are: {', '.join(EXPERIMENTS)}")
    report = Report({}, machine(), versions(python("peers")))
    with serving() as url:
        report = measured(report, names, url, arguments.share)
        report = measured(report, sorted({result.row.experiment for result in report.doubtful()}), url, arguments.share)
    print(json.dumps(report.as_json(), indent=2) if arguments.json else "\n".join(table(report)))
    for result in (doubtful := report.doubtful()):
        spread = f"{result.value.low:.2f} to {result.value.high:.2f}"
        print(f"Too uneven to tell, so no page is written: {result.row.what} ({spread}).", file=sys.stderr)
    if not doubtful and len(report.series) == len(EXPERIMENTS) and arguments.share >= 1:
        write(report)
    return int(bool(doubtful))


if __name__ == "__main__":
    sys.exit(main())
