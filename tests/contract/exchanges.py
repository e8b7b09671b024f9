"""Exchanges to judge: good ones to be spoilt, with our contract and with a made-up one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from library import LIBRARY

from longcat.contract import Exchange, Finding, Severity, judge, load_spec
from longcat.contract.openapi.operation import Media, Operation
from longcat.contract.openapi.parsing import parse_document
from longcat.contract.openapi.spec import Spec, make_spec

OURS = load_spec(Path(__file__).parents[2] / "openapi.yaml")
MADE_UP = make_spec(parse_document(LIBRARY, "made up"))
RESULT = next(one for one in OURS.operations if one.operation_id == "get_request_result")
URL = f"{RESULT.servers[0]}/longcat-image-request-result"
JSON = {"content-type": "application/json"}
KEY = {"ocp-apim-subscription-key": "[key]"}
PROCESSING = {"status": "processing", "progress": 0.45, "request_id": "abc"}
COMPLETED = {
    "status": "completed",
    "progress": 1.0,
    "request_id": "abc",
    "result_url": "https://pictures.test/abc.png",
    "created_at": "2026-01-31T10:30:00Z",
    "duration_seconds": 42,
    "model_version": "v1",
}
ERROR = {"error": "Something is wrong."}
ANSWERS = {"processing": PROCESSING, "completed": COMPLETED}

GOOD = Exchange(
    method="POST",
    url=URL,
    request_headers=JSON | KEY,
    request_body=b'{"request_id": "abc"}',
    status_code=200,
    response_headers=JSON,
    response_body=json.dumps(PROCESSING).encode(),
    source="a test",
)
ASKED = evolve(GOOD, origin="live")
NO_KEY = evolve(GOOD, request_headers=JSON, origin="sandbox")
FILTERED = evolve(NO_KEY, origin="unknown")
WRONG_KEY = evolve(GOOD, intent="wrong-key")
UNKNOWN = evolve(GOOD, intent="unknown-request")
BAD_BODY = evolve(GOOD, request_body=b"{}")
NOWHERE = evolve(GOOD, url=f"{RESULT.servers[0]}/nowhere")
GET = evolve(GOOD, method="GET", request_body=None)


def answered(body: Any, code: int = 200, to: Exchange = GOOD, headers: dict[str, str] | None = None) -> Exchange:
    """Return an exchange with this answer; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return evolve(to, status_code=code, response_headers=JSON if headers is None else headers, response_body=content)


def kinds(exchange: Exchange, spec: Spec = OURS) -> list[tuple[str, str]]:
    """Return the code and the place of each finding."""
    return [(finding.code, finding.pointer) for finding in judge(spec, exchange)]


def worst(findings: list[Finding]) -> Severity | None:
    """Return the worst severity."""
    return min((finding.severity for finding in findings), key=list(Severity).index, default=None)


# --- What the contracts show.


@frozen
class DocumentedAnswer:
    """An answer that a contract shows, as a good exchange."""

    spec: Spec
    operation: Operation
    exchange: Exchange
    body: Any
    media: Media


def documented_answers(spec: Spec) -> Iterator[DocumentedAnswer]:
    """Yield a good exchange for every JSON answer that a contract shows."""
    for operation in spec.operations:
        for code, response in operation.responses.items():
            for media in response.content.values():
                for body in media.examples.values:
                    exchange = _question(operation, int(code), body)
                    headers = {name: "some" for name, one in response.headers.items() if one.required}
                    headers["content-type"] = media.media_type
                    yield DocumentedAnswer(spec, operation, answered(body, int(code), exchange, headers), body, media)


def _question(operation: Operation, code: int, body: Any) -> Exchange:
    """Return a request that the answer fits: it names what the answer is about."""
    path = operation.path.replace("{shelf}", "a")
    for name in ("book_id", "request_id"):
        path = path.replace(f"{{{name}}}", str(body.get(name)))
    bad = {400: b"{}", 401: None}
    request = next((media for media in operation.request.values()), None)
    example = request.examples.values[0] if request is not None and request.examples.values else {"title": "Mira"}
    return Exchange(
        method=operation.method,
        url=f"{operation.servers[0]}{path}?edition=1",
        request_headers={"content-type": "application/json"}
        | ({(operation.key_header or "").lower(): "[key]"} if code != 401 else {}),
        request_body=bad.get(code) or (json.dumps(example).encode() if request else None),
        status_code=code,
        response_headers={},
        response_body=b"",
        source="a test",
    )


DOCUMENTED = [*documented_answers(OURS), *documented_answers(MADE_UP)]


def answered_as(one: DocumentedAnswer, body: Any) -> Exchange:
    """Return the exchange with another body."""
    return evolve(one.exchange, response_body=json.dumps(body).encode())
