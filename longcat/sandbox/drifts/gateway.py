"""Drifts of whole responses, and of what the gateway accepts."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from starlette.responses import Response

from longcat.sandbox.drifts import requests
from longcat.sandbox.drifts.kinds import Drift, Drifts
from longcat.sandbox.drifts.requests import ReceivedRequest, RequestChange
from longcat.sandbox.drifts.responses import (
    ANSWERS,
    CALL,
    COMPLETED,
    ERRORS,
    EVERYTHING,
    INVALID,
    PROCESSING,
    UNAUTHORIZED,
    UNKNOWN,
    WRONG_METHOD,
    SentResponse,
)
from longcat.sandbox.faults import JSON, error


def new() -> Drifts:
    """Yield what is new, and changes nothing else. Additive: callers that don't know of it don't use it."""
    for name, sentence, where, extra in (
        ("processing", "There is a new field, while processing only.", PROCESSING, {"queue_position": 3}),
        ("completed", "There is a new field, when completed only.", COMPLETED, {"seed": 42}),
        ("everywhere", "There is a new field in every answer.", ANSWERS, {"api_version": "2"}),
        ("object", "There is a new object in every answer.", ANSWERS, {"links": {"self": "/requests/1"}}),
        ("error", "There is a new field in every error.", ERRORS, {"code": "E_REQUEST"}),
        ("error-400", "There is a new field in the 400 only.", INVALID, {"field": "request_id"}),
        (
            "result-url-processing",
            "result_url is there while processing.",
            PROCESSING,
            {"result_url": "https://a.test/"},
        ),
    ):
        yield Drift(f"new-field-{name}", sentence, "additive", response=where.add_fields(extra))
    for method in ("GET", "PUT"):
        yield Drift(
            f"new-method-{method.lower()}",
            f"{method} answers too, and Allow says so.",
            "additive",  # Callers use POST and go on.
            patchable=False,  # What the new method wants and promises can't be seen from one answer.
            response=WRONG_METHOD.set_headers({"allow": f"{method}, POST"}),
            request=requests.accept_method(method),
        )
    for name, sentence, answer in (
        ("json", "Every unknown path answers JSON.", lambda: Response(json.dumps({"ok": True}), media_type=JSON)),
        ("html", "Every unknown path answers a page.", lambda: Response("<!DOCTYPE html>", media_type="text/html")),
    ):
        yield Drift(
            f"any-path-{name}",
            sentence,
            "additive",  # Callers use the documented path and go on.
            patchable=False,  # A path that somebody made up is not a part of the contract.
            request=requests.serve_unknown_paths(answer),
        )


def misleading() -> Drifts:
    """Yield wrong answers. Breaking, and no contract may allow them: callers believe what they say."""
    other = {"request_id": "another-request"}
    error = {"error": "An unexpected error occurred, please try again later"}
    under_way = {"status": "processing", "progress": 0.0, "request_id": "unknown"}
    for name, sentence, change in (
        ("other-request", "Answers are about another request.", ANSWERS.add_fields(other)),
        ("other-request-completed", "The end is another request's.", COMPLETED.add_fields(other)),
        (
            "other-id-format",
            "request_id is not as it was asked for while processing.",
            PROCESSING.convert_field("request_id", lambda text: f"{text.lower()}-v2"),
        ),
        ("error-in-200-completed", "A completed request answers an error, with 200.", COMPLETED.set_json(error)),
        ("error-in-200-processing", "A request under way answers an error, with 200.", PROCESSING.set_json(error)),
        ("error-in-200-key", "A wrong key answers the error, with 200.", UNAUTHORIZED.set_status(200)),
        ("error-in-200-request", "An unknown request answers the error, with 200.", UNKNOWN.set_status(200)),
        ("error-in-200-body", "A wrong body answers the error, with 200.", INVALID.set_status(200)),
        ("error-in-200", "Every error is sent with 200.", ERRORS.set_status(200)),
        ("unknown-request-null", "An unknown request answers null, with 200.", UNKNOWN.set_json(None, 200)),
        ("unknown-request-accepted", "An unknown request is under way.", UNKNOWN.set_json(under_way, 200)),
    ):
        yield Drift(name, sentence, "breaking", False, change)


def enveloped() -> Drifts:
    """Yield drifts of the whole shape. Breaking: a typed caller finds nothing where it looks."""
    for name, sentence, change in (
        ("data", "The answer stands in data, beside success.", lambda body: {"success": True, "data": body}),
        ("result", "The answer stands in result.", lambda body: {"result": body}),
        ("list", "The answer is a list of one.", lambda body: [body]),
        ("text", "The answer is JSON within a JSON string.", json.dumps),
    ):
        # The fields that tell the variants apart have moved: a patch would have to write the contract anew.
        yield Drift(f"envelope-{name}", sentence, "breaking", False, ANSWERS.edit(change))
    yield Drift(
        "envelope-completed", "The end stands in data.", "breaking", False, COMPLETED.edit(lambda body: {"data": body})
    )
    for name, sentence, edit in (
        ("nested", "Errors stand in data.", ERRORS.edit(lambda body: {"data": body})),
        (
            "list",
            "Errors are a list, in errors.",
            ERRORS.edit(lambda body: {"errors": [{"message": body.get("error")}]}),
        ),
        ("problem-json", "Errors are application/problem+json.", ERRORS.change(_problem)),
        ("text", "Errors are bare JSON strings.", ERRORS.edit(lambda body: body.get("error"))),
    ):
        yield Drift(f"error-{name}", sentence, "breaking", response=edit)


def _problem(response: SentResponse) -> SentResponse:
    problem = {"title": response.fields.get("error"), "status": response.status}
    return response.with_body(json.dumps(problem).encode(), "application/problem+json")


def statuses() -> Drifts:
    """Yield other status codes. Breaking: a typed caller does not expect them, or takes them for another error."""
    for where, code, patchable in (
        (PROCESSING, 202, True),
        (COMPLETED, 201, True),
        (COMPLETED, 206, True),
        (INVALID, 422, True),
        # A second code for the same mistake would leave the first one documented, and so the answer as wrong as before.
        (INVALID, 415, False),
        (UNKNOWN, 410, False),
        # These are documented, with another meaning: the contract lists codes, and can't say which mistake gets which.
        (INVALID, 500, False),
        (INVALID, 401, False),
        (INVALID, 404, False),
        (UNAUTHORIZED, 403, False),
        (UNAUTHORIZED, 400, False),
        (UNAUTHORIZED, 404, False),
        (UNKNOWN, 400, False),
        (UNKNOWN, 403, False),
        (UNKNOWN, 401, False),
    ):
        honest = where.suffix.removeprefix("-")
        sentence = f"What was {honest} is answered with {code}."
        yield Drift(f"status-{honest}-{code}", sentence, "breaking", patchable, where.set_status(code))
    yield Drift(
        "status-processing-204",
        "Processing is answered with 204 and no body.",
        "breaking",
        response=PROCESSING.change(
            lambda response: response.with_body(b"", status=204).without_headers("content-type", "content-length")
        ),
    )


def types() -> Drifts:
    """Yield other content types of the same JSON. Breaking: callers that look before they read give up."""
    for name, where, media_type in (
        ("vendor", ANSWERS, "application/vnd.longcat.v2+json"),
        ("text", ANSWERS, "text/plain"),
        ("html", ANSWERS, "text/html; charset=utf-8"),
        ("text-completed", COMPLETED, "text/plain"),
        ("octets-error", ERRORS, "application/octet-stream"),
    ):
        sentence = f"JSON is sent as {media_type}{where.phrase}."
        yield Drift(f"type-{name}", sentence, "breaking", response=where.set_headers({"content-type": media_type}))
    yield Drift(
        "type-missing",
        "No content type is given.",
        "breaking",
        patchable=False,  # A contract names content types; it can't name none.
        response=ANSWERS.drop_headers("content-type"),
    )


def unreadable() -> Drifts:
    """Yield answers that are no JSON. Breaking, and no contract can describe half a body."""
    for name, sentence, change in (
        ("page", "Answers are an HTML page, with 200.", ANSWERS.set_page("Welcome")),
        ("page-completed", "The end is an HTML page, with 200.", COMPLETED.set_page("Your picture")),
        ("page-404", "An unknown request answers an HTML page.", UNKNOWN.set_page("Not found")),
        ("plain-errors", "Errors are plain text.", ERRORS.set_body("Something is wrong.", "text/plain")),
        ("xml", "Answers are XML.", ANSWERS.set_body("<status>processing</status>", "application/xml")),
        ("cut", "Answers stop half-way.", ANSWERS.convert_body(_half)),
        ("cut-completed", "The end stops half-way.", COMPLETED.convert_body(_half)),
        ("cut-errors", "Errors stop half-way.", ERRORS.convert_body(_half)),
        ("empty", "Answers are empty.", ANSWERS.set_body("")),
        ("empty-errors", "Errors are empty.", ERRORS.set_body("")),
        (
            "single-quotes",
            "Answers have the wrong quotes.",
            ANSWERS.convert_body(lambda body: body.replace(b'"', b"'")),
        ),
        (
            "not-a-number",
            "progress is NaN.",
            ANSWERS.convert_body(lambda body: re.sub(rb": [0-9.]+,", b": NaN,", body, count=1)),
        ),
        (
            "callback",
            "Answers are wrapped in a call, as JSONP.",
            ANSWERS.convert_body(lambda body: b"callback(" + body + b");"),
        ),
        (
            "two-documents",
            "Answers are two JSON documents.",
            ANSWERS.convert_body(lambda body: body + b"\n" + body),
        ),
    ):
        yield Drift(f"no-json-{name}", sentence, "breaking", False, change)
    yield Drift("null-body", "Answers are null.", "breaking", False, ANSWERS.set_json(None))


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def authentication() -> Drifts:
    """Yield drifts of the key. Breaking: callers with the right key are refused, or a check is lost."""
    for name, sentence, change in (
        ("key-may-lack", "No key is needed; a wrong one is refused.", requests.key_may_lack),
        ("key-may-be-any", "Any key will do, but there must be one.", requests.key_may_be_any),
        ("key-ignored", "The key is ignored.", requests.key_is_ignored),
        (
            "key-bearer",
            "The key is wanted as Authorization: Bearer.",
            requests.key_in_header("authorization", "Bearer "),
        ),
        ("key-header", "The key is wanted in X-API-Key.", requests.key_in_header("x-api-key")),
        ("key-query", "The key is wanted in the URL.", requests.key_in_query("subscription-key")),
    ):
        yield Drift(name, sentence, "breaking", patchable=False, request=change)


def validation() -> Drifts:
    """Yield drifts of validation. Breaking: a check is lost that callers count on, or what was right is refused."""
    table: Mapping[str, tuple[str, RequestChange]] = {
        "unchecked-no-body": (
            "A call without a body is accepted.",
            requests.respond_if(lambda request: not request.body),
        ),
        "unchecked-malformed": ("A body that is no JSON is accepted.", requests.respond_if(_is_not_json)),
        "unchecked-no-id": ("A body without request_id is accepted.", requests.respond_if(_lacks("request_id"))),
        "unchecked-empty-id": (
            "An empty request_id is accepted.",
            requests.respond_if(lambda request: (request.fields or {}).get("request_id") == ""),
        ),
        "unchecked-mistyped-id": (
            "A request_id that is no string is accepted.",
            requests.respond_if(lambda request: not isinstance((request.fields or {}).get("request_id", ""), str)),
        ),
        "unchecked-content-type": ("Any content type is accepted.", requests.any_content_type),
        "needs-header": (
            "A header X-API-Version is required.",
            requests.respond_if(lambda request: "x-api-version" not in request.headers, requests.invalid),
        ),
        "needs-field": ("A field model is required.", requests.respond_if(_lacks("model"), requests.invalid)),
    }
    for name, (sentence, request) in table.items():
        yield Drift(name, sentence, "breaking", patchable=False, request=request)


def _is_not_json(request: ReceivedRequest) -> bool:
    return bool(request.body) and request.json is None and request.body.strip() != b"null"


def _lacks(field: str) -> Callable[[ReceivedRequest], bool]:
    """Return what tells whether a body is a JSON object without a field."""
    return lambda request: request.fields is not None and field not in request.fields


def endpoint() -> Drifts:
    """Yield drifts of the address. Breaking: callers find nobody there, and a redirect would take the key along."""
    new = f"/v2{CALL}"
    for name, sentence, answer in (
        ("moved", "The path is another, and the old one is 404.", lambda: error(404, "Endpoint not found")),
        ("gone", "The path is another, and the old one is 410.", lambda: error(410, "This endpoint is gone")),
        ("redirect-301", "The path redirects, with 301.", lambda: requests.redirect(301, new)),
        ("redirect-307", "The path redirects, with 307.", lambda: requests.redirect(307, new)),
        ("redirect-308", "The path redirects, with 308.", lambda: requests.redirect(308, new)),
    ):
        yield Drift(name, sentence, "breaking", patchable=False, request=requests.move_call(new, answer))
    elsewhere = EVERYTHING.change(
        lambda response: replace(response, status=302).with_headers({"location": f"https://v2.example{CALL}"})
    )
    yield Drift("redirect-elsewhere", "Another host is to be asked, with 302.", "breaking", False, elsewhere)


def announced() -> Drifts:
    """Yield announcements. Notices: nothing has changed yet."""
    end = "Sat, 01 Jan 2028 00:00:00 GMT"
    for name, where, headers in (
        ("deprecation", EVERYTHING, {"deprecation": "@1735689600"}),
        ("deprecation-true", EVERYTHING, {"Deprecation": "true"}),
        ("deprecation-completed", COMPLETED, {"deprecation": "@1735689600"}),
        ("sunset", EVERYTHING, {"sunset": end}),
        ("sunset-error", ERRORS, {"sunset": end}),
        ("deprecation-and-sunset", EVERYTHING, {"deprecation": "@1735689600", "sunset": end}),
    ):
        sentence = f"There is a header {' and a header '.join(name.title() for name in headers)}{where.phrase}."
        # Where every answer has it, no contract could agree: an end that is announced is for people to act on.
        patchable = where is COMPLETED
        yield Drift(name, sentence, "notice", patchable, where.set_headers(headers))
