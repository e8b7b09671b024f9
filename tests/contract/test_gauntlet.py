"""The drift check finds, weighs and heals every drift of the sandbox, and keeps quiet about what is harmless.

This is `make gauntlet` without sockets and without schemathesis: the regression test of the judge.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import gauntlet
import pytest
from attrs import evolve
from exchanges import OURS
from gateways import OPERATIONS, in_process

from longcat.contract import Severity
from longcat.sandbox import DRIFTS

IN_JSON = Path(__file__).parents[2] / "generated" / "longcat_api" / "openapi.json"
REFERENCE = r'"#/components/(\w+)/(\w+)"'


def sample() -> list[str]:
    """Return one drift of each kind, with calls and answers in turn, and all of requests; `make gauntlet` examines all.

    Drifts of both calls are of one kind where the same is done to an answer, and is as bad.
    """
    kinds: dict[object, list[str]] = {}
    for name, drift in DRIFTS.items():
        kind = (name.removeprefix("queue-").partition("-")[0], drift.severity, drift.patchable)
        kinds.setdefault(kind, []).append(name)
    some = {names[number % len(names)] for number, names in enumerate(kinds.values())}
    return [name for name, drift in DRIFTS.items() if name in some or drift.request]


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return for each call a file with what our contract says of it alone, as JSON in one line.

    It is read, changed and written a hundred times faster than the whole contract as YAML.
    """
    folder, whole = tmp_path_factory.mktemp("contract"), json.loads(IN_JSON.read_text("utf-8"))
    paths = {call: folder / f"{call}.json" for call in OPERATIONS}
    for call, path in paths.items():
        path.write_text(json.dumps(only(whole, OPERATIONS[call][0])), "utf-8")
    return paths


def only(whole: dict[str, Any], operation_id: str) -> dict[str, Any]:
    """Return a contract with one of its operations, and the components that this one needs."""
    (path,) = [path for path, item in whole["paths"].items() if operation_id in json.dumps(item)]
    part = {**whole, "paths": {path: whole["paths"][path]}, "components": {}}
    part.pop("webhooks", None)
    part["components"]["securitySchemes"] = whole["components"]["securitySchemes"]
    while missing := [name for name in re.findall(REFERENCE, json.dumps(part)) if not has(part, *name)]:
        for kind, name in missing:
            part["components"].setdefault(kind, {})[name] = whole["components"][kind][name]
    return part


def has(document: dict[str, Any], kind: str, name: str) -> bool:
    """Return whether a contract has a component."""
    return name in document["components"].get(kind, {})


@pytest.mark.parametrize("name", sample())
def test_drift(name: str, slices: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A drift is found, weighed as the table says, and healed or refused; of a harmless one nothing is said."""
    monkeypatch.setattr(gauntlet, "SPEC", slices[DRIFTS[name].call])
    with in_process([name]) as gateway:
        row = gauntlet.examine(DRIFTS[name], OURS, gateway)
    assert (row.worst, row.clean, row.why) == (DRIFTS[name].severity, DRIFTS[name].severity is None, row.why)
    assert row.mended, row.why


@pytest.mark.parametrize("call", OPERATIONS)
def test_the_honest_sandbox_is_clean(call: str) -> None:
    """Without a drift there is no finding, and nothing that could not be told."""
    with in_process([]) as gateway:
        assert gauntlet.observe(OURS, gateway, call) == ([], [])


# --- The gauntlet itself can fail.


@pytest.fixture
def good() -> dict[str, gauntlet.Row]:
    """Return rows that reach every goal, one of each kind, schemathesis having found all but one."""
    made = {
        "harmful": gauntlet.Row(DRIFTS["new-field-completed"], Severity.ADDITIVE, False, True, ""),
        "refused": gauntlet.Row(DRIFTS["key-ignored"], Severity.BREAKING, False, None, ""),
        "harmless": gauntlet.Row(DRIFTS["harmless-wording"], None, True, True, ""),
    }
    return {kind: evolve(row, found_by_schemathesis=kind == "refused") for kind, row in made.items()}


def test_passed(good: dict[str, gauntlet.Row]) -> None:
    """It is passed when every goal is reached."""
    assert gauntlet.passed(gauntlet.totals(list(good.values())))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("harmful", {"worst": None}),
        ("harmful", {"worst": Severity.BREAKING}),
        ("harmful", {"healed": False}),
        ("harmful", {"healed": None}),
        ("refused", {"healed": True}),
        ("harmless", {"worst": Severity.NOTICE, "clean": False}),
        ("harmless", {"clean": False}),
        ("harmful", {"found_by_schemathesis": True}),
    ],
    ids=[
        "not found",
        "the wrong severity",
        "not healed",
        "not patched",
        "patched away",
        "a false alarm",
        "a question without an answer",
        "schemathesis finds as much",
    ],
)
def test_not_passed(good: dict[str, gauntlet.Row], kind: str, change: dict[str, Any]) -> None:
    """It is not passed when any goal is missed."""
    good[kind] = evolve(good[kind], **change)
    assert not gauntlet.passed(gauntlet.totals(list(good.values())))


def test_table(good: dict[str, gauntlet.Row], capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line for each drift, marks what is wrong, and ends with the totals."""
    good["harmful"] = evolve(good["harmful"], worst=Severity.NOTICE, healed=False, why="deprecated header:x")
    assert not gauntlet.show(list(good.values()), 1.0)
    printed = capsys.readouterr().out
    assert "new-field-completed  additive   notice (!)  no (!)   no\n" in printed
    assert "key-ignored          breaking   breaking    refused  yes\n" in printed
    assert "harmless-wording     harmless   nothing     -        no\n" in printed
    assert "Wrong:\n  new-field-completed: deprecated header:x\n" in printed
    assert "\nseverities right: 1 of 2\n" in printed
    assert "| drifts found | 2 of 2 | 1 of 2 |" in gauntlet.markdown(list(good.values()))


def test_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command examines the chosen drifts over real HTTP, heals openapi.yaml, writes the table, and returns 0."""
    page = tmp_path / "gauntlet.md"
    chosen = ["--only", "removed-result-url", "--only", "harmless-chunked", "--only", "key-may-lack"]
    monkeypatch.setattr(sys, "argv", ["gauntlet", *chosen, "--without-schemathesis", "--markdown", str(page)])
    assert gauntlet.main() == 0
    assert "| key-may-lack | No key is needed; a wrong one is refused. | breaking |" in page.read_text("utf-8")


def test_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drift that does not exist is used wrongly: exit code 2."""
    monkeypatch.setattr(sys, "argv", ["gauntlet", "--only", "nonsense"])
    with pytest.raises(SystemExit, match="2"):
        gauntlet.main()
