"""Compares the body and headers of an answer with those that the contract documents for its status code."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from longcat.contract.checks.content import compare_content, documented_media, exact_media, media_types
from longcat.contract.checks.credentials import names_a_secret
from longcat.contract.checks.media import KINDS_IN_ROWS, MediaKind, kind_of
from longcat.contract.checks.mismatch import CheckResult, Gap, Mismatch, show_body, show_value, with_gaps
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.request.parameters import allows_header, values_of
from longcat.contract.checks.status_codes import is_success
from longcat.contract.openapi.operation import Operation, Parameter, Response
from longcat.contract.openapi.schema.variants import normal
from longcat.contract.placeholders import is_placeholder
from longcat.text import words_of

_RELATIONS: Final = re.compile(r"\b(deprecation|sunset|successor-version)\b", re.IGNORECASE)
_WARNING: Final = re.compile(r"(^|,)\s*299\b")
_IDENTIFIERS: Final = frozenset({"id", "identifier", "uuid", "guid", "uid", "ulid"})
_PARTS: Final = re.compile(r"[^\W_]+")
_STAND_INS: Final = frozenset({"me", "self", "mine", "current", "latest", "last", "first", "default", "primary"})
"""The words by which many services let one ask for a thing without its identifier."""
PLACEHOLDERS_PUT: Final = "a recorder put placeholders in the place of values"
NO_ROWS: Final = "the stream of the answer is empty, which says nothing"
UNRECORDED: Final = "the body of the answer was not recorded"
ANNOUNCING: Final = ("deprecat", "sunset")
"""Parts of the names of headers that announce the end of an operation."""
_NOT_DEPRECATED: Final = frozenset({"false", "0", "no", "none", ""})


def compare_answer(observation: Observation, response: Response) -> Iterator[CheckResult]:
    """Yield how an answer differs from a documented one."""
    yield from compare_headers(observation, response)
    yield from compare_body(observation, response)


@with_gaps
def compare_headers(observation: Observation, response: Response) -> Iterator[CheckResult]:
    """Yield how the headers of an answer differ from the documented ones."""
    for name, header in response.headers.items():
        if name == "content-type":
            continue  # It is described by `content` (OpenAPI, "Response Object").
        if observation.exchange.may_be_filtered and names_a_secret(name):
            continue  # Such as `Set-Cookie`, which browsers leave out. What a secret was can't be judged anyway.
        yield from _compare_header(observation, name, header)


@with_gaps
def _compare_header(observation: Observation, name: str, header: Parameter) -> Iterator[CheckResult]:
    value, location = observation.exchange.response_headers.get(name), f"header:{name}"
    if value is None:
        if header.required:
            yield Mismatch("header-missing", (), header.pointer, f"the header {name}", "missing", location=location)
    elif header.schema and not allows_header(observation.comparison, header, value):
        if observation.exchange.may_be_filtered and is_placeholder(value):
            yield Gap(PLACEHOLDERS_PUT, unclear=False)
            return
        expected = observation.comparison.describe((header.schema,))
        yield Mismatch("header-changed", (), header.schema, expected, show_value(value), value, location)


@with_gaps
def compare_body(observation: Observation, response: Response) -> Iterator[CheckResult]:
    """Yield how the body of an answer differs from a documented one."""
    body = observation.exchange.response_body or b""
    if observation.exchange.method == "HEAD" or (not observation.has_body and not body.strip()):
        return
    if not observation.is_body_recorded:
        if response.content:
            yield Gap(UNRECORDED, unclear=False)
    elif not response.content:
        if body.strip():
            yield Mismatch("body-new", (), response.pointer, "no body", show_body(body))
    elif not body.strip() and kind_of(observation.media_type) in KINDS_IN_ROWS:
        yield Gap(NO_ROWS, unclear=False)
    elif not body.strip() and not _may_be_empty(observation, response):
        yield Mismatch("body-empty", (), response.pointer, f"a body of {media_types(response)}", "an empty body")
    else:
        results = list(compare_content(observation, response))
        yield from results
        if is_success(observation.status_code) and kind_of(observation.media_type) is MediaKind.JSON:
            yield from _compare_echo(observation, response, [one for one in results if isinstance(one, Mismatch)])


def _may_be_empty(observation: Observation, response: Response) -> bool:
    """Whether an empty body is a text, which its schema may allow to be empty."""
    is_text = kind_of(observation.media_type) is MediaKind.TEXT
    return is_text and exact_media(observation, response) is not None


# --- An answer about something else.


def _compare_echo(observation: Observation, response: Response, mismatches: Sequence[Mismatch]) -> Iterator[Mismatch]:
    """Yield the identifiers that stand in the request and, with another value, in the answer.

    Only fields count that the answer must have, and that are identifiers by their names (see `_is_identifier`): the
    server may well change another value that it was given, such as a setting.
    """
    media, operation = documented_media(observation, response), observation.operation
    value, codes = observation.response_json.value, {mismatch.code for mismatch in mismatches}
    if media is None or media.schema is None or operation is None or "error-in-success" in codes:
        return
    path = next((mismatch.path for mismatch in mismatches if mismatch.code == "enveloped"), ())
    for step in path:
        value = value[step]
    if not isinstance(value, dict) or not may_differ(observation, operation, value):
        return
    comparison, wrong = observation.comparison, {mismatch.path for mismatch in mismatches}
    fields = comparison.fields(media.schema, value)
    sent_names = _names_sent(observation, operation)
    has_own = any(_IDENTIFIERS.issuperset(words_of(name)) for name in fields.required.keys() - sent_names.keys())
    for name, sent in sent_names.items():
        if has_own and name not in observation.path_values:
            continue  # What the answer is about has an identifier of its own, and this one belongs to something else.
        got, pointers = value.get(name), fields.named.get(name, ())
        if name not in fields.required or (*path, name) in wrong or not _is_scalar(got):
            continue
        is_same_kind = any(comparison.allows(one, as_sent) for one in pointers for as_sent in values_of(str(sent)))
        if _is_identifier(observation, name, pointers) and is_same_kind and not _is_same(sent, got):
            rule = next(iter(pointers), fields.owner)
            yield Mismatch("answer-mismatched", (*path, name), rule, show_value(sent), show_value(got), got)


def may_differ(observation: Observation, operation: Operation, answer: Mapping[str, Any]) -> bool:
    """Whether a field of the answer may stand in the request, too, with another value.

    In most answers none does. To see that is much faster than to find out which fields are identifiers.
    """
    raw_query = observation.raw_parameters.raw_query
    query = parse_qsl(raw_query) if raw_query else ()
    for sent in (query, observation.path_values.items(), _fields_sent(observation, operation)[1].items()):
        for name, value in sent:
            got = answer.get(name)
            if value != got and _is_scalar(got) and _is_scalar(value) and not _is_same(value, got):
                return True
    return False


def _fields_sent(observation: Observation, operation: Operation) -> tuple[str, Mapping[str, Any]]:
    """Return where the schema of the request's JSON body stands, and its fields; none where it has no schema."""
    schema = operation.json_request
    value = observation.request_json.value if schema is not None else None
    return schema or "", value if isinstance(value, dict) else {}


