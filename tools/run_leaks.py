"""Raise every exception of every library below at every seam, in every call of every client, and list what leaks."""

import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from fakes import Driver
from leak_cases import every_case, every_class, run

SHARE = 500
"""How many cases a worker tries at a time."""


def try_some(name: str, start: int) -> list[str]:
    """Try some cases with one client, and return what leaked."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(Driver(name), every_case()[start : start + SHARE], Path(folder))
    return [f"LEAKED: {name}: {case}: {error!r}" for case, error in found]


def main() -> int:
    """Print what leaked, and the figures; return whether nothing did."""
    began, count = time.monotonic(), len(every_case())
    shares = [(name, start) for name in ("sync", "asyncio", "trio") for start in range(0, count, SHARE)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = [line for lines in pool.map(try_some, *zip(*shares, strict=True)) for line in lines]
    print("\n".join(found))
    seconds = time.monotonic() - began
    print(f"{len(every_class())} exceptions, {3 * count} cases in {seconds:.0f} s; {len(found)} leaked.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
