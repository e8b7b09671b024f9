"""A change of the contract, tried: it is written, and the same exchanges are judged anew, until nothing can be mended.

What they show then may call for another change. Where an answer would be wrong in a way that no contract may allow, the
changes made for it are to be taken back.
"""

import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs
from attrs import Factory, define

from longcat.contract.checks.judge import judge
from longcat.contract.model import Exchange, Finding
from longcat.contract.openapi.document import SpecError, follow, nodes
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.patches.answers import Reshaper
from longcat.contract.patches.edit import Drop, Edit, Put, Source, UneditableError
from longcat.contract.patches.group import FindingGroup, RefusedError
from longcat.contract.patches.infer import infer
from longcat.pointer import at

ROUNDS: Final = 20
"""How often changes are tried and judged, at most. A change that calls for many more is none to be made by a tool."""
_LOST: Final = "A lost check is never patched away."
_UNSEEN: Final = "What is wanted now can't be seen from a refusal. Read its message, and change the contract by hand."
_FAULT: Final = "It is a fault of the gateway, and no contract should allow it."
_ALLOWED: Final = "The contract allows it already. If it stays so, change the contract and its examples by hand."
_MEANT: Final = "The code has another meaning in the contract, which lists codes and can't say which case gets which."
REFUSED: Final[Mapping[str, str]] = {
    "answer-mismatched": _FAULT,
    "auth-changed": _UNSEEN,
    "auth-lost": _LOST,
    "body-cut": _FAULT,
    "body-empty": "A promised body is gone. Without it, the answer says nothing.",
    "body-not-json": "What is not JSON can't be described as JSON.",
    "error-in-success": _FAULT,
    "field-absent": _ALLOWED,
    "method-new": "What another method takes and promises can't be seen from one answer. Describe it by hand.",
    "name-repeated": _FAULT,
    "path-new": "A path that nobody documented is no part of the contract.",
    "redirected": "A redirect may lead anywhere. Check the new address, and change servers and paths by hand.",
    "request-refused": _UNSEEN,
    "status-changed": _MEANT,
    "unknown-answered": _LOST,
    "validation-lost": _LOST,
    "value-blank": _ALLOWED,
}
"""The kinds that are never patched, and why."""
_Change: TypeAlias = Callable[[Reshaper, FindingGroup], Iterator[Edit]]
CHANGES: Final[Mapping[str, _Change]] = {
    "body-new": Reshaper.body,
    "constraint-broken": Reshaper.keyword,
    "content-type-changed": Reshaper.content_type,
    "deprecated": Reshaper.announced,
    "endpoint-gone": Reshaper.status,
    "enveloped": Reshaper.enveloped,
    "field-missing": Reshaper.missing,
    "field-moved": Reshaper.property,
    "field-new": Reshaper.property,
    "field-null": Reshaper.keyword,
    "field-renamed": Reshaper.property,
    "format-changed": Reshaper.keyword,
    "header-changed": Reshaper.header_changed,
    "header-missing": Reshaper.header_missing,
    "status-undocumented": Reshaper.status,
    "type-changed": Reshaper.keyword,
    "value-empty": Reshaper.keyword,
    "value-out-of-range": Reshaper.keyword,
    "value-recased": Reshaper.keyword,
    "value-undocumented": Reshaper.keyword,
    "warning": Reshaper.announced,
}
"""The kinds that are patched, and how."""
_MEASURED: Final = frozenset({"value-out-of-range", "constraint-broken", "value-empty"})
_WHOLE: Final = frozenset({"content-type-changed", "enveloped", "status-undocumented"})
_PLACED: Final = frozenset({"field-renamed", "field-moved", "field-new"})


# --- Findings that belong together.


def _key(finding: Finding) -> str:
    """Return a name for the findings that one change mends."""
    return json.dumps([finding.code, finding.rule, _detail(finding)])


def _detail(finding: Finding) -> str:
    code = finding.code
    if code.startswith("field-") and code != "field-null":
        return finding.pointer.rpartition("/")[2] if code in {*_PLACED, "field-missing"} else ""
    if code in {"status-undocumented", "endpoint-gone"}:
        return str(finding.exchange.status_code)
    if code in {"content-type-changed", "value-undocumented", "value-recased"}:
        return json.dumps(finding.evidence)
    if code == "enveloped" or not finding.pointer.startswith("/"):
        return finding.pointer
    return ""


def _same(finding: Finding) -> str:
    """Return a name for the findings that tell as much as one of them: they differ in nothing but the exchange."""
    shape = infer([finding.evidence])
    where = [part for part in finding.pointer.split("/") if not part.isdigit()]
    told = [finding.operation, where, finding.exchange.status_code, finding.exchange.intent, finding.exchange.origin]
    return json.dumps([_key(finding), *told, shape])


