"""A batch of real processes that are killed at any moment: every picture is there in the end, once and whole."""

import random
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx
import pytest
from journals import Place, rows
from processes import Process, run_longcat
from servers import LIMIT, eventually
from shell import KEY, Gateway, environment

from longcat.sandbox import Settings, running

REQUESTS: Final = 60
KILLS: Final = 6


def picture(request_id: str, *_look: object) -> bytes:
    """Return what looks like a PNG of 200 kB from outside: drawing one takes longer than all the rest."""
    return b"\x89PNG\r\n\x1a\n" + request_id.encode() * 16_000 + b"IEND\xaeB`\x82"


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """Return a sandbox of its own."""
    monkeypatch.setattr("longcat.sandbox.app.draw", picture)
    with running(Settings(api_key=KEY)) as url, httpx.Client(timeout=LIMIT) as http:
        yield Gateway(url, http)


class Runs:
    """Processes that do the same work, with the same journal, in the same folder."""

    def __init__(self, folder: Path, gateway: Gateway, requests: int, journal: Place | None = None) -> None:
        self.journal = journal or folder / "cats.db"
        self.ids = [gateway.add(duration=0) for _ in range(requests)]
        self.folder = folder
        (folder / "ids.txt").write_text("\n".join(self.ids))
        self._env = environment(folder, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=gateway.url)

    def start(self) -> Process:
        """Start one more."""
        command = ["wait", "--from", "ids.txt", "-o", "pictures", "--journal", str(self.journal)]
        return Process(run_longcat, self.folder, self._env, *command)

    def check(self) -> None:
        """Assert that every picture is there, once and whole, and nothing else."""
        pictures = {path.name: path.read_bytes() for path in (self.folder / "pictures").iterdir()}
        assert sorted(pictures) == sorted(f"{one}.png" for one in self.ids)
        done = {row["request_id"] for row in rows(self.journal) if row["outcome"] == "completed"}
        saved = rows(self.journal, "SELECT * FROM picture")
        noted = {row["request_id"]: row["sha256"] for row in saved if row["request_id"] in done}
        assert {one: sha256(pictures[f"{one}.png"]).hexdigest() for one in self.ids} == noted
        assert all(content.endswith(b"IEND\xaeB`\x82") for content in pictures.values())
        name = self.journal.name if isinstance(self.journal, Path) else ""
        left = {path.name for path in self.folder.iterdir()} - {name, f"{name}-shm", f"{name}-wal"}
        assert left == {"ids.txt", "pictures"}

    def notes(self) -> int:
        """Return how many answers and pictures the journal has: it grows with the work."""
        try:
            counts = "SELECT count(last_asked) AS count FROM request", "SELECT count(*) AS count FROM picture"
            return sum(rows(self.journal, count)[0]["count"] for count in counts)
        except sqlite3.Error:  # It is not there yet.
            return 0


def test_a_batch_that_is_killed_again_and_again_is_done_in_the_end(tmp_path: Path, gateway: Gateway) -> None:
    """Killed after a few steps, again and again, each picture is there; at most the eight under way came twice."""
    chance = random.Random(20)  # noqa: S311 - the same numbers every time.
    runs = Runs(tmp_path, gateway, REQUESTS)
    for _ in range(KILLS):
        goal = runs.notes() + chance.randint(1, 9)
        with runs.start():
            assert eventually(lambda goal=goal: runs.notes() >= goal)  # type: ignore[misc]
    assert runs.notes() < 2 * REQUESTS, "Work was left for the last run."
    with runs.start() as last:
        assert len(last.finish()) == REQUESTS
    runs.check()
    downloaded = [one["downloaded"] for one in gateway.all() if one["request_id"] in runs.ids]
    assert min(downloaded) == 1
    assert sum(downloaded) - REQUESTS <= 8 * KILLS  # Of the eight that may be on their way when a run is killed.


def test_two_processes_share_the_work_and_outlive_each_other(tmp_path: Path, gateway: Gateway, place: Place) -> None:
    """One of two is killed in the middle; the other takes over, and both that reach the end report every picture."""
    runs = Runs(tmp_path, gateway, 40, place)
    with runs.start() as lasting, runs.start() as victim:
        victim.line()
        victim.kill()
        with runs.start() as late:
            assert [len(lasting.finish()), len(late.finish())] == [40, 40]
    runs.check()


def test_of_two_processes_one_asks_and_one_downloads(tmp_path: Path, gateway: Gateway) -> None:
    """Two that do the same work at once ask once about each of the requests, which are done, and download it once."""
    runs = Runs(tmp_path, gateway, 40)
    with runs.start() as one, runs.start() as other:
        assert [len(one.finish()), len(other.finish())] == [40, 40]
    assert {(seen["asked"], seen["downloaded"]) for seen in gateway.all() if seen["request_id"] in runs.ids} == {(1, 1)}
    runs.check()


def test_a_run_after_the_last_one_asks_and_downloads_nothing(tmp_path: Path, gateway: Gateway) -> None:
    """Once all is done, the same command prints the same paths, and the gateway is not asked again."""
    runs = Runs(tmp_path, gateway, 20)
    with runs.start() as first:
        paths = first.finish()
    before = gateway.all()
    with runs.start() as second:
        assert sorted(second.finish()) == sorted(paths) == sorted(f"pictures/{one}.png" for one in runs.ids)
    assert gateway.all() == before
