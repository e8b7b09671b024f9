"""The sandbox keeps the contract, whatever schemathesis makes up: over real HTTP, by every check and in every phase.

`make fuzz` runs the same for longer, with other data each time. It proves that the sandbox agrees with our reading of
the documentation, never that the service does.
"""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from typing import Any

import pytest
from attrs import frozen
from processes import Process

EXAMPLES = 3  # For each phase. The same ones in every run.
PHASES = ("examples", "coverage", "fuzzing", "stateful")

# Drifts of the sandbox, each with the code of the failure that it must be found by; see `schemathesis explain CODE`.
DRIFTS = {
    "unfinished": "ST108",  # The body violates the schema.
    "key-ignored": "ST401",  # There is an answer without the key.
    "unchecked-no-id": "ST201",  # A bad question is accepted.
    "needs-field": "ST202",  # A good question is refused.
    "queue-null-model-id": "ST108",  # The same in the other gateway's answers.
}
HONEST = ""


@frozen
class Run:
    """One run of schemathesis that is over."""

    code: int
    output: str
    report: dict[str, Any]


def fuzz_all(parent: Connection, commands: Sequence[Sequence[str]]) -> None:
    """Run `tools/fuzz.py` with these arguments, one after the other, and send exit codes and outputs."""
    import fuzz  # noqa: PLC0415 - it takes seconds, and is not for this process but for another.

    for arguments in commands:
        sys.argv = ["fuzz.py", *arguments]
        with redirect_stdout(io.StringIO()) as output:
            code = fuzz.main()
        parent.send((code, output.getvalue()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Return the run against the honest sandbox and those against drifted ones, all in a process of their own."""
    folder = tmp_path_factory.mktemp("schemathesis")
    reports = {HONEST: folder / "honest.json", **{drift: folder / f"{drift}.json" for drift in DRIFTS}}
    commands = [["--examples", str(EXAMPLES), "--report", str(reports[HONEST])]]
    commands += [["--examples", str(EXAMPLES), "--report", str(reports[drift]), "--drift", drift] for drift in DRIFTS]
    with Process(fuzz_all, commands) as process:
        ends = {name: process.receive() for name in reports}
    read = {name: json.loads(report.read_text("utf-8")) for name, report in reports.items()}
    return {name: Run(code, output, read[name]) for name, (code, output) in ends.items()}


def test_the_sandbox_keeps_the_contract(runs: dict[str, Run]) -> None:
    """No check of schemathesis finds anything, in any phase, with good and with bad data."""
    honest = runs[HONEST]
    assert (honest.code, honest.report["failures"], honest.report["errors"]) == (0, [], []), honest.output
    phases = {name: honest.report["phases"][name]["status"] for name in PHASES}
    assert phases == dict.fromkeys(PHASES, "success")
    assert honest.report["test_cases"]["generated"] > 100
    assert honest.report["operations"] == {
        "total": 3,
        "selected": 3,
        "tested": 3,
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
