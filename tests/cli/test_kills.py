"""A batch of orders that is killed: a small version of `make kills`, which kills a large one thirty times."""

from pathlib import Path

from kills import Kills, sandbox


def test_a_batch_that_is_killed_pays_for_nothing_twice(tmp_path: Path) -> None:
    """Killed in the middle, again and again, with faults on, each order is done once or said to be in doubt."""
    with sandbox() as running:
        kills = Kills(tmp_path, running, 30)
        kills.run(3)
    assert kills.wrong == []
    assert len(kills.struck) == 3
    assert kills.taken <= kills.count
    assert kills.states["done"] + kills.states["unknown"] == kills.count
