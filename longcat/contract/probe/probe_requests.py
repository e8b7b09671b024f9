"""The requests of the probe, derived from the contract: those that cost nothing and change nothing.

Two rules decide what may be sent. They hold for operations that are added later:

* **An operation is safe to call** when its method is (RFC 9110, section 9.2.1), or when the contract says so of it with
  `x-safe: true`. Any other may order, change or cost something. It is called only without the valid key and with a body
  that is not valid, so that the gateway has two reasons to refuse. The key never goes to it, not even with the request
  of a safe operation whose path turns out to be its own.
* **A value is sent only if somebody gave it**: an id from the user, or what the contract fixes or shows as an example.
  An id is a required value that every documented success gives back by the same name, or that stands in the path.

Each operation is asked at its own server, unless one is given that stands for all of them.

A request that can't be sent is in the list as well, with the reason, so that nothing is left out in silence.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from attrs import evolve, field, frozen

from longcat.contract.checks.status_codes import not_found_answers
from longcat.contract.model import Intent
from longcat.contract.openapi.operation import Operation
from longcat.contract.openapi.spec import Spec
from longcat.contract.probe.inputs import Input, Inputs, id_assignment, inputs_of, is_safe
from longcat.contract.probe.writing import add_query, fill_path, in_header
from longcat.errors import ConfigurationError
from longcat.text import shorten, show

MAX_IDS: Final = 20
"""How many request ids one run asks about at most. It keeps the number of calls bounded."""
UNKNOWN_PATH: Final = "/longcat-contract-no-such-path"
"""A path that no gateway has."""
OTHER_TYPES: Final = ("text/plain", "application/xml")
OTHER_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
WRONG_BODIES: Final[tuple[Any, ...]] = ({}, [], "", 0)
WRONG_VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "empty": ("", None, [], {}),
    "of the wrong type": (12345, True, [], {}, "not a number"),
}
"""How a value may be wrong, the most natural first. The first one that the contract refuses is sent."""


class KeyUse(StrEnum):
    """The key that goes with a request."""

    NONE = "no key"
    WRONG = "a wrong key"
    VALID = "the key"
    """The user's. Without one the request is not sent."""
    ANY = "the key, if there is one"
    """It should make no difference."""


@frozen
class ProbeRequest:
    """One HTTP request to send, or why it can't be sent.

    Attributes:
        name: for people.
        operation: the operation that it is about.
        base_url: where it is sent. Empty: nobody named a server.
        path: with the query, below the base URL.
        headers: all but the key and those that every request has.
        key_header: the header that the key goes into, after `key_prefix`. None: no key is needed.
        intent: what its bytes don't show.
        obstacle: why it can't be sent, such as a value that nobody gave. None: it can be.
    """

    name: str
    operation: Operation
    base_url: str
    method: str
    path: str
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes | None = field(default=None, repr=False)
    key: KeyUse = KeyUse.VALID
    key_header: str | None = None
    key_prefix: str = ""
    intent: Intent | None = None
    obstacle: str | None = None

    def __str__(self) -> str:
        text = "" if self.body is None else shorten(self.body.decode("utf-8", "replace"))
        body = f"the {self.headers.get('Content-Type')} body {text}" if text else "no body"
        return f"{self.method} {self.path} with {self.key.value} and {body}"


def probe_requests(
    spec: Spec, request_ids: Sequence[str], base_url: str | None = None, operations: Sequence[str] = ()
) -> list[ProbeRequest]:
    """Return what to send, in order; what tells most comes first.

    Args:
        spec: the contract.
        request_ids: the ids that the user gave. Each is asked where its form belongs (see `id_assignment`).
        base_url: where it is sent. An operation that the contract puts on another server has an obstacle. None: each
            operation is asked at the first of its own servers.
        operations: the ids of the operations to ask about. Empty: all of them.

    Raises:
        ConfigurationError: there are too many ids, or there is no operation of a name.
    """
    ids = list(dict.fromkeys(request_ids))
    if len(ids) > MAX_IDS:
        raise ConfigurationError(f"The probe asks about {MAX_IDS} requests at most, not {len(ids)}. Pass fewer.")
    known = {server for operation in spec.operations for server in operation.servers}
    here: list[Inputs] = []
    requests: list[ProbeRequest] = []
    for operation in _chosen(spec, operations):
        server = next(iter(operation.servers), "") if base_url is None else base_url
        inputs = inputs_of(spec, operation, server)
        if base_url in known and base_url not in operation.servers:
            requests.append(_impossible(inputs, "every question", "the contract puts it on another server"))
        elif urlsplit(server).scheme not in {"http", "https"}:
            requests.append(_impossible(inputs, "every question", "the contract names no server (--base-url)"))
        elif operation.needs_key and operation.key_header is None:
            requests.append(_impossible(inputs, "every question", "its key does not travel in a header"))
        else:
            here.append(inputs)
    ids_of = id_assignment([inputs for inputs in here if inputs.is_safe], ids)
    for inputs in here:
        requests.extend(_safe(inputs, ids_of(inputs), ids) if inputs.is_safe else _unsafe(inputs))
    first_at_path = {(inputs.base_url, inputs.operation.path): inputs for inputs in reversed(here)}
    for inputs in reversed(first_at_path.values()):
        requests.extend(_other_methods(spec, inputs, ids_of(inputs)))
    requests.extend(_unknown_paths(spec, here, ids_of))
    return [_without_risk(spec, request) for request in requests]


