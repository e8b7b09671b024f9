"""What the answer to a request should be: this follows from the request itself.

A request may be at fault for certain (it has no key), or perhaps (its key may be wrong, for all that can be seen). What
is certain must be refused with the code that the contract has for it; what is possible may be. Which of several faults
a gateway tells first is its own affair.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from longcat.contract.checks.body import media_type_of
from longcat.contract.checks.mismatch import Gap
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.status_codes import Expectation, RequestFault
from longcat.contract.model import Exchange, Intent
from longcat.contract.openapi.limits import UnjudgeableError
from longcat.contract.openapi.operation import Credential, Media, Operation, first_json, is_json, media_for
from longcat.contract.openapi.schemas import Schemas
from longcat.contract.openapi.urls.templates import split_url
from longcat.text import words_of

BODY_FAULTS: Final = (RequestFault.NO_BODY, RequestFault.CONTENT_TYPE, RequestFault.MALFORMED, RequestFault.INVALID)
ASKED_BY_US: Final = frozenset({"live", "sandbox"})
"""The origins of exchanges whose asker knows what he sends (see `_is_vouched_for`)."""
_SECRETS: Final = frozenset(
    {"apikey", "auth", "authorization", "cookie", "key", "password", "secret", "session", "sig", "signature", "token"}
)
MOST_OF_PLACEHOLDER: Final = 100
_PLACEHOLDER: Final = re.compile(
    r"^<[^<>]*>$|^\[[\w -]+\]$|^\{\{.*\}\}$|^%+\w+%+$|^[*x#.-]{3,}$"
    r"|redact|remov|filtered|sanitiz|scrubb|hidden|secret|censor|dummy|placeholder|x{4}|\*{3}",
    re.IGNORECASE,
)
INTENTS: Final[Mapping[Intent | None, RequestFault]] = {
    "wrong-key": RequestFault.WRONG_KEY,
    "unknown-request": RequestFault.UNKNOWN,
}
"""What the asker says is wrong with his request."""


def expect(observation: Observation, operation: Operation) -> Expectation:
    """Return what the answer to a request for this operation may be."""
    exchange = observation.exchange
    faults: dict[tuple[RequestFault, bool], None] = {}
    gaps: dict[Gap, None] = {}
    for check in (_key_faults, _body_faults, _parameter_faults):
        try:
            faults |= dict.fromkeys(check(observation, operation))
        except UnjudgeableError as error:
            faults |= dict.fromkeys((fault, False) for fault in RequestFault)
            gaps[Gap(str(error), error.unclear)] = None
    certain = tuple(fault for fault, is_certain in faults if is_certain)
    possible = tuple(fault for fault, is_certain in faults if not is_certain)
    if exchange.origin == "documentation":
        possible = tuple(RequestFault)  # The page does not say which request an answer belongs to: we paired them.
    elif not certain and not _is_vouched_for(exchange):
        possible += (RequestFault.UNKNOWN,)
    return Expectation(operation, certain, possible, tuple(gaps))


def _key_faults(observation: Observation, operation: Operation) -> Iterator[tuple[RequestFault, bool]]:
    """Yield each fault of its key, or of what the asker says, that a request may have, and whether it is certain."""
    exchange = observation.exchange
    intent = INTENTS.get(exchange.intent)
    if operation.needs_key:
        if intent is RequestFault.WRONG_KEY:
            yield RequestFault.WRONG_KEY, True
        elif not any(all(_has(one, exchange) for one in way) for way in operation.security):
            yield RequestFault.NO_KEY, not may_be_filtered(exchange)
            if may_be_filtered(exchange):
                yield RequestFault.WRONG_KEY, False
                yield RequestFault.FORBIDDEN, False
        elif not _is_vouched_for(exchange):
            yield RequestFault.WRONG_KEY, False
            yield RequestFault.FORBIDDEN, False
    if intent is RequestFault.UNKNOWN:
        yield RequestFault.UNKNOWN, True


def _is_vouched_for(exchange: Exchange) -> bool:
    """Whether the asker says that his key is right and that what he asks about exists, unless he says otherwise.

    Nobody says so of traffic that was just recorded: there, a 401, 403 or 404 may be what the request deserved.
    """
    return exchange.intent is not None or exchange.origin in ASKED_BY_US


def _has(credential: Credential, exchange: Exchange) -> bool:
    """Whether a request carries a credential."""
    if credential.location == "header":
        return bool(exchange.request_headers.get(credential.name.lower()))
    if credential.location == "query":
        return any(name == credential.name for name, _ in _query(exchange))
    cookies = exchange.request_headers.get("cookie", "").split(";")
    return any(cookie.partition("=")[0].strip() == credential.name for cookie in cookies)


def may_be_filtered(exchange: Exchange) -> bool:
    """Whether a key, or another secret, may have been taken out of a recording or replaced.

    Recorders are told to do so (`filter_headers` and its like), and browsers do it by themselves. Where the origin is
    known, a key that was sent has left a placeholder behind.
    """
    return exchange.origin == "unknown"


def _body_faults(observation: Observation, operation: Operation) -> Iterator[tuple[RequestFault, bool]]:
    exchange = observation.exchange
    if not operation.request:
        return
    if not exchange.request_body:
        if exchange.request_body is None and _had_body(exchange.request_headers):
            yield from ((fault, False) for fault in BODY_FAULTS)  # It was not recorded.
        elif operation.request_required:
            yield RequestFault.NO_BODY, True
        return
    media_type = media_type_of(exchange.request_headers)
    media = media_for(operation.request, media_type)
    if media is None:
        yield RequestFault.CONTENT_TYPE, bool(media_type)
        media = first_json(operation.request)
        if media_type or media is None:
            return
    if is_json(media_type or media.media_type) and "content-encoding" not in exchange.request_headers:
        yield from _json_faults(observation, media)
    else:
        yield RequestFault.INVALID, False  # It can't be read here.


def _json_faults(observation: Observation, media: Media) -> Iterator[tuple[RequestFault, bool]]:
    decoded = observation.request_json
    if decoded.defects:
        # Some readers take a byte order mark, a name twice, or NaN. Without these, it is no JSON to anyone.
        body, is_filtered = observation.exchange.request_body or b"", may_be_filtered(observation.exchange)
        is_replaced = is_filtered and is_placeholder(body[:MOST_OF_PLACEHOLDER].decode("utf-8", "replace"))
        yield RequestFault.MALFORMED, not is_replaced and not _is_lenient_json(body)
    if decoded.is_json and media.schema and not observation.comparison.allows(media.schema, decoded.value):
        yield RequestFault.INVALID, not (may_be_filtered(observation.exchange) and _has_placeholder(decoded.value))


def _has_placeholder(value: Any) -> bool:
    """Whether a placeholder stands somewhere in a decoded value."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str) and one and is_placeholder(one):
            return True
        pending += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return False


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


