"""Keys, and other secrets, in what was recorded: whether a request had one, and what a recorder put in its place."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from longcat.contract.checks.status_codes import KEY_REFUSED, RequestFault
from longcat.contract.model import Exchange, Intent
from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.operation import Credential, Operation
from longcat.contract.openapi.spec import Spec
from longcat.contract.openapi.urls.templates import split_url
from longcat.contract.placeholders import is_placeholder
from longcat.text import words_of

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
        elif not any(all(_value_of(one, exchange) for one in way) for way in operation.security):
            yield RequestFault.NO_KEY, not exchange.may_be_filtered
    if intent is RequestFault.UNKNOWN:
        yield RequestFault.UNKNOWN, True


def is_answered_before(exchange: Exchange, operation: Operation) -> bool:
    """Whether the same request, with the same keys, was answered with success before, so that it deserves it now.

    Where a key is needed and none was seen, or the contract does not say which, nobody knows whether it was the same.
    """
    try:
        if not exchange.answered_before or exchange.status_code not in KEY_REFUSED or not operation.needs_key:
            return exchange.answered_before
        values = [_value_of(one, exchange) for way in operation.security for one in way]
    except SpecError:
        return False
    return bool(exchange.credentials) or any(value and not is_placeholder(value) for value in values)


def _value_of(credential: Credential, exchange: Exchange) -> str:
    """Return the value that a request has for a credential. Empty: it has none, or an empty one."""
    if credential.location == "header":
        return exchange.request_headers.get(credential.name.lower(), "")
    if credential.location == "query":
        query = parse_qsl(split_url(exchange.url).query, keep_blank_values=True)
        return next((value for name, value in query if name == credential.name), "")
    cookies = (cookie.partition("=") for cookie in exchange.request_headers.get("cookie", "").split(";"))
    return next((value.strip() for name, _, value in cookies if name.strip() == credential.name), "")


def carries_a_key(spec: Spec, location: str, name: str) -> bool:
    """Whether a header, a parameter or a cookie is a key, by what the contract calls one or by its name."""
    if names_a_secret(name):
        return True
    is_header = location == "header"
    return any(
        one.location == location and (one.name == name or (is_header and one.name.lower() == name.lower()))
        for one in spec.credentials
    )


@lru_cache(maxsize=1024)  # The same few names come again with every exchange.
def names_a_secret(name: str) -> bool:
    """Whether a header or a parameter of this name holds what recorders leave out."""
    return not _SECRETS.isdisjoint(words_of(name))
