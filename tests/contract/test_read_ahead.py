"""Traffic that is read in a process of its own is the same, in the same order, whatever happens there."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from exchanges import GOOD

from longcat.contract import Exchange
from longcat.contract.model import Inconclusive
from longcat.contract.traffic import ahead
from longcat.contract.traffic.ahead import is_worth_it, read_ahead

TRAFFIC: list[Exchange | Inconclusive] = [
    *(evolve(GOOD, source=f"#{number}", credentials="a", answered_before=True) for number in range(3 * ahead.MOST + 1)),
    Inconclusive("#a", "is not JSON"),
    evolve(GOOD, request_headers={"x": "\ud800"}, response_body=b"\xff" * (ahead.FULL + 1)),
    evolve(GOOD, request_body=None, response_body=None),
]


@pytest.mark.parametrize("count", [0, 1, ahead.MOST, len(TRAFFIC)])
def test_all_comes_in_its_order(count: int) -> None:
    """Nothing is lost, and nothing of an exchange: neither what tells keys apart, nor what no text can hold."""
    taken = list(read_ahead(TRAFFIC[:count]))
    assert taken == TRAFFIC[:count]
    assert {one.credentials for one in taken[:1] if isinstance(one, Exchange)} <= {"a"}


def test_what_is_raised_there_is_raised_here() -> None:
    """A fault in the reading is no end of the file."""

    def broken() -> Iterator[Exchange]:
        yield GOOD
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        list(read_ahead(broken()))


def test_a_killed_process_is_told() -> None:
    """Whoever has only a part of the traffic is told that it is one."""

    def killed() -> Iterator[Exchange]:
        for _ in range(ahead.MOST + 1):
            yield GOOD
        os.kill(os.getpid(), signal.SIGKILL)

    *taken, last = read_ahead(killed())
    assert taken == [GOOD] * ahead.MOST
    assert isinstance(last, Inconclusive)
    assert last.unclear


def test_no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops in the midst of an endless recording leaves no process behind."""
    fork, processes = os.fork, list[int]()

    def noting_fork() -> int:
        processes.append(fork())
        return processes[-1]

    monkeypatch.setattr(os, "fork", noting_fork)

    def endless() -> Iterator[Exchange]:
        while True:
            yield GOOD

    taken = read_ahead(endless())
    assert next(taken) == GOOD
    taken.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(processes[0], os.WNOHANG)


def test_a_process_is_for_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is read at once, as is any where there are threads, or no second processor."""
    large, small = tmp_path / "large.har", tmp_path / "small.har"
    large.write_bytes(b" " * ahead.LARGE)
    small.write_bytes(b" ")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert [is_worth_it(one) for one in (large, small, tmp_path, tmp_path / "none")] == [True, False, False, False]
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert not is_worth_it(large)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert not is_worth_it(large)
