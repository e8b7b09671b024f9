"""Groups the findings that one change of the contract mends, and finds which of many say the same."""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from attrs import field, frozen

from longcat.contract.checks.body import charset_of, decode_json
from longcat.contract.model import Exchange, Finding
from longcat.contract.patches.infer import infer
from longcat.text.pointer import at, last_name

_OF_THE_WHOLE: Final = frozenset({"content-type-changed", "enveloped", "status-undocumented"})
_NEW_NAMES: Final = frozenset({"field-renamed", "field-moved", "field-new"})


class RefusedError(Exception):
    """A change that is not made. The message says why, as a sentence."""


@frozen
class FindingGroup:
    """Findings that one change mends.

    Attributes:
        code: the kind of the findings. `example`: they are consequences of a change that an example should show.
        rule: where in the contract the broken rule stands, the same for all.
    """

    code: str
    rule: str
    findings: tuple[Finding, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The name of the field that the findings are about."""
        return name_of(self.findings[0])

    @property
    def values(self) -> list[Any]:
        """The value that each finding is about, 43.0 as 43: to JSON they are the same."""
        return [_as_whole(value_at(finding)) for finding in self.findings]

    def comment(self, words: str) -> str:
        """Return a comment that says what was seen, and where."""
        origins = sorted({finding.exchange.origin for finding in self.findings} - {"unknown"})
        return f"Seen ({', '.join(origins)}): {words}." if origins else f"Seen: {words}."


def groups_of(findings: Iterable[Finding], is_consequence: Callable[[Finding], bool]) -> list[FindingGroup]:
    """Return the findings that can be mended now, by change. Others may go when these have gone."""
    by_exchange: dict[int, list[Finding]] = {}
    for one in findings:
        by_exchange.setdefault(id(one.exchange), []).append(one)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for exchange, several in by_exchange.items():
        for one in several:
            if not any(_must_wait(one, other) for other in several):
                key = ("example", str(exchange)) if is_consequence(one) else (one.code, key_of(one))
                groups.setdefault(key, []).append(one)
    examples_last = sorted(groups.items(), key=lambda group: group[0][0] == "example")
    return [FindingGroup(code, several[0].rule, tuple(several)) for (code, _), several in examples_last]


def _must_wait(one: Finding, other: Finding) -> bool:
    """Whether another finding in the same exchange is to be mended first."""
    if one.code in {"deprecated", "warning"} or one.code.startswith("header-"):
        return False
    if other.code in _OF_THE_WHOLE and one.code not in _OF_THE_WHOLE:
        return True
    is_below = one.pointer == other.pointer or one.pointer.startswith(f"{other.pointer}/")
    return other.code in _NEW_NAMES and one.code not in _NEW_NAMES and is_below


def key_of(finding: Finding) -> str:
    """Return a key that is the same for all findings that one change mends."""
    return json.dumps([finding.code, finding.rule, _detail(finding)])


def _detail(finding: Finding) -> str:
    """Return what tells a finding from others of its kind and rule that need another change."""
    code = finding.code
    if code in {*_NEW_NAMES, "field-missing"}:
        return name_of(finding)
    if code in {"status-undocumented", "endpoint-gone"}:
        return str(finding.exchange.status_code)
    if code in {"content-type-changed", "value-undocumented", "value-recased"}:
        return json.dumps(finding.evidence)
    if code == "enveloped" or (code != "field-absent" and not finding.pointer.startswith("/")):
        return finding.pointer
    return ""


def samples_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings of which no two say the same."""
    kept: dict[str, Finding] = {}
    for one in findings:
        kept.setdefault(_content(one), one)
    return list(kept.values())


def _content(finding: Finding) -> str:
    """Return a key that is the same for findings that differ in nothing but the exchange and the exact value."""
    exchange = finding.exchange
    path = [part for part in finding.pointer.split("/") if not part.isdigit()]
    where = [finding.operation, path, exchange.status_code, exchange.intent, exchange.origin]
    return json.dumps([key_of(finding), where, infer([finding.evidence])])


def name_of(finding: Finding) -> str:
    """Return the name of the field that a finding is about."""
    return last_name(finding.pointer)


def json_body(exchange: Exchange) -> Any:
    """Return the value in the body of an answer. Raises RefusedError if it is not JSON."""
    decoded = decode_json(exchange.response_body or b"", charset_of(exchange.response_headers))
    if not decoded.is_json:
        raise RefusedError("The body is not JSON. What else it is can't be told from one look; describe it by hand.")
    return decoded.value


def value_at(finding: Finding) -> Any:
    """Return the value that a finding is about: from a body of JSON if the finding says where, else its evidence."""
    if finding.pointer.startswith("/"):
        with suppress(LookupError, RefusedError):
            return at(json_body(finding.exchange), finding.pointer)
    return finding.evidence


def _as_whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
