"""One exchange that is one flat object: a definition of nock, or a line with the names that longcat has for its parts.

Our own names are those of `Exchange`: `method`, `url`, `request_headers`, `request_body`, `status_code` (or `status`),
`response_headers`, `response_body`, and where they are known `origin` and `recorded`. A body is its text, or the value
that its JSON stands for, or `{"base64_string": ...}`. One that is missing was not recorded.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from longcat.contract.model import Exchange, Origin
from longcat.contract.traffic.decoding import from_hex, from_pieces
from longcat.contract.traffic.exchanges import header_pairs, make_exchange
from longcat.contract.traffic.vcr import body_from


def is_flat(data: Any) -> bool:
    """Whether a decoded value looks like a flat exchange."""
    if not isinstance(data, dict) or "method" not in data or not ("status" in data or "status_code" in data):
        return False
    return "url" in data or ("scope" in data and "path" in data)


def exchange_of(
    data: Mapping[str, Any], *, source: str, origin: Origin, recorded: datetime | None, key_names: Collection[str]
) -> Exchange:
    """Return the exchange that a flat object holds. Raises UnreadableError when something in it can't be read."""
    is_nock = "url" not in data
    return make_exchange(
        method=data["method"],
        url=f"{data['scope']}{data['path']}" if is_nock else data["url"],
        request_headers=header_pairs(data.get("reqheaders" if is_nock else "request_headers")),
        # nock has an empty text where nothing was sent.
        request_body=body_from(data.get("body") or None) if is_nock else body_from(data.get("request_body")),
        status_code=data.get("status_code", data.get("status")),
        response_headers=header_pairs(_response_headers(data)),
        response_body=_nock_body(data) if is_nock else body_from(data.get("response_body")),
        source=source,
        key_names=key_names,
        origin=origin,
        recorded=recorded,
    )


def _response_headers(data: Mapping[str, Any]) -> Any:
    return next((data[name] for name in ("response_headers", "rawHeaders", "headers") if name in data), None)


def _nock_body(data: Mapping[str, Any]) -> bytes | None:
    response = data.get("response")
    if isinstance(response, str) and data.get("responseIsBinary"):
        return from_hex(response)
    return from_pieces(response, "") or body_from(response)