def _chosen(spec: Spec, names: Sequence[str]) -> list[Operation]:
    """Return the operations of these names, in the order of the contract; all if no name is given."""
    known = [operation.operation_id for operation in spec.operations]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigurationError(f"There is no operation {show(unknown[0])}. The contract has: {', '.join(known)}.")
    return [operation for operation in spec.operations if not names or operation.operation_id in names]


def _without_risk(spec: Spec, request: ProbeRequest) -> ProbeRequest:
    """Return the request; with an obstacle, or without the key, if it would reach an operation that is not safe.

    An id in a path can make it the path of another operation. A gateway may choose among several that fit, and may
    resolve the segments `.` and `..` itself.
    """
    url = request.base_url + request.path
    if request.obstacle is not None:
        return request
    if not {".", ".."}.isdisjoint(urlsplit(url).path.split("/")):
        return evolve(request, obstacle="an id that is . or .. would change the path")
    at_path = spec.candidates(url)
    called = [one for one in at_path if one.method == request.method]
    unsafe = [one for one in called or at_path if not is_safe(spec, one)]
    if not unsafe or (request.key in {KeyUse.NONE, KeyUse.WRONG} and (not called or request.operation in unsafe)):
        return request
    if not called:
        return evolve(request, key=KeyUse.NONE)
    why = f"its path is that of {unsafe[0].operation_id}, which the contract does not call safe"
    return evolve(request, obstacle=why)


@frozen
class _RequestDraft:
    """A call of an operation before it is written out: a value for each of its inputs, as far as there are any."""

    inputs: Inputs
    values: Mapping[str, Any]

    def request(
        self, name: str, key: KeyUse = KeyUse.VALID, *, is_complete: bool = False, **changes: Any
    ) -> ProbeRequest:
        """Return the request, with some of its attributes changed.

        One that is meant to succeed, or to get far, must be complete: it has an obstacle when a required value is
        lacking, and not only when one of the path is.
        """
        inputs, operation = self.inputs, self.inputs.operation
        needed = [value.name for value in inputs.values if value.location == "path" or (is_complete and value.required)]
        lacking = [name for name in needed if name not in self.values]
        parameters, sent = operation.parameters, self.values_in("header")
        path = fill_path(operation.path, parameters, self.values_in("path"))
        in_query = [one for one in parameters if one.location == "query"]
        in_headers = [one for one in parameters if one.location == "header" and one.name in sent]
        headers = {one.name: in_header(one, sent[one.name]) for one in in_headers}
        if inputs.body is not None:
            headers["Content-Type"] = inputs.body.media_type
        request = ProbeRequest(
            name=f"{operation.operation_id}: {name}",
            operation=operation,
            base_url=inputs.base_url,
            method=operation.method,
            path=add_query(path, in_query, self.values_in("query")),
            headers=headers,
            body=_json(self.values_in("body")) if inputs.body is not None else None,
            key=key if operation.key_header else KeyUse.ANY,
            key_header=operation.key_header,
            key_prefix=inputs.key_prefix,
            obstacle=f"nobody gave a value for {lacking[0]}" if lacking else None,
        )
        return evolve(request, **changes)

    def values_in(self, location: str) -> dict[str, Any]:
        """Return the values of one location, such as the body."""
        names = [value.name for value in self.inputs.values if value.location == location]
        return {name: self.values[name] for name in names if name in self.values}


def _draft(inputs: Inputs, id_value: Any) -> _RequestDraft:
    """Return a call about the thing with this id; its other values are those that the contract fixes or shows."""
    values: dict[str, Any] = {}
    id_input = inputs.id
    for value in inputs.values:
        if value is id_input:
            values |= {value.name: id_value} if id_value is not None else {}
        elif value.required and value.location != "cookie":
            fitting = [one for one in value.examples if inputs.accepts(value, one)]
            values |= {value.name: fitting[0]} if fitting else {}
    return _RequestDraft(inputs, values)


def _about_any(inputs: Inputs, ids: Sequence[str]) -> _RequestDraft:
    """Return a call for which any id will do: one that was given, else one that nobody has."""
    return _draft(inputs, next((one for text in ids if (one := inputs.as_id(text)) is not None), inputs.unknown_id()))


