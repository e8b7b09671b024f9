"""Drifts of whole answers, and of what the gateway accepts."""

import json
import re
from typing import Final

from starlette.responses import Response

from longcat.sandbox.drifts import answers as to
from longcat.sandbox.drifts import questions as on
from longcat.sandbox.drifts.answers import (
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
    Answer,
    Change,
)
from longcat.sandbox.drifts.kinds import Drift, Drifts
from longcat.sandbox.faults import JSON, error


def new() -> Drifts:
    """Yield what is new, and changes nothing else. Additive: who does not know a thing does not use it."""
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
        yield Drift(f"new-field-{name}", sentence, "additive", change=where.edit(to.put(extra)))
    for method in ("GET", "PUT"):
        yield Drift(
            f"new-method-{method.lower()}",
            f"{method} answers too, and Allow says so.",
            "additive",  # Callers use POST and go on.
            patchable=False,  # What the new method wants and promises can't be seen from one answer.
            change=WRONG_METHOD.change(to.headers({"allow": f"{method}, POST"})),
            handling=on.method_answers(method),
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
            handling=on.unknown_path_answers(answer),
        )


def misleading() -> Drifts:
    """Yield wrong answers. Breaking, and no contract may allow them: the caller takes them for what was asked."""
    other = to.put({"request_id": "another-request"})
    yield Drift("other-request", "Answers are about another request.", "breaking", False, ANSWERS.edit(other))
    yield Drift("other-request-completed", "The end is another request's.", "breaking", False, COMPLETED.edit(other))
    lower = to.turn("request_id", lambda text: f"{text.lower()}-v2")
    yield Drift(
        "other-id-format",
        "request_id is not as it was asked for while processing.",
        "breaking",
        False,
        PROCESSING.edit(lower),
    )
    message = {"error": "An unexpected error occurred, please try again later"}
    for name, sentence, where, change in (
        ("error-in-200-completed", "A completed request answers an error, with 200.", COMPLETED, to.say(message)),
        ("error-in-200-processing", "A request under way answers an error, with 200.", PROCESSING, to.say(message)),
        ("error-in-200-key", "A wrong key answers the error, with 200.", UNAUTHORIZED, to.status(200)),
        ("error-in-200-request", "An unknown request answers the error, with 200.", UNKNOWN, to.status(200)),
        ("error-in-200-body", "A wrong body answers the error, with 200.", INVALID, to.status(200)),
        ("error-in-200", "Every error is sent with 200.", ERRORS, to.status(200)),
        ("unknown-request-null", "An unknown request answers null, with 200.", UNKNOWN, to.say(None, 200)),
        ("unknown-request-accepted", "An unknown request is under way.", UNKNOWN, to.say(_UNDER_WAY, 200)),
    ):
        yield Drift(name, sentence, "breaking", False, where.change(change))


_UNDER_WAY: Final = {"status": "processing", "progress": 0.0, "request_id": "unknown"}


def enveloped() -> Drifts:
    """Yield drifts of the whole shape. Breaking: where a typed caller looks, nothing is."""
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
        ("nested", "Errors stand in data.", lambda body: {"data": body}),
        ("list", "Errors are a list, in errors.", lambda body: {"errors": [{"message": body.get("error")}]}),
    ):
        yield Drift(f"error-{name}", sentence, "breaking", change=ERRORS.edit(edit))
    yield Drift(
        "error-problem-json",
        "Errors are application/problem+json.",
        "breaking",
        change=ERRORS.change(_problem),
    )
    yield Drift(
        "error-text", "Errors are bare JSON strings.", "breaking", change=ERRORS.edit(lambda body: body.get("error"))
    )