def samples_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings of which no two tell the same: of values that have a size, the least and the greatest."""
    kept: dict[str, Finding] = {}
    for one in findings:
        name = _same(one)
        kept.setdefault(name, one)
        if one.code in _MEASURED and one.evidence is not None:
            for side, goes_further in (("least", operator.lt), ("most", operator.gt)):
                rival = kept.setdefault(f"{side} {name}", one)
                if goes_further(_size(one.evidence), _size(rival.evidence)):
                    kept[f"{side} {name}"] = one
    return list({id(one): one for one in kept.values()}.values())


def _size(value: Any) -> float:
    if isinstance(value, bool | int | float):
        return value
    return len(value) if isinstance(value, str | list | dict) else 0


_Seen: TypeAlias = tuple[int, str, str]


def _seen(finding: Finding) -> _Seen:
    return id(finding.exchange), finding.code, finding.pointer


# --- One trial.


@define
class Trial:
    """A text on its way to agree with some exchanges.

    Attributes:
        exchanges: those that are judged.
        before: what was wrong with them at first: what is to be mended, and what is accepted, so none of our business.
        mine: what is to be mended.
        blocked: the groups that are not to be tried, and why.
        refused: the groups for which there is no change, and why.
        used: the groups for which changes were made, each with its findings.
    """

    source: Source
    exchanges: list[Exchange]
    mine: frozenset[_Seen]
    blocked: Mapping[str, str]
    before: frozenset[_Seen] = frozenset()
    refused: dict[str, str] = Factory(dict)
    used: dict[str, list[Finding]] = Factory(dict)

    @classmethod
    def of(
        cls, source: Source, found: Iterable[Finding], samples: Iterable[Finding], blocked: Mapping[str, str]
    ) -> "Trial":
        """Return a trial to begin with, on the exchanges of some of the findings."""
        exchanges = list({id(one.exchange): one.exchange for one in samples}.values())
        trial = cls(source, exchanges, frozenset(map(_seen, found)), blocked)
        trial.before = frozenset(map(_seen, trial.judged()))
        return trial

    def spec(self) -> Spec:
        """Return the contract as it stands now, for all hosts that were asked."""
        spec = make_spec(self.source.document)
        hosts = {_host_of(one.url) for one in self.exchanges}
        return attrs.evolve(spec, servers=(*spec.servers, *sorted(hosts - {*spec.servers})))

    def judged(self) -> list[Finding]:
        """Return what is wrong now."""
        spec = self.spec()
        return [finding for exchange in self.exchanges for finding in judge(spec, exchange)]

    def wrong(self) -> list[Finding]:
        """Return what is wrong now and was given to us, or has come since."""
        return [one for one in self.judged() if _seen(one) in self.mine or _seen(one) not in self.before]

    def run(self) -> None:
        """Change the text until nothing more can be done."""
        for _ in range(ROUNDS):
            waiting = [one for one in self.wrong() if _key(one) not in self.refused and _key(one) not in self.blocked]
            text, refused = self.source.text, len(self.refused)
            for group in self._groups(waiting):
                self._change(group)
            if self.source.text == text and len(self.refused) == refused:
                return

    def _groups(self, findings: list[Finding]) -> Iterator[FindingGroup]:
        """Yield the findings that can be mended now, by change. Others may go when these have gone."""
        groups: dict[str, list[Finding]] = {}
        shown: dict[str, list[Finding]] = {}
        mates: dict[int, list[Finding]] = {}
        for one in findings:
            mates.setdefault(id(one.exchange), []).append(one)
        for one in findings:
            if any(_shadows(other, one) for other in mates[id(one.exchange)]):
                continue
            if self._is_consequence(one):
                shown.setdefault(f"{id(one.exchange)}", []).append(one)
            else:
                groups.setdefault(_key(one), []).append(one)
        for several in groups.values():
            yield FindingGroup(several[0].code, several[0].rule, _detail(several[0]), tuple(several))
        for several in shown.values():
            yield FindingGroup("example", several[0].rule, "", tuple(several))

    def _is_consequence(self, finding: Finding) -> bool:
        """Whether something may be absent or empty because of a change that was made here."""
        return finding.code in {"field-absent", "value-blank"} and _seen(finding) not in self.before

    def _change(self, group: FindingGroup) -> None:
        """Change the text for a group, or note why not."""
        try:
            edits = self._edits(group)
            for edit in edits:
                _must_not_loosen(self.source.document, edit.pointer)
                _must_be_known(self.source.document, edit)
            source = self.source.edited(*edits) if edits else self.source
            make_spec(source.document, "as it would be")
        except RefusedError as error:
            self._refuse(group, str(error))
        except UneditableError as error:
            self._refuse(group, f"It must be changed by hand: {error}.")
        except (LookupError, SpecError):
            self._refuse(group, "The contract has no place for it that could be changed.")
        else:
            if source is not self.source:
                self.used.setdefault(_key(group.findings[0]), []).extend(group.findings)
            self.source = source

    def _refuse(self, group: FindingGroup, reason: str) -> None:
        for finding in group.findings:
            self.refused[_key(finding)] = reason

    def _edits(self, group: FindingGroup) -> list[Edit]:
        reshaper = Reshaper(self.source, self.spec())
        if group.code == "example":
            return list(reshaper.example(group))
        if group.code in REFUSED or group.code not in CHANGES:
            raise RefusedError(REFUSED.get(group.code, "Nothing is known of this kind."))
        if not group.rule:
            raise RefusedError("The contract has no place for it.")
        if group.code in {"type-changed", "field-null"} and all(not one.pointer for one in group.findings):
            return list(reshaper.root_type(group))
        return list(CHANGES[group.code](reshaper, group))

    # --- What came of it.

    def failed(self) -> dict[str, str]:
        """Return the groups whose changes brought something to light that can't be mended, with the reason."""
        found: dict[str, str] = {}
        for one in self.wrong():
            if _seen(one) in self.before:
                continue
            reason = f"With the change, there would be {one.code} {one.pointer}: {self.refused.get(_key(one), '')}"
            found |= dict.fromkeys(self._causes(one), reason.rstrip(": "))
        return {key: reason for key, reason in found.items() if key not in self.blocked}

    def _causes(self, finding: Finding) -> list[str]:
        """Return the groups whose changes may have led to a finding, going by exchange and place, then by either."""
        mates = {
            key: [one for one in several if one.exchange is finding.exchange] for key, several in self.used.items()
        }
        near = [key for key, several in mates.items() if any(_touch(one, finding) for one in several)]
        same = [key for key, several in mates.items() if several]
        return near or same or [key for key, several in self.used.items() if several[0].rule == finding.rule]

    def reason(self, finding: Finding) -> str | None:
        """Return why a finding is not mended. None: no reason is known."""
        return self.blocked.get(_key(finding)) or self.refused.get(_key(finding))


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # A host in broken brackets.
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def _shadows(other: Finding, one: Finding) -> bool:
    """Whether one finding should wait for the other's change, in the same exchange."""
    if one.code in {"deprecated", "warning"} or one.code.startswith("header-"):
        return False
    if other.code in _WHOLE and one.code not in _WHOLE:
        return True
    is_below = one.pointer == other.pointer or one.pointer.startswith(f"{other.pointer}/")
    return other.code in _PLACED and one.code not in _PLACED and is_below


