"""Raise every exception of every library below at every seam, in every call of every client, and list what leaks."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from fakes import Driver
from leak_cases import Case, every_case, every_class, run
from libraries import WAYS

SHARE = 500
"""How many cases a worker tries at a time."""


def cases_of(name: str, every: int) -> list[Case]:
    """Return every so manyth case, and other ones for each client."""
    return every_case()[WAYS.index(name) % every :: every]


def try_some(name: str, every: int, start: int) -> list[str]:
    """Try some cases with one client, and return what leaked."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(Driver(name), cases_of(name, every)[start : start + SHARE], Path(folder))
    return [f"LEAKED: {name}: {case}: {error!r}" for case, error in found]


def main() -> int:
    """Print what leaked, and the figures; return whether nothing did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", metavar="N", type=int, default=1, help="try every N-th case only (default: all)")
    every = parser.parse_args().every
    began, counts = time.monotonic(), {name: len(cases_of(name, every)) for name in WAYS}
    shares = [(name, every, start) for name, count in counts.items() for start in range(0, count, SHARE)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = [line for lines in pool.map(try_some, *zip(*shares, strict=True)) for line in lines]
    print("\n".join(found))
    seconds = time.monotonic() - began
    print(f"{len(every_class())} exceptions, {sum(counts.values())} cases in {seconds:.0f} s; {len(found)} leaked.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
