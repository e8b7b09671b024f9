"""The drift check finds, weighs and heals every drift of the sandbox, and keeps quiet about what is harmless.

This is `make gauntlet` without sockets and without schemathesis: the regression test of the judge.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from longcat.contract import Severity, load_spec
from longcat.sandbox import DRIFTS

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"
HARMFUL = [drift.name for drift in DRIFTS.values() if drift.severity is not None]
HARMLESS = [drift.name for drift in DRIFTS.values() if drift.severity is None]


@pytest.fixture(scope="module")
def gauntlet() -> Iterator[Any]:
    """Return `tools/gauntlet.py`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        yield importlib.import_module("gauntlet")
    for name in ("gauntlet", "gateways"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def rows(gauntlet: Any) -> dict[str, Any]:
    """Run the whole gauntlet once, in process."""
    gateways = importlib.import_module("gateways")
    return {row.drift.name: row for row in gauntlet.run(list(DRIFTS.values()), gateways.in_process)}


@pytest.mark.parametrize("name", HARMFUL)
def test_drift(rows: dict[str, Any], name: str) -> None:
    """A drift is found, its worst finding weighs what the table says, and the patch heals it or is refused."""
    row = rows[name]
    assert row.found, "Nothing was found."
    assert (row.worst, row.why) == (DRIFTS[name].severity, row.why)
    assert row.mended, row.why


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless(rows: dict[str, Any], name: str) -> None:
    """A harmless variation is not reported, and every question is answered."""
    assert (rows[name].worst, rows[name].clean) == (None, True), rows[name].why


def test_the_honest_sandbox_is_clean(gauntlet: Any) -> None:
    """Without a drift there is no finding, and nothing that could not be told."""
    with importlib.import_module("gateways").in_process([]) as gateway:
        assert gauntlet.observe(load_spec(gauntlet.SPEC), gateway) == ([], [])


# --- The gauntlet itself can fail.


@pytest.fixture
def good(gauntlet: Any) -> dict[str, Any]:
    """Return rows that reach every goal, one of each kind, schemathesis having found all but one."""
    made = {
        "harmful": gauntlet.Row(DRIFTS["new-field-completed"], Severity.ADDITIVE, False, True, ""),
        "refused": gauntlet.Row(DRIFTS["key-ignored"], Severity.BREAKING, False, None, ""),
        "harmless": gauntlet.Row(DRIFTS["harmless-wording"], None, True, True, ""),
    }
    return {kind: evolve(row, found_by_schemathesis=kind == "refused") for kind, row in made.items()}


def test_passed(gauntlet: Any, good: dict[str, Any]) -> None:
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
def test_not_passed(gauntlet: Any, good: dict[str, Any], kind: str, change: dict[str, Any]) -> None:
    """It is not passed when any goal is missed."""
    good[kind] = evolve(good[kind], **change)
    assert not gauntlet.passed(gauntlet.totals(list(good.values())))


def test_table(gauntlet: Any, good: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line for each drift, marks what is wrong, and ends with the totals."""
    good["harmful"] = evolve(good["harmful"], worst=Severity.NOTICE, healed=False, why="deprecated header:x")
    assert not gauntlet.show(list(good.values()), 1.0)
    printed = capsys.readouterr().out
    assert "new-field-completed  additive   notice (!)  no (!)   no\n" in printed
    assert "key-ignored          breaking   breaking    refused  yes\n" in printed
    assert "harmless-wording     harmless   nothing     -        no\n" in printed
    assert "Wrong:\n  new-field-completed: deprecated header:x\n" in printed
    assert "\nseverities right: 1 of 2\n" in printed
    assert "| drifts found | 2 of 2 | 1 |" in gauntlet.markdown(list(good.values()))


def test_command(gauntlet: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command examines the chosen drifts over real HTTP, writes the table, and returns 0."""
    page = tmp_path / "gauntlet.md"
    chosen = ["--only", "removed-result-url", "--only", "harmless-chunked", "--only", "key-may-lack"]
    monkeypatch.setattr(sys, "argv", ["gauntlet", *chosen, "--without-schemathesis", "--markdown", str(page)])
    assert gauntlet.main() == 0
    assert "| key-may-lack | No key is needed; a wrong one is refused. | breaking |" in page.read_text("utf-8")


def test_unknown_name(gauntlet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drift that does not exist is used wrongly: exit code 2."""
    monkeypatch.setattr(sys, "argv", ["gauntlet", "--only", "nonsense"])
    with pytest.raises(SystemExit, match="2"):
        gauntlet.main()
