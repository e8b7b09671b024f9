"""Judges exchanges, and those that are like one judged before by what came of that one.

Recordings of polling hold the same question with the same answer many times over.
"""

from collections.abc import Hashable, Mapping
from operator import attrgetter
from typing import Final

from attrs import define, field, fields

from longcat.contract.checks.judge import Judgement
from longcat.contract.model import Exchange
from longcat.contract.openapi.spec import Spec

MOST: Final = 256
"""How many judgements are kept."""
LARGEST: Final = 16 * 1024
"""How large the bodies of an exchange may be whose judgement is kept, in bytes."""
# fmt: off
VOLATILE: Final = frozenset({
    "age", "cf-ray", "date", "etag", "expires", "last-modified", "nel", "report-to", "request-id", "server-timing",
    "traceparent", "x-amz-request-id", "x-amzn-requestid", "x-correlation-id", "x-github-request-id", "x-request-id",
    "x-runtime", "x-trace-id",
})
# fmt: on
"""Headers that differ each time, and that nothing looks at unless the contract documents them."""
_TREATED_APART: Final = frozenset({"request_headers", "response_headers", "source", "recorded"})
_OTHER_FIELDS: Final = attrgetter(*(one.name for one in fields(Exchange) if one.eq and one.name not in _TREATED_APART))
"""All of an exchange but its headers, and when and where it was seen."""


@define
class Judge:
    """Judges exchanges by one contract."""

    spec: Spec
    _known: dict[Hashable, Judgement] = field(factory=dict, init=False, repr=False)

    def judge(self, exchange: Exchange) -> Judgement:
        """Return what an exchange says about the contract. It is worked out when it is first asked for."""
        if len(exchange.request_body or b"") + len(exchange.response_body or b"") > LARGEST:
            return Judgement(self.spec, exchange)
        form = _OTHER_FIELDS(exchange), _lasting(exchange.request_headers), _lasting(exchange.response_headers)
        known = self._known.pop(form, None)
        if known is None or not known.holds_for_others(VOLATILE):
            known = Judgement(self.spec, exchange)
        self._known[form] = known
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        return known.of(exchange)


def _lasting(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple([item for item in headers.items() if item[0] not in VOLATILE])
