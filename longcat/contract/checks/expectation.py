"""What an answer should have been: this follows from the request itself.

A request may be at fault for certain (it has no key), or perhaps (its key may be wrong, for all that can be seen). What
is certain must be refused with the code that the contract has for it; what is possible may be. Which of several faults
a gateway tells first is its own affair.
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen

from longcat.contract.checks.body import decode, media_type_of
from longcat.contract.model import Exchange, Intent
from longcat.contract.openapi.operation import Credential, Media, Operation, is_json
from longcat.contract.openapi.spec import Spec


class Fault(StrEnum):
    """What can be wrong with a request, in words that end a sentence."""

    NO_KEY = "the request has no key"
    WRONG_KEY = "the request has a wrong key"
    FORBIDDEN = "the key does not cover the call"
    NO_BODY = "the request has no body"
    CONTENT_TYPE = "the request has another content type"
    MALFORMED = "the request is not JSON"
    INVALID = "the request breaks its schema"
    UNKNOWN = "the request asks about something unknown"


KEY_FAULTS: Final = frozenset({Fault.NO_KEY, Fault.WRONG_KEY})
BODY_FAULTS: Final = (Fault.NO_BODY, Fault.CONTENT_TYPE, Fault.MALFORMED, Fault.INVALID)
REFUSALS: Final[Mapping[Fault, tuple[tuple[int, ...], ...]]] = {
    Fault.NO_KEY: ((401,), (403,)),
    Fault.WRONG_KEY: ((401,), (403,)),
    Fault.FORBIDDEN: ((403,),),
    Fault.NO_BODY: ((400, 411, 415, 422),),
    Fault.CONTENT_TYPE: ((400, 415, 422),),
    Fault.MALFORMED: ((400, 422),),
    Fault.INVALID: ((400, 422),),
    Fault.UNKNOWN: ((404,), (410,)),
}
"""The status codes that HTTP has for a fault (RFC 9110, section 15.5), the best first. Of the first group of which the
contract documents any, the documented ones are right."""
ASKED_BY_US: Final = frozenset({"live", "sandbox"})
"""The origins of exchanges whose asker knows what he sends (see `_is_vouched_for`)."""
_OF_A_FAULT: Final = frozenset(code for groups in REFUSALS.values() for group in groups for code in group)
INTENTS: Final[Mapping[Intent | None, Fault]] = {"wrong-key": Fault.WRONG_KEY, "unknown-request": Fault.UNKNOWN}
"""What the asker says is wrong with his request."""


@frozen
class Expectation:
    """What the answer to a request may be.

    Attributes:
        certain: the faults of the request. It must be refused if there is one.
        possible: those that it may have, for all that can be seen.
    """

    operation: Operation
    certain: tuple[Fault, ...]
    possible: tuple[Fault, ...]

    def allows(self, status_code: int) -> bool:
        """Whether the contract allows this status code."""
        if is_success(status_code):
            return not self.certain and has_success(self.operation, status_code)
        if any(status_code in refusals(self.operation, fault) for fault in (*self.certain, *self.possible)):
            return True
        if not self.certain and status_code not in _OF_A_FAULT:
            return self.operation.response(status_code) is not None  # A conflict, say, or a documented redirect.
        # The contract has no code for what is wrong, so that every refusal is as good.
        is_silent = self.certain and not any(refusals(self.operation, fault) for fault in self.certain)
        return bool(is_silent) and is_refusal(status_code)

    def words(self) -> str:
        """Return what is expected."""
        if not self.certain:
            codes = [code for code in self.operation.responses if code.startswith("2")]
            return " or ".join(f"HTTP {code}" for code in codes) or "a success"
        found = sorted({code for fault in self.certain for code in refusals(self.operation, fault)})
        return f"{' or '.join(f'HTTP {code}' for code in found) or 'a refusal'}, because {self.certain[0]}"


def is_success(status_code: int) -> bool:
    """Whether a status code is of the 2xx."""
    return status_code // 100 == 2  # noqa: PLR2004


def is_redirect(status_code: int) -> bool:
    """Whether a status code is of the 3xx."""
    return status_code // 100 == 3  # noqa: PLR2004


def is_refusal(status_code: int) -> bool:
    """Whether a status code is of the 4xx."""
    return status_code // 100 == 4  # noqa: PLR2004


def has_success(operation: Operation, status_code: int) -> bool:
    """Whether a success is documented. A `default` stands for errors where there is a 2xx beside it."""
    if any(code.startswith("2") for code in operation.responses):
        return str(status_code) in operation.responses or "2XX" in operation.responses
    return "default" in operation.responses


def refusals(operation: Operation, fault: Fault) -> tuple[int, ...]:
    """Return the status codes with which an operation may refuse a fault."""
    for group in REFUSALS[fault]:
        found = tuple(code for code in group if operation.response(code) is not None)
        if found:
            return found
    return ()


def expect(spec: Spec, operation: Operation, exchange: Exchange) -> Expectation:
    """Return what the answer to a request for this operation may be."""
    faults = list(_faults(spec, operation, exchange))
    certain = tuple(dict.fromkeys(fault for fault, is_certain in faults if is_certain))
    possible = tuple(dict.fromkeys(fault for fault, is_certain in faults if not is_certain))
    if exchange.origin == "documentation":
        possible = tuple(Fault)  # The page does not say which request an answer belongs to. The pairing is ours.
    elif not certain and not _is_vouched_for(exchange):
        possible += (Fault.UNKNOWN,)
    return Expectation(operation, certain, possible)


def _faults(spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[tuple[Fault, bool]]:
    """Yield each fault that a request may have, and whether it is certain."""
    intent = INTENTS.get(exchange.intent)
    if operation.needs_key:
        if intent is Fault.WRONG_KEY:
            yield Fault.WRONG_KEY, True
        elif not any(all(_has(one, exchange) for one in way) for way in operation.security):
            yield Fault.NO_KEY, not _may_be_removed(operation, exchange)
        elif not _is_vouched_for(exchange):
            yield Fault.WRONG_KEY, False
            yield Fault.FORBIDDEN, False
    yield from _body_faults(spec, operation, exchange)
    yield from _parameter_faults(spec, operation, exchange)
    if intent is Fault.UNKNOWN:
        yield Fault.UNKNOWN, True


def _is_vouched_for(exchange: Exchange) -> bool:
    """Whether the asker says that his key is right and that what he asks about exists, unless he says otherwise.

    Nobody says so of traffic that was just recorded: there, a 401, 403 or 404 may be what the request deserved.
    """
    return exchange.intent is not None or exchange.origin in ASKED_BY_US


def _has(credential: Credential, exchange: Exchange) -> bool:
    """Whether a request carries a credential."""
    if credential.place == "header":
        return bool(exchange.request_headers.get(credential.name.lower()))
    if credential.place == "query":
        return any(name == credential.name for name, _ in _query(exchange))
    cookies = exchange.request_headers.get("cookie", "").split(";")
    return any(cookie.partition("=")[0].strip() == credential.name for cookie in cookies)


def _may_be_removed(operation: Operation, exchange: Exchange) -> bool:
    """Whether the key may have been taken out of a recording: browsers do that when they save what they saw."""
    sensitive = {("authorization", "header")} | {
        (one.name.lower(), "cookie") for way in operation.security for one in way if one.place == "cookie"
    }
    ours = {(one.name.lower(), one.place) for way in operation.security for one in way}
    return exchange.origin == "unknown" and bool(ours & sensitive)


def _body_faults(spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[tuple[Fault, bool]]:
    if not operation.request:
        return
    if not exchange.request_body:
        if exchange.request_body is None and _had_body(exchange.request_headers):
            yield from ((fault, False) for fault in BODY_FAULTS)  # It was not recorded.
        elif operation.request_required:
            yield Fault.NO_BODY, True
        return
    media_type = media_type_of(exchange.request_headers)
    media = media_for(operation.request, media_type)
    if media is None:
        yield Fault.CONTENT_TYPE, bool(media_type)
        media = next((one for one in operation.request.values() if is_json(one.media_type)), None)
        if media_type or media is None:
            return
    if not is_json(media_type or media.media_type) or "content-encoding" in exchange.request_headers:
        yield Fault.INVALID, False  # We can't tell.
        return
    yield from _json_faults(spec, media, exchange.request_body)


def _json_faults(spec: Spec, media: Media, body: bytes) -> Iterator[tuple[Fault, bool]]:
    decoded = decode(body)
    if decoded.faults:
        # Some readers take a byte order mark, a name twice, or NaN. Without these, it is no JSON to anyone.
        yield Fault.MALFORMED, not _is_lenient_json(body)
    if decoded.is_json and media.schema and not spec.schemas.is_valid(media.schema, decoded.value):
        yield Fault.INVALID, True


def _is_lenient_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _had_body(headers: Mapping[str, str]) -> bool:
    """Whether a request's headers speak of a body."""
    if headers.get("content-length", "").strip() == "0":
        return False
    return any(name in headers for name in ("content-length", "transfer-encoding", "content-type"))


