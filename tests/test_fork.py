"""A client, and a journal, in a process that was forked: each begins anew there, and takes nothing from the parent."""

from multiprocessing import Pipe
from pathlib import Path

import pytest
from fakes import ORDERED
from processes import forked

from longcat.models import State, Status
from longcat.saving.journal import Journal

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="there is no fork")

GATEWAY = "https://gateway.test"
OPEN = Status(ORDERED, State.QUEUED, "IN_QUEUE")


def opened(folder: Path) -> Journal:
    """Open the journal of a test."""
    return Journal(folder / "journal", time=lambda: 0.0)


def test_a_forked_journal_is_another_owner(tmp_path: Path) -> None:
    """What the parent has claimed is not the child's, and still the parent's when the child has closed its journal."""
    with opened(tmp_path) as journal:
        assert journal.requests(GATEWAY).claim("ours")

        def child() -> list[bool]:
            with journal:
                return [journal.requests(GATEWAY).claim("ours"), journal.requests(GATEWAY).claim("theirs")]

        assert forked(child) == [False, True]
        with opened(tmp_path) as another:
            assert [another.requests(GATEWAY).claim(name) for name in ("ours", "theirs")] == [False, True]


def test_a_parent_that_closes_its_journal_leaves_the_childs_alone(tmp_path: Path) -> None:
    """The last connection takes SQLite's log away, and that is the child's. What the child notes later is not lost."""
    journal = opened(tmp_path)
    ours, theirs = Pipe()

    def child() -> bool:
        journal.requests(GATEWAY).claim(ORDERED)
        theirs.send("connected")
        theirs.recv()
        journal.requests(GATEWAY).note(OPEN)
        return (tmp_path / "journal-wal").exists()

    def close() -> None:
        assert ours.recv() == "connected"
        journal.close()
        ours.send("closed")

    assert forked(child, close) is True
    with opened(tmp_path) as again:
        assert again.requests(GATEWAY).last(ORDERED) == OPEN
