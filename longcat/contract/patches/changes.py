"""Finds the edits of the contract that mend a group of findings, or why none should be made."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import evolve

from longcat.contract.codes import CODES
from longcat.contract.openapi.document import follow
from longcat.contract.openapi.nodes import nodes
from longcat.contract.patches import answers, schemas
from longcat.contract.patches.draft import Draft
from longcat.contract.patches.edit import Drop, Edit, Put
from longcat.contract.patches.group import FindingGroup, RefusedError
from longcat.contract.patches.infer import with_nullable
from longcat.text.pointer import at

Change: TypeAlias = Callable[[Draft, FindingGroup], Iterable[Edit]]
CHANGE_OF_CODE: Final[Mapping[str, Change]] = {
    "body-new": answers.new_body,
    "constraint-broken": schemas.broken_keyword,
    "content-type-changed": answers.content_type,
    "deprecated": answers.new_header,
    "endpoint-gone": answers.new_status,
    "enveloped": answers.envelope,
    "field-missing": schemas.missing_field,
    "field-moved": schemas.new_field,
    "field-new": schemas.new_field,
    "field-null": schemas.broken_keyword,
    "field-renamed": schemas.renamed_field,
    "format-changed": schemas.broken_keyword,
    "header-changed": answers.header_value,
    "header-missing": answers.missing_header,
    "status-undocumented": answers.new_status,
    "type-changed": schemas.broken_keyword,
    "value-empty": schemas.broken_keyword,
    "value-out-of-range": schemas.broken_keyword,
    "value-recased": schemas.broken_keyword,
    "value-undocumented": schemas.broken_keyword,
    "warning": answers.new_header,
}
"""The kinds that are patched, and how."""


def edits_for(draft: Draft, group: FindingGroup) -> list[Edit]:
    """Return the edits that mend a group of findings. Raises RefusedError, and LookupError if there is no place."""
    if group.code == "example":
        change: Change = answers.example
    elif group.code not in CHANGE_OF_CODE:
        kind = CODES.get(group.code)
        raise RefusedError((kind and kind.unpatched) or "Nothing is known of this kind.")
    elif not group.rule:
        raise RefusedError("The contract has no place for it.")
    elif group.code in {"type-changed", "field-null"} and all(not one.pointer for one in group.findings):
        change = answers.another_type
    else:
        change = CHANGE_OF_CODE[group.code]
    edits = list(change(draft, group))
    if draft.is_openapi_3_0:
        edits = [
            evolve(one, value=with_nullable(one.value)) if isinstance(one, Put) and isinstance(one.value, dict) else one
            for one in edits
        ]
    of_requests = _request_places(draft.source.document)
    for edit in edits:
        if any(f"{edit.pointer}/".startswith(f"{pointer}/") for pointer in of_requests):
            raise RefusedError("It is described in one place with what callers send, and would loosen that as well.")
        added = {} if isinstance(edit, Drop) else {edit.name: edit.value} if isinstance(edit, Put) else edit.value
        if draft.is_openapi_3_0 and _has_type_lists(added):
            raise RefusedError("OpenAPI 3.0 has no lists of types. Convert the file to 3.1.")
    return edits


def _has_type_lists(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_has_type_lists, schema))
    if not isinstance(schema, dict):
        return False
    types = schema.get("type")
    return isinstance(types, list) or types == "null" or any(map(_has_type_lists, schema.values()))


def _request_places(document: dict[str, Any]) -> set[str]:
    """Return the places that describe requests, references followed. They must not be loosened."""
    found: set[str] = set()
    pending = [
        f"{pointer}/{name}"
        for node, pointer in nodes(document)
        for name in ("requestBody", "parameters")
        if name in node and pointer.startswith("/paths/")
    ]
    while pending:
        pointer = pending.pop()
        found.add(pointer)
        for node, _ in nodes(at(document, pointer), pointer):
            if isinstance(node.get("$ref"), str):
                _, target = follow(document, {"$ref": node["$ref"]}, "")
                if target not in found:
                    pending.append(target)
    return found
