"""What in an exchange differs from the contract: everything is derived from the spec and from the request itself.

What a finding's `rule` and `evidence` are depends on its kind:

| kind | rule: in the contract, references followed | evidence |
| --- | --- | --- |
| `type-changed`, `field-null`, `value-*`, `format-changed` | the broken keyword: `.../progress/maximum` | value |
| `value-undocumented`, of a word that chooses a variant | the discriminator's `mapping`, or its like | word |
| `value-blank` | the schema of the text | value |
| `field-missing` | the `required` that names it | - |
| `field-absent` | its schema | - |
| `field-renamed` | the schema of the old name; the pointer has the new name | value |
| `field-new`, `field-moved` | the schema that lists the fields of the object | the new field's value |
| `enveloped` | the schema of the body; the pointer says where its fields stand now | the whole body |
| `error-in-success` | the schema of the body; for a bad request, `.../responses` | the whole body |
| `answer-mismatched` | the schema of the field | value |
| `content-type-changed` | the response's `content` | the media type; empty where none was given |
| `body-*`, `name-repeated` | the media type; where there is no body to speak of, the response | - |
| `header-*` | the header, or its schema | the header's value |
| `deprecated`, `warning` | the response; empty where it is not documented | the header's value |
| all others, by status code | the operation's `responses` | the decoded body |
| `method-new`, `path-new` | the path; `/paths` | the decoded body, or the methods in `Allow` |
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from longcat.contract.checks.answer import Answer, error_schema
from longcat.contract.checks.body import decode, is_html, media_type_of
from longcat.contract.checks.expectation import (
    KEY_FAULTS,
    Expectation,
    Fault,
    expect,
    is_redirect,
    is_success,
)
from longcat.contract.checks.hints import hints
from longcat.contract.checks.mismatch import Mismatch, seen, tidy
from longcat.contract.checks.outage import outage
from longcat.contract.codes import CODES
from longcat.contract.model import Exchange, Finding
from longcat.contract.openapi.operation import Operation, Response
from longcat.contract.openapi.spec import Spec
from longcat.text import describe

__all__ = ["concerns", "judge", "outage"]

GONE: Final = frozenset({404, 405, 410, 501})
"""The codes that say: there is no such thing."""
KEPT_OUT: Final = frozenset({401, 403, 407})
"""The codes that find fault with the key."""
REFUSED: Final = frozenset({400, 406, 411, 412, 413, 414, 415, 417, 422, 426, 428, 431})
"""The codes that find fault with the request."""
NOWHERE: Final = frozenset({401, 403, 404, 405})
"""The codes with which a path that does not exist may be refused: some gateways look at the key first."""
NO_SUCH_PATH: Final = "HTTP 404, as there is no such path"


def judge(spec: Spec, exchange: Exchange) -> Iterator[Finding]:
    """Yield how an exchange differs from the contract; nothing for an answer that tells nothing (see `outage`).

    What the answer should have been follows from the request, and from what its asker knows. Nothing is said about an
    exchange that is none of ours (see `concerns`).
    """
    if outage(spec, exchange) is not None:
        return
    operation = spec.match(exchange.method, exchange.url)
    for mismatch in _elsewhere(spec, exchange) if operation is None else _answered(spec, operation, exchange):
        yield Finding(
            code=mismatch.code,
            severity=CODES[mismatch.code].severity,
            operation=operation.operation_id if operation else None,
            pointer=mismatch.pointer,
            expected=mismatch.expected,
            seen=mismatch.seen,
            exchange=exchange,
            rule=mismatch.rule,
            evidence=mismatch.evidence,
        )


def concerns(spec: Spec, exchange: Exchange) -> bool:
    """Whether an exchange is about the contract: on one of its paths, with one of its servers, or known to be so.

    A file of recorded traffic may hold much else. Whoever knows an exchange's origin knows that it is with the gateway.
    """
    return bool(spec.at_path(exchange.url)) or spec.serves(exchange.url) or exchange.origin != "unknown"


# --- An answer of a documented operation.


def _answered(spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[Mismatch]:
    expected, response = expect(spec, operation, exchange), operation.response(exchange.status_code)
    if not expected.allows(exchange.status_code):
        yield _unexpected(spec, operation, exchange, expected)
    elif response is not None:
        yield from Answer(spec, operation, exchange).mismatches(response)
    if not operation.deprecated:
        yield from _hinted(exchange, response)


def _unexpected(spec: Spec, operation: Operation, exchange: Exchange, expected: Expectation) -> Mismatch:
    """Return the difference that a status code is. What the body is like then follows from it."""
    code, rule = exchange.status_code, f"{operation.pointer}/responses"
    value = decode(exchange.response_body or b"").value
    if not is_success(code) or not expected.certain:
        return Mismatch(_kind(operation, code, expected), (), rule, expected.words(), _came(exchange), value, "status")
    if error_schema(spec, [operation], value) is not None:
        return Mismatch("error-in-success", (), rule, expected.words(), f"HTTP {code} with {seen(value)}", value)
    return Mismatch(_lost(expected), (), rule, expected.words(), _came(exchange), value, "status")


def _lost(expected: Expectation) -> str:
    """Return the kind of a success that should be a refusal."""
    if KEY_FAULTS & set(expected.certain):
        return "auth-lost"
    return "unknown-answered" if expected.certain == (Fault.UNKNOWN,) else "validation-lost"


def _kind(operation: Operation, code: int, expected: Expectation) -> str:
    """Return the kind of any other status code that should be another one."""
    is_documented = operation.response(code) is not None
    if is_redirect(code):
        return "redirected"
    if code in GONE and not (is_documented and expected.certain):
        return "endpoint-gone"
    if code in KEPT_OUT and not KEY_FAULTS & set(expected.certain):
        return "auth-changed"
    if code in REFUSED and not expected.certain:
        return "request-refused"
    return "status-changed" if is_documented else "status-undocumented"


def _came(exchange: Exchange) -> str:
    """Return what came, in words: the code, and where it leads or that it is a page."""
    code, body = exchange.status_code, exchange.response_body or b""
    if is_redirect(code) and "location" in exchange.response_headers:
        return tidy(f"HTTP {code} to {seen(exchange.response_headers['location'])}")
    page = f", {tidy(describe(body))}" if is_html(body, media_type_of(exchange.response_headers)) else ""
    return f"HTTP {code}{page}"


def _hinted(exchange: Exchange, response: Response | None) -> Iterator[Mismatch]:
    rule = response.pointer if response else ""
    for code, name, value in hints(exchange.response_headers, response.headers if response else {}):
        yield Mismatch(code, (), rule, "no announcement", seen(value), value, f"header:{name}")


# --- An answer that the contract has no operation for.


def _elsewhere(spec: Spec, exchange: Exchange) -> Iterator[Mismatch]:
    if exchange.method == "OPTIONS":
        return  # A browser asks about its own rules (CORS), and a server or CDN may answer that for any path.
    at_path = spec.at_path(exchange.url)
    if at_path:
        yield from _other_method(spec, at_path, exchange)
    elif concerns(spec, exchange):
        yield from _other_path(spec, exchange)
    else:
        return
    yield from _hinted(exchange, None)


def _other_method(spec: Spec, at_path: tuple[Operation, ...], exchange: Exchange) -> Iterator[Mismatch]:
    """Yield that a method is new: it is answered, or `Allow` names it."""
    methods = [one.method for one in at_path]
    if exchange.method == "HEAD" and "GET" in methods:
        return
    rule, only = at_path[0].pointer.rpartition("/")[0], f"only {' and '.join(methods)}"
    if is_success(exchange.status_code):
        yield _answered_anyway(spec, at_path, exchange) or Mismatch(
            "method-new", (), rule, f"a refusal, because there is {only}", _came(exchange), _value(exchange), "status"
        )
    elif exchange.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = {word.strip().upper() for word in exchange.response_headers.get("allow", "").split(",")}
        more = sorted(allowed - {*methods, "", "HEAD", "OPTIONS"})
        if more:
            yield Mismatch("method-new", (), rule, only, ", ".join(more), more, "header:allow")


def _other_path(spec: Spec, exchange: Exchange) -> Iterator[Mismatch]:
    """Yield what is wrong with the answer to a path that the contract does not have.

    It is a 404 where the contract knows that code at all; if it has one form for all of them, then that form.
    """
    code = exchange.status_code
    documented = [found for one in spec.operations if (found := one.response(HTTPStatus.NOT_FOUND))]
    if is_success(code):
        yield _answered_anyway(spec, spec.operations, exchange) or Mismatch(
            "path-new", (), "/paths", NO_SUCH_PATH, _came(exchange), _value(exchange), "status"
        )
    elif documented and code not in NOWHERE:
        yield Mismatch("status-changed", (), "", NO_SUCH_PATH, _came(exchange), _value(exchange), "status")
    elif code == HTTPStatus.NOT_FOUND and _have_one_form(documented):
        yield from Answer(spec, None, exchange).mismatches(documented[0])


def _have_one_form(responses: list[Response]) -> bool:
    """Whether there are documented responses, and all have the same schemas."""
    forms = {tuple((media.media_type, media.schema) for media in one.content.values()) for one in responses}
    return len(forms) == 1


def _answered_anyway(spec: Spec, operations: tuple[Operation, ...], exchange: Exchange) -> Mismatch | None:
    """Return the difference if a success is in truth an error with a wrong code."""
    value = _value(exchange)
    if error_schema(spec, operations, value) is None:
        return None
    return Mismatch("error-in-success", (), "", "a refusal", f"{_came(exchange)} with {seen(value)}", value)


def _value(exchange: Exchange) -> object:
    return decode(exchange.response_body or b"").value
