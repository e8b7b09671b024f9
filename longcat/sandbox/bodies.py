"""JSON bodies: how the gateways read them, and how they write their answers and errors."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

JSON: Final = "application/json"
MAX_BODY: Final = 65_536  # Of a body; a longer one is refused.


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(json.dumps(body), status, headers, JSON)


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as the result gateway's documentation words it."""
    return json_response({"error": message}, status, headers)


async def read_body(request: Request) -> bytes:
    """Return the body; of one that is too long, one byte more than is allowed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            break
    return bytes(body[: MAX_BODY + 1])


def base_url(request: Request) -> str:
    """Return the URL by which the caller reached the sandbox, with a slash at its end."""
    host = request.headers.get("Host") or ":".join(map(str, request.scope["server"]))
    return f"{request.scope['scheme']}://{host}/"


def has_json_type(request: Request) -> bool:
    """Whether the content type of a request says that its body is JSON."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == JSON


def parse_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object.

    Raises ValueError for anything else, NaN and repeated names included, and for a body that is too long.
    """
    if len(body) > MAX_BODY:
        raise ValueError(f"The body is longer than {MAX_BODY} bytes.")
    try:
        parsed = _DECODER.decode(body.decode())
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    if isinstance(parsed, dict):
        return parsed
    raise ValueError("The body is not a JSON object.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("The body says a name twice.")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
