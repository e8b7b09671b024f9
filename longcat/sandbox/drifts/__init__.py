"""Ways in which a vendor might change the gateway without notice, and ways that harm nobody, by name.

A drift changes what is answered, or what is accepted, for as long as the sandbox runs; a fault, for comparison, strikes
a few times and passes. Each drift says how bad it is for callers. That was decided from who is hurt, and is the
specification that `longcat contract` is measured with, by `tools/gauntlet.py`:

- breaking: typed callers fail, or are misled.
- additive: something is new, and callers go on.
- notice: a deprecation, or a hint.
- None: harmless. The documentation allows it, or it is nobody's business.

`patchable` says whether the contract could be changed to describe it. It could not where a promise is lost that no
contract should give up (a check, an answer about the request that was named), or where the answer does not show what
has changed (a new requirement, another way to send the key).
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from starlette.responses import Response

from longcat.sandbox.calls import CALLS, RESULT, call_at
from longcat.sandbox.drifts.mutated import mutated_drifts
from longcat.sandbox.drifts.places import PlacedChange
from longcat.sandbox.drifts.request_changes import REQUEST_CHANGES, RequestChange
from longcat.sandbox.drifts.response_changes import response_change
from longcat.sandbox.mutator import SentResponse, Weight
from longcat.sandbox.name_lookup import find


@dataclass(frozen=True)
class Drift:
    """One way in which the gateway might change.

    Attributes:
        call: the name of the call that it changes. What does not depend on the path, such as how the key is checked,
            changes in all calls.
        severity: how bad it is for callers. None: it is harmless.
        patchable: whether the contract can be made to agree. True for what is harmless: it agrees already.
        response: what is done to each honest response. None: nothing.
        request: what is done to each request before the gateway reads it. None: nothing.
    """

    name: str
    sentence: str
    call: str
    severity: Weight | None
    patchable: bool
    response: PlacedChange | None
    request: RequestChange | None = None


def _by_mutator() -> Iterator[Drift]:
    for one in mutated_drifts():
        severity, patchable = one.mutation.severity, one.mutation.patchable
        change = PlacedChange(one.call, one.place, one.mutation.change)
        yield Drift(one.name, one.sentence, one.call.name, severity, patchable, change)


def _by_hand() -> Iterator[Drift]:
    """Yield the drifts of the table `by_hand.toml`, which says how it is written."""
    calls = {call.name: call for call in CALLS}
    for family in tomllib.loads(files(__package__).joinpath("by_hand.toml").read_text("utf-8")).values():
        call = family.pop("call", RESULT.name)
        shared = {"severity": family.pop("severity", None), "patchable": family.pop("patchable", True)}
        for name, (sentence, *details) in family.items():
            own: dict[str, Any] = details[0] if details else {}
            values = {key: own.pop(key, value) for key, value in shared.items()}
            place = own.pop("in", None)
            response = PlacedChange(calls[call], place, response_change(own)) if place else None
            yield Drift(name, sentence, call, response=response, request=REQUEST_CHANGES.get(name), **values)


DRIFTS: Final[Mapping[str, Drift]] = {drift.name: drift for drift in (*_by_mutator(), *_by_hand())}


def find_drifts(names: Iterable[str]) -> tuple[Drift, ...]:
    """Return the drifts of these names; an unknown one is a ValueError with a readable message."""
    return tuple(find("drift", DRIFTS, name) for name in names)


def drifted(changes: Iterable[PlacedChange], path: str, accepts: str, honest: Response) -> Response:
    """Return the honest response to a request on a path as the changes leave it."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in honest.raw_headers)
    response, call = SentResponse(honest.status_code, headers, bytes(honest.body), accepts), call_at(path)
    for change in changes:
        response = change(response, call)
    sent = Response(response.body, response.status)
    sent.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    return sent


__all__ = ["DRIFTS", "Drift", "drifted", "find_drifts"]
