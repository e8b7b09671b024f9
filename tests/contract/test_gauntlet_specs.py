"""The drift check finds all that the mutator does to made-up answers of two small contracts, and no more.

This is `make gauntlet-specs` for ours and for a made-up one.
"""

import sys
from pathlib import Path

import gauntlet_specs
import pytest
from attrs import evolve
from gauntlet_specs import Said, Score, Trial
from library import LIBRARY

from longcat.contract import load_spec

OURS = Path(__file__).parents[2] / "openapi.yaml"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a made-up contract."""
    path = tmp_path_factory.mktemp("spec") / "library.yaml"
    path.write_text(LIBRARY, "utf-8")
    return path


@pytest.mark.parametrize("name", ["ours", "library"])
def test_every_drift_is_found(name: str, library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every drift is found and weighed, and nothing else is reported."""
    monkeypatch.setattr(gauntlet_specs, "BUILD", tmp_path)
    result = gauntlet_specs.measure(name, "here", {"ours": OURS, "library": library}[name], 60, redocly=False)
    assert (result.whole.wrong, result.obstacle) == ([], "")
    assert result.whole.right == result.whole.found == result.whole.drifts > 400
    assert result.whole.alarmed == 0 < result.whole.harmless
    assert {"removed", "null", "retyped", "no-json", "status", "unchecked", "new-method"} <= result.kinds.keys()


def test_what_is_tried_is_always_the_same() -> None:
    """Two runs make the same exchanges, and spoil them alike."""
    spec = load_spec(OURS)
    first, second = ([trial.entry() for trial in gauntlet_specs.trials(spec, 1)] for _ in range(2))
    assert first == second


# --- The gauntlet itself can fail.


@pytest.fixture(scope="module")
def some() -> dict[str, Trial]:
    """Return an unspoilt exchange, a breaking drift and a harmless variation."""
    tried = [*gauntlet_specs.trials(load_spec(OURS), 1)]
    by_kind = {trial.kind: trial for trial in reversed(tried)}
    return {"unspoilt": by_kind["unspoilt"], "null": by_kind["null"], "harmless": by_kind["harmless"]}


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("null", Said("breaking", ["field-null /status"]), Score(1, 1, 1)),
        ("null", Said("notice", ["field-absent /status"]), Score(1, 1, 0)),
        ("null", Said(None), Score(1, 0, 0)),
        ("harmless", Said(None), Score(0, 0, 0, 1, 0)),
        ("harmless", Said("additive", ["field-new /a"]), Score(0, 0, 0, 1, 1)),
        ("harmless", Said("notice", ["field-absent /a"]), Score(0, 0, 0, 1, 0)),
        ("unspoilt", Said("breaking", ["field-null /a"]), Score(0, 0, 0, 1, 1)),
    ],
)
def test_scores(kind: str, said: Said, expected: Score, some: dict[str, Trial]) -> None:
    """A drift is found, and of the right severity, or not; what is harmless is reported, or not."""
    score = Score()
    score.note(some[kind], said, None)
    assert evolve(score, wrong=[]) == expected


def test_command(
    library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes a page with a row for each contract, says what it could not read, and returns 0."""
    broken, page = tmp_path / "broken.yaml", tmp_path / "page.md"
    broken.write_text("openapi: 1.0", "utf-8")
    arguments = [str(library), str(broken), "--without-redocly", "--operations", "1", "--markdown", str(page)]
    monkeypatch.setattr(gauntlet_specs, "BUILD", tmp_path)
    monkeypatch.setattr(sys, "argv", ["gauntlet-specs", *arguments])
    assert gauntlet_specs.main() == 0
    assert "library: drifts " in capsys.readouterr().out
    written = page.read_text("utf-8")
    assert "| library | library.yaml | " in written
    assert "- broken: " in written
    assert str(tmp_path) not in written
