"""Variations that harm nobody. None of them may be reported."""

import json
import re
from collections.abc import Mapping

from longcat.sandbox.drifts import answers as to
from longcat.sandbox.drifts import questions as on
from longcat.sandbox.drifts.answers import (
    ANSWERS,
    COMPLETED,
    ERRORS,
    EVERYTHING,
    PROCESSING,
    UNAUTHORIZED,
    Answer,
    Change,
)
from longcat.sandbox.drifts.kinds import Drift, Drifts


def harmless() -> Drifts:
    """Yield what the documentation allows, and what is nobody's business."""
    utc, fraction = (lambda at: at.replace("Z", "+00:00")), (lambda at: at.replace("Z", ".125Z"))
    whole = to.turn("progress", lambda share: 1 if share == 1 else share)
    signed = to.turn("result_url", lambda url: f"{url}?signature=abc&expires=1735689600")
    unrelated = {
        "server": "gateway/2",
        "x-request-id": "7",
        "cf-ray": "8a-FRA",
        "cache-control": "no-store",
        "vary": "*",
    }
    bodies: Mapping[str, tuple[str, Change]] = {
        "wording": ("Errors are worded otherwise.", ERRORS.edit(to.put({"error": "Please look at your request."}))),
        "wording-german": ("Errors are in German.", ERRORS.edit(to.put({"error": "Schlüssel fehlt"}))),
        "integer-progress": ("progress is 1 rather than 1.0.", COMPLETED.edit(whole)),
        "success-true": ("success is there, and true.", ANSWERS.edit(to.put({"success": True}))),
        "success-processing": (
            "success is there, and true, while processing.",
            PROCESSING.edit(to.put({"success": True})),
        ),
        "fraction-duration": (
            "duration_seconds has a fraction.",
            COMPLETED.edit(to.turn("duration_seconds", lambda _: 42.5)),
        ),
        "fraction-created-at": ("created_at has a fraction.", COMPLETED.edit(to.turn("created_at", fraction))),
        "offset-created-at": ("created_at ends in +00:00.", COMPLETED.edit(to.turn("created_at", utc))),
        "model-version": ("model_version is another.", COMPLETED.edit(to.put({"model_version": "longcat-v2"}))),
        "signed-result-url": ("result_url has a query.", COMPLETED.edit(signed)),
        "order": ("Fields come in another order.", EVERYTHING.edit(lambda body: dict(reversed(body.items())))),
        "indented": (
            "Bodies are indented.",
            EVERYTHING.change(_indented),
        ),
        "exponent": ("progress is written as 4.5e-1.", ANSWERS.change(to.send_as(_exponent))),
    }
    sent: Mapping[str, tuple[str, Change]] = {
        "charset": ("The content type has a charset.", to.media("application/json; charset=utf-8")),
        "type-case": ("The content type is written Application/JSON.", to.media("Application/JSON")),
        "header-case": ("Headers have capitals, and another order.", to.title_case),
        "unrelated-headers": ("There are more headers, which mean nothing here.", to.headers(unrelated)),
        "rate-headers": (
            "Headers tell the rate limit.",
            to.headers({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "59"}),
        ),
        "cookie": ("A cookie is set.", to.headers({"set-cookie": "cf=1; Path=/; Secure"})),
        "connection-close": ("Every connection is closed.", to.headers({"connection": "close"})),
        "chunked": ("Bodies are sent in chunks, without a length.", lambda answer: answer.without("content-length")),
        "gzip": ("Bodies are compressed for those who accept it.", to.compress),
    }
    for name, (sentence, change) in {**bodies, **sent}.items():
        yield Drift(f"harmless-{name}", sentence, None, change=change)
    challenge = UNAUTHORIZED.change(to.headers({"www-authenticate": "Key"}))
    yield Drift("harmless-challenge", "The 401 has WWW-Authenticate.", None, change=challenge)
    yield Drift("harmless-method-404", "A wrong method is 404, not 405.", None, handling=on.method_is_not_found)
    yield Drift("harmless-preflight", "OPTIONS answers a browser, with 204.", None, handling=on.preflight)


def _indented(answer: Answer) -> Answer:
    return answer.sending(json.dumps(answer.json, indent=2).encode()) if answer.body else answer


def _exponent(body: bytes) -> bytes:
    return re.sub(rb'"progress": ([0-9.]+)', lambda found: b'"progress": %.2e' % float(found[1]), body)
