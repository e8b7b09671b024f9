"""The places of a drift: which responses of the sandbox it changes."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from longcat.sandbox.calls import ORDER, RESULT, STATUS, EmulatedCall
from longcat.sandbox.mutator import ResponseChange, SentResponse

Matches: TypeAlias = Callable[[SentResponse], bool]
WORDS_OF_KINDS: Final[Mapping[EmulatedCall, Mapping[str, tuple[str, ...]]]] = {
    RESULT: {"processing": ("processing",), "completed": ("completed",)},
    ORDER: {"queued": ("QUEUED",)},
    STATUS: {
        "queued": ("QUEUED",),
        "processing": ("PROCESSING",),
        "completed": ("COMPLETED",),
        "failed": ("FAILED", "ERROR"),
    },
}
"""The kinds of answers of each call, by the word in their field `status`."""
WIDER_KINDS: Final = {"open": ("queued", "processing")}
"""Kinds that are several at once."""
SUCCESSES, FIRST_ERROR = range(200, 300), 400


def place(call: EmulatedCall, name: str) -> Matches:
    """Return what tells whether a response of a call is meant by a name.

    That is a kind of answers of `WORDS_OF_KINDS` or `WIDER_KINDS`, or several with commas; `answers`, for all of them;
    a status code; `call`, for all of it; `errors`, or `all`, which are for those on unknown paths as well. Raises
    ValueError for another name.
    """
    if name in {"call", "all"}:
        return lambda _: True
    if name == "errors":
        return lambda response: response.status >= FIRST_ERROR
    if name.isdecimal():
        return lambda response: response.status == int(name)
    kinds = WORDS_OF_KINDS[call]
    names = (
        [*kinds] if name == "answers" else [one for part in name.split(",") for one in WIDER_KINDS.get(part, (part,))]
    )
    if unknown := set(names) - {*kinds}:
        raise ValueError(f"The call {call.name} has no answers {', '.join(sorted(unknown))}.")
    words = {word for one in names for word in kinds[one]}
    return lambda response: response.status in SUCCESSES and response.fields.get("status") in words


class PlacedChange:
    """A change of some responses of one call."""

    def __init__(self, call: EmulatedCall, name: str, change: ResponseChange) -> None:
        self._call = call
        self._matches = place(call, name)
        self._change = change
        self._is_anywhere = name in {"errors", "all"}

    def __call__(self, response: SentResponse, call: EmulatedCall | None) -> SentResponse:
        """Return the response to a call as it is sent. `call`: None, for an unknown path."""
        is_meant = call is self._call or (call is None and self._is_anywhere)
        return self._change(response) if is_meant and self._matches(response) else response