def _parameter_faults(observation: Observation, operation: Operation) -> Iterator[tuple[RequestFault, bool]]:
    schemas, is_filtered = observation.spec.schemas, may_be_filtered(observation.exchange)
    sent: dict[str, Mapping[str, str]] = {
        "path": observation.path_values,
        "query": dict(_query(observation.exchange)),
        "header": observation.exchange.request_headers,
    }
    for one in operation.parameters:
        values = sent.get(one.location)
        if values is None:
            continue  # A cookie: recordings leave them out.
        text = values.get(one.name.lower() if one.location == "header" else one.name)
        if text is None:
            if one.required:
                # Recordings often leave headers out, and parameters that hold a secret.
                yield RequestFault.INVALID, one.location != "header" and not (is_filtered and names_a_secret(one.name))
        elif one.schema and not any(observation.comparison.allows(one.schema, value) for value in values_of(text)):
            is_replaced = is_filtered and is_placeholder(text)
            yield RequestFault.INVALID, not is_replaced and not _is_compound(schemas, one.schema)
            if one.location == "path":
                yield RequestFault.UNKNOWN, False


def names_a_secret(name: str) -> bool:
    """Whether a header or a parameter of this name holds what recorders leave out."""
    return not _SECRETS.isdisjoint(words_of(name))


def is_placeholder(text: str) -> bool:
    """Whether a text looks like one that a recorder puts in the place of another: `<KEY>`, `***`, `FILTERED`."""
    return _PLACEHOLDER.search(text.strip()[:MOST_OF_PLACEHOLDER]) is not None


def _is_compound(schemas: Schemas, pointer: str) -> bool:
    """Whether a parameter is a list or an object, which a URL can write in several ways."""
    samples: tuple[Any, ...] = ([], {}, ["a"], [1])
    return any(schemas.is_valid(pointer, value) for value in samples)


def values_of(text: str) -> Iterator[Any]:
    """Yield the values that a text in a URL or header may stand for: itself, and a number, boolean or null."""
    yield text if text.isascii() else text.encode("utf-8", "replace").decode()  # No schema takes half a character.
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return
    if value is None or isinstance(value, bool | int | float):
        yield value


def _query(exchange: Exchange) -> list[tuple[str, str]]:
    return parse_qsl(split_url(exchange.url).query, keep_blank_values=True)
