"""Decides where a change belongs: at the place of use, or in the component that several places share.

What was seen of one operation's answer says nothing about the others that refer to the same component. So a component
that is used elsewhere is changed only if the same was seen in several places. Else the place of use gets a copy.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from longcat.contract.model import Finding
from longcat.contract.openapi.document import Document
from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.schema.variants import unconditional
from longcat.contract.patches.draft import Draft
from longcat.contract.patches.edit import Put
from longcat.contract.patches.group import FindingGroup
from longcat.text.pointer import at, escape, last_name, parent, split

MAX_VISITS: Final = 2000
"""How many schemas are looked at to see by which references an answer led to a broken rule."""
_IN_PLACE: Final = ("allOf", "oneOf", "anyOf", "if", "then", "else", "dependentSchemas")
_INSIDE: Final = ("items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems")
_BY_NAME: Final = ("properties", "patternProperties", "prefixItems")
_ALL_OF: Final = re.compile(r"(/allOf/\d+)*")
_OF_ANSWERS: Final = ("content", "headers", "schema")


@frozen
class Use:
    """A reference that an answer led through.

    Attributes:
        site: where the reference stands.
        component: where that stands to which it leads.
    """

    site: str
    component: str


def at_place_of_use(draft: Draft, group: FindingGroup) -> tuple[Draft, FindingGroup]:
    """Return a draft in which a group of findings can be mended without a change of what was not seen.

    Its rule is then that of a copy at the place of use. Raises UneditableError.
    """
    if any(not one.pointer or one.code == "enveloped" for one in group.findings):
        return draft, group  # What is said of a body as a whole stands where the body is described.
    ways = {_way(draft, finding) for finding in group.findings[:MAX_VISITS]}
    uses = next(iter(ways)) if len(ways) == 1 else ()
    first = next((index for index, one in enumerate(uses) if draft.references[one.component] > 1), None)
    if first is None:
        return draft, group
    rest = group.rule.removeprefix(uses[-1].component)
    is_added = group.code == "field-new" and _ALL_OF.fullmatch(rest) and _is_open(draft, uses[-1].component)
    if not all(_can_be_replaced(draft, one, is_kept=bool(is_added) and one is uses[-1]) for one in uses[first:]):
        return draft, group
    site = uses[first].site
    for index, use in enumerate(uses[first:], first):
        is_last = index == len(uses) - 1
        name = last_name(site)
        words = group.comment(f"here, and in no other place that refers to {last_name(use.component)}")
        if is_last and is_added:
            value: Any = {"allOf": [draft.raw(site), {"type": "object"}]}
            place = f"{site}/allOf/1"
        else:
            reference = draft.raw(site)
            beside = {key: one for key, one in reference.items() if key != "$ref"}
            value, place = {**copy.deepcopy(draft.raw(use.component)), **beside}, f"{site}{rest}"
        draft = draft.edited([Put(parent(site), name, value, words, instead_of=name)])
        if not is_last:
            site += uses[index + 1].site.removeprefix(use.component)
    return draft, evolve(group, rule=place, findings=tuple(evolve(one, rule=place) for one in group.findings))


def _can_be_replaced(draft: Draft, use: Use, *, is_kept: bool) -> bool:
    """Whether a copy of a component at a place of use means the same there, or if it is kept, the reference to it."""
    owner, component = at(draft.document, parent(use.site)), at(draft.document, use.component)
    in_one_file = is_kept or draft.document.source_of(use.site)[0] == draft.document.source_of(use.component)[0]
    # A discriminator knows its variants by where they stand.
    holder = at(draft.document, parent(parent(use.site))) if isinstance(owner, list) else {}
    is_variant = isinstance(owner, list) and isinstance(holder, Mapping) and "discriminator" in holder
    return in_one_file and isinstance(component, dict) and not is_variant and "discriminator" not in component


def _is_open(draft: Draft, pointer: str) -> bool:
    """Whether an object may have fields of another part of an `allOf`."""
    parts = (at(draft.document, one) for one in unconditional(draft.document, pointer))
    return all({"additionalProperties", "unevaluatedProperties"}.isdisjoint(one) for one in parts)


# --- The references between an answer and a rule.


def _way(draft: Draft, finding: Finding) -> tuple[Use, ...]:
    """Return the references that lead from a finding's operation to the broken rule; none where they are not known."""
    operation = draft.spec.match(finding.exchange.method, finding.exchange.url)
    response = operation.response(finding.exchange.status_code) if operation else None
    if operation is None or response is None:
        return ()
    start = f"{operation.pointer}/responses/{escape(response.code)}"
    path = tuple(split(finding.pointer)) if finding.pointer.startswith("/") else ()
    found = _RuleSearch(draft.document, finding.rule)
    return next(found.ways(start, path, ()), ())


