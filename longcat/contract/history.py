"""What was asked and answered so far in a run: whoever was answered before deserves the same answer now."""

from collections.abc import Hashable

from attrs import define, evolve, field

from longcat.contract.checks.credentials import names_a_secret
from longcat.contract.checks.status_codes import NO_SUCH_THING, REQUEST_REFUSED, is_success
from longcat.contract.model import Exchange

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "QUERY", "TRACE"})
"""The methods that change nothing (RFC 9110, section 9.2.1)."""


@define
class History:
    """The questions that were answered with success. It holds a number for each.

    Whatever changes something may change what is answered after it, so that it makes forget all that was before.
    """

    _answered: set[int] = field(factory=set, init=False, repr=False)

    def add(self, exchange: Exchange) -> Exchange:
        """Return the exchange with whether its question was answered before, and keep it for those after it."""
        question = hash(_question(exchange))
        is_known = question in self._answered and not _may_differ(exchange)
        if is_success(exchange.status_code):
            if exchange.method not in _SAFE:
                self._answered.clear()
            self._answered.add(question)
        return evolve(exchange, answered_before=True) if is_known else exchange


def _question(exchange: Exchange) -> Hashable:
    """Return what makes a question the same as another one, its keys included."""
    headers = exchange.request_headers
    keys = tuple(sorted((name, value) for name, value in headers.items() if names_a_secret(name)))
    url = exchange.url.partition("#")[0]
    return exchange.method, url, exchange.request_body, exchange.credentials, keys


def _may_differ(exchange: Exchange) -> bool:
    """Whether a refusal is what a request may get that was answered once: what was made is there, or gone, by now."""
    if exchange.method in _SAFE:
        return False
    gone = exchange.method == "DELETE" and exchange.status_code in NO_SUCH_THING
    return gone or exchange.status_code in REQUEST_REFUSED
