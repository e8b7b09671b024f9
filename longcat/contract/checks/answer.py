"""What in the body and headers of an answer differs from the one that the contract documents for its status code."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import evolve

from longcat.contract.checks.body import is_short
from longcat.contract.checks.comparison import GONE
from longcat.contract.checks.credentials import may_be_filtered, names_a_secret
from longcat.contract.checks.mismatch import CheckResult, Mismatch, Path, part, show_body, show_value
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.request import values_of
from longcat.contract.checks.status_codes import is_success
from longcat.contract.openapi.document import follow
from longcat.contract.openapi.operation import Media, Operation, Response, first_json, is_json, media_for
from longcat.text import without_queries

_RELATIONS: Final = re.compile(r"\b(deprecation|sunset|successor-version)\b", re.IGNORECASE)
_WARNING: Final = re.compile(r"(^|,)\s*299\b")
_NOT_DEPRECATED: Final = frozenset({"false", "0", "no", "none", ""})


def compare_answer(observation: Observation, response: Response) -> Iterator[CheckResult]:
    """Yield how an answer differs from a documented one."""
    yield from part(_compare_headers(observation, response))
    yield from part(_compare_body(observation, response))


def _compare_body(observation: Observation, response: Response) -> Iterator[CheckResult]:
    body = observation.exchange.response_body
    if observation.exchange.method == "HEAD" or body is None:
        return
    if not response.content:
        if body.strip():
            yield Mismatch("body-new", (), response.pointer, "no body", show_body(body))
    elif not body.strip():
        yield Mismatch("body-empty", (), response.pointer, f"a body of {_media_types(response)}", "an empty body")
    else:
        yield from _compare_content(observation, response, body)


def _compare_headers(observation: Observation, response: Response) -> Iterator[Mismatch]:
    comparison = observation.comparison
    for name, header in response.headers.items():
        value, location = observation.exchange.response_headers.get(name), f"header:{name}"
        if name == "content-type":
            continue  # It is described by `content` (OpenAPI, "Response Object").
        if may_be_filtered(observation.exchange) and names_a_secret(name):
            continue  # Such as `Set-Cookie`, which browsers leave out. What a secret was can't be judged anyway.
        if value is None:
            if header.required:
                yield Mismatch("header-missing", (), header.pointer, f"the header {name}", "missing", location=location)
        elif header.schema and not any(comparison.allows(header.schema, one) for one in values_of(value)):
            expected = comparison.describe((header.schema,))
            yield Mismatch("header-changed", (), header.schema, expected, show_value(value), value, location)


def _compare_content(observation: Observation, response: Response, body: bytes) -> Iterator[CheckResult]:
    headers, media_type = observation.exchange.response_headers, observation.media_type
    media = media_for(response.content, media_type)
    if media is None:
        page = f", {show_body(body)}" if observation.is_page else ""
        seen, rule = (without_queries(media_type) or "no content type") + page, f"{response.pointer}/content"
        expected, location = _media_types(response), "header:content-type"
        yield Mismatch("content-type-changed", (), rule, expected, seen, media_type, location)
        media = first_json(response.content)
        if media is None or not observation.response_json.is_json:
            return  # Another type has another form: that is one difference.
    if is_json(media.media_type):
        yield from _compare_json(observation, media, body)
    elif is_short(headers, body):
        yield Mismatch("body-cut", (), media.pointer, "as many bytes as its header says", f"{len(body)} bytes")
    elif media.media_type.startswith("text/") and media.schema is not None:
        yield from observation.comparison.compare(media.schema, body.decode("utf-8", "replace"), media.examples)


def _media_types(response: Response) -> str:
    return " or ".join(response.content)


def _compare_json(observation: Observation, media: Media, body: bytes) -> Iterator[CheckResult]:
    answer = observation.response_json
    for defect in answer.defects:
        is_cut = not answer.is_json and is_short(observation.exchange.response_headers, body)
        yield evolve(defect, code="body-cut" if is_cut else defect.code, rule=media.pointer)
    if not answer.is_json or media.schema is None:
        return
    value, schema, operation = answer.value, media.schema, observation.operation
    mismatches = observation.comparison.compare(schema, value, media.examples)
    if operation is None or not is_success(observation.status_code):
        yield from mismatches
        return
    error = error_schema(observation, [operation]) if mismatches else None
    if error is not None and _is_error(observation, schema, error, mismatches):
        yield Mismatch("error-in-success", (), schema, "an error with its own status code", show_value(value), value)
        return
    yield from mismatches
    known = {mismatch.path for mismatch in mismatches}
    path = next((mismatch.path for mismatch in mismatches if mismatch.code == "enveloped"), ())
    for mismatch in _compare_echo(observation, operation, schema, path):
        if mismatch.path not in known:
            yield mismatch


# --- An error in the place of a success.


def error_schema(observation: Observation, operations: Sequence[Operation]) -> str | None:
    """Return where the schema of an error stands that these operations document and the answer fits.

    None: it fits none, or only such as fit anything.
    """
    value, comparison = observation.response_json.value, observation.comparison
    schemas = dict.fromkeys(
        _target(observation, media.schema)
        for operation in operations
        for code, response in operation.responses.items()
        if not code.startswith(("1", "2", "3"))
        for media in response.content.values()
        if media.schema is not None
    )
    fitting = (one for one in schemas if isinstance(value, dict) and comparison.allows(one, value))
    return next((one for one in fitting if comparison.fields(one, value).required), None)


def _target(observation: Observation, pointer: str) -> str:
    """Return where the schema stands that the one at a pointer is a mere reference to: most errors have one schema."""
    schemas = observation.spec.schemas
    schema = schemas.at(pointer)
    return follow(schemas.document, schema, pointer)[1] if isinstance(schema, dict) and len(schema) == 1 else pointer


def _is_error(observation: Observation, schema: str, error: str, mismatches: Sequence[Mismatch]) -> bool:
    """Whether an answer that fits the schema of an error is one, rather than a success that is a little off."""
    value, comparison = observation.response_json.value, observation.comparison
    of_error = comparison.fields(error, value).required
    new_words = {one.path[0] for one in mismatches if one.code == "value-undocumented" and one.path} - of_error.keys()
    # A success may well tell of an error: by a word that is new, such as `failed`, or because the contract says so.
    # An error has little else.
    rest = {name: one for name, one in value.items() if name not in new_words}
    fields = comparison.fields(schema, rest)
    if new_words or of_error.keys() <= fields.named.keys():
        required = fields.required.keys() - new_words - of_error.keys()
        return 2 * len(required & value.keys()) < len(required)
    return any(one.path[:1] == (name,) or one.code in GONE for one in mismatches for name in of_error)


# --- An answer about something else.


def _compare_echo(observation: Observation, operation: Operation, schema: str, path: Path) -> Iterator[Mismatch]:
    """Yield the fields that give back another value than the request had by the same name.

    Both sides must require the field, and it must be text or a whole number: an id, rather than a setting that the
    gateway may round or complete.
    """
    value = observation.response_json.value
    for step in path:
        value = value[step]
    if not isinstance(value, dict):
        return
    fields = observation.comparison.fields(schema, value)
    for name, sent in _names_sent(observation, operation).items():
        got = value.get(name)
        if name in fields.required and _is_id(got) and str(sent) != str(got):
            rule = next(iter(fields.named.get(name, ())), fields.owner)
            yield Mismatch("answer-mismatched", (*path, name), rule, show_value(sent), show_value(got), got)


def _names_sent(observation: Observation, operation: Operation) -> dict[str, Any]:
    """Return what the request names: the values in its path, and the required fields of its JSON body."""
    found: dict[str, Any] = dict(observation.path_values)
    media = first_json(operation.request)
    if media is not None and media.schema is not None and isinstance(value := observation.request_json.value, dict):
        required = observation.comparison.fields(media.schema, value).required
        found |= {name: value[name] for name in required if _is_id(value.get(name))}
    return found


def _is_id(value: Any) -> bool:
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
    if "deprecat" in name or "sunset" in name:
        return None if value.strip().lower() in _NOT_DEPRECATED else "deprecated"
    return None
