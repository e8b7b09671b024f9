"""Findings as reports show them: one for each rule and place, with a count and some of the places where it was seen."""

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from typing import Final

from attrs import define, evolve, field, frozen

from longcat.contract.model import Exchange, Finding, Origin

MAX_EXAMPLES: Final = 3
"""How many of the places in which a finding was seen are shown."""
ORIGINS: Final[dict[Origin, str]] = {
    "live": "the live service",
    "documentation": "the vendor's documentation, replayed",
    "sandbox": "the sandbox, which proves that our parts agree, never that the service does",
    "unknown": "unknown",
}
MAX_SHOWN_BODY: Final = 4096
"""How much of a body is kept and quoted, in bytes."""
_REQUEST: Final = re.compile(r"\bthe request \S+")
_NUMBERED: Final = re.compile(r"/(oneOf|anyOf|allOf|parameters)/[0-9]+")
"""A member of a list of a contract whose order means nothing."""


@frozen
class Accepted:
    """The reason for which a finding does not count as drift for now.

    Attributes:
        reason: the maintainers' words.
        expires: the last day on which it does not.
    """

    reason: str
    expires: date


@frozen
class JudgedFinding:
    """A finding, and why the baseline accepts it, if it does."""

    finding: Finding
    accepted: Accepted | None = None


@frozen
class Example:
    """One of the places where a finding was seen: in which exchange, where in it, and what was there."""

    source: str
    origin: Origin
    pointer: str
    seen: str


@define
class ReportedFinding:
    """A finding as a report shows it: once, however often it was seen.

    Attributes:
        finding: as it was first seen, its exchange without the ends of long bodies.
        accepted: why the baseline accepts it. None: it does not.
        count: how often it was seen, in one exchange or several.
        exchanges: in how many exchanges.
        examples: the first places, of as many exchanges as possible.
    """

    finding: Finding
    accepted: Accepted | None
    count: int = 0
    exchanges: int = 0
    examples: list[Example] = field(factory=list)

    def add(self, finding: Finding) -> None:
        """Count the same finding of another exchange, or the first."""
        self.count += finding.times
        self.exchanges += 1
        if self.exchanges > MAX_EXAMPLES:
            return
        new = [one for one in examples_of(finding) if one not in self.examples]
        if new and len(self.examples) == MAX_EXAMPLES:  # An exchange says more than a third place in another one.
            sources = [one.source for one in self.examples]
            repeated = [index for index, source in enumerate(sources) if source in sources[:index]]
            del self.examples[repeated[-1]]
        self.examples += new[: MAX_EXAMPLES - len(self.examples)]

    @property
    def where(self) -> str:
        """The operation and the place in its answer."""
        return " ".join((self.finding.operation or "no operation", self.finding.place or "(the whole answer)"))

    @property
    def request(self) -> str:
        """The method and the path of the URL."""
        return f"{self.finding.exchange.method} {self.finding.path}".strip()

    @property
    def times(self) -> str:
        """The number of times it was seen, in words."""
        times, exchanges = ("s" if number != 1 else "" for number in (self.count, self.exchanges))
        return f"{self.count} time{times} in {self.exchanges} exchange{exchanges}"

    @property
    def evidence(self) -> list[str]:
        """The kinds of evidence that it rests on, as far as the examples show."""
        return list(dict.fromkeys(ORIGINS[example.origin] for example in self.examples))

    @property
    def seen_in(self) -> str:
        """The first places, and how many more there are."""
        return self._seen_in(str)

    @property
    def seen_in_public(self) -> str:
        """The same for a page that others read: without the ids of requests that a probe asked about."""
        return self._seen_in(lambda source: _REQUEST.sub("the request *", source))

    def _seen_in(self, name: Callable[[str], str]) -> str:
        pointers: dict[str, list[str]] = {}
        for one in self.examples:
            pointers.setdefault(name(one.source), []).append(one.pointer)
        found = []
        for source, places in pointers.items():
            is_elsewhere = places[0].startswith("/") and places != [self.finding.place]
            found.append(f"{source} at {', '.join(places)}" if is_elsewhere else source)
        more = self.count - len(self.examples)
        return "; ".join([*found, f"and {more} more"] if more > 0 else found)


def examples_of(finding: Finding) -> Iterator[Example]:
    """Yield the places of a finding in its exchange, up to three."""
    exchange: Exchange = finding.exchange
    yield Example(exchange.source, exchange.origin, finding.pointer, finding.seen)
    for one in finding.others:
        yield Example(exchange.source, exchange.origin, one.pointer, one.seen)


def shortened(finding: Finding) -> Finding:
    """Return a finding as a report needs it: a body may have megabytes, and findings are kept until a run is over."""
    exchange = finding.exchange
    request, response = (body and body[:MAX_SHOWN_BODY] for body in (exchange.request_body, exchange.response_body))
    return evolve(finding, evidence=None, exchange=evolve(exchange, request_body=request, response_body=response))


def fingerprint(finding: Finding) -> str:
    """Return a name for a finding that is the same for the same rule and place, whatever the data and the host."""
    # A header is announced for many answers, each of which has a place of its own in the contract.
    rule = "" if finding.pointer.startswith("header:") else finding.rule
    return _fingerprint(finding.code, finding.operation or "", finding.place, rule)


@lru_cache(maxsize=4096)  # The same few come again with every exchange.
def _fingerprint(code: str, operation: str, place: str, rule: str) -> str:
    # Which variant of a union an answer is held against depends on the answer.
    parts = (code, operation, place, _NUMBERED.sub(r"/\1/*", rule))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
