"""A batch of real processes that are killed at any moment: every picture is there in the end, once and whole."""

import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx
import pytest
from test_cli import KEY, LONGCAT, Gateway, environment

from longcat.sandbox import Settings, running

REQUESTS: Final = 200
KILLS: Final = 20


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Return a sandbox of its own."""
    with running(Settings(api_key=KEY)) as url, httpx.Client() as http:
        yield Gateway(url, http)


class Runs:
    """Processes that do the same work, with the same journal, in the same folder."""

    def __init__(self, folder: Path, gateway: Gateway, durations: list[float]) -> None:
        self.ids = [gateway.add(duration=duration) for duration in durations]
        self.folder = folder
        (folder / "ids.txt").write_text("\n".join(self.ids))
        self._env = environment(folder, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=gateway.url)
        self._gateway = gateway

    def start(self) -> "subprocess.Popen[str]":
        """Start one more."""
        command = [LONGCAT, "wait", "--from", "ids.txt", "-o", "pictures", "--journal", "cats.db"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=self._env, stdout=pipe, stderr=pipe, text=True)  # noqa: S603

    def check(self) -> None:
        """Assert that every picture is there, once and whole, and nothing else."""
        pictures = {path.name: path.read_bytes() for path in (self.folder / "pictures").iterdir()}
        assert sorted(pictures) == sorted(f"{one}.png" for one in self.ids)
        with closing(sqlite3.connect(self.folder / "cats.db")) as journal:
            noted = dict(
                journal.execute("SELECT request_id, sha256 FROM request WHERE outcome = 'completed'").fetchall()
            )
        assert {one: sha256(pictures[f"{one}.png"]).hexdigest() for one in self.ids} == noted
        assert all(content.endswith(b"IEND\xaeB`\x82") for content in pictures.values())
        left = {path.name for path in self.folder.iterdir()} - {"cats.db-shm", "cats.db-wal"}
        assert left == {"cats.db", "ids.txt", "pictures"}

    def notes(self) -> int:
        """Return how many answers of how many requests there are notes of, roughly: it grows with the work."""
        try:
            with closing(sqlite3.connect(self.folder / "cats.db")) as journal:
                ((asked, saved),) = journal.execute("SELECT count(last_asked), count(sha256) FROM request").fetchall()
        except sqlite3.Error:  # It is not there yet.
            return 0
        return int(asked + saved)


def finish(process: "subprocess.Popen[str]") -> list[str]:
    """Wait for the end of a process that is to succeed, and return the lines that it printed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.splitlines()


def test_a_batch_that_is_killed_again_and_again_is_done_in_the_end(tmp_path: Path, gateway: Gateway) -> None:
    """Of 200 requests, killed at 20 random moments, each picture is there; at most the eight under way came twice."""
    chance = random.Random(20)  # noqa: S311 - the same moments every time, as far as a machine can repeat them.
    runs = Runs(tmp_path, gateway, [chance.uniform(0, 14) for _ in range(REQUESTS)])
    worked = 0
    for _ in range(KILLS):
        before = runs.notes()
        process = runs.start()
        time.sleep(chance.uniform(0.4, 1.1))
        process.kill()
        process.communicate()
        worked += runs.notes() > before
    assert worked >= KILLS / 2  # The others had just started, or had nothing new to note.
    assert len(finish(runs.start())) == REQUESTS
    runs.check()
    brought = [gateway.seen(one)["downloaded"] for one in runs.ids]
    assert min(brought) == 1
    assert sum(brought) - REQUESTS <= 8 * KILLS  # Of the eight that may be on their way when a run is killed.


def test_two_processes_share_the_work_and_outlive_each_other(tmp_path: Path, gateway: Gateway) -> None:
    """One of two is killed in the middle; the other takes over, and both that reach the end report every picture."""
    chance = random.Random(2)  # noqa: S311
    runs = Runs(tmp_path, gateway, [chance.uniform(0, 4) for _ in range(40)])
    lasting, victim = runs.start(), runs.start()
    time.sleep(1.5)
    victim.kill()
    victim.communicate()
    late = runs.start()
    assert [len(finish(lasting)), len(finish(late))] == [40, 40]
    runs.check()


def test_of_two_processes_one_asks_and_one_brings(tmp_path: Path, gateway: Gateway) -> None:
    """Two that do the same work at once ask once about each of the requests, which are done, and bring it once."""
    runs = Runs(tmp_path, gateway, [0.0] * 60)
    both = [runs.start(), runs.start()]
    assert [len(finish(process)) for process in both] == [60, 60]
    seen = [gateway.seen(one) for one in runs.ids]
    assert {(one["asked"], one["downloaded"]) for one in seen} == {(1, 1)}
    runs.check()


def test_a_run_after_the_last_one_asks_and_brings_nothing(tmp_path: Path, gateway: Gateway) -> None:
    """Once all is done, the same command prints the same paths, and the gateway hears nothing of it."""
    runs = Runs(tmp_path, gateway, [0.0] * 20)
    first = finish(runs.start())
    before = [gateway.seen(one) for one in runs.ids]
    assert sorted(finish(runs.start())) == sorted(first) == sorted(f"pictures/{one}.png" for one in runs.ids)
    assert [gateway.seen(one) for one in runs.ids] == before
