"""How the answers of a contract must change: their codes, content types, headers, shapes and examples."""

import copy
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from attrs import evolve, frozen

from longcat.contract.checks.body import decode, media_type_of
from longcat.contract.checks.comparison import Comparison
from longcat.contract.checks.request import values_of
from longcat.contract.checks.status_codes import REFUSALS, RequestFault, is_success
from longcat.contract.model import Exchange, Finding
from longcat.contract.openapi.document import follow
from longcat.contract.openapi.operation import Media, Operation, Response, is_json, media_for
from longcat.contract.patches.edit import Append, Drop, Edit, Put
from longcat.contract.patches.group import FindingGroup, RefusedError, body_of, unescaped
from longcat.contract.patches.infer import infer, wrapped
from longcat.contract.patches.schemas import Widener
from longcat.pointer import at, escape

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_NOT_JSON: Final = "The body is not JSON. What else it is can't be told from one look; describe it by hand."
_ANOTHER: Final = (
    "It is an answer of another shape altogether. The contract would have to be written anew; do it by hand."
)


@frozen
class Reshaper(Widener):
    """Says how the answers of a document must change."""

    def response(self, exchange: Exchange) -> tuple[Operation | None, Response | None]:
        """Return the operation and the documented answer that an exchange is compared with."""
        operation = self.spec.match(exchange.method, exchange.url)
        if operation is not None:
            return operation, operation.response(exchange.status_code)
        found = (one.response(HTTPStatus.NOT_FOUND) for one in self.spec.operations)
        return None, next((response for response in found if response), None)

    def media(self, exchange: Exchange) -> Media | None:
        """Return the documented media type that an answer's body is compared with."""
        _, response = self.response(exchange)
        content = response.content if response else {}
        found = media_for(content, media_type_of(exchange.response_headers))
        return found or next((one for one in content.values() if is_json(one.media_type)), None)

    # --- Whole answers.

    def status(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a status code that is not documented."""
        exchanges = [finding.exchange for finding in group.findings]
        code = exchanges[0].status_code
        operation, documented = self.response(exchanges[0])
        if group.code == "endpoint-gone" and not all(_is_about_nothing(one) for one in exchanges):
            raise RefusedError("Where the endpoint is now can't be seen from the answer. Change the path by hand.")
        if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RefusedError("The service broke down over the question. That is a fault, and no way to refuse it.")
        if operation is None or documented is not None:
            raise RefusedError("The contract has this code already, for something else.")
        said = group.says(f"this code, where {group.findings[0].expected.partition(',')[0]} was expected")
        if not any((one.response_body or b"").strip() for one in exchanges):
            yield Put(group.rule, str(code), {"description": "Seen without a body."}, said)
            return
        like, schema = self._shape(operation, code, [_json_of(one) for one in exchanges])
        description = f"Seen in the place of {like}." if like else "Seen in a form of its own."
        content = self._content(media_type_of(exchanges[0].response_headers), schema)
        yield Put(group.rule, str(code), {"description": description, "content": content}, said)

    def _shape(self, operation: Operation, code: int, values: Sequence[Any]) -> tuple[str, Any]:
        """Return the code of a documented answer of the same shape, and the narrowest of its schemas that fits.

        Of variants, the one that the word in the answer chooses is enough: the rest can then be mended there.
        """
        like = meant = ""
        for response in operation.responses.values():
            if response.code.startswith("2") is not is_success(code) or response.code[0] in "13":
                continue
            for media in response.content.values():
                for place in self._branches(media.schema) if media.schema and is_json(media.media_type) else ():
                    if all(self.spec.schemas.is_valid(place, value) for value in values):
                        return response.code, copy.deepcopy(self.raw(place))
                    if all(self._chooses(value, place) for value in values):
                        like, meant = response.code, place
        if meant:
            return like, copy.deepcopy(self.raw(meant))
        if is_success(code):
            raise RefusedError("Its shape is another one as well. Describe the answer by hand.")
        return "", infer(values)

    def _chooses(self, value: Any, branch: str) -> bool:
        """Whether the word that tells variants apart chooses this branch for a value."""
        return isinstance(value, dict) and any(
            isinstance(word := value.get(variants.name), str) and variants.branches.get(word) == branch
            for variants in self.all_variants()
        )

    def _branches(self, pointer: str) -> Iterator[str]:
        schema, where = follow(self.spec.schemas.document, self.spec.schemas.at(pointer), pointer)
        for keyword in ("oneOf", "anyOf"):
            yield from (f"{where}/{keyword}/{index}" for index, _ in enumerate(schema.get(keyword, ())))
        yield pointer

    def _content(self, media_type: str, schema: Any) -> dict[str, Any]:
        """Return the content of an answer of JSON, whatever its media type says."""
        if not is_json(media_type or "application/json"):
            # To HTTP such a body is a text. These two say what is in it (JSON Schema, "contentSchema").
            text = {"type": "string"}
            schema = text if self.is_old else {**text, "contentMediaType": "application/json", "contentSchema": schema}
        return {media_type or "application/json": {"schema": schema}}

    def content_type(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for another content type."""
        media_type = str(group.findings[0].evidence)
        values = [_json_of(finding.exchange) for finding in group.findings]
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise RefusedError("A contract names content types, and the answer has none that could be named.")
        content = self.raw(group.rule)
        if media_type in content:
            return
        known = [one for one in self._medias(group.rule) if one in content and "schema" in content[one]]
        fitting = [
            one
            for one in known
            if all(self.spec.schemas.is_valid(f"{group.rule}/{escape(one)}/schema", value) for value in values)
        ]
        schema = copy.deepcopy(content[fitting[0]]["schema"]) if fitting else infer(values)
        ((name, new),) = self._content(media_type, schema).items()
        yield Put(group.rule, name, new, group.says("this content type"))

    def _medias(self, pointer: str) -> list[str]:
        return [name for name in self.raw(pointer) if is_json(name)]

    def body(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a body where the contract has none."""
        values = [_json_of(finding.exchange) for finding in group.findings]
        media_type = media_type_of(group.findings[0].exchange.response_headers)
        old = "content" if "content" in self.raw(group.rule) else None
        content = self._content(media_type, infer(values))
        yield Put(group.rule, "content", content, group.says("a body"), old)

    # --- The shape of a body as a whole.

    def enveloped(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for an answer that stands inside of another object or list."""
        finding = group.findings[0]
        self._must_be_free(group.rule)
        path = [unescaped(part) for part in finding.pointer.split("/")[1:]]
        node = self.raw(group.rule)
        value = body_of(finding.exchange)
        if _is_reference(node) or "oneOf" in node:
            inside = node if _is_reference(node) else node["oneOf"][0]
            yield from self._or(group, group.rule, wrapped(value, path, copy.deepcopy(inside)))
        elif isinstance(value, dict) and path[0] not in node.get("properties", {path[0]: None}):
            schema = infer([value[path[0]]])
            yield Put(f"{group.rule}/properties", path[0], schema, group.says("the answer inside of this field"))
            required = node.get("required", [])
            gone = [index for index, name in enumerate(required) if name not in value]
            if gone and len(gone) == len(required):
                yield Drop(f"{group.rule}/required")
            else:
                yield from (Drop(f"{group.rule}/required/{index}") for index in reversed(gone))
        else:
            raise RefusedError(_ANOTHER)

    def root_type(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a body that is of another type as a whole."""
        media = self.media(group.findings[0].exchange)
        if media is None or media.schema is None:
            raise RefusedError(_ANOTHER)
        self._must_be_free(media.schema)
        node = self.raw(media.schema)
        values = [body_of(finding.exchange) for finding in group.findings]
        if _is_reference(node) or "oneOf" in node:
            yield from self._or(group, media.schema, infer(values))
        else:
            yield from self.keyword(group)

    def _must_be_free(self, pointer: str) -> None:
        """Raise RefusedError for the schema of a body that has variants: they could not be told apart any more."""
        node, where = follow(self.source.document, self.raw(pointer), pointer)
        for keyword in ("oneOf", "anyOf"):
            if keyword in node and self.spec.schemas.variants(f"{where}/{keyword}") is not None:
                raise RefusedError(_ANOTHER)

    def _or(self, group: FindingGroup, pointer: str, schema: Any) -> Iterator[Edit]:
        """Yield the changes that let a body have another shape as well."""
        node, said = self.raw(pointer), group.says("an answer of this shape")
        if "oneOf" in node:
            if schema not in node["oneOf"]:
                yield Append(f"{pointer}/oneOf", schema, said)
        else:
            yield Put(pointer, "oneOf", [{"$ref": node["$ref"]}, schema], said, instead_of="$ref")

    # --- Headers.

    def header_missing(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a required header that is not there."""
        if "required" in self.raw(group.rule):
            yield Drop(f"{group.rule}/required", group.says("an answer without it"))

    def header_changed(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a header with a value that is not allowed."""
        for value in reversed(list(values_of(str(group.findings[0].evidence)))):
            for breach in self.spec.schemas.assertions(group.rule, value):
                # The finding is about the header's schema; this is about what in it is broken.
                findings = tuple(evolve(one, rule=breach.pointer, evidence=value) for one in group.findings)
                yield from self.keyword(evolve(group, rule=breach.pointer, findings=findings))
                return
        raise RefusedError("No single keyword of the contract forbids it. Change the schema by hand.")

    def announced(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a header that announces something."""
        name = "-".join(part.capitalize() for part in group.detail.removeprefix("header:").split("-"))
        header = {"description": "An announcement.", "schema": {"type": "string"}}
        said, headers = group.says("this header"), self.raw(group.rule).get("headers")
        if headers is None:
            yield Put(group.rule, "headers", {name: header}, said)
        elif name not in headers:
            yield Put(f"{group.rule}/headers", name, header, said)

    # --- Examples.

    def example(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes that show an answer without what may be absent or empty since a change of ours.

        It is made from an example that the contract has, so that nothing of anybody's answer gets into the contract.
        """
        finding = group.findings[0]
        media = self.media(finding.exchange)
        body = body_of(finding.exchange)
        if media is None or media.schema is None or not media.examples:
            raise RefusedError("The contract shows no such answer that could be changed.")
        comparison = Comparison(self.spec.schemas)
        kind = comparison.fields(media.schema, body).owner
        alike = (one for one in media.examples if comparison.fields(media.schema, one).owner == kind)
        value = copy.deepcopy(next(alike, media.examples[0]))
        for one in group.findings:
            _spoil(value, one)
        absent = sorted({_field(one) for one in group.findings if one.code == "field-absent"})
        empty = sorted({_field(one) for one in group.findings if one.code != "field-absent"})
        words = [f"without {' and '.join(absent)}"] * bool(absent) + [f"with an empty {' and '.join(empty)}"] * bool(
            empty
        )
        yield from self._shown(group, media, {"summary": f"As seen {' and '.join(words)}", "value": value})

    def _shown(self, group: FindingGroup, media: Media, example: dict[str, Any]) -> Iterator[Edit]:
        node, said = self.raw(media.pointer), group.says("an answer like this")
        shown = node.get("examples", {})
        if any(one.get("value") == example["value"] for one in shown.values()):
            return
        name = next(name for number in range(1, 1000) if (name := f"seen_{number}") not in shown)
        if "examples" in node:
            yield Put(f"{media.pointer}/examples", name, example, said)
        else:
            both = {"documented": {"value": node["example"]}, name: example}
            yield Put(media.pointer, "examples", both, said, instead_of="example")


def _is_reference(node: Any) -> bool:
    return isinstance(node, dict) and list(node) == ["$ref"]


def _is_about_nothing(exchange: Exchange) -> bool:
    """Whether an answer says that what was asked about does not exist, rather than the endpoint."""
    codes = {code for group in REFUSALS[RequestFault.UNKNOWN] for code in group}
    return exchange.intent == "unknown-request" and exchange.status_code in codes


def _json_of(exchange: Exchange) -> Any:
    decoded = decode(exchange.response_body or b"")
    if not decoded.is_json:
        raise RefusedError(_NOT_JSON)
    return decoded.value


def _field(finding: Finding) -> str:
    return unescaped(finding.pointer.rpartition("/")[2])


def _spoil(value: Any, finding: Finding) -> None:
    """Take out of an example what an answer does not have, or make empty what is empty there."""
    owner, _, part = finding.pointer.rpartition("/")
    try:
        holder = at(value, owner)
        if finding.code == "field-absent":
            del holder[unescaped(part)]
        else:
            holder[int(part) if isinstance(holder, list) else unescaped(part)] = at(
                body_of(finding.exchange), finding.pointer
            )
    except (LookupError, TypeError, ValueError):
        raise RefusedError("The contract shows no such answer that could be changed.") from None
