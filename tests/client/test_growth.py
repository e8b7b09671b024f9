"""How a soak tells a leak: by what grows with the calls, and not by what is kept within a bound, or for a while."""

import gc
import os
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

import pytest
from fakes import finish
from growth import ENOUGH, EVERY, KEPT, LEAKS, Growth

CALLS = 2 * ENOUGH * EVERY


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    """Trace memory, and close and forget what was leaked."""
    before = set(os.listdir("/dev/fd"))  # noqa: PTH208 - numbers, not files.
    tracemalloc.start()
    gc.freeze()
    yield
    gc.unfreeze()
    tracemalloc.stop()
    KEPT.clear()
    for descriptor in set(os.listdir("/dev/fd")) - before:  # noqa: PTH208 - as above.
        try:
            os.close(int(descriptor))
        except OSError:
            continue  # It is the one by which the list was read.


def grown(call: Callable[[int], object], calls: int = CALLS) -> list[str]:
    """Return what grows when a call is made again and again, in words without numbers."""
    growth = Growth(settling=0)
    for number in range(1, calls + 1):
        call(number)
        finish(growth.note_if_due(number))
    growth.finish()
    assert growth.is_judged is (calls >= CALLS)
    return [words.split(" ")[0] for words in growth.grown()]


def test_a_leak_of_a_kilobyte_a_call_is_found() -> None:
    """It is found with as many calls as it takes to judge."""
    assert grown(LEAKS["memory"]) == ["memory"]


def test_a_descriptor_that_is_left_open_every_fifty_calls_is_found() -> None:
    """It is found while the program works, and when it has ended; with few calls, when it has ended."""
    assert grown(LEAKS["descriptor"], 2 * CALLS) == ["files", "files"]
    assert grown(LEAKS["descriptor"], 50) == ["files"]


def test_a_cache_without_a_bound_is_a_leak() -> None:
    """It keeps something of every call; one with a bound does not."""
    assert grown(cache(lambda number: bytes(1000 + number))) == ["memory"]
    assert grown(lru_cache(1024)(lambda number: bytes(1000 + number))) == []


def test_what_is_kept_for_a_while_is_no_leak() -> None:
    """Neither the last few of something grow, nor what is made once, however large, in whichever half."""
    last: deque[bytes] = deque(maxlen=8)
    once: dict[int, bytes] = {}
    assert grown(lambda number: last.append(bytes(1000 * (number % 7)))) == []
    assert grown(lambda number: once.setdefault(4 * number // CALLS, bytes(20_000))) == []
