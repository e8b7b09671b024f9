"""Keys, and other secrets, in what was recorded: whether a request had one, and what a recorder put in its place."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from longcat.contract.checks.status_codes import KEY_REFUSED, RequestFault
from longcat.contract.model import Exchange, Intent
from longcat.contract.openapi.operation import Credential, Operation
from longcat.contract.openapi.urls.templates import split_url
from longcat.contract.placeholders import may_be_filtered
from longcat.text import words_of

ASKED_BY_US: Final = frozenset({"live", "sandbox"})
"""The origins of exchanges whose asker knows what he sends (see `is_vouched_for`)."""
_SECRETS: Final = frozenset(
    {"apikey", "auth", "authorization", "cookie", "key", "password", "secret", "session", "sig", "signature", "token"}
)
INTENTS: Final[Mapping[Intent | None, RequestFault]] = {
    "wrong-key": RequestFault.WRONG_KEY,
    "unknown-request": RequestFault.UNKNOWN,
}
"""What the asker says is wrong with his request."""


def key_faults(exchange: Exchange, operation: Operation) -> Iterator[tuple[RequestFault, bool]]:
    """Yield each fault of its key, or of what the asker says, that a request may have, and whether it is certain."""
    intent = INTENTS.get(exchange.intent)
    if operation.needs_key:
        if intent is RequestFault.WRONG_KEY:
            yield RequestFault.WRONG_KEY, True
        elif not any(all(_has(one, exchange) for one in way) for way in operation.security):
            yield RequestFault.NO_KEY, not may_be_filtered(exchange)
    if intent is RequestFault.UNKNOWN:
        yield RequestFault.UNKNOWN, True


def is_vouched_for(exchange: Exchange) -> bool:
    """Whether the asker says that his key is right and that what he asks about exists, unless he says otherwise.

    Nobody says so of traffic that was just recorded: there, a 401, 403 or 404 may be what the request deserved.
    """
    return exchange.intent is not None or exchange.origin in ASKED_BY_US


def is_answered_before(exchange: Exchange, operation: Operation) -> bool:
    """Whether the same request, with the same keys, was answered with success before, so that it deserves it now.

    Where a key is needed and none was seen, nobody knows whether it was the same.
    """
    if not exchange.answered_before or exchange.status_code not in KEY_REFUSED or not operation.needs_key:
        return exchange.answered_before
    return bool(exchange.credentials)


def _has(credential: Credential, exchange: Exchange) -> bool:
    """Whether a request carries a credential."""
    if credential.location == "header":
        return bool(exchange.request_headers.get(credential.name.lower()))
    if credential.location == "query":
        return any(name == credential.name for name, _ in query_of(exchange))
    cookies = exchange.request_headers.get("cookie", "").split(";")
    return any(cookie.partition("=")[0].strip() == credential.name for cookie in cookies)


@lru_cache(maxsize=1024)  # The same few names come again with every exchange.
def names_a_secret(name: str) -> bool:
    """Whether a header or a parameter of this name holds what recorders leave out."""
    return not _SECRETS.isdisjoint(words_of(name))


def query_of(exchange: Exchange) -> list[tuple[str, str]]:
    """Return the names and values in a URL's query."""
    return parse_qsl(split_url(exchange.url).query, keep_blank_values=True)
