"""The drifts that the mutator makes of our own contract: of the answers that it shows.

The examples of the contract are the valid answers. A mutation that several kinds of answers have is one drift of all of
them, such as `removed-progress`; some are drifts of one kind, too, such as `removed-progress-processing`. `queue-` goes
before those of the status call.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, NamedTuple

from attrs import evolve
from jsonschema_rs import Draft202012Validator

from longcat.sandbox.calls import RESULT, STATUS, EmulatedCall
from longcat.sandbox.drifts.places import WORDS_OF_KINDS
from longcat.sandbox.mutator import AnswerRules, Mutation, SentResponse, mutations
from longcat.sandbox.mutator.fields import FieldPath
from longcat.text.pointer import at

PREFIXES: Final = {RESULT: "", STATUS: "queue-"}
PATHS: Final = {RESULT: "/longcat-image-request-result", STATUS: "/v2/requests/status/{request_id}"}
ERRORS: Final = {RESULT: ("400", "401", "404"), STATUS: ("401", "404")}
"""The status codes of errors that the sandbox answers."""
ONE_BY_ONE: Final = re.compile(
    r"(removed|null-(?!body)|other|reunited|recased-request|new-word)"
    r"|(new-field|deprecation|sunset|no-json-page|no-json-cut|type-text|envelope-data|error-in-200)\{"
    r"|status\{where\}-(201|202|204)"
)
"""The mutations that are drifts of one kind of answers, too."""
CODE_BY_CODE: Final = re.compile(r"removed|(new-field|no-json-page)\{|status\{where\}-4")
"""The mutations of errors that are drifts of one status code, too."""
WORDING: Final = {"queued": " while queued", "processing": " while processing", "errors": " in errors"}
ALIASES: Final = {
    "new-field": "new-field-everywhere",
    "new-field-errors": "new-field-error",
    "new-field-400": "new-field-error-400",
    "other-request-id": "other-request",
    "other-request-id-completed": "other-request-completed",
    "envelope-data-completed": "envelope-completed",
    "status-302": "redirect-elsewhere",
}
"""The names that people know, by those that the rule gives."""


class MutatedDrift(NamedTuple):
    """A mutation of some answers of a call; `place` is as for `longcat.sandbox.drifts.places.place`."""

    name: str
    sentence: str
    call: EmulatedCall
    place: str
    mutation: Mutation


def mutated_drifts() -> Iterator[MutatedDrift]:
    """Yield the drifts. No two have one name."""
    document = json.loads((files("longcat_api") / "openapi.json").read_text("utf-8"))
    for call in PREFIXES:
        contract = _CallContract(document, call)
        answers = _by_name({kind: contract.answer(kind) for kind in WORDS_OF_KINDS[call]})
        errors = _by_name({code: contract.error(code) for code in ERRORS[call]})
        for name, kinds in answers.items():
            yield from _of_answers(call, name, kinds)
        for name, codes in errors.items():
            yield from _of_errors(call, name, codes, is_known=name in answers)


def _by_name(samples: Mapping[str, tuple[SentResponse, AnswerRules]]) -> dict[str, dict[str, Mutation]]:
    """Return the mutations of some answers, by their names and the kinds of answers that have them."""
    found: dict[str, dict[str, Mutation]] = {}
    for kind, (answer, rules) in samples.items():
        for mutation in mutations(answer, rules):
            found.setdefault(mutation.name, {})[kind] = mutation
    return found


def _of_answers(call: EmulatedCall, name: str, kinds: Mapping[str, Mutation]) -> Iterator[MutatedDrift]:
    first = next(iter(kinds.values()))
    if first.severity is None and not first.path:
        yield _drift(call, "all", first)
        return
    if first.kind == "announced":
        # The end of a call: every answer says so, and no contract could agree. It is for people to act on.
        yield _drift(call, "call", evolve(first, patchable=False))
    elif first.kind != "new-word":
        yield _drift(call, "answers" if len(kinds) == len(WORDS_OF_KINDS[call]) else ",".join(kinds), first)
    for kind, mutation in (
        kinds.items() if (len(kinds) > 1 or first.kind == "new-word") and ONE_BY_ONE.match(name) else ()
    ):
        yield _drift(call, kind, mutation, kind)


def _of_errors(
    call: EmulatedCall, name: str, codes: Mapping[str, Mutation], *, is_known: bool
) -> Iterator[MutatedDrift]:
    """Yield the drifts of errors. `is_known`: whether other answers have one of this name."""
    first = next(iter(codes.values()))
    if first.severity is None and is_known:
        return
    if first.kind != "status":
        # Errors on unknown paths announce it, too, and the contract has no place for those.
        whole = evolve(first, patchable=first.patchable and first.kind != "announced")
        yield _drift(call, "errors", whole, "errors" if is_known else "")
    for code, mutation in codes.items() if CODE_BY_CODE.match(name) else ():
        yield _drift(call, code, mutation, code)


def _drift(call: EmulatedCall, place: str, mutation: Mutation, where: str = "") -> MutatedDrift:
    """Return a drift. `where`: the kind of answers in its name; empty: it is of all that have what is changed."""
    wording = WORDING.get(where, f" in the {where}" if where.isdecimal() else f" when {where}") if where else ""
    name, sentence = mutation.name.format(where=f"-{where}" if where else ""), mutation.sentence.format(where=wording)
    if mutation.kind == "new-word" and where:
        name = mutation.name.format(where="").replace("status", where)
    return MutatedDrift(PREFIXES[call] + ALIASES.get(name, name), f"{sentence}.", call, place, mutation)


class _CallContract:
    """Our contract, as the mutator asks about it for the answers of a call."""

    def __init__(self, document: Mapping[str, Any], call: EmulatedCall) -> None:
        self._document = document
        self._call = call
        self._responses = document["paths"][PATHS[call]][call.method.lower()]["responses"]

    def answer(self, kind: str) -> tuple[SentResponse, AnswerRules]:
        """Return an answer of a kind, with the rules for it."""
        words = WORDS_OF_KINDS[self._call][kind]
        shown = [one for one in self._examples("200") if one["status"] in words]
        return self._sent(200, shown[-1]), self._rules("200", shown)

    def error(self, code: str) -> tuple[SentResponse, AnswerRules]:
        """Return an error of a status code, with the rules for it."""
        return self._sent(int(code), self._error(code)), self._rules(code, [])

    @staticmethod
    def _sent(status: int, body: Any) -> SentResponse:
        sent = json.dumps(body).encode()
        headers = (("content-length", str(len(sent))), ("content-type", "application/json"))
        return SentResponse(status, headers, sent)

    def _rules(self, code: str, shown: Sequence[Any]) -> AnswerRules:
        schemas = self._branches(self._media(code)["schema"])
        branches = [(one, Draft202012Validator(one, validate_formats=True)) for one in schemas]

        def shows(path: FieldPath) -> bool:
            return bool(shown) and all(_has(one, path) for one in shown)

        return AnswerRules(
            allows=lambda body: any(validator.is_valid(body) for _, validator in branches),
            lists=lambda body: any(validator.is_valid(body) and _is_listed(one, body) for one, validator in branches),
            shows=shows,
            codes=lambda status: str(status) in self._responses and code == "200",
            word="status" if code == "200" else None,
            echoes={"request_id"} if code == "200" else (),
            error=self._error("404") if code == "200" else None,
        )

    def _media(self, code: str) -> Any:
        return self._resolved(self._responses[code])["content"]["application/json"]

    def _examples(self, code: str) -> list[Any]:
        return [one["value"] for one in self._media(code).get("examples", {}).values()]

    def _error(self, code: str) -> Any:
        """Return an example of an error, or one that is made of its schema, of which all fields are texts."""
        fields = self._branches(self._media(code)["schema"])[0]["properties"]
        return next(iter(self._examples(code)), dict.fromkeys(fields, "Something is wrong."))

    def _branches(self, schema: Any) -> list[Any]:
        """Return the schemas that a body may fit, one for each variant, without references."""
        resolved = self._resolved(schema)
        branches: list[Any] = resolved.get("oneOf", [resolved])
        return branches

    def _resolved(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._resolved(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return self._resolved(at(self._document, node["$ref"].removeprefix("#")))
        return {name: self._resolved(inner) for name, inner in node.items()}


def _has(body: Any, path: FieldPath) -> bool:
    for part in path:
        if not isinstance(body, dict) or part not in body:
            return False
        body = body[part]
    return True


def _is_listed(schema: Any, value: Any) -> bool:
    """Whether a schema lists all fields of a value."""
    if isinstance(value, list):
        return all(_is_listed(schema.get("items", {}), item) for item in value)
    if not isinstance(value, dict):
        return True
    properties = schema.get("properties", {})
    return all(name in properties and _is_listed(properties[name], inner) for name, inner in value.items())
