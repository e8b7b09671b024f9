"""What a drift is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from longcat.sandbox.drifts.requests import RequestChange
from longcat.sandbox.drifts.responses import ResponseChange

Severity = Literal["breaking", "additive", "notice"]


@dataclass(frozen=True)
class Drift:
    """One way in which the gateway might change.

    Attributes:
        severity: how bad it is for callers. None: it is harmless.
        patchable: whether the contract can be made to agree. True for what is harmless: it agrees already.
        response: what is done to each honest response. None: nothing.
        request: what is done to each request before the gateway reads it. None: nothing.
    """

    name: str
    sentence: str
    severity: Severity | None
    patchable: bool = True
    response: ResponseChange | None = None
    request: RequestChange | None = None


Drifts = Iterator[Drift]
