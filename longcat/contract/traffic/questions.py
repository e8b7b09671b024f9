"""The questions of the probe, derived from the contract: those that cost nothing and change nothing.

Two rules decide what may be asked. They hold for operations that are added later:

* **An operation is safe to ask** when its method is (RFC 9110, section 9.2.1), or when the contract says so of it with
  `x-safe: true`. Any other may order, change or cost something. It is asked only without the valid key, and at the same
  time with a body that is not valid: two locks, either of which must refuse. The key never goes to it.
* **A value is sent only if somebody gave it**: an id from the user, or what the contract fixes or shows as an example.
  An id is a required value that every documented success gives back by the same name, or that stands in the path.

A question that can't be asked is in the list as well, with its obstacle, so that nothing is left out in silence.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlencode

from attrs import evolve, frozen

from longcat.contract.openapi.spec import Operation, Spec
from longcat.contract.traffic.inputs import Input, Inputs, inputs_of, servers_of
from longcat.contract.traffic.question import Key, Question
from longcat.errors import ConfigurationError
from longcat.text import shorten

__all__ = ["MOST_IDS", "NOWHERE", "Key", "Question", "questions"]

MOST_IDS: Final = 20
"""How many request ids one run asks about at most. It keeps the number of calls bounded."""
NOWHERE: Final = "/longcat-contract-no-such-path"
"""A path that no gateway has."""
OTHER_TYPES: Final = ("text/plain", "application/xml")
OTHER_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOT_BODIES: Final[tuple[Any, ...]] = ({}, [], "", 0)


def questions(spec: Spec, request_ids: Sequence[str], base_url: str | None = None) -> list[Question]:
    """Return what to ask, in order; the most telling first.

    Args:
        spec: the contract.
        request_ids: the ids that the user gave.
        base_url: who is asked. An operation that the contract puts on another server has an obstacle. None: anybody.

    Raises:
        ConfigurationError: there are too many ids.
    """
    ids = list(dict.fromkeys(request_ids))
    if len(ids) > MOST_IDS:
        raise ConfigurationError(f"The probe asks about {MOST_IDS} requests at most, not {len(ids)}. Pass fewer.")
    known = {server for operation in spec.operations for server in servers_of(spec, operation)}
    here = []
    asked: list[Question] = []
    for operation in spec.operations:
        if base_url in known and base_url not in servers_of(spec, operation):
            asked.append(_obstacle(operation, "every question", "the contract puts it on another server"))
            continue
        if operation.needs_key and operation.key_header is None:
            asked.append(_obstacle(operation, "every question", "its key does not travel in a header"))
            continue
        inputs = inputs_of(spec, operation)
        here.append(inputs)
        asked.extend(_safe(inputs, ids) if inputs.is_safe else _unsafe(inputs))
    for path in dict.fromkeys(inputs.operation.path for inputs in here):
        asked.extend(_wrong_methods([inputs for inputs in here if inputs.operation.path == path], ids))
    asked.extend(_unknown_path(spec, here, ids))
    return asked


@frozen
class _Call:
    """A call to an operation before it is written out: a value for each of its inputs, as far as there are any."""

    inputs: Inputs
    values: Mapping[str, Any]

    def question(self, name: str, key: Key = Key.VALID, **more: Any) -> Question:
        operation = self.inputs.operation
        path = operation.path
        for value in self._placed("path"):
            path = path.replace(f"{{{value.name}}}", quote(_text(self.values.get(value.name, "")), safe=""))
        query = {value.name: _text(self.values[value.name]) for value in self._placed("query")}
        headers = {value.name: _text(self.values[value.name]) for value in self._placed("header")}
        body = None
        if self.inputs.body is not None:
            headers["Content-Type"] = self.inputs.body.media_type
            body = _json(self.body())
        lacking = [value.name for value in self._of("path") if value.name not in self.values]
        return Question(
            **{
                "name": f"{operation.operation_id}: {name}",
                "operation": operation,
                "method": operation.method,
                "path": f"{path}?{urlencode(query)}" if query else path,
                "headers": headers,
                "body": body,
                "key": key if operation.key_header else Key.ANY,
                "key_header": operation.key_header,
                "key_prefix": self.inputs.key_prefix,
                "obstacle": f"nobody gave a value for {lacking[0]}" if lacking else None,
                **more,
            }
        )

    def complete(self, name: str, **more: Any) -> Question:
        """Return a question that must have every value, because it is meant to succeed or to get far."""
        question = self.question(name, **more)
        lacking = [value.name for value in self.inputs.values if value.required and value.name not in self.values]
        return evolve(question, obstacle=f"nobody gave a value for {lacking[0]}") if lacking else question

    def body(self) -> dict[str, Any]:
        """Return the fields of the body."""
        return {value.name: self.values[value.name] for value in self._placed("body")}

    def _of(self, place: str) -> list[Input]:
        return [value for value in self.inputs.values if value.place == place]

    def _placed(self, place: str) -> list[Input]:
        return [value for value in self._of(place) if value.name in self.values]


def _call(inputs: Inputs, subject: Any) -> _Call:
    """Return a call about a subject, an id; its other values are those that the contract fixes or shows."""
    values: dict[str, Any] = {}
    for value in inputs.values:
        if value == inputs.id:
            values |= {value.name: subject} if subject is not None else {}
        elif value.required and value.place != "cookie":
            fitting = [one for one in value.shown if inputs.accepts(value, one)]
            values |= {value.name: fitting[0]} if fitting else {}
    return _Call(inputs, values)


def _subject(inputs: Inputs, ids: Sequence[str]) -> Any:
    """Return what to ask about when any id will do: one that was given, else one that nobody has."""
    return next((one for text in ids if (one := inputs.given(text)) is not None), inputs.made_up())


def _safe(inputs: Inputs, ids: Sequence[str]) -> Iterator[Question]:
    call = _call(inputs, _subject(inputs, ids))
    if inputs.operation.key_header:
        yield call.question("no key", Key.NONE)
        yield call.question("a wrong key", Key.WRONG, intent="wrong-key")
    if inputs.id is None:
        yield call.complete("as documented")
    for text in ids if inputs.id is not None else ():
        given = inputs.given(text)
        question = _call(inputs, given).complete(f"the request {shorten(text, 40)}")
        yield question if given is not None else evolve(question, obstacle="the contract allows no such id")
    if inputs.id is not None and not ids:
        yield evolve(call.question("a request that exists"), obstacle="no request id was given (--request-id)")
    if inputs.id is not None and inputs.operation.response(404) is not None:
        unknown = _call(inputs, inputs.made_up())
        yield unknown.complete("an unknown request", intent="unknown-request")
    yield from _bad_bodies(inputs, call)


def _bad_bodies(inputs: Inputs, call: _Call) -> Iterator[Question]:
    """Yield the questions that must be refused for their body, which the contract says of each of them."""
    if inputs.operation.request_required:
        bare = call.question("no body")
        headers = {name: value for name, value in bare.headers.items() if name != "Content-Type"}
        yield evolve(bare, headers=headers, body=None)
    if inputs.body is None:
        return
    good = call.question("malformed JSON")
    yield evolve(good, body=(good.body or b"")[:-1])
    other = next((kind for kind in OTHER_TYPES if kind not in inputs.operation.request_content_types), None)
    if other is not None:
        yield call.question("the wrong content type", headers={**good.headers, "Content-Type": other})
    for value in inputs.values:
        if value.place == "body" and value.required:
            for how, bad in _spoilt(inputs, value, call.body()):
                if not inputs.accepts_body(bad):
                    yield call.question(f"{value.name} {how}", body=_json(bad))


def _spoilt(inputs: Inputs, value: Input, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a good body with one of its values spoilt in each way."""
    yield "missing", {name: one for name, one in body.items() if name != value.name}
    for how, bad in (("empty", inputs.empties(value)), ("of the wrong type", inputs.wrong_types(value))):
        for one in islice(bad, 1):
            yield how, body | {value.name: one}


