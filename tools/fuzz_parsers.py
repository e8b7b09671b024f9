"""Give every reader of what comes from elsewhere inputs made of its corpus, for minutes: none may crash or drag on.

An input that does is written into the corpus of `tests/`, which makes it a test; and the exit code is 1.
"""

import argparse
import random
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from hashlib import sha256
from multiprocessing import get_context
from typing import Final

from attrs import define
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from parsers import CORPUS, PARSERS, corpus

LIMIT: Final = 3.0
"""Seconds of the processor that an input may take. All are small."""
MAX_INPUT: Final = 64 * 1024
"""How many bytes an input may have."""
SMALL: Final = 0.9
"""The share of the changes that concern some bytes, and not all to the end."""
ROUND: Final = 200
"""How many inputs are tried before the clock is looked at."""
SETTINGS: Final = settings(
    max_examples=ROUND,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
WORKERS: Final = 2
WORDS: Final = (
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe"),
    *(
        b"null",
        b"true",
        b"NaN",
        b"Infinity",
        b"1e999",
        b"-1",
        b"0",
        b"9" * 400,
        b"\\ud800",
        b"!!binary ",
        b"&a ",
        b"*a",
    ),
    *(b"<<: ", b"$ref", b"allOf", b"#/", b"http://[", b"gzip, ", b"\x1f\x8b\x08", b"[" * 500, b'{"a":' * 500, b"- "),
)
"""What means something to one of the readers, or to several."""


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    """Return the inputs that others are made of."""
    return (*(path.read_bytes()[:MAX_INPUT] for path in corpus(name)), *PARSERS[name].seeds())


def mutants(of: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return the inputs that are one of these with some changes.

    Hypothesis draws one number for each. To draw every change would take it many times as long as the readers take.
    """
    return st.integers(0, 2**64 - 1).map(lambda number: _mutant(of, random.Random(number)))  # noqa: S311


def _mutant(of: Sequence[bytes], chance: random.Random) -> bytes:
    data = chance.choice(of)
    for _ in range(chance.randint(0, 6)):
        start = chance.randint(0, len(data))
        # Small changes leave more of what the reader has to go through before it comes to them.
        end = min(len(data), start + int(chance.expovariate(0.05))) if chance.random() < SMALL else len(data)
        piece, other, size = data[start:end], chance.choice(of), chance.randint(1, 20)
        changes = (b"", piece * size, chance.choice(WORDS), chance.choice(WORDS) + piece, chance.randbytes(size))
        data = (data[:start] + chance.choice((*changes, other[start:end])) + data[end:])[:MAX_INPUT]
    return data


@define
class Trial:
    """What came of a reader.

    Attributes:
        name: of the reader.
        inputs: how many were tried.
        slowest: the most seconds of the processor that one took.
        wrong: what went wrong, and the name of the file that holds the input. Empty: nothing.
    """

    name: str
    inputs: int = 0
    slowest: float = 0.0
    wrong: str = ""

    def run(self, seconds: float, start: int) -> None:
        """Try inputs for so long, or until one goes wrong."""
        parser, until, last = PARSERS[self.name], time.monotonic() + seconds, b""

        @SETTINGS
        @given(mutants(seeds(self.name)))
        def one_round(data: bytes) -> None:
            nonlocal last
            last, self.inputs = data, self.inputs + 1
            took = parser.check(data)
            self.slowest = max(self.slowest, took)
            if took > LIMIT:
                raise TimeoutError(f"it took {took:.1f} s of the processor")

        while time.monotonic() < until and not self.wrong:
            start += 1
            try:
                seed(start)(one_round)()
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for.
                path = CORPUS / self.name / f"found-{sha256(last).hexdigest()[:8]}"
                path.write_bytes(last)
                self.wrong = f"{path.relative_to(CORPUS.parent.parent)}:\n{traceback.format_exc(limit=-3)}"


def try_parser(name: str, seconds: float, start: int) -> Trial:
    """Try a reader for so many seconds."""
    trial = Trial(name)
    trial.run(seconds, start)
    return trial


def main() -> int:
    """Print what was tried, and what went wrong; return whether anything did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300, help="how long it takes (default: 300)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="repeats a run on a machine as fast")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    count, each = len(PARSERS), chosen.seconds * WORKERS / len(PARSERS)
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        trials = list(pool.map(try_parser, PARSERS, [each] * count, [1000 * chosen.seed] * count))
    for trial in trials:
        print(f"{trial.name}: {trial.inputs} inputs, the slowest in {trial.slowest:.2f} s")
    for trial in trials:
        if trial.wrong:
            print(f"WRONG: {trial.name}: {trial.wrong}")
    return any(trial.wrong for trial in trials)


if __name__ == "__main__":
    sys.exit(main())
