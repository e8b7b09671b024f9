"""Try every fault of `tests/backends/faults.py` with every client and every call, and count what does not hold."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import certificates
from fault_cases import Case, Observation, cases, observe
from fault_server import FaultServer

TIMEOUT: Final = 0.2
"""Seconds that a call may take."""
LATE: Final = 0.5
"""Seconds after which it must have ended even then."""
WORKERS: Final = 8
"""How many processes call, each with a server of its own. Most of the time they wait."""
TRIES: Final = 3
"""How often a case may be tried that ends too late."""
SHARE: Final = 20
"""How many cases a worker takes at a time."""


def try_all(some: Sequence[Case], folder: Path) -> list[tuple[Case, Observation]]:
    """Try some cases against a server of their own, and return what came of each."""
    os.environ["SSL_CERT_FILE"] = str(certificates.authority(folder))
    with FaultServer(folder) as server:
        return [(case, _try(server, case)) for case in some]


def _try(server: FaultServer, case: Case) -> Observation:
    """Return what came of a case. One that was late is tried again: the machine may have been busy with others."""
    for _ in range(TRIES):
        with server.serving(case.fault) as url:
            seen = observe(case, url, short=TIMEOUT, late=LATE)
        if seen.late <= LATE:
            break
    return seen


def main() -> int:
    """Print what does not hold, and the figures; return whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="try only faults whose name has one of these words")
    chosen = parser.parse_args()
    wanted = [case for case in cases() if not chosen.words or any(word in case.fault for word in chosen.words)]
    shares = [wanted[start : start + SHARE] for start in range(0, len(wanted), SHARE)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        certificates.make(Path(name))
        seen = [pair for pairs in pool.map(try_all, shares, [Path(name)] * len(shares)) for pair in pairs]
    for case, observation in seen:
        for words in observation.wrong:
            print(f"WRONG: {case}: {words}")
    latest, largest = max(one.late for _, one in seen), max(one.memory for _, one in seen)
    print(
        f"{len({case.fault for case in wanted})} faults, {len(seen)} cases in {time.monotonic() - began:.0f} s; the"
        f" slowest ended {latest:.2f} s after its deadline, and the largest took {largest / 1e6:.0f} MB."
    )
    return any(observation.wrong for _, observation in seen)


if __name__ == "__main__":
    sys.exit(main())
