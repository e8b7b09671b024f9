"""What drifts do to responses: the operations that the table `drifts.toml` is written with."""

import gzip
import itertools
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from longcat.sandbox.calls import CALLS, ORDER, RESULT, STATUS, EmulatedCall
from longcat.sandbox.drifts.responses import ResponseChange, SentResponse


def response_change(where: str, operations: Mapping[str, Any]) -> ResponseChange:
    """Return the change that makes these operations, in their order, to some responses and to no others.

    Args:
        where: the name of a call, and a name in `PLACES` of it or a status code: `status completed`, `result 404`.
            Without the first, it is about the call of the result gateway.
        operations: names in `OPERATIONS`, with their arguments.

    Raises KeyError or ValueError for a name that does not exist.
    """
    name, _, place = where.rpartition(" ")
    call = {call.name: call for call in CALLS}[name or RESULT.name]
    places = PLACES[call]
    matches = places[place] if place in places else _has_status(call, int(place))
    steps = [(OPERATIONS[name], argument) for name, argument in operations.items()]

    def change(response: SentResponse) -> SentResponse:
        if matches(response):
            for operation, argument in steps:
                response = operation(response, argument)
        return response

    return change


# --- The responses that are changed.


Place = Callable[[SentResponse], bool]


def _has_status(call: EmulatedCall, code: int) -> Place:
    return lambda response: response.call is call and response.status == code


def _has_word(call: EmulatedCall, words: tuple[Any, ...]) -> Place:
    """Match successes of a documented call, by the word in `status`."""
    return lambda response: (
        response.call is call
        and response.status < 300  # noqa: PLR2004 - where success ends.
        and response.fields.get("status") in words
    )


def _places(call: EmulatedCall, **words: tuple[str, ...]) -> dict[str, Place]:
    """Return the places of a call by name: those that each call has, and those with these words in `status`."""
    named = {name: _has_word(call, found) for name, found in words.items()}
    return {
        "all": lambda response: response.call in {call, None},
        "call": lambda response: response.call is call,
        "answers": _has_word(call, tuple(itertools.chain.from_iterable(words.values()))),
        **named,
        # Unknown paths have errors, too.
        "errors": lambda response: response.call in {call, None} and response.status >= 400,  # noqa: PLR2004
    }


PLACES: Final[Mapping[EmulatedCall, Mapping[str, Place]]] = {
    RESULT: _places(RESULT, processing=("processing",), completed=("completed",)),
    ORDER: _places(ORDER, queued=("QUEUED",)),
    STATUS: _places(
        STATUS,
        queued=("QUEUED",),
        processing=("PROCESSING",),
        open=("QUEUED", "PROCESSING"),
        completed=("COMPLETED",),
        failed=("FAILED", "ERROR"),
    ),
}


# --- The operations.


def _on_fields(edit: Callable[[dict[str, Any], Any], Any]) -> Callable[[SentResponse, Any], SentResponse]:
    """Return the operation that replaces a body that is a JSON object by what is made of its fields.

    Its argument names fields. A name with a dot, such as `output.media_url`, means the field of an object in the body.
    """

    def operation(response: SentResponse, argument: Any) -> SentResponse:
        return response.with_json(edited(fields, argument)) if (fields := response.fields) else response

    def edited(fields: dict[str, Any], argument: Any) -> Any:
        own, inner = _split(argument)
        result = edit(fields, own)
        for name, inner_argument in inner.items():
            if isinstance(result.get(name), dict):
                result = {**result, name: edited(result[name], inner_argument)}
        return result

    return operation


def _split(argument: Any) -> tuple[Any, dict[str, Any]]:
    """Return an argument without the names that have a dot, and those by the name of the object that they are in."""
    inner: dict[str, Any] = {}
    dotted = [name for name in argument if "." in name]
    if not isinstance(argument, dict):
        for outer, _, name in (one.partition(".") for one in dotted):
            inner.setdefault(outer, []).append(name)
        return [name for name in argument if name not in dotted], inner
    for one in dotted:
        outer, _, name = one.partition(".")
        inner.setdefault(outer, {})[name] = argument[one]
    return {name: value for name, value in argument.items() if name not in dotted}, inner


