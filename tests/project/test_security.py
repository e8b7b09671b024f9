"""The threat model: every threat is held by a test that is there."""

import ast
import re

import pytest
from pages import ROOT

LINKS = re.findall(r"\[(\w+)\]\((tests/[\w/]+\.py)\)", (ROOT / "SECURITY.md").read_text("utf-8"))
ROWS = [line for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize(("test", "path"), LINKS)
def test_a_threat_names_a_test_that_is_there(test: str, path: str) -> None:
    """The function is in the file that the link leads to."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_threat_names_a_test() -> None:
    """No row of the table promises what nothing holds."""
    assert len(ROWS) >= 20
    assert [row for row in ROWS if not re.search(r"\]\(tests/", row)] == []
