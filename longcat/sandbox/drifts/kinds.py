"""What a drift is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from longcat.sandbox.drifts.answers import Change
from longcat.sandbox.drifts.questions import Handling

Severity = Literal["breaking", "additive", "notice"]


@dataclass(frozen=True)
class Drift:
    """One way in which the gateway might change.

    Attributes:
        severity: how bad it is for callers. None: harmless.
        patchable: whether the contract can be made to agree. True for what is harmless: it agrees already.
        change: what is done to each honest answer.
        handling: what is done to each question before.
    """

    name: str
    sentence: str
    severity: Severity | None
    patchable: bool = True
    change: Change | None = None
    handling: Handling | None = None


Drifts = Iterator[Drift]