def _touch(one: Finding, other: Finding) -> bool:
    """Whether two findings are about the same place, or one inside of the other's."""
    first, second = sorted((one.pointer, other.pointer), key=len)
    return not first.startswith("header:") and (first in {"", "status", second} or second.startswith(f"{first}/"))


def _must_not_loosen(document: Mapping[str, object], pointer: str) -> None:
    """Raise RefusedError if a place is part of what is asked of callers: what is checked there stays checked."""
    if any(pointer == place or pointer.startswith(f"{place}/") for place in _asked(document)):
        raise RefusedError("It is described in one place with what callers send, and would loosen that as well.")


def _must_be_known(document: Mapping[str, object], edit: Edit) -> None:
    """Raise RefusedError for what the document's version of OpenAPI does not have."""
    added = {} if isinstance(edit, Drop) else {edit.name: edit.value} if isinstance(edit, Put) else edit.value
    if str(document["openapi"]).startswith("3.0") and _has_type_lists(added):
        raise RefusedError("OpenAPI 3.0 has no lists of types. Convert the file to 3.1.")


def _has_type_lists(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_has_type_lists, schema))
    if not isinstance(schema, dict):
        return False
    types = schema.get("type")
    return isinstance(types, list) or types == "null" or any(map(_has_type_lists, schema.values()))


def _asked(document: Mapping[str, object]) -> set[str]:
    """Return where everything stands that describes requests, references followed."""
    found: set[str] = set()
    whole = dict(document)
    pending = [
        f"{pointer}/{name}" for node, pointer in nodes(whole) for name in ("requestBody", "parameters") if name in node
    ]
    pending = [place for place in pending if place.startswith("/paths/")]
    while pending:
        place = pending.pop()
        found.add(place)
        for node, _ in nodes(at(whole, place), place):
            if isinstance(node.get("$ref"), str):
                _, target = follow(whole, {"$ref": node["$ref"]}, "")
                if target not in found:
                    pending.append(target)
    return found
