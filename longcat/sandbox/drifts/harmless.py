"""Variations that harm nobody. None of them may be reported."""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from longcat.sandbox.drifts.kinds import Drift, Drifts
from longcat.sandbox.drifts.requests import method_is_not_found, preflight
from longcat.sandbox.drifts.responses import (
    ANSWERS,
    COMPLETED,
    ERRORS,
    EVERYTHING,
    PROCESSING,
    UNAUTHORIZED,
    ResponseChange,
    Responses,
    SentResponse,
)

_ALL: Final = Responses(lambda _: True)
_UNRELATED: Final = {
    "server": "gateway/2",
    "x-request-id": "7",
    "cf-ray": "8a-FRA",
    "cache-control": "no-store",
    "vary": "*",
}


def harmless() -> Drifts:
    """Yield what the documentation allows, and what is nobody's business."""
    rates = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "59"}
    changes: Mapping[str, tuple[str, ResponseChange]] = {
        "wording": ("Errors are worded otherwise.", ERRORS.add_fields({"error": "Please look at your request."})),
        "wording-german": ("Errors are in German.", ERRORS.add_fields({"error": "Schlüssel fehlt"})),
        "integer-progress": (
            "progress is 1 rather than 1.0.",
            COMPLETED.convert_field("progress", lambda share: 1 if share == 1 else share),
        ),
        "success-true": ("success is there, and true.", ANSWERS.add_fields({"success": True})),
        "success-processing": (
            "success is there, and true, while processing.",
            PROCESSING.add_fields({"success": True}),
        ),
        "fraction-duration": (
            "duration_seconds has a fraction.",
            COMPLETED.convert_field("duration_seconds", lambda _: 42.5),
        ),
        "fraction-created-at": (
            "created_at has a fraction.",
            COMPLETED.convert_field("created_at", lambda at: at.replace("Z", ".125Z")),
        ),
        "offset-created-at": (
            "created_at ends in +00:00.",
            COMPLETED.convert_field("created_at", lambda at: at.replace("Z", "+00:00")),
        ),
        "model-version": ("model_version is another.", COMPLETED.add_fields({"model_version": "longcat-v2"})),
        "signed-result-url": (
            "result_url has a query.",
            COMPLETED.convert_field("result_url", lambda url: f"{url}?signature=abc&expires=1735689600"),
        ),
        "order": ("Fields come in another order.", EVERYTHING.edit(lambda body: dict(reversed(body.items())))),
        "indented": ("Bodies are indented.", EVERYTHING.change(_indented)),
        "exponent": ("progress is written as 4.5e-1.", ANSWERS.convert_body(_exponent)),
        "charset": (
            "The content type has a charset.",
            _ALL.set_headers({"content-type": "application/json; charset=utf-8"}),
        ),
        "type-case": (
            "The content type is written Application/JSON.",
            _ALL.set_headers({"content-type": "Application/JSON"}),
        ),
        "header-case": ("Headers have capitals, and another order.", _title_case),
        "unrelated-headers": ("There are more headers, which mean nothing here.", _ALL.set_headers(_UNRELATED)),
        "rate-headers": ("Headers tell the rate limit.", _ALL.set_headers(rates)),
        "cookie": ("A cookie is set.", _ALL.set_headers({"set-cookie": "cf=1; Path=/; Secure"})),
        "connection-close": ("Every connection is closed.", _ALL.set_headers({"connection": "close"})),
        "chunked": ("Bodies are sent in chunks, without a length.", _ALL.drop_headers("content-length")),
        "gzip": ("Bodies are compressed for those who accept it.", _compress),
        "challenge": ("The 401 has WWW-Authenticate.", UNAUTHORIZED.set_headers({"www-authenticate": "Key"})),
    }
    for name, (sentence, change) in changes.items():
        yield Drift(f"harmless-{name}", sentence, None, response=change)
    yield Drift("harmless-method-404", "A wrong method is 404, not 405.", None, request=method_is_not_found)
    yield Drift("harmless-preflight", "OPTIONS answers a browser, with 204.", None, request=preflight)


def _indented(response: SentResponse) -> SentResponse:
    return response.with_body(json.dumps(response.json, indent=2).encode()) if response.body else response


def _exponent(body: bytes) -> bytes:
    return re.sub(rb'"progress": ([0-9.]+)', lambda found: b'"progress": %.2e' % float(found[1]), body)


def _title_case(response: SentResponse) -> SentResponse:
    return replace(response, headers=tuple((name.title(), value) for name, value in reversed(response.headers)))


def _compress(response: SentResponse) -> SentResponse:
    if "gzip" not in response.accepts:
        return response
    return response.with_body(gzip.compress(response.body)).with_headers({"content-encoding": "gzip"})
