"""The sandbox keeps the contract, whatever schemathesis makes up: over real HTTP, by every check and in every phase.

`make fuzz` runs the same for longer, with other data each time. It proves that the sandbox agrees with our reading of
the documentation, never that the service does.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = 12  # For each phase. The same ones in every run.
PHASES = ("examples", "coverage", "fuzzing", "stateful")

# Drifts of the sandbox, each with the code of the failure that it must be found by; see `schemathesis explain CODE`.
DRIFTS = {
    "unfinished": "ST108",  # The body violates the schema.
    "key-ignored": "ST401",  # There is an answer without the key.
    "unchecked-no-id": "ST201",  # A bad question is accepted.
    "needs-field": "ST202",  # A good question is refused.
}
HONEST = ""


def start(drift: str, report: Path) -> "subprocess.Popen[str]":
    """Start `tools/fuzz.py` on a sandbox with a drift, or with none."""
    command = [sys.executable, "tools/fuzz.py", "--examples", str(EXAMPLES if drift == HONEST else 3)]
    command += ["--report", str(report), *(["--drift", drift] if drift else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe = subprocess.PIPE
    return subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )


class Run:
    """One run of schemathesis that is over."""

    def __init__(self, code: int, output: str, report: dict[str, Any]) -> None:
        self.code = code
        self.output = output
        self.report = report


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Return the run against the honest sandbox and those against drifted ones; they take their time side by side."""
    folder = tmp_path_factory.mktemp("schemathesis")
    reports = {drift: folder / f"{drift or 'honest'}.json" for drift in (HONEST, *DRIFTS)}
    processes = {drift: start(drift, report) for drift, report in reports.items()}
    try:
        outputs = {drift: process.communicate(timeout=120)[0] for drift, process in processes.items()}
        yield {
            drift: Run(processes[drift].returncode, outputs[drift], json.loads(report.read_text("utf-8")))
            for drift, report in reports.items()
        }
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_the_sandbox_keeps_the_contract(runs: dict[str, Run]) -> None:
    """No check of schemathesis finds anything, in any phase, with good and with bad data."""
    honest = runs[HONEST]
    assert (honest.code, honest.report["failures"], honest.report["errors"]) == (0, [], []), honest.output
    phases = {name: honest.report["phases"][name]["status"] for name in PHASES}
    assert phases == dict.fromkeys(PHASES, "success")
    assert honest.report["test_cases"]["generated"] > 100
    assert honest.report["operations"] == {
        "total": 1,
        "selected": 1,
        "tested": 1,
        "errored": 0,
        "skipped": 0,
        "skip_reasons": [],
    }


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_drift_is_found(runs: dict[str, Run], drift: str) -> None:
    """The same run fails where the sandbox does not keep the contract, by the check that should notice."""
    found = runs[drift]
    assert found.code == 1, found.output
    assert DRIFTS[drift] in {failure["code"] for failure in found.report["failures"]}, found.output
