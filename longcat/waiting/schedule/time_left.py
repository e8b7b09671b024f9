"""Tells people how long until requests are done: a figure that is about right, or none. No I/O, and no clock.

When to ask next is decided by every forecast there is, however weak. That is no answer for a person: before anything is
known, any request may take minutes. So only what is well-founded counts here.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

from longcat.waiting.schedule.adaptive import AdaptivePlan, ChanceDone, first_reached

Running: TypeAlias = tuple[AdaptivePlan, float]
"""The plan of a wait, and the seconds since it began."""
SAMPLE: Final = 64
"""How many requests stand for all in `_last_done`."""


def time_left(running: Sequence[Running]) -> float | None:
    """Return in how many seconds all of these requests will be done, as likely as not. None: that can't be told yet.

    What a request's progress says goes first. Without progress that tells enough, a request will take as long as those
    before it did, if enough of them have finished. Zero if there are none.
    """
    latest, others = 0.0, list[tuple[ChanceDone, float]]()
    for plan, elapsed in running:
        if (done := plan.foreseen()) is not None:
            # Progress that is read wrong is so for all alike, so the last is about as late as the latest of them.
            latest = max(latest, done - elapsed)
        elif (chance := plan.chance_by_experience()) is not None:
            others.append((chance, elapsed))
        else:
            return None
    return max(latest, _last_done(others))


def _last_done(waits: Sequence[tuple[ChanceDone, float]]) -> float:
    """Return in how many seconds all of these will be done, as likely as not. Zero if there are none.

    They are taken to be independent of each other, given what is known. Of more than 64, 64 stand for all.
    """
    sample = [waits[i * len(waits) // SAMPLE] for i in range(SAMPLE)] if len(waits) > SAMPLE else waits
    half = 0.5 ** (len(sample) / max(len(waits), 1))
    return first_reached(lambda more: math.prod(done(elapsed + more) for done, elapsed in sample) >= half)
