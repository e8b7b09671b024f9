"""Says which answer to a request should come: this follows from the request itself.

A request may be at fault for certain (it has no key), or perhaps (nobody can see whether its key is wrong). What is
certain must be refused with the code that the contract has for it; what is possible may be. A gateway may tell any of
several faults first.

Whoever probes a gateway breaks its contract on purpose. If other traffic has a request that breaks it and was answered,
either the gateway has lost a check, or the contract lags behind. So each rule that is broken is told by itself.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from longcat.contract.checks.body import media_type_of
from longcat.contract.checks.credentials import (
    carries_a_key,
    is_answered_before,
    key_faults,
)
from longcat.contract.checks.mismatch import Gap, Mismatch, with_gaps
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.request.breaking import breaking
from longcat.contract.checks.request.forms import Form, read_pairs, read_parts, split_parts
from longcat.contract.checks.request.parameters import compare_parameter
from longcat.contract.checks.status_codes import CONTRACT_FAULTS, Expectation, RequestFault
from longcat.contract.openapi.operation import Media, Operation, Parameter, first_json, is_form, is_json, media_for
from longcat.contract.placeholders import MAX_PLACEHOLDER, has_placeholder, is_placeholder

BODY_PREFIX: Final = "request:"
"""Where a difference in a request's body is, before the pointer into it."""
LOCATIONS: Final[Mapping[str, str]] = {"header": "request-header"}
"""How a finding calls the place of a parameter, where it is not as the contract does."""


@frozen
class BrokenRule:
    """A rule of the contract that a request breaks, or may break.

    Attributes:
        is_certain: whether it is broken for certain. What was not recorded, or replaced, may have been right.
        mismatches: what exactly is wrong. Empty: nobody knows.
    """

    fault: RequestFault
    is_certain: bool
    mismatches: tuple[Mismatch, ...] = ()


def expect(observation: Observation, operation: Operation) -> Expectation:
    """Return what the answer to a request for this operation may be."""
    exchange, gaps = observation.exchange, dict[Gap, None]()
    faults: dict[tuple[RequestFault, bool], None] = {}
    broken: list[Mismatch] = []
    for check in (_key_rules, _body_rules, _parameter_rules):
        for rule in check(observation, operation):
            if isinstance(rule, Gap):
                faults |= dict.fromkeys((fault, False) for fault in RequestFault)
                gaps[rule] = None
            else:
                faults[rule.fault, rule.is_certain] = None
                broken += rule.mismatches if rule.is_certain else ()
    certain = tuple(fault for fault, is_certain in faults if is_certain)
    possible = tuple(fault for fault, is_certain in faults if not is_certain)
    was_answered, is_vouched = is_answered_before(exchange, operation), exchange.is_vouched_for
    is_meant = is_vouched or not CONTRACT_FAULTS.issuperset(certain)
    named = () if is_meant else tuple(broken)
    return Expectation(operation, certain, possible, tuple(gaps), is_vouched, was_answered, named)


@with_gaps
def _key_rules(observation: Observation, operation: Operation) -> Iterator[BrokenRule]:
    return (BrokenRule(fault, is_certain) for fault, is_certain in key_faults(observation.exchange, operation))


# --- The body.


@with_gaps
def _body_rules(observation: Observation, operation: Operation) -> Iterator[BrokenRule]:
    exchange = observation.exchange
    if not operation.request:
        return
    rule, types = f"{operation.body_pointer}/content", " or ".join(operation.request)
    if not exchange.request_body:
        if exchange.request_body is None and _had_body(exchange.request_headers):
            yield from (BrokenRule(fault, is_certain=False) for fault in CONTRACT_FAULTS)  # It was not recorded.
        elif operation.request_required:
            missing = _mismatch(BODY_PREFIX, f"{operation.body_pointer}/required", f"a body of {types}", "no body")
            yield BrokenRule(RequestFault.NO_BODY, is_certain=True, mismatches=(missing,))
        return
    media_type = media_type_of(exchange.request_headers)
    media = media_for(operation.request, media_type)
    if media is None:
        other = _mismatch("request-header:content-type", rule, types, media_type)
        yield BrokenRule(RequestFault.CONTENT_TYPE, bool(media_type), (other,))
        media = first_json(operation.request)
        if media_type or media is None:
            return
    yield from _content_rules(observation, media, media_type or media.media_type)


