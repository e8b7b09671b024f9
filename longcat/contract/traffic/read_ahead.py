"""Reads recorded traffic in a process of its own, ahead of whoever judges it: both take about the same time."""

import os
import pickle
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, TypeAlias

from attrs import fields

from longcat.contract.model import Exchange, Inconclusive

MIN_FILE_BYTES: Final = 4 * 1024 * 1024
"""How many bytes a file has at least that is worth a process."""
MAX_EXCHANGES: Final = 64
"""How many exchanges are handed over at once."""
MAX_BLOCK_BYTES: Final = 1024 * 1024
"""How many bytes of bodies are handed over at once, unless a single exchange has more."""
STDOUT: Final = 1
"""The descriptor of what a process prints to."""
_Read: TypeAlias = Exchange | Inconclusive
_values: Final = attrgetter(*(one.name for one in fields(Exchange)))


def is_worth_it(path: Path) -> bool:
    """Whether a file is large enough, and a second processor is there to read it.

    A process with threads can't be forked: in the copy, what they hold locked would stay locked.
    """
    can_fork = hasattr(os, "fork") and threading.active_count() == 1 and (os.cpu_count() or 1) > 1
    return can_fork and path.is_file() and path.stat().st_size >= MIN_FILE_BYTES


def read_ahead(traffic: Iterable[_Read]) -> Generator[_Read, None, None]:
    """Yield what another process reads, in its order, while it reads on. Raises what is raised there.

    Only a few exchanges are held in memory. The other process ends when this generator is closed. If somebody kills
    that process, the last thing yielded is an Inconclusive. If the system refuses a process, or a pipe to it, this
    process reads by itself.
    """
    started = _start(traffic)
    if started is None:
        yield from traffic
        return
    process, source = started
    try:
        with open(source, "rb") as file:  # noqa: PTH123 - it is no path.
            yield from _received(file)
    finally:
        _end(process)


def _start(traffic: Iterable[_Read]) -> tuple[int, int] | None:
    """Start the other process, and return its id and the pipe to read from. None: the system refuses one of them."""
    try:
        source, sink = os.pipe()
    except OSError:
        return None
    try:
        process = os.fork()
        if process == 0:
            _send_and_exit(traffic, source, sink)
    except OSError:
        os.close(source)
        return None
    finally:
        os.close(sink)
    return process, source


def _end(process: int) -> None:
    # Where SIGCHLD is ignored, the system forgets a process as soon as it ends: there is nothing to wait for.
    with suppress(ChildProcessError, ProcessLookupError):
        if os.waitpid(process, os.WNOHANG) == (0, 0):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _received(file: BinaryIO) -> Iterator[_Read]:
    try:
        while (block := pickle.load(file)) is not None:  # noqa: S301 - this program has written it.
            if isinstance(block, BaseException):
                raise block
            for one in block:
                yield Exchange(*one) if isinstance(one, tuple) else one
    except (EOFError, pickle.UnpicklingError):
        yield Inconclusive("recorded traffic", "was not read to its end: the process that did so was killed")


def _send_and_exit(traffic: Iterable[_Read], source: int, sink: int) -> NoReturn:
    """Write what is read to the pipe, and exit without anything that this process would do at its end.

    When nobody reads the pipe any more, the next block can't be written, and this process ends, too.
    """
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # The other process is interrupted, too, and ends this one.
        os.close(source)
        if sink != STDOUT:  # Nothing is printed here, and the pipe must not take a descriptor from what is read.
            os.dup2(sink, STDOUT)
            os.close(sink)
        with open(STDOUT, "wb") as file:  # noqa: PTH123 - it is no path.
            try:
                for block in _blocks(traffic):
                    pickle.dump(block, file, pickle.HIGHEST_PROTOCOL)
                    file.flush()
                pickle.dump(None, file)
            except Exception as error:  # noqa: BLE001 - it is raised where somebody can see it.
                pickle.dump(error, file)
    finally:
        os._exit(0)


def _blocks(traffic: Iterable[_Read]) -> Iterator[list[Any]]:
    """Yield what is read, several at once, with the values of each exchange in the place of it."""
    block: list[Any] = []
    size = 0
    for one in traffic:
        if isinstance(one, Exchange):
            block.append(_values(one))
            size += len(one.request_body or b"") + len(one.response_body or b"")
        else:
            block.append(one)
        if len(block) >= MAX_EXCHANGES or size >= MAX_BLOCK_BYTES:
            yield block
            block, size = [], 0
    yield block