def _unsafe(inputs: Inputs) -> Iterator[Question]:
    """Yield what may be asked of an operation that may cost or change something: two locks, and never the key."""
    call = _call(inputs, inputs.made_up())
    bad = next((one for one in NOT_BODIES if not inputs.accepts_body(one)), None)
    if inputs.operation.key_header and inputs.body is not None and bad is not None:
        yield call.question("no key", Key.NONE, body=_json(bad))
        yield call.question("a wrong key", Key.WRONG, body=_json(bad), intent="wrong-key")
    why = "the contract does not say that asking changes nothing (by a safe method, or by x-safe: true)"
    yield _obstacle(inputs.operation, "every question with the key", why)


def _wrong_methods(at_path: Sequence[Inputs], ids: Sequence[str]) -> Iterator[Question]:
    """Yield questions by methods that the contract does not have at this path.

    GET changes nothing, and asks as somebody would. The others may: they come without a key and name nothing.
    """
    inputs = at_path[0]
    call = _call(inputs, _subject(inputs, ids))
    bare: dict[str, Any] = {"headers": {}, "body": None}
    for method in OTHER_METHODS:
        if method in {one.operation.method for one in at_path}:
            continue
        if method == "GET":
            named = inputs.id is not None and inputs.id.name in call.body()
            query = f"?{urlencode(call.body())}" if inputs.is_safe and named else ""
            good = call.question("the method GET", method="GET", **bare)
            yield evolve(good, path=good.path + query, key=Key.ANY if inputs.is_safe else Key.NONE)
        elif all(one.operation.key_header for one in at_path):
            yield call.question(f"the method {method}", Key.NONE, method=method, **bare)


def _unknown_path(spec: Spec, here: Sequence[Inputs], ids: Sequence[str]) -> Iterator[Question]:
    """Yield a good question to a path that does not exist. What answers it answers anything."""
    inputs = next((one for one in here if one.is_safe), None)
    if inputs is not None and spec.match(inputs.operation.method, NOWHERE) is None:
        call = _call(inputs, _subject(inputs, ids))
        yield call.question("an unknown path", Key.ANY, path=NOWHERE, obstacle=None)


def _obstacle(operation: Operation, name: str, why: str) -> Question:
    return Question(f"{operation.operation_id}: {name}", operation, operation.method, operation.path, obstacle=why)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
