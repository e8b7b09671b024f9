"""The pauses after a fault, and before looking at what another program does. No I/O."""

import random
from typing import Final

from longcat.waiting.schedule.plan import Random

BACKOFF_FIRST: Final = 0.5  # Seconds.
BACKOFF_LONGEST: Final = 10.0  # Seconds.


def backoff(failures: int, random: Random = random.random) -> float:
    """Return how many seconds to pause after the n-th transient fault in a row, n counted from 1.

    `min(0.5 * 2 ** (n - 1), 10)`, times a factor drawn evenly from 0.5 to 1.0.
    """
    longest: float = BACKOFF_FIRST * 2 ** min(failures - 1, 16)  # Bounded, as a wait may have no end.
    return min(longest, BACKOFF_LONGEST) * (0.5 + 0.5 * random())


def recheck_interval(elapsed: float) -> float:
    """Return how many seconds to sleep before looking again at what another program does.

    A tenth of the time waited so far, no less than 0.5 and no more than 5.
    """
    return min(max(elapsed / 10, 0.5), 5.0)
