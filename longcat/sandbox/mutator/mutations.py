"""Every mutation of an answer: it spoils the answer, or changes it and harms nobody.

A mutation of a body is tried on a valid answer. It is breaking if the contract forbids the result, and additive if the
contract allows the result and does not list all of it. Otherwise it is no drift, and is left out.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from longcat.sandbox.mutator import fields as names
from longcat.sandbox.mutator.answer_mutations import (
    ANNOUNCEMENTS,
    BYTE_CHANGES,
    ERROR_CHANGES,
    HARMLESS,
    SHAPE_CHANGES,
    TYPE_CHANGES,
    status_changes,
)
from longcat.sandbox.mutator.fields import FieldPath, OwnerChange, fields_in, in_owner
from longcat.sandbox.mutator.response import ResponseChange, SentResponse
from longcat.sandbox.mutator.values import OtherValue, other_types, other_values

Weight: TypeAlias = Literal["breaking", "additive", "notice"]
"""How bad a drift is for callers. A harmless change has None instead."""
ERROR: Final = 400
"""The first status code that means an error."""


@frozen
class AnswerRules:
    """The rules of a contract for answers like a given one.

    Attributes:
        allows: whether a body is allowed, with any new fields in it.
        lists: whether every field of a body is listed, too.
        may_be_empty: whether a body breaks nothing but the form of an address. Gateways often send an empty text there.
        shows: whether every example of the contract has a field.
        allows_header: whether a header of the answer may have a value. One that is not documented may have any.
        required_headers: those that must be there, in lower case.
        codes: whether a status code is documented for the call.
        has_type: whether another media type is documented for the answer.
        word: the field that tells variants of the answer apart. None: there are none.
        echoes: the fields that give back what the request named.
        error: the body of an error of the same call. None: it has none.
        deprecated: whether the contract itself says that the call will go, so that a header that says so is no news.
    """

    allows: Callable[[Any], bool]
    lists: Callable[[Any], bool]
    may_be_empty: Callable[[Any], bool] = lambda _body: False
    shows: Callable[[FieldPath], bool] = lambda _path: False
    allows_header: Callable[[str, str], bool] = lambda _name, _value: True
    required_headers: Collection[str] = ()
    codes: Callable[[int], bool] = lambda _code: False
    has_type: Callable[[str], bool] = lambda _media_type: False
    word: str | None = None
    echoes: Collection[str] = ()
    error: Any = None
    deprecated: bool = False

    def weigh(self, body: Any) -> Weight | None:
        """Return how bad it is that an answer has this body. None: the contract has it."""
        if not self.allows(body):
            return "breaking"
        return None if self.lists(body) else "additive"


@frozen
class Mutation:
    """One way to spoil an answer, or to change it and harm nobody.

    Attributes:
        kind: what it belongs to, such as `removed`.
        name: with `{where}` for the part that names the answers which are spoilt, such as `-completed`.
        sentence: what is changed, with `{where}` for the words that say in which answers, such as ` when completed`.
        severity: how bad it is for callers. None: it is harmless.
        patchable: whether the contract can be changed to describe it.
        change: changes a response. A response in which there is nothing to change stays as it is.
        path: the field that is changed. Empty: the whole answer.
    """

    kind: str
    name: str
    sentence: str
    severity: Weight | None
    patchable: bool
    change: ResponseChange = field(repr=False)
    path: FieldPath = ()


def mutations(answer: SentResponse, rules: AnswerRules, most_fields: int | None = None) -> Iterator[Mutation]:
    """Yield every mutation of a valid JSON answer.

    Args:
        answer: the answer; nothing but its status code, its body and its headers is looked at.
        rules: what the contract says of it.
        most_fields: how many of its fields are spoilt, spread over all of them. None: all.
    """
    body = answer.json
    found = [*fields_in(body)]
    step = max(1, -(-len(found) // most_fields)) if most_fields else 1
    for path, value in found[::step]:
        yield from _FieldMutations(body, path, value, rules).all()
    yield from _of_names(body, rules)
    yield from _of_whole(answer, rules)
    yield from _of_status(answer, rules)
    yield from _of_headers(answer, rules)
    for name, sentence, change in HARMLESS:
        if change(answer) == answer:
            continue
        yield Mutation("harmless", f"harmless-{name}{{where}}", f"{sentence}{{where}}", None, True, change)


# --- Fields.


_GOING: Final[Mapping[str, Weight]] = {
    "removed": "notice",
    **dict.fromkeys(("renamed", "recased", "nested"), "breaking"),
}
"""How bad the loss of an optional field is, by its kind, if the contract shows the field in every such answer."""


@frozen
class _FieldMutations:
    """The mutations of one field of a body."""

    body: Any
    path: FieldPath
    value: Any
    rules: AnswerRules

    def all(self) -> Iterator[Mutation]:
        """Yield all mutations of the field."""
        name, value, owner = str(self.path[-1]), self.value, self._owner()
        is_optional = self.rules.allows(in_owner(self.path, names.drop)(self.body))
        is_echo = self.path in {(echo,) for echo in self.rules.echoes} and not is_optional
        yield from self._edit("removed", "is gone", names.drop)
        new = names.renamed(name, owner, alike=is_optional)
        yield from self._edit("renamed", f"is called {new}", names.rename(new))
        if (new := names.recased(name)) not in owner:
            yield from self._edit("recased", f"is called {new}", names.rename(new))
        yield from self._edit("nested", "stands in details", names.move_into("details"))
        yield from self._edit("null", "is null", names.put(lambda _: None))
        for one in other_types(value):
            yield from self._one(one, patchable=not (is_echo and one.suffix == "number"))
        if is_echo:
            other = names.put(lambda value: "another-one" if isinstance(value, str) else 4711)
            yield from self._edit("other", "is another's", other, patchable=False)
        else:
            for one in other_values(value):
                yield from self._one(one)
        if isinstance(value, dict):
            more = names.put(lambda value: {**value, "new_detail": 1024}, value)
            yield from self._edit("new-field", "has a new field", more)

    def _owner(self) -> Mapping[str, Any]:
        """Return the object that has the field."""
        owner: Any = self.body
        for part in self.path[:-1]:
            owner = owner[0 if part is None else part]
        found: Mapping[str, Any] = owner
        return found

    def _one(self, other: OtherValue, *, patchable: bool = True) -> Iterator[Mutation]:
        change = names.put(other.make, self.value)
        yield from self._edit(other.kind, other.words, change, suffix=other.suffix, patchable=patchable)

    def _edit(
        self, kind: str, words: str, change: OwnerChange, *, suffix: str = "", patchable: bool = True
    ) -> Iterator[Mutation]:
        edit, prefix = in_owner(self.path, change), kind
        severity: Weight | None = "breaking" if kind == "other" else self.rules.weigh(edit(self.body))
        if kind == "empty" and severity == "breaking" and self.rules.may_be_empty(edit(self.body)):
            severity = "notice"
        if severity != "breaking" and self.rules.shows(self.path):
            severity = _GOING.get(kind, severity)
        if kind == "removed" and severity != "breaking":
            prefix = "absent" if severity else "harmless-absent"
        elif severity is None:
            return
        name = "-".join(filter(None, (prefix, names.dashed(str(self.path[-1])), suffix)))
        sentence = f"{'.'.join(part for part in self.path if part)} {words}{{where}}"
        # A patch can't replace the field that tells variants apart, and need not do anything if a field may be absent.
        can_heal = severity is None or (patchable and severity != "notice" and not self._is_word(kind))
        yield Mutation(kind, f"{name}{{where}}", sentence, severity, can_heal, _on_json(edit), self.path)

    def _is_word(self, kind: str) -> bool:
        return self.path == (self.rules.word,) and kind != "new-word"


def _on_json(edit: Callable[[Any], Any]) -> ResponseChange:
    """Return a change that edits the body of a response, if it is JSON and there is anything to edit."""

    def change(response: SentResponse) -> SentResponse:
        if response.json is None:
            return response
        edited = edit(response.json)
        return response if json.dumps(edited) == json.dumps(response.json) else response.with_json(edited)

    return change


def _of_names(body: Any, rules: AnswerRules) -> Iterator[Mutation]:
    """Yield the mutation that writes all names in another style."""
    edited = _in_camel_case(body)
    severity = rules.weigh(edited)
    if edited == body or severity is None:
        return
    if any(rules.shows(path) for path, _ in fields_in(body) if "_" in str(path[-1])):
        severity = "breaking"
    sentence, change = "All names are in camelCase{where}", _on_json(_in_camel_case)
    yield Mutation("recased", "recased-every-field{where}", sentence, severity, True, change)


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_camel_case(item) for item in value]
    if isinstance(value, dict):
        style = {name: names.recased(name) if "_" in name else name for name in value}
        return {style[name]: _in_camel_case(inner) for name, inner in value.items()}
    return value


# --- Whole answers.


def _of_whole(answer: SentResponse, rules: AnswerRules) -> Iterator[Mutation]:
    """Yield the mutations of the whole body and of its content type, and those by which headers announce something."""
    is_error = answer.status >= ERROR
    announced = () if rules.deprecated else ANNOUNCEMENTS
    for one in (*SHAPE_CHANGES, *BYTE_CHANGES, *TYPE_CHANGES, *announced, *(ERROR_CHANGES if is_error else ())):
        spoilt = one.change(answer)
        is_weighed = one.severity == "as-weighed" or (one.kind == "error-shape" and spoilt.headers == answer.headers)
        severity: Weight | None = rules.weigh(spoilt.json) if is_weighed else one.severity  # type: ignore[assignment]
        is_known = one.kind == "announced" and len(spoilt.headers) == len(answer.headers)
        is_known |= spoilt.media_type != answer.media_type and rules.has_type(spoilt.media_type)
        if severity is not None and spoilt != answer and not is_known:
            # If a field tells variants apart, only a contract that is written anew describes another shape.
            patchable = one.patchable or (one.kind in {"envelope", "null-body"} and rules.word is None)
            name, sentence = f"{one.name}{{where}}", f"{one.sentence}{{where}}"
            yield Mutation(one.kind, name, sentence, severity, patchable, one.change)
    if rules.error is not None and not is_error and (severity := rules.weigh(rules.error)) is not None:
        sentence, change = "An error is sent as if it were an answer{where}", _on_json(lambda _: rules.error)
        yield Mutation("error-in-200", "error-in-200{where}", sentence, severity, False, change)


def _of_status(answer: SentResponse, rules: AnswerRules) -> Iterator[Mutation]:
    """Yield other status codes. One that is documented has another meaning."""
    for code, patchable, change in status_changes(answer.status):
        if not rules.codes(code):
            name, sentence = f"status{{where}}-{code}", f"The status code is {code}{{where}}"
            yield Mutation("status", name, sentence, "breaking", patchable, change)


def _of_headers(answer: SentResponse, rules: AnswerRules) -> Iterator[Mutation]:
    """Yield the mutations of documented headers."""
    for name in sorted(answer.names):
        if name in rules.required_headers:
            gone, sentence = _without(name), f"The header {name} is gone{{where}}"
            yield Mutation("header", f"removed-header-{name}{{where}}", sentence, "breaking", True, gone)
        if not rules.allows_header(name, "?"):
            other, sentence = _with(name, "?"), f"The header {name} is a question mark{{where}}"
            yield Mutation("header", f"changed-header-{name}{{where}}", sentence, "breaking", True, other)


def _without(header: str) -> ResponseChange:
    return lambda response: response.without_headers([header])


def _with(header: str, value: str) -> ResponseChange:
    return lambda response: response.with_headers({header: value})