def _safe(inputs: Inputs, ids: Sequence[str], given: Sequence[str]) -> Iterator[ProbeRequest]:
    """Yield the requests to an operation that is safe to call, about those of the given ids that belong to it."""
    draft = _about_any(inputs, ids)
    if inputs.operation.key_header:
        yield draft.request("no key", KeyUse.NONE)
        yield draft.request("a wrong key", KeyUse.WRONG, intent="wrong-key")
    if inputs.id is None:
        yield draft.request("as documented", is_complete=True)
    else:
        for text in ids:
            id_value = inputs.as_id(text)
            request = _draft(inputs, id_value).request(f"the request {shorten(text, 100)}", is_complete=True)
            yield request if id_value is not None else evolve(request, obstacle="the contract allows no such id")
        if not ids:
            kind = " of its form" if given else ""
            yield draft.request("a request that exists", obstacle=f"no request id{kind} was given (--request-id)")
        if not_found_answers([inputs.operation]):
            draft_of_unknown = _draft(inputs, inputs.unknown_id())
            yield draft_of_unknown.request("an unknown request", is_complete=True, intent="unknown-request")
    yield from _wrong_bodies(inputs, draft)


def _wrong_bodies(inputs: Inputs, draft: _RequestDraft) -> Iterator[ProbeRequest]:
    """Yield the requests that the gateway must refuse for their bodies."""
    good = draft.request("malformed JSON")
    if inputs.operation.request_required:
        headers = {name: value for name, value in good.headers.items() if name != "Content-Type"}
        yield draft.request("no body", headers=headers, body=None)
    if inputs.body is None:
        return
    yield evolve(good, body=(good.body or b"")[:-1])
    other = next((kind for kind in OTHER_TYPES if kind not in inputs.operation.request), None)
    if other is not None:
        yield draft.request("the wrong content type", headers={**good.headers, "Content-Type": other})
    for value in inputs.values:
        if value.location == "body" and value.required:
            for how, body in _broken(inputs, value, draft.values_in("body")):
                if not inputs.accepts(inputs.body, body):
                    yield draft.request(f"{value.name} {how}", body=_json(body))


def _broken(inputs: Inputs, value: Input, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a valid body with one of its values made wrong in each way."""
    yield "missing", {name: one for name, one in body.items() if name != value.name}
    for how, candidates in WRONG_VALUES.items():
        for one in [one for one in candidates if not inputs.accepts(value, one)][:1]:
            yield how, body | {value.name: one}


def _unsafe(inputs: Inputs) -> Iterator[ProbeRequest]:
    """Yield what may be sent to an operation that may cost or change something: invalid bodies, and never the key."""
    draft = _draft(inputs, inputs.unknown_id())
    wrong = next((one for one in WRONG_BODIES if not inputs.accepts(inputs.body, one)), None)
    if inputs.operation.key_header and inputs.body is not None and wrong is not None:
        yield draft.request("no key", KeyUse.NONE, body=_json(wrong))
        yield draft.request("a wrong key", KeyUse.WRONG, body=_json(wrong), intent="wrong-key")
    why = "the contract does not say that asking changes nothing (by a safe method, or by x-safe: true)"
    yield _impossible(inputs, "every question with the key", why)


def _other_methods(spec: Spec, inputs: Inputs, ids: Sequence[str]) -> Iterator[ProbeRequest]:
    """Yield requests by methods that the contract does not have at this path.

    GET changes nothing, and is sent with the values. The others may change something: they carry no key and no values.
    """
    draft = _about_any(inputs, ids)
    bare: dict[str, Any] = {"headers": {}, "body": None}
    documented = [one for one in spec.operations if one.path == inputs.operation.path]
    for method in OTHER_METHODS:
        if method in {one.method for one in documented}:
            continue
        if method == "GET":
            body = draft.values_in("body")
            has_id = inputs.id is not None and inputs.id.name in body
            query = f"?{urlencode(body)}" if inputs.is_safe and has_id else ""
            request = draft.request("the method GET", method="GET", **bare)
            yield evolve(request, path=request.path + query, key=KeyUse.ANY if inputs.is_safe else KeyUse.NONE)
        elif all(one.key_header for one in documented):
            yield draft.request(f"the method {method}", KeyUse.NONE, method=method, **bare)


def _unknown_paths(
    spec: Spec, here: Sequence[Inputs], ids_of: Callable[[Inputs], Sequence[str]]
) -> Iterator[ProbeRequest]:
    """Yield for each server a valid request to a path that does not exist. A gateway that answers it answers anything.

    It is a request of the server's first safe operation.
    """
    safe = {inputs.base_url: inputs for inputs in reversed(here) if inputs.is_safe}
    for inputs in reversed(safe.values()):
        if spec.match(inputs.operation.method, UNKNOWN_PATH) is None:
            draft = _about_any(inputs, ids_of(inputs))
            yield draft.request("an unknown path", KeyUse.ANY, path=UNKNOWN_PATH, obstacle=None)


def _impossible(inputs: Inputs, name: str, why: str) -> ProbeRequest:
    operation = inputs.operation
    name = f"{operation.operation_id}: {name}"
    return ProbeRequest(name, operation, inputs.base_url, operation.method, operation.path, obstacle=why)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
