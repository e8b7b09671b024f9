"""Findings that one change of the contract mends, and the refusal to make it."""

from typing import Any

from attrs import field, frozen

from longcat.contract.checks.body import decode
from longcat.contract.model import Exchange, Finding
from longcat.pointer import at


class RefusedError(Exception):
    """A change that is not made. The message says why, as a sentence."""


@frozen
class FindingGroup:
    """Findings that one change mends: of one kind, with one rule.

    Attributes:
        detail: what tells them from others of the same kind and rule, such as the field's name.
    """

    code: str
    rule: str
    detail: str
    findings: tuple[Finding, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The last part of where it was seen: a field's name."""
        return unescaped(self.findings[0].pointer.rpartition("/")[2])

    @property
    def values(self) -> list[Any]:
        """What was seen, as narrow numbers as can be."""
        return [as_whole(value_at(finding)) for finding in self.findings]

    def says(self, words: str) -> str:
        """Return a comment: what was seen, and on what evidence."""
        origins = sorted({finding.exchange.origin for finding in self.findings} - {"unknown"})
        return f"Seen ({', '.join(origins)}): {words}." if origins else f"Seen: {words}."


def unescaped(part: str) -> str:
    """Return a name from a part of a JSON pointer."""
    return part.replace("~1", "/").replace("~0", "~")


def body_of(exchange: Exchange) -> Any:
    """Return the decoded body of an answer; None for one that is no JSON."""
    return decode(exchange.response_body or b"").value


def value_at(finding: Finding) -> Any:
    """Return the value that a finding is about: from the body if it says where there, else its evidence."""
    if not finding.pointer.startswith("/"):
        return finding.evidence
    try:
        return at(body_of(finding.exchange), finding.pointer)
    except LookupError:
        return finding.evidence


def as_whole(value: Any) -> Any:
    """Return 43 for 43.0: to JSON they are the same, and to people the first is shorter."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