class _RuleSearch:
    """A search for a rule, down the schemas of an answer and along a path in its value."""

    def __init__(self, document: Document, rule: str) -> None:
        self._document, self._rule, self._left = document, rule, MAX_VISITS

    def ways(self, pointer: str, path: tuple[str, ...], uses: tuple[Use, ...]) -> Iterator[tuple[Use, ...]]:
        """Yield the references by which the rule is reached from a place, with what of the path is left there."""
        self._left -= 1
        try:
            node = at(self._document, pointer)
        except LookupError:
            return
        if self._left < 0 or not isinstance(node, Mapping):
            return
        if f"{self._rule}/".startswith(f"{pointer}/") and _explains(self._rule.removeprefix(pointer), path):
            yield uses
        if isinstance(node.get("$ref"), str):
            try:
                component = self._document.target(node["$ref"], pointer)
            except SpecError:
                return
            if all(one.component != component for one in uses):
                yield from self.ways(component, path, (*uses, Use(pointer, component)))
        for place, rest in _below(node, pointer, path):
            yield from self.ways(place, rest, uses)


def _below(node: Mapping[str, Any], pointer: str, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the places below one at which a value is held against more, each with what is left of the path there."""
    for keyword in (*_OF_ANSWERS, *_IN_PLACE):
        inner = node.get(keyword)
        if keyword in {"content", "headers", "dependentSchemas"} and isinstance(inner, Mapping):
            yield from ((f"{pointer}/{keyword}/{escape(name)}", path) for name in inner)
        elif isinstance(inner, list):
            yield from ((f"{pointer}/{keyword}/{index}", path) for index in range(len(inner)))
        elif isinstance(inner, Mapping):
            yield f"{pointer}/{keyword}", path
            if keyword == "schema" and path and path[0].isdigit():
                yield f"{pointer}/{keyword}", path[1:]  # The items of a stream are each held against its schema.
    if path:
        for keyword in _INSIDE:
            if isinstance(node.get(keyword), Mapping):
                yield f"{pointer}/{keyword}", path[1:]
        for keyword in _BY_NAME:
            inner = node.get(keyword)
            names = inner if isinstance(inner, Mapping) else map(str, range(len(inner or ())))
            yield from (
                (f"{pointer}/{keyword}/{escape(name)}", path[1:])
                for name in names
                if keyword == "patternProperties" or name == path[0]
            )


def _explains(rest: str, path: tuple[str, ...]) -> bool:
    """Whether the last part of a rule leads as far down as a path does, or to the object that holds its last field."""
    parts = iter(split(rest))
    for part in parts:
        if part in _BY_NAME:
            name = next(parts, "")
            if part != "patternProperties" and path[:1] != (name,):
                return len(path) == 1  # It was renamed.
            path = path[1:]
        elif part in _INSIDE:
            path = path[1:]
        elif part in {"content", "headers", *_IN_PLACE} - {"if", "then", "else"}:
            next(parts, "")
    return len(path) <= 1
