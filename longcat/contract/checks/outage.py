"""Answers that tell nothing about the contract."""

import re
from http import HTTPStatus
from typing import Final

from longcat.contract.checks.answer import Answer
from longcat.contract.checks.body import decode, is_html, media_type_of
from longcat.contract.checks.expectation import expect
from longcat.contract.checks.mismatch import tidy
from longcat.contract.model import Exchange
from longcat.contract.openapi.spec import Spec
from longcat.text import describe

NO_ANSWER: Final = frozenset({502, 503, 504, *range(520, 531)})
"""What a CDN says when it got no answer itself; 520 to 530 are Cloudflare's own."""
_CDN_WORDS: Final = re.compile(rb"\s*error code: \d{3,4}\s*")


def outage(spec: Spec, exchange: Exchange) -> str | None:
    """Return why an answer tells nothing about the contract, in words. None: it tells something.

    * A page of the CDN in front, whatever its status: it was not the gateway that answered.
    * A 429: the gateway did not look at the question.
    * A 5xx without JSON: something broke, and a broken service keeps no contract.
    * A 5xx in its documented form, where the request was good or there is no such path. The contract allows that answer
      at any time, so it is no drift, and it says nothing about what was asked.

    Where a bad request gets a 5xx with JSON, the gateway looked and has lost a check, which is drift. A 429 or 5xx with
    JSON in another form than the documented one is judged, because its form is what callers read.
    """
    code, media_type = exchange.status_code, media_type_of(exchange.response_headers)
    body = exchange.response_body or b""
    reason = None
    if code < HTTPStatus.OK or code == HTTPStatus.NOT_MODIFIED:
        reason = "nothing was sent"
    elif code in NO_ANSWER:
        reason = "the gateway did not answer"
    elif "challenge" in exchange.response_headers.get("cf-mitigated", ""):
        reason = "the CDN in front asks for a browser"
    elif code == HTTPStatus.FORBIDDEN and (is_html(body, media_type) or _CDN_WORDS.fullmatch(body)):
        reason = f"the CDN in front refused, with {tidy(describe(body))}"
    elif code == HTTPStatus.TOO_MANY_REQUESTS:
        reason = None if _has_another_form(spec, exchange) else "too many questions"
    elif code >= HTTPStatus.INTERNAL_SERVER_ERROR and code != HTTPStatus.NOT_IMPLEMENTED:
        reason = _breakdown(spec, exchange, body)
    return reason and f"HTTP {code}: {reason}"


def _breakdown(spec: Spec, exchange: Exchange, body: bytes) -> str | None:
    if not decode(body).is_json:
        return f"the gateway broke down, with {tidy(describe(body))}"
    operation = spec.match(exchange.method, exchange.url)
    if operation is not None:
        is_bad = bool(expect(spec, operation, exchange).certain)
        if is_bad or operation.response(exchange.status_code) is None or _has_another_form(spec, exchange):
            return None
    return "the gateway broke down"


def _has_another_form(spec: Spec, exchange: Exchange) -> bool:
    """Whether an answer is JSON, and not of the form that the contract documents for its status code."""
    operation = spec.match(exchange.method, exchange.url)
    response = operation.response(exchange.status_code) if operation else None
    if response is None or not decode(exchange.response_body or b"").is_json:
        return False
    return any(True for _ in Answer(spec, operation, exchange).mismatches(response))
