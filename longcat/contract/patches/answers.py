"""Changes the answers of a contract: their codes, content types, headers, shapes and examples."""

import copy
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from attrs import evolve

from longcat.contract.checks.body import media_type_of
from longcat.contract.checks.comparison import Comparison
from longcat.contract.checks.observation import observe
from longcat.contract.checks.request.parameters import values_of
from longcat.contract.checks.status_codes import UNKNOWN_CODES, is_success, not_found_answers
from longcat.contract.model import Exchange, Finding
from longcat.contract.openapi.document import follow
from longcat.contract.openapi.operation import Media, Operation, first_json, is_json, media_for
from longcat.contract.patches.draft import Draft
from longcat.contract.patches.edit import Append, Drop, Edit, Put
from longcat.contract.patches.group import FindingGroup, RefusedError, json_body, name_of
from longcat.contract.patches.infer import infer, wrapped
from longcat.contract.patches.schemas import broken_keyword, drop_required
from longcat.text.pointer import at, escape, parent, split

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_OTHER_SHAPE: Final = (
    "It is an answer of another shape altogether. The contract would have to be written anew; do it by hand."
)
_NO_EXAMPLE: Final = "The contract shows no such answer that could be changed."


# --- Status codes, content types and bodies.


def new_status(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a status code that is not documented."""
    exchanges = [finding.exchange for finding in group.findings]
    code = exchanges[0].status_code
    operation = draft.spec.match(exchanges[0].method, exchanges[0].url)
    # Where an unknown id was asked about, such a code says that there is no such thing; the endpoint is still there.
    if group.code == "endpoint-gone" and not all(
        one.intent == "unknown-request" and one.status_code in UNKNOWN_CODES for one in exchanges
    ):
        raise RefusedError("Where the endpoint is now can't be seen from the answer. Change the path by hand.")
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RefusedError("The service broke down over the question. That is a fault, and no way to refuse it.")
    if operation is None or operation.response(code) is not None:
        raise RefusedError("The contract has this code already, for something else.")
    comment = group.comment(f"this code, where {group.findings[0].expected.partition(',')[0]} was expected")
    if not any((one.response_body or b"").strip() for one in exchanges):
        yield Put(group.rule, str(code), {"description": "Seen without a body."}, comment)
        return
    like, schema = _shape(draft, operation, code, [json_body(one) for one in exchanges])
    description = f"Seen in the place of {like}." if like else "Seen in a form of its own."
    content = _content(draft, media_type_of(exchanges[0].response_headers), schema)
    yield Put(group.rule, str(code), {"description": description, "content": content}, comment)


def _shape(draft: Draft, operation: Operation, code: int, values: Sequence[Any]) -> tuple[str, Any]:
    """Return the code of a documented answer of the same shape, and the narrowest of its schemas that fits.

    A variant is enough that the word in the answer chooses: what else differs can be mended there afterwards. A refusal
    of a new shape gets a schema of its own; the code is then empty.
    """
    chosen = None
    for response in operation.responses.values():
        if response.code.startswith("2") is not is_success(code) or response.code[0] in "13":
            continue
        for media in response.content.values():
            for pointer in _branches(draft, media.schema) if media.schema and is_json(media.media_type) else ():
                if draft.allows(pointer, values):
                    return response.code, copy.deepcopy(draft.raw(pointer))
                if all(_chooses(draft, value, pointer) for value in values):
                    chosen = response.code, pointer
    if chosen is not None:
        return chosen[0], copy.deepcopy(draft.raw(chosen[1]))
    if is_success(code):
        raise RefusedError("Its shape is another one as well. Describe the answer by hand.")
    return "", infer(values)


def _branches(draft: Draft, pointer: str) -> Iterator[str]:
    schema, where = follow(draft.document, at(draft.document, pointer), pointer)
    for keyword in ("oneOf", "anyOf"):
        yield from (f"{where}/{keyword}/{index}" for index, _ in enumerate(schema.get(keyword, ())))
    yield pointer


def _chooses(draft: Draft, value: Any, branch: str) -> bool:
    """Whether the word that tells variants apart chooses this branch for a value."""
    return isinstance(value, dict) and any(
        isinstance(word := value.get(variants.name), str) and variants.branches.get(word) == branch
        for variants in draft.variants()
    )


def _content(draft: Draft, media_type: str, schema: Any) -> dict[str, Any]:
    """Return the content of an answer of JSON, whatever its media type says."""
    if not is_json(media_type or "application/json"):
        # To HTTP such a body is a text. These two say what is in it (JSON Schema, "contentSchema").
        inside = {"contentMediaType": "application/json", "contentSchema": schema}
        schema = {"type": "string", **({} if draft.is_openapi_3_0 else inside)}
    return {media_type or "application/json": {"schema": schema}}


def content_type(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for another content type."""
    media_type = str(group.findings[0].evidence)
    values = [json_body(finding.exchange) for finding in group.findings]
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise RefusedError("A contract names content types, and the answer has none that could be named.")
    content = draft.raw(group.rule)
    if media_type not in content:
        known = [name for name, media in content.items() if is_json(name) and "schema" in media]
        schema = draft.schema_like([f"{group.rule}/{escape(name)}/schema" for name in known], values, closed=False)
        media = _content(draft, media_type, schema)[media_type]
        yield Put(group.rule, media_type, media, group.comment("this content type"))


def new_body(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a body where the contract has none."""
    values = [json_body(finding.exchange) for finding in group.findings]
    content = _content(draft, media_type_of(group.findings[0].exchange.response_headers), infer(values))
    old = "content" if "content" in draft.raw(group.rule) else None
    yield Put(group.rule, "content", content, group.comment("a body"), old)


# --- The shape of a body as a whole.


def envelope(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for an answer that stands inside of another object or list."""
    finding = group.findings[0]
    _must_not_have_variants(draft, group.rule)
    path, node, value = split(finding.pointer), draft.raw(group.rule), json_body(finding.exchange)
    if _is_reference(node) or "oneOf" in node:
        inside = node if _is_reference(node) else node["oneOf"][0]
        yield _another_shape(draft, group, group.rule, wrapped(value, path, copy.deepcopy(inside)))
    elif isinstance(value, dict) and path[0] not in node.get("properties", {path[0]: None}):
        schema, comment = infer([value[path[0]]]), group.comment("the answer inside of this field")
        yield Put(f"{group.rule}/properties", path[0], schema, comment)
        if "required" in node:
            yield from drop_required(draft, f"{group.rule}/required", set(node["required"]) - value.keys())
    else:
        raise RefusedError(_OTHER_SHAPE)


def another_type(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a body that is of another type as a whole."""
    media = _media(draft, group.findings[0].exchange)
    if media is None or media.schema is None:
        raise RefusedError(_OTHER_SHAPE)
    _must_not_have_variants(draft, media.schema)
    node = draft.raw(media.schema)
    if _is_reference(node) or "oneOf" in node:
        schema = infer(group.values)
        yield _another_shape(draft, group, media.schema, schema)
    else:
        yield from broken_keyword(draft, group)


def _must_not_have_variants(draft: Draft, pointer: str) -> None:
    """Raise RefusedError for the schema of a body that has variants: they could not be told apart any more."""
    node, where = follow(draft.source.document, draft.raw(pointer), pointer)
    for keyword in ("oneOf", "anyOf"):
        if keyword in node and draft.spec.schemas.variants(f"{where}/{keyword}") is not None:
            raise RefusedError(_OTHER_SHAPE)


def _another_shape(draft: Draft, group: FindingGroup, pointer: str, schema: Any) -> Edit:
    """Return the edit that lets a body have another shape as well."""
    node, comment = draft.raw(pointer), group.comment("an answer of this shape")
    if "oneOf" in node:
        return Append(f"{pointer}/oneOf", schema, comment)
    return Put(pointer, "oneOf", [{"$ref": node["$ref"]}, schema], comment, instead_of="$ref")


def _is_reference(node: Any) -> bool:
    return isinstance(node, dict) and list(node) == ["$ref"]


def _media(draft: Draft, exchange: Exchange) -> Media | None:
    """Return the documented media type that an answer's body is compared with.

    Where the contract does not have the path, that is an answer which it documents for what does not exist.
    """
    observation = observe(draft.spec, exchange)
    response = observation.documented
    if observation.operation is None:
        response = next(iter(not_found_answers(draft.spec.operations)), None)
    content = response.content if response else {}
    return media_for(content, observation.media_type) or first_json(content)


# --- Headers.


def missing_header(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a required header that is not there."""
    if "required" in draft.raw(group.rule):
        yield Drop(f"{group.rule}/required", group.comment("an answer without it"))


def header_value(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a header with a value that is not allowed."""
    for value in reversed(list(values_of(str(group.findings[0].evidence)))):
        for breach in draft.spec.schemas.assertions(group.rule, value):
            # The finding is about the header's schema; this is about what in it is broken.
            findings = tuple(evolve(one, rule=breach.pointer, evidence=value) for one in group.findings)
            yield from broken_keyword(draft, evolve(group, rule=breach.pointer, findings=findings))
            return
    raise RefusedError("No single keyword of the contract forbids it. Change the schema by hand.")


def new_header(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a header that announces something."""
    name = group.findings[0].pointer.removeprefix("header:").title()
    header = {"description": "An announcement.", "schema": {"type": "string"}}
    headers = draft.raw(group.rule).get("headers")
    if headers is None:
        yield Put(group.rule, "headers", {name: header}, group.comment("this header"))
    elif name not in headers:
        yield Put(f"{group.rule}/headers", name, header, group.comment("this header"))


# --- Examples.


def example(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits that show an answer without what may be absent or empty since a change of ours.

    It is made from an example that the contract has, so that nothing of anybody's answer gets into the contract.
    """
    exchange = group.findings[0].exchange
    media, body = _media(draft, exchange), json_body(exchange)
    if media is None or media.schema is None or not media.examples.values:
        raise RefusedError(_NO_EXAMPLE)
    comparison = Comparison(draft.spec.schemas)
    kind = comparison.fields(media.schema, body).owner
    alike = (one for one in media.examples.values if comparison.fields(media.schema, one).owner == kind)
    value = copy.deepcopy(next(alike, media.examples.values[0]))
    for one in group.findings:
        _make_absent_or_empty(value, one, body)
    absent = sorted({name_of(one) for one in group.findings if one.code == "field-absent"})
    empty = sorted({name_of(one) for one in group.findings if one.code != "field-absent"})
    words = [f"without {' and '.join(absent)}"] if absent else []
    words += [f"with an empty {' and '.join(empty)}"] if empty else []
    yield from _with_example(draft, group, media, {"summary": f"As seen {' and '.join(words)}", "value": value})


def _make_absent_or_empty(value: Any, finding: Finding, body: Any) -> None:
    """Take out of an example what an answer does not have, or make empty what is empty there."""
    try:
        holder = at(value, parent(finding.pointer))
        if finding.code == "field-absent":
            del holder[name_of(finding)]
        else:
            key = int(name_of(finding)) if isinstance(holder, list) else name_of(finding)
            holder[key] = at(body, finding.pointer)
    except (LookupError, TypeError, ValueError):
        raise RefusedError(_NO_EXAMPLE) from None


def _with_example(draft: Draft, group: FindingGroup, media: Media, example: dict[str, Any]) -> Iterator[Edit]:
    node, comment = draft.raw(media.pointer), group.comment("an answer like this")
    shown = node.get("examples", {})
    if all(one.get("value") != example["value"] for one in shown.values()):
        name = next(name for number in range(1, 1000) if (name := f"seen_{number}") not in shown)
        if "examples" in node:
            yield Put(f"{media.pointer}/examples", name, example, comment)
        else:
            both = {"documented": {"value": node["example"]}, name: example}
            yield Put(media.pointer, "examples", both, comment, instead_of="example")
