"""Changes to whole answers: to their shape, their bytes, their status code and their headers."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from longcat.sandbox.mutator.response import ResponseChange, SentResponse

PAGE: Final = b"<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head></html>\n"
BOM: Final = b"\xef\xbb\xbf"
WholeSeverity: TypeAlias = Literal["breaking", "additive", "notice", "as-weighed"]
"""How bad a change is. `as-weighed`: it makes other JSON, and the contract decides."""


class WholeChange(NamedTuple):
    """A change to a whole answer. The names are those of a mutation, without `{where}`."""

    kind: str
    name: str
    sentence: str
    change: ResponseChange
    severity: WholeSeverity
    patchable: bool


def _json(make: Callable[[Any], Any]) -> ResponseChange:
    """Return a change that makes another JSON body of the one there is, if there is one."""
    return lambda response: response if response.json is None else response.with_json(make(response.json))


def _text(edit: Callable[[bytes], bytes]) -> ResponseChange:
    return lambda response: response.with_body(edit(response.body))


def _typed(media_type: str, body: bytes | None = None) -> ResponseChange:
    """Return a change that gives an answer another content type, and perhaps another body."""
    return lambda response: (response if body is None else response.with_body(body)).with_headers(
        {"content-type": media_type}
    )


def _headers(**headers: str) -> ResponseChange:
    return lambda response: response.with_headers({name.replace("_", "-"): value for name, value in headers.items()})


def _more(field: str, value: Any) -> ResponseChange:
    return _json(lambda body: {**body, field: value} if isinstance(body, dict) else body)


def _twice(body: bytes) -> bytes:
    """Return the text of an object with its first name once more."""
    name = re.match(rb'\s*\{\s*("(?:[^"\\]|\\.)*")\s*:', body)
    return body[: name.start(1)] + name[1] + b": 0, " + body[name.start(1) :] if name else body


def _words(body: Any) -> str:
    """Return the first text in a body."""
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return body if isinstance(body, str) else next(filter(None, map(_words, inner)), "")


def _problem(response: SentResponse) -> SentResponse:
    """Return an error as RFC 9457 writes it."""
    problem = response.with_json({"title": _words(response.json), "status": response.status})
    return problem.with_headers({"content-type": "application/problem+json"})


def _family(
    kind: str, severity: WholeSeverity, rows: Mapping[str, tuple[str, ResponseChange]], *, patchable: bool = True
) -> tuple[WholeChange, ...]:
    """Return the changes of one kind. `rows` holds a sentence and a change by the name of each."""
    return tuple(WholeChange(kind, name, *row, severity, patchable) for name, row in rows.items())


SHAPE_CHANGES: Final = (
    *_family(
        "envelope",
        "as-weighed",
        {
            "envelope-data": ("The answer stands in data", _json(lambda body: {"success": True, "data": body})),
            "envelope-result": ("The answer stands in result", _json(lambda body: {"result": body})),
            "envelope-list": ("The answer is a list of one", _json(lambda body: [body])),
            "envelope-page": ("The answer is one of several", _json(lambda body: {"items": [body], "next": None})),
            "envelope-text": ("The answer is JSON within a JSON string", _json(json.dumps)),
        },
        patchable=False,
    ),
    *_family(
        "new-field",
        "as-weighed",
        {
            "new-field": ("There is a new field", _more("api_version", "2")),
            "new-field-object": ("There is a new object", _more("links", {"self": "/requests/1"})),
            "new-field-null": ("There is a new field, which is null", _more("next_page", None)),
        },
    ),
    *_family(
        "null-body",
        "as-weighed",
        {"null-body": ("Answers are null", lambda response: response.with_body(b"null"))},
        patchable=False,
    ),
)
"""Other JSON."""
BYTE_CHANGES: Final = _family(
    "no-json",
    "breaking",
    {
        "no-json-page": ("Answers are an HTML page", _typed("text/html", PAGE)),
        "no-json-plain": ("Answers are plain text", _typed("text/plain", b"Something is wrong.")),
        "no-json-xml": ("Answers are XML", _typed("application/xml", b"<status>processing</status>")),
        "no-json-words": ("Answers are bare words", lambda response: response.with_body(b"Something is wrong.")),
        "no-json-cut": ("Answers stop half-way", _text(lambda body: body[: len(body) // 2])),
        "no-json-empty": ("Answers are empty", _text(lambda _: b"")),
        "no-json-single-quotes": ("Answers have the wrong quotes", _text(lambda body: body.replace(b'"', b"'"))),
        "no-json-not-a-number": (
            "A number is NaN",
            _text(lambda body: re.sub(rb": -?[0-9][0-9.eE+-]*(?=[,}])", b": NaN", body, count=1)),
        ),
        "no-json-callback": ("Answers are JSONP", _text(lambda body: b"callback(" + body + b");")),
        "no-json-two-documents": ("Answers are two JSON documents", _text(lambda body: body + b"\n" + body)),
        "no-json-comma": (
            "Answers end with a comma too many",
            _text(lambda body: re.sub(rb'([\w"\]}])\s*\}\s*$', rb"\1,}", body)),
        ),
        "no-json-byte-order-mark": ("Answers begin with a byte order mark", _text(lambda body: BOM + body)),
        "repeated-name": ("A name comes twice", _text(_twice)),
    },
    patchable=False,
)
"""Other bytes, which are no JSON, or no good one."""
TYPE_CHANGES: Final = (
    *_family(
        "type",
        "breaking",
        {
            "type-vendor": ("JSON is sent as application/vnd.next.v2+json", _typed("application/vnd.next.v2+json")),
            "type-text": ("JSON is sent as text/plain", _typed("text/plain")),
            "type-html": ("JSON is sent as text/html", _typed("text/html; charset=utf-8")),
            "type-octets": ("JSON is sent as application/octet-stream", _typed("application/octet-stream")),
        },
    ),
    # A contract names content types; it can't name none.
    *_family(
        "type",
        "breaking",
        {"type-missing": ("No content type is given", lambda response: response.without_headers(["content-type"]))},
        patchable=False,
    ),
)
ANNOUNCEMENTS: Final = _family(
    "announced",
    "notice",
    {
        "deprecation": ("There is a header Deprecation", _headers(deprecation="@1735689600")),
        "deprecation-true": ("There is a header Deprecation", _headers(Deprecation="true")),
        "deprecation-link": ("A link tells of an end", _headers(link='<https://docs.example/>; rel="deprecation"')),
        "sunset": ("There is a header Sunset", _headers(sunset="Sat, 01 Jan 2028 00:00:00 GMT")),
        "warning": ("There is a header Warning", _headers(warning='299 - "This call ends soon"')),
    },
)
ERROR_CHANGES: Final = (
    *_family(
        "error-shape",
        "as-weighed",
        {
            "error-nested": ("Errors stand in data", _json(lambda body: {"data": body})),
            "error-list": ("Errors are a list", _json(lambda body: {"errors": [{"title": _words(body)}]})),
            "error-text": ("Errors are bare JSON strings", _json(_words)),
        },
    ),
    *_family(
        "error-shape",
        "breaking",
        {"error-problem-json": ("Errors are application/problem+json", _problem)},
    ),
)
"""Changes to errors alone."""


def status_changes(status: int) -> Iterator[tuple[int, bool, ResponseChange]]:
    """Yield each status code that might come in the place of this one, whether it is patchable, and the change.

    It is patchable if a contract that lists the new code as well describes the change. A contract can't say which
    mistake gets which code.
    """
    success = status < 300  # noqa: PLR2004 - where success ends.
    for code in (200, 201, 202, 206) if success else (400, 401, 403, 404, 410, 415, 422, 500):
        if code != status:
            yield code, success or (status, code) == (400, 422), _status(code)
    if success:
        yield (
            204,
            True,
            lambda response: (
                response.without_headers(["content-type", "content-length"]).with_body(b"").with_status(204)
            ),
        )
        yield 302, False, lambda response: response.with_status(302).with_headers({"location": "https://v2.example/"})


def _status(code: int) -> ResponseChange:
    return lambda response: response.with_status(code)


# --- Changes that harm nobody.


def _escaped(value: Any) -> str:
    """Return the JSON of a value in which every character of a text is an escape."""
    match value:
        case str():
            units = value.encode("utf-16-be")
            return (
                '"'
                + "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))
                + '"'
            )
        case dict():
            return "{" + ", ".join(f"{_escaped(name)}: {_escaped(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_escaped, value)) + "]"
        case _:
            return json.dumps(value)


def _other_numbers(value: Any) -> Any:
    """Return a value with whole numbers written as 1.0 rather than 1, and the other way round."""
    match value:
        case bool():
            return value
        case int() if abs(value) < 2**53:
            return float(value)
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _other_numbers(inner) for name, inner in value.items()}
        case list():
            return [_other_numbers(inner) for inner in value]
        case _:
            return value


def _reversed(value: Any) -> Any:
    match value:
        case dict():
            return {name: _reversed(inner) for name, inner in reversed(value.items())}
        case list():
            return [_reversed(inner) for inner in value]
        case _:
            return value


def _spelt(write: Callable[[Any], str]) -> ResponseChange:
    """Return a change that writes the same JSON in another way."""
    return lambda response: response if response.json is None else response.with_body(write(response.json).encode())


def _title_case(response: SentResponse) -> SentResponse:
    headers = [(name.title(), value) for name, value in reversed(response.headers)]
    return SentResponse(response.status, tuple(headers), response.body, response.accepts)


def _type_is(edit: Callable[[str], str]) -> ResponseChange:
    """Return a change that writes the same content type in another way."""

    def change(response: SentResponse) -> SentResponse:
        media_type = next((value for name, value in response.headers if name.lower() == "content-type"), "")
        return response.with_headers({"content-type": edit(media_type)}) if media_type else response

    return change


HARMLESS: Final[tuple[tuple[str, str, ResponseChange], ...]] = (
    ("order", "Fields come in another order", _json(_reversed)),
    ("indented", "Bodies are indented", _spelt(lambda body: json.dumps(body, indent=2))),
    ("compact", "Bodies have no blanks", _spelt(lambda body: json.dumps(body, separators=(",", ":")))),
    ("escapes", "Every character of a text is an escape", _spelt(_escaped)),
    ("numbers", "Whole numbers are written as 1.0, or no longer so", _json(_other_numbers)),
    ("line-end", "Bodies end with a new line", _text(lambda body: body + b"\r\n")),
    ("charset", "The content type has a charset", _type_is(lambda one: f"{one.partition(';')[0]}; charset=utf-8")),
    ("type-case", "The content type has capitals", _type_is(str.title)),
    ("header-case", "Headers have capitals, and another order", _title_case),
    ("unrelated-headers", "There are more headers, which mean nothing here",
        _headers(server="gateway/2", x_request_id="7", cf_ray="8a-FRA", cache_control="no-store", vary="*")),
    ("rate-headers", "Headers tell the rate limit", _headers(x_ratelimit_limit="60", x_ratelimit_remaining="59")),
    ("cookie", "A cookie is set", _headers(set_cookie="cf=1; Path=/; Secure")),
    ("connection-close", "Every connection is closed", _headers(connection="close")),
    ("chunked", "Bodies are sent in chunks", lambda response: response.without_headers(["content-length"])),
)  # fmt: skip
"""The name of each, a sentence, and the change."""