def _problem(answer: Answer) -> Answer:
    problem = {"title": answer.fields.get("error"), "status": answer.status}
    return to.media("application/problem+json")(answer.saying(problem))


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
        yield Drift(f"status-{honest}-{code}", sentence, "breaking", patchable, where.change(to.status(code)))
    nothing = to.send(b"", code=204)
    yield Drift(
        "status-processing-204",
        "Processing is answered with 204 and no body.",
        "breaking",
        change=PROCESSING.change(lambda answer: nothing(answer).without("content-type", "content-length")),
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
        yield Drift(f"type-{name}", sentence, "breaking", change=where.change(to.media(media_type)))
    yield Drift(
        "type-missing",
        "No content type is given.",
        "breaking",
        patchable=False,  # A contract names content types; it can't name none.
        change=ANSWERS.change(lambda answer: answer.without("content-type")),
    )


def unreadable() -> Drifts:
    """Yield answers that are no JSON. Breaking, and no contract can describe half a body."""
    half: Change = to.send_as(lambda body: body[: len(body) // 2])
    for name, sentence, where, change in (
        ("page", "Answers are an HTML page, with 200.", ANSWERS, to.page("Welcome")),
        ("page-completed", "The end is an HTML page, with 200.", COMPLETED, to.page("Your picture")),
        ("page-404", "An unknown request answers an HTML page.", UNKNOWN, to.page("Not found")),
        ("plain-errors", "Errors are plain text.", ERRORS, to.send("Something is wrong.", "text/plain")),
        ("xml", "Answers are XML.", ANSWERS, to.send("<status>processing</status>", "application/xml")),
        ("cut", "Answers stop half-way.", ANSWERS, half),
        ("cut-completed", "The end stops half-way.", COMPLETED, half),
        ("cut-errors", "Errors stop half-way.", ERRORS, half),
        ("empty", "Answers are empty.", ANSWERS, to.send(b"")),
        ("empty-errors", "Errors are empty.", ERRORS, to.send(b"")),
        ("single-quotes", "Answers have the wrong quotes.", ANSWERS, to.send_as(lambda body: body.replace(b'"', b"'"))),
        (
            "not-a-number",
            "progress is NaN.",
            ANSWERS,
            to.send_as(lambda body: re.sub(rb": [0-9.]+,", b": NaN,", body, count=1)),
        ),
        (
            "callback",
            "Answers are wrapped in a call, as JSONP.",
            ANSWERS,
            to.send_as(lambda body: b"callback(" + body + b");"),
        ),
        ("two-documents", "Answers are two JSON documents.", ANSWERS, to.send_as(lambda body: body + b"\n" + body)),
    ):
        yield Drift(f"no-json-{name}", sentence, "breaking", False, where.change(change))
    yield Drift("null-body", "Answers are null.", "breaking", False, ANSWERS.change(to.say(None)))


def authentication() -> Drifts:
    """Yield drifts of the key. Breaking: who has the right one is refused, or a check is lost."""
    for name, sentence, handling in (
        ("key-may-lack", "No key is needed; a wrong one is refused.", on.key_may_lack),
        ("key-may-be-any", "Any key will do, but there must be one.", on.key_may_be_any),
        ("key-ignored", "The key is ignored.", on.key_is_ignored),
        ("key-bearer", "The key is wanted as Authorization: Bearer.", on.key_in_header("authorization", "Bearer ")),
        ("key-header", "The key is wanted in X-API-Key.", on.key_in_header("x-api-key")),
        ("key-query", "The key is wanted in the URL.", on.key_in_query("subscription-key")),
    ):
        yield Drift(name, sentence, "breaking", patchable=False, handling=handling)


def validation() -> Drifts:
    """Yield drifts of validation. Breaking: a check is lost that callers count on, or what was right is refused."""
    lost = {
        "no-body": ("A call without a body is accepted.", on.lost(on.lacks_body)),
        "malformed": ("A body that is no JSON is accepted.", on.lost(on.is_no_json)),
        "no-id": ("A body without request_id is accepted.", on.lost(on.lacks_request_id)),
        "empty-id": ("An empty request_id is accepted.", on.lost(on.has_empty_request_id)),
        "mistyped-id": ("A request_id that is no string is accepted.", on.lost(on.has_mistyped_request_id)),
        "content-type": ("Any content type is accepted.", on.any_content_type),
    }
    for name, (sentence, handling) in lost.items():
        yield Drift(f"unchecked-{name}", sentence, "breaking", patchable=False, handling=handling)
    yield Drift(
        "needs-header",
        "A header X-API-Version is required.",
        "breaking",
        patchable=False,
        handling=on.needs_header("x-api-version"),
    )
    yield Drift(
        "needs-field", "A field model is required.", "breaking", patchable=False, handling=on.needs_field("model")
    )


def endpoint() -> Drifts:
    """Yield drifts of the address. Breaking: callers ask where nobody is, and a redirect would take the key along."""
    new = f"/v2{CALL}"
    for name, sentence, answer in (
        ("moved", "The path is another, and the old one is 404.", lambda: error(404, "Endpoint not found")),
        ("gone", "The path is another, and the old one is 410.", lambda: error(410, "This endpoint is gone")),
        ("redirect-301", "The path redirects, with 301.", lambda: on.redirect(301, new)),
        ("redirect-307", "The path redirects, with 307.", lambda: on.redirect(307, new)),
        ("redirect-308", "The path redirects, with 308.", lambda: on.redirect(308, new)),
    ):
        yield Drift(name, sentence, "breaking", patchable=False, handling=on.moved(new, answer))
    elsewhere = EVERYTHING.change(
        lambda answer: to.headers({"location": f"https://v2.example{CALL}"})(to.status(302)(answer))
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
        yield Drift(name, sentence, "notice", patchable, where.change(to.headers(headers)))