def _names_sent(observation: Observation, operation: Operation) -> dict[str, Any]:
    """Return what the request names: the values in its path and query, and the required fields of its JSON body."""
    documented = {one.name for one in operation.parameters if one.location == "query"}
    found: dict[str, Any] = {
        name: value for name, value in parse_qsl(observation.raw_parameters.raw_query) if name in documented
    }
    found |= observation.path_values
    schema, value = _fields_sent(observation, operation)
    required = observation.request_comparison.fields(schema, value).required if value else ()
    found |= {name: value[name] for name in required if _is_scalar(value.get(name))}
    is_filtered = observation.exchange.may_be_filtered
    return {name: one for name, one in found.items() if not (is_filtered and is_placeholder(str(one)))}


def _is_identifier(observation: Observation, name: str, pointers: Sequence[str]) -> bool:
    """Whether a field names a thing, by its last word or by its format.

    Any other one that a request and its answer have in common may be a setting, and a model that is asked for as
    `latest` has another name in the answer.
    """
    schemas = observation.spec.schemas
    formats = {schema.get("format") for one in pointers if isinstance(schema := schemas.at(one), dict)}
    return bool(_IDENTIFIERS & {*words_of(name)[-1:]}) or "uuid" in formats


def _is_same(sent: Any, got: Any) -> bool:
    """Whether two values name the same thing: in another case, as a text or a number, or by a word for it.

    Around a number one of them may have more: a kind of thing, as in `user_7`, or an ending, as in `7.json`.
    """
    old, new = str(sent), str(got)
    if old.isdecimal() and new.isdecimal():
        return int(old) == int(new)
    if old == new or normal(old) == normal(new) or not normal(old):
        return True
    asked, answered = (set(_PARTS.findall(one.casefold())) for one in (old, new))
    fewer, more = sorted((asked, answered), key=len)
    is_wrapped = bool(fewer) and fewer < more and all(map(str.isdecimal, fewer))
    return is_wrapped or not _STAND_INS.isdisjoint(words_of(old))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


# --- What the headers announce.


def announcements(observation: Observation, response: Response | None) -> Iterator[Mismatch]:
    """Yield each header that announces something and is not documented.

    `Deprecation` is RFC 9745, `Sunset` and its link relation RFC 8594, `successor-version` RFC 5829. `Warning` was
    retired by RFC 9111; APIs still use its code 299 to tell of what will go. Many have names of their own.
    """
    for name, value in observation.exchange.response_headers.items():
        code = _announcement(name, value)
        if code is not None and (response is None or name not in response.headers):
            rule = response.pointer if response else ""
            yield Mismatch(code, (), rule, "no announcement", show_value(value), value, f"header:{name}")


def _relations(link: str) -> Iterator[str]:
    """Yield the relations in the value of a `Link` header, which may be long: one expression for it would take long."""
    for parameter in link.split(";")[1:]:
        name, _, relations = parameter.partition("=")
        if name.strip().lower() == "rel":
            yield relations.lstrip().removeprefix('"').partition('"')[0]


def _announcement(name: str, value: str) -> str | None:
    if name == "link":
        return "deprecated" if any(map(_RELATIONS.search, _relations(value))) else None
    if name == "warning":
        return "warning" if _WARNING.search(value) else None
    if any(word in name for word in ANNOUNCING):
        return None if value.strip().lower() in _NOT_DEPRECATED else "deprecated"
    return None
