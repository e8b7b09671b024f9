"""How a drifted gateway responds: pure functions over honest responses, from which the table in `drifts` is built."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Self

from starlette.responses import Response

from longcat.sandbox.faults import JSON

CALL: Final = "/longcat-image-request-result"


@dataclass(frozen=True)
class SentResponse:
    """A response as a value, with what drifts ask of its request.

    Attributes:
        path: of the request.
        accepts: the encodings that the request accepts, as its header says it.
        headers: with their case, in their order.
    """

    path: str
    accepts: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The decoded body if it is a JSON object, else an empty one."""
        return found if isinstance(found := self.json, dict) else {}

    def with_json(self, body: Any, status: int | None = None) -> Self:
        """Return it with another body, and perhaps another status code."""
        return self.with_body(json.dumps(body).encode(), status=status)

    def with_body(self, body: bytes, media_type: str | None = None, status: int | None = None) -> Self:
        """Return it with another body of bytes, and perhaps another content type and status code."""
        response = replace(self, body=body, status=self.status if status is None else status)
        if media_type is not None:
            response = response.with_headers({"content-type": media_type})
        has_length = response.header("content-length") is not None
        return response.with_headers({"content-length": str(len(body))}) if has_length else response

    def header(self, name: str) -> str | None:
        """Return the value of a header."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def without_headers(self, *names: str) -> Self:
        """Return it without the headers of these names, given in lower case."""
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in names))

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return it with these headers, each in the place of one of its name, given in lower case, else at the end."""
        kept = [(name, headers.get(name.lower(), value)) for name, value in self.headers]
        more = [(name, value) for name, value in headers.items() if self.header(name.lower()) is None]
        return replace(self, headers=(*kept, *more))

    def response(self) -> Response:
        """Return what sends it, header by header."""
        response = Response(self.body, self.status)
        response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        return response


ResponseChange = Callable[[SentResponse], SentResponse]


@dataclass(frozen=True)
class Responses:
    """Some of the gateway's responses. Each method returns a change that is made to these and to no others.

    Attributes:
        matches: whether a response is one of them.
        phrase: what they are, as the end of a sentence; empty where no more need be said.
        suffix: the same as the end of a drift's name.
    """

    matches: Callable[[SentResponse], bool]
    phrase: str = ""
    suffix: str = ""

    def change(self, change: ResponseChange) -> ResponseChange:
        """Make any change."""
        return lambda response: change(response) if self.matches(response) else response

    # --- The fields of the body.

    def edit(self, edit: Callable[[dict[str, Any]], Any]) -> ResponseChange:
        """Replace the decoded body by what is made of it."""
        return self.change(lambda response: response.with_json(edit(response.fields)) if response.fields else response)

    def drop_fields(self, *names: str) -> ResponseChange:
        """Leave out some fields."""
        return self.edit(lambda body: {name: value for name, value in body.items() if name not in names})

    def rename_fields(self, names: Mapping[str, str]) -> ResponseChange:
        """Give fields other names, in the same places."""
        return self.edit(lambda body: {names.get(name, name): value for name, value in body.items()})

    def convert_field(self, name: str, into: Callable[[Any], Any]) -> ResponseChange:
        """Give a field another value, made of the one that it has."""
        return self.edit(lambda body: {key: into(value) if key == name else value for key, value in body.items()})

    def add_fields(self, fields: Mapping[str, Any]) -> ResponseChange:
        """Add fields, or replace those of the same names."""
        return self.edit(lambda body: {**body, **fields})

    def nest_fields(self, outer: str, inner: Mapping[str, str]) -> ResponseChange:
        """Move fields into an object; `inner` has their old names and their new ones."""

        def edit(body: dict[str, Any]) -> dict[str, Any]:
            kept = {name: value for name, value in body.items() if name not in inner}
            moved = {new: body[old] for old, new in inner.items() if old in body}
            return {**kept, outer: moved} if moved else kept

        return self.edit(edit)

    # --- The response as a whole.

    def set_status(self, code: int) -> ResponseChange:
        """Send another status code."""
        return self.change(lambda response: replace(response, status=code))

    def set_headers(self, headers: Mapping[str, str]) -> ResponseChange:
        """Add headers, or replace those of the same names."""
        return self.change(lambda response: response.with_headers(headers))

    def drop_headers(self, *names: str) -> ResponseChange:
        """Leave out the headers of these names, given in lower case."""
        return self.change(lambda response: response.without_headers(*names))

    def set_json(self, body: Any, code: int | None = None) -> ResponseChange:
        """Send this JSON."""
        return self.change(lambda response: response.with_json(body, code))

    def set_body(self, body: str, media_type: str = JSON) -> ResponseChange:
        """Send this text."""
        return self.change(lambda response: response.with_body(body.encode(), media_type))

    def set_page(self, title: str) -> ResponseChange:
        """Send an HTML page."""
        return self.set_body(f"<!DOCTYPE html>\n<html><head><title>{title}</title></head></html>\n", "text/html")

    def convert_body(self, into: Callable[[bytes], bytes]) -> ResponseChange:
        """Send other bytes, made of the honest ones."""
        return self.change(lambda response: response.with_body(into(response.body)))


def _errors(*statuses: int) -> Callable[[SentResponse], bool]:
    """Match errors of the documented call; without a status code, the errors of unknown paths too."""
    if not statuses:
        return lambda response: response.status >= HTTPStatus.BAD_REQUEST
    return lambda response: response.path == CALL and response.status in statuses


def _successes(*words: str) -> Callable[[SentResponse], bool]:
    """Match successes of the documented call, by the word in `status`."""
    return lambda response: (
        response.path == CALL
        and response.status < HTTPStatus.MULTIPLE_CHOICES
        and response.fields.get("status") in words
    )


EVERYTHING: Final = Responses(lambda response: response.path == CALL)
ANSWERS: Final = Responses(_successes("processing", "completed"))
PROCESSING: Final = Responses(_successes("processing"), " while processing", "-processing")
COMPLETED: Final = Responses(_successes("completed"), " when completed", "-completed")
ERRORS: Final = Responses(_errors(), " in errors", "-error")
RESULT: Final = Responses(COMPLETED.matches)  # Of a field that nothing else has, no more need be said.
FAILURE: Final = Responses(ERRORS.matches)
INVALID: Final = Responses(_errors(400), " in the 400", "-400")
UNAUTHORIZED: Final = Responses(_errors(401), " in the 401", "-401")
UNKNOWN: Final = Responses(_errors(404), " in the 404", "-404")
WRONG_METHOD: Final = Responses(_errors(405), " in the 405", "-405")


def changed(changes: Iterable[ResponseChange], path: str, accepts: str, honest: Response) -> Response:
    """Return the honest response as the changes leave it."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in honest.raw_headers)
    response = SentResponse(path, accepts, honest.status_code, headers, bytes(honest.body))
    for change in changes:
        response = change(response)
    return response.response()
