"""The operations that `by_hand.toml` is written with: they change responses."""

import gzip
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from longcat.sandbox.mutator import ResponseChange, SentResponse


def response_change(operations: Mapping[str, Any]) -> ResponseChange:
    """Return the change that makes these operations, named as in `OPERATIONS`, in their order. Raises KeyError."""
    steps = [(OPERATIONS[name], argument) for name, argument in operations.items()]

    def change(response: SentResponse) -> SentResponse:
        for operation, argument in steps:
            response = operation(response, argument)
        return response

    return change


def _on_fields(edit: Callable[[dict[str, Any], str, Any], Any]) -> Callable[[SentResponse, Any], SentResponse]:
    """Return the operation that edits fields of a body that is a JSON object, one by one.

    A name with a dot, such as `output.media_url`, means the field of an object in the body.
    """

    def operation(response: SentResponse, argument: Any) -> SentResponse:
        body = response.fields
        for name in argument if body else ():
            outer, _, inner = name.rpartition(".")
            value = argument[name] if isinstance(argument, dict) else None
            if not outer:
                body = edit(body, name, value)
            elif isinstance(body.get(outer), dict):
                body = {**body, outer: edit(body[outer], inner, value)}
        return response.with_json(body) if body else response

    return operation


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


def _compress(response: SentResponse, _argument: Any) -> SentResponse:
    if "gzip" not in response.accepts:
        return response
    return response.with_body(gzip.compress(response.body)).with_headers({"content-encoding": "gzip"})


OPERATIONS: Final[Mapping[str, Callable[[SentResponse, Any], SentResponse]]] = {
    "drop": _on_fields(lambda fields, name, _: {one: fields[one] for one in fields if one != name}),
    "add": _on_fields(lambda fields, name, value: {**fields, name: _fill(value, fields)}),
    # It changes what is there, and adds nothing.
    "set": _on_fields(lambda fields, name, value: {**fields, name: _fill(value, fields)} if name in fields else fields),
    "json": lambda response, body: response.with_json(_fill(body, defaultdict(lambda: None, response.fields))),
    "status": SentResponse.with_status,
    "headers": SentResponse.with_headers,
    "compress": _compress,
}