def _content_rules(observation: Observation, media: Media, media_type: str) -> Iterator[BrokenRule]:
    """Yield the rules that a body of a media type breaks."""
    if "content-encoding" in observation.exchange.request_headers:
        yield BrokenRule(RequestFault.INVALID, is_certain=False)  # It can't be read here.
    elif is_json(media_type):
        yield from _json_rules(observation, media)
    elif media.schema is not None:
        form = read_form(observation, media, media_type)
        if form is None:
            yield BrokenRule(RequestFault.INVALID, is_certain=False)
        else:
            yield from _value_rules(observation, media.schema, form)


def read_form(observation: Observation, media: Media, media_type: str) -> Form | None:
    """Return the form that the body of a request is. None: it is none, or can't be read."""
    exchange, comparison = observation.exchange, observation.request_comparison
    body, schema = exchange.request_body or b"", media.schema or ""
    if is_form(media_type):
        return read_pairs(comparison, media, schema, body.decode("utf-8", "replace").strip())
    if media_type == "multipart/form-data":
        parts = split_parts(body, exchange.request_headers.get("content-type", ""))
        return None if parts is None else read_parts(comparison, media, schema, parts)
    return None


def _json_rules(observation: Observation, media: Media) -> Iterator[BrokenRule]:
    decoded = observation.request_json
    if decoded.defects:
        # Some readers take a byte order mark, a name twice, or NaN. Without these, it is no JSON to anyone.
        body, is_filtered = observation.exchange.request_body or b"", observation.exchange.may_be_filtered
        is_replaced = is_filtered and is_placeholder(body[: MAX_PLACEHOLDER + 1].decode("utf-8", "replace"))
        wrong = tuple(_mismatch(BODY_PREFIX, media.pointer, one.expected, one.seen) for one in decoded.defects)
        yield BrokenRule(RequestFault.MALFORMED, not is_replaced and not _is_lenient_json(body), wrong)
    if decoded.is_json and media.schema:
        yield from _value_rules(observation, media.schema, Form(decoded.value))


def _value_rules(observation: Observation, schema: str, form: Form) -> Iterator[BrokenRule]:
    """Yield the rules of its schema that the value of a body breaks."""
    if observation.request_comparison.allows(schema, form.value):
        return
    found = [
        one
        for one in breaking(observation.request_comparison, schema, form.value)
        if one.path[:1] not in {(n,) for n in form.files}
    ]
    if found:
        is_certain = not (observation.exchange.may_be_filtered and has_placeholder(form.value))
        yield BrokenRule(RequestFault.INVALID, is_certain, tuple(one.located(BODY_PREFIX) for one in found))


def _mismatch(location: str, rule: str, expected: str, seen: str) -> Mismatch:
    return Mismatch("validation-lost", (), rule, expected, seen, location=location)


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


# --- The parameters.


@with_gaps
def _parameter_rules(observation: Observation, operation: Operation) -> Iterator[BrokenRule | Gap]:
    yield from (Gap(str(defect), defect.unclear) for defect in operation.parameter_defects)
    for one in operation.parameters:
        yield from _rules_of_parameter(observation, one)


@with_gaps
def _rules_of_parameter(observation: Observation, parameter: Parameter) -> Iterator[BrokenRule]:
    """Yield the rules that a parameter breaks."""
    where, sent, is_filtered = parameter.location, observation.raw_parameters, observation.exchange.may_be_filtered
    if is_filtered and carries_a_key(observation.spec, where, parameter.name):
        return  # A recorder may have left it out, emptied it, or put anything in its place.
    location = f"{LOCATIONS.get(where, where)}:{parameter.name}"
    found = compare_parameter(observation.request_comparison, parameter, sent)
    if found is None and parameter.required:
        is_kept = where in {"query", "querystring"}  # Recordings often leave headers and cookies out.
        rule, expected = f"{parameter.pointer}/required", f"the parameter {parameter.name}"
        yield BrokenRule(RequestFault.INVALID, is_kept, (_mismatch(location, rule, expected, "missing"),))
    elif found:
        is_replaced = is_filtered and any(map(is_placeholder, sent.texts(parameter)))
        wrong = tuple(mismatch.located(location) for mismatch in found)
        yield BrokenRule(RequestFault.INVALID, not is_replaced, wrong)
        if where == "path":
            yield BrokenRule(RequestFault.UNKNOWN, is_certain=False)
