"""Traffic that is read in a process of its own is the same, in the same order, whatever happens there."""

import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from attrs import evolve
from exchanges import GOOD

from longcat.contract import Exchange
from longcat.contract.model import Inconclusive
from longcat.contract.traffic.read_ahead import (
    MAX_BLOCK_BYTES,
    MAX_EXCHANGES,
    MIN_FILE_BYTES,
    is_worth_it,
    read_ahead,
)

TRAFFIC: list[Exchange | Inconclusive] = [
    *(
        evolve(GOOD, source=f"#{number}", credentials="a", answered_before=True)
        for number in range(3 * MAX_EXCHANGES + 1)
    ),
    Inconclusive("#a", "is not JSON"),
    evolve(GOOD, request_headers={"x": "\ud800"}, response_body=b"\xff" * (MAX_BLOCK_BYTES + 1)),
    evolve(GOOD, request_body=None, response_body=None),
]


@pytest.mark.parametrize("count", [0, 1, MAX_EXCHANGES, len(TRAFFIC)])
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
        for _ in range(MAX_EXCHANGES + 1):
            yield GOOD
        os.kill(os.getpid(), signal.SIGKILL)

    *taken, last = read_ahead(killed())
    assert taken == [GOOD] * MAX_EXCHANGES
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


def test_a_forgotten_process_is_no_fault() -> None:
    """Where SIGCHLD is ignored, as a parent may leave it, there is no process to wait for, and all comes."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert list(read_ahead(TRAFFIC)) == TRAFFIC
        taken = read_ahead(TRAFFIC)
        assert next(taken) == TRAFFIC[0]
        taken.close()
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize(
    ("refused", "number"), [("fork", errno.EAGAIN), ("fork", errno.EMFILE), ("pipe", errno.EMFILE)]
)
def test_without_room_for_a_process_this_one_reads(refused: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses another process, or a pipe to it, all comes nevertheless, and no pipe is left open."""

    def refuse() -> NoReturn:
        raise OSError(number, os.strerror(number))

    source, sink = os.pipe()  # The next pipe has these numbers again, so long as nothing else is opened.
    os.close(source)
    os.close(sink)
    monkeypatch.setattr(os, refused, refuse)
    assert list(read_ahead(TRAFFIC)) == TRAFFIC
    for end in (source, sink):
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            os.fstat(end)


def test_the_process_ends_when_nobody_takes_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose parent was killed ends by itself, as it can't hand over anything."""
    monkeypatch.setattr(os, "kill", lambda *_: None)

    def endless() -> Iterator[Exchange]:
        while True:
            yield GOOD

    taken = read_ahead(endless())
    assert next(taken) == GOOD
    taken.close()  # It waits for the process, which nobody kills.


def test_the_process_has_as_many_descriptors_to_read_with() -> None:
    """Where there are few descriptors left, what is read in the process is not short of one because of the pipe."""

    def opened() -> Iterator[Inconclusive]:
        descriptors = [os.dup(2), os.dup(2)]
        for one in descriptors:
            os.close(one)
        yield Inconclusive(str(descriptors), "are the next descriptors")

    assert list(read_ahead(opened())) == list(opened())


def test_a_process_is_for_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is read at once, as is any where there are threads, or no second processor."""
    large, small = tmp_path / "large.har", tmp_path / "small.har"
    large.write_bytes(b" " * MIN_FILE_BYTES)
    small.write_bytes(b" ")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert [is_worth_it(one) for one in (large, small, tmp_path, tmp_path / "none")] == [True, False, False, False]
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert not is_worth_it(large)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert not is_worth_it(large)