def _nest(fields: dict[str, Any], objects: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Move fields into objects; of each field, the old name and the new one are given."""
    for outer, names in objects.items():
        moved = {new: fields[old] for old, new in names.items() if old in fields}
        fields = {name: value for name, value in fields.items() if name not in names}
        fields |= {outer: moved} if moved else {}
    return fields


def _fill(template: Any, fields: Mapping[str, Any]) -> Any:
    """Return a JSON value with the fields put in.

    A text in it is a format string. One that is nothing but a name in braces stands for the value itself, whatever its
    type; `null` stands for null, which TOML does not have.
    """
    match template:
        case "null":
            return None
        case str() if name := re.fullmatch(r"\{(\w+)\}", template):
            return fields[name[1]]
        case str():
            return template.format_map(fields)
        case list():
            return [_fill(item, fields) for item in template]
        case dict():
            return {name: _fill(item, fields) for name, item in template.items()}
        case _:
            return template


def _set_json(response: SentResponse, template: Any) -> SentResponse:
    """Send other JSON, into which the fields, the whole `body` and the status `code` can be put."""
    known = {**response.fields, "body": response.fields, "code": response.status}
    return response.with_json(_fill(template, defaultdict(lambda: None, known)))


OPERATIONS: Final[Mapping[str, Callable[[SentResponse, Any], SentResponse]]] = {
    "drop": _on_fields(lambda fields, names: {name: fields[name] for name in fields if name not in names}),
    "rename": _on_fields(lambda fields, names: {names.get(name, name): value for name, value in fields.items()}),
    "add": _on_fields(lambda fields, more: fields | _fill(more, fields)),
    # These two change what is there, and add nothing.
    "set": _on_fields(lambda fields, to: {n: _fill(to[n], fields) if n in to else v for n, v in fields.items()}),
    "convert": _on_fields(lambda fields, by: {n: VALUES[by[n]](v) if n in by else v for n, v in fields.items()}),
    "nest": _on_fields(_nest),
    "json": _set_json,
    "body": lambda response, text: response.with_body(text.encode()),
    "page": lambda response, title: response.with_headers({"content-type": "text/html"}).with_body(
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head></html>\n".encode()
    ),
    "status": lambda response, code: replace(response, status=code),
    "type": lambda response, media_type: response.with_headers({"content-type": media_type}),
    "headers": SentResponse.with_headers,
    "without_headers": lambda response, names: replace(
        response, headers=tuple(pair for pair in response.headers if pair[0].lower() not in names)
    ),
    "change": lambda response, name: RESPONSES[name](response),
}


# --- What `convert` does to a value, and `change` to a response.


VALUES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "blank": lambda text: datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S"),
    "checksum": lambda text: zlib.crc32(text.encode()),
    "http_date": lambda text: datetime.fromisoformat(text).strftime("%a, %d %b %Y %H:%M:%S GMT"),
    "lower_case": str.lower,
    "milliseconds": lambda seconds: seconds * 1000,
    "number_of_word": lambda word: 1 if word.lower() == "processing" else 2,
    "of_hundred": lambda share: round(share * 100, 2),
    "relative": lambda url: re.sub(r"^\w+://[^/]+", "", url),
    "timestamp": lambda text: datetime.fromisoformat(text).timestamp(),
    "without_zone": lambda text: text.removesuffix("Z"),
}


def _on_body(edit: Callable[[bytes], bytes]) -> ResponseChange:
    return lambda response: response.with_body(edit(response.body))


def _compressed(response: SentResponse) -> SentResponse:
    if "gzip" not in response.accepts:
        return response
    return response.with_body(gzip.compress(response.body)).with_headers({"content-encoding": "gzip"})


RESPONSES: Final[Mapping[str, ResponseChange]] = {
    "callback": _on_body(lambda body: b"callback(" + body + b");"),
    "compressed": _compressed,
    "cut": _on_body(lambda body: body[: len(body) // 2]),
    "exponent": _on_body(
        lambda body: re.sub(rb'"progress": ([0-9.]+)', lambda found: b'"progress": %.2e' % float(found[1]), body)
    ),
    "indented": lambda response: (
        response.with_body(json.dumps(fields, indent=2).encode()) if (fields := response.fields) else response
    ),
    "not_a_number": _on_body(lambda body: re.sub(rb": [0-9.]+,", b": NaN,", body, count=1)),
    "quoted": _on_body(lambda body: json.dumps(body.decode()).encode()),
    "reversed_fields": lambda response: (
        response.with_json(dict(reversed(fields.items()))) if (fields := response.fields) else response
    ),
    "single_quotes": _on_body(lambda body: body.replace(b'"', b"'")),
    "title_case": lambda response: replace(
        response, headers=tuple((name.title(), value) for name, value in reversed(response.headers))
    ),
    "two_documents": _on_body(lambda body: body + b"\n" + body),
}