def _parameter_faults(spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[tuple[Fault, bool]]:
    sent: dict[str, Mapping[str, str]] = {
        "path": spec.path_values(operation, exchange.url),
        "query": dict(_query(exchange)),
        "header": exchange.request_headers,
    }
    for one in operation.parameters:
        values = sent.get(one.place)
        if values is None:
            continue  # A cookie: recordings leave them out.
        text = values.get(one.name.lower() if one.place == "header" else one.name)
        if text is None:
            if one.required:
                yield Fault.INVALID, one.place != "header"  # Recordings often leave headers out.
        elif one.schema and not any(spec.schemas.is_valid(one.schema, value) for value in readings(text)):
            yield Fault.INVALID, not _is_compound(spec, one.schema)
            if one.place == "path":
                yield Fault.UNKNOWN, False


def _is_compound(spec: Spec, pointer: str) -> bool:
    """Whether a parameter is a list or an object, which a URL can write in several ways."""
    samples: tuple[Any, ...] = ([], {}, ["a"], [1])
    return any(spec.schemas.is_valid(pointer, value) for value in samples)


def readings(text: str) -> Iterator[Any]:
    """Yield what a text in a URL or header may stand for."""
    yield text
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return
    if value is None or isinstance(value, bool | int | float):
        yield value


def _query(exchange: Exchange) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(exchange.url).query, keep_blank_values=True)
    except ValueError:  # A host in broken brackets, or too many fields.
        return []


def media_for(content: Mapping[str, Media], media_type: str) -> Media | None:
    """Return what is documented for a media type: for itself, or for a range such as `image/*`."""
    by_type = {name.partition(";")[0].strip().lower(): media for name, media in content.items()}
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_type and name in by_type:
            return by_type[name]
    return None
