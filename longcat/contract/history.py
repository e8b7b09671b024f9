"""Remembers which questions were answered with success earlier in a run, and so should be answered again."""

from collections.abc import Hashable

from attrs import define, evolve, field

from longcat.contract.checks.credentials import names_a_secret
from longcat.contract.checks.status_codes import NO_SUCH_THING, REQUEST_REFUSED, is_success
from longcat.contract.model import Exchange
from longcat.contract.openapi.operation import SAFE_METHODS


@define
class History:
    """The questions that were answered with success, each as a number.

    A request that may change something may also change later answers. So all earlier questions are forgotten then.
    """

    _answered: set[int] = field(factory=set, init=False, repr=False)

    def add(self, exchange: Exchange) -> Exchange:
        """Add an exchange, and return it with `answered_before` set."""
        question = hash(_question(exchange))
        is_known = question in self._answered and not _may_differ(exchange)
        if is_success(exchange.status_code):
            if exchange.method not in SAFE_METHODS:
                self._answered.clear()
            self._answered.add(question)
        return evolve(exchange, answered_before=True) if is_known else exchange


def _question(exchange: Exchange) -> Hashable:
    """Return what two exchanges have in common that ask the same question with the same keys."""
    headers = exchange.request_headers
    keys = tuple(sorted((name, value) for name, value in headers.items() if names_a_secret(name)))
    url = exchange.url.partition("#")[0]
    return exchange.method, url, exchange.request_body, exchange.credentials, keys


def _may_differ(exchange: Exchange) -> bool:
    """Whether a request may rightly be refused that was answered before, as what it made exists by now, or is gone."""
    if exchange.method in SAFE_METHODS:
        return False
    gone = exchange.method == "DELETE" and exchange.status_code in NO_SUCH_THING
    return gone or exchange.status_code in REQUEST_REFUSED
