"""What the answer to a request should be: this follows from the request itself.

A request may be at fault for certain (it has no key), or perhaps (its key may be wrong, for all that can be seen). What
is certain must be refused with the code that the contract has for it; what is possible may be. Which of several faults
a gateway tells first is its own affair.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from longcat.contract.checks.body import media_type_of
from longcat.contract.checks.credentials import (
    is_answered_before,
    is_vouched_for,
    key_faults,
    may_be_filtered,
    names_a_secret,
    query_of,
)
from longcat.contract.checks.mismatch import Gap
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.status_codes import Expectation, RequestFault
from longcat.contract.openapi.limits import UnjudgeableError
from longcat.contract.openapi.operation import Media, Operation, first_json, is_json, media_for
from longcat.contract.openapi.schema.schemas import Schemas
from longcat.contract.placeholders import LONGEST, has_placeholder, is_placeholder

BODY_FAULTS: Final = (RequestFault.NO_BODY, RequestFault.CONTENT_TYPE, RequestFault.MALFORMED, RequestFault.INVALID)


def expect(observation: Observation, operation: Operation) -> Expectation:
    """Return what the answer to a request for this operation may be."""
    exchange, gaps = observation.exchange, dict[Gap, None]()
    faults: dict[tuple[RequestFault, bool], None] = {}
    for check in (key_faults, _body_faults, _parameter_faults):
        try:
            faults |= dict.fromkeys(check(observation, operation))
        except UnjudgeableError as error:
            faults |= dict.fromkeys((fault, False) for fault in RequestFault)
            gaps[Gap(str(error), error.unclear)] = None
    certain = tuple(fault for fault, is_certain in faults if is_certain)
    possible = tuple(fault for fault, is_certain in faults if not is_certain)
    was_answered = is_answered_before(exchange, operation)
    return Expectation(operation, certain, possible, tuple(gaps), is_vouched_for(exchange), was_answered)


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
        is_replaced = is_filtered and is_placeholder(body[: LONGEST + 1].decode("utf-8", "replace"))
        yield RequestFault.MALFORMED, not is_replaced and not _is_lenient_json(body)
    if decoded.is_json and media.schema and not observation.comparison.allows(media.schema, decoded.value):
        yield RequestFault.INVALID, not (may_be_filtered(observation.exchange) and has_placeholder(decoded.value))


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
        "query": dict(query_of(observation.exchange)),
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
