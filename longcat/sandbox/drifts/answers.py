"""How a drifted gateway answers: pure functions over honest answers, from which the table in `drifts` is built."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from starlette.responses import Response

from longcat.sandbox.faults import JSON

CALL: Final = "/longcat-image-request-result"


@dataclass(frozen=True)
class Answer:
    """An answer as a value, with what it answers.

    Attributes:
        method: of the question.
        path: of the question.
        accepts: the encodings that the question accepts, as its header says it.
        headers: with their case, in their order.
    """

    method: str
    path: str
    accepts: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body. None: it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The decoded body if it is a JSON object, else nothing."""
        return found if isinstance(found := self.json, dict) else {}

    def saying(self, body: Any, status: int | None = None) -> Self:
        """Return it with another body, and perhaps another status code."""
        return self.sending(json.dumps(body).encode(), status=status)

    def sending(self, body: bytes, media_type: str | None = None, status: int | None = None) -> Self:
        """Return it with another body of bytes, and perhaps another content type and status code."""
        answer = replace(self, body=body, status=self.status if status is None else status)
        if media_type is not None:
            answer = answer.with_headers({"content-type": media_type})
        return (
            answer if self.named("content-length") is None else answer.with_headers({"content-length": str(len(body))})
        )

    def named(self, name: str) -> str | None:
        """Return the value of a header."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def without(self, *names: str) -> Self:
        """Return it without the headers of these names, given in lower case."""
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in names))

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return it with these headers, each in the place of one of its name, given in lower case, else at the end."""
        kept = [(name, headers.get(name.lower(), value)) for name, value in self.headers]
        more = [(name, value) for name, value in headers.items() if self.named(name.lower()) is None]
        return replace(self, headers=(*kept, *more))

    def response(self) -> Response:
        """Return what sends it, header by header."""
        response = Response(self.body, self.status)
        response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        return response


Change = Callable[[Answer], Answer]
Edit = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Where:
    """Which answers a drift hits."""

    phrase: str  # Ends a sentence.
    suffix: str  # Ends a name.
    fits: Callable[[Answer], bool]

    def change(self, change: Change) -> Change:
        """Return the change, bound to these answers."""
        return lambda answer: change(answer) if self.fits(answer) else answer

    def edit(self, edit: Edit) -> Change:
        """Return the change that edits the decoded body of these answers; the edit may do to its copy what it likes."""
        return self.change(lambda answer: answer.saying(edit(answer.fields)) if answer.fields else answer)


def _error(*statuses: int) -> Callable[[Answer], bool]:
    """Fit those of the documented call; without a status code, the errors of unknown paths too."""
    return lambda answer: answer.path == CALL and answer.status in statuses if statuses else answer.status >= 400  # noqa: PLR2004


def _word(*words: str) -> Callable[[Answer], bool]:
    return lambda answer: answer.path == CALL and answer.status < 300 and answer.fields.get("status") in words  # noqa: PLR2004


EVERYTHING: Final = Where("", "", lambda answer: answer.path == CALL)
ANSWERS: Final = Where("", "", _word("processing", "completed"))
PROCESSING: Final = Where(" while processing", "-processing", _word("processing"))
COMPLETED: Final = Where(" when completed", "-completed", _word("completed"))
ERRORS: Final = Where(" in errors", "-error", _error())
RESULT: Final = Where("", "", COMPLETED.fits)  # Of a field that nothing else has, no more need be said.
FAILURE: Final = Where("", "", ERRORS.fits)
INVALID: Final = Where(" in the 400", "-400", _error(400))
UNAUTHORIZED: Final = Where(" in the 401", "-401", _error(401))
UNKNOWN: Final = Where(" in the 404", "-404", _error(404))
WRONG_METHOD: Final = Where(" in the 405", "-405", _error(405))


# --- What is done to the fields of a body.


def drop(*names: str) -> Edit:
    """Leave the fields out."""
    return lambda body: {name: value for name, value in body.items() if name not in names}


def rename(names: Mapping[str, str]) -> Edit:
    """Call the fields otherwise; their place in the order stays."""
    return lambda body: {names.get(name, name): value for name, value in body.items()}


def turn(name: str, into: Callable[[Any], Any]) -> Edit:
    """Give the field another value, made of the one it has."""
    return lambda body: {key: into(value) if key == name else value for key, value in body.items()}


def put(extra: Mapping[str, Any]) -> Edit:
    """Add the fields."""
    return lambda body: {**body, **extra}


def nest(outer: str, inner: Mapping[str, str]) -> Edit:
    """Move fields into an object of their own; `inner` has their old names and their new ones."""

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        moved = {new: body[old] for old, new in inner.items() if old in body}
        return {**drop(*inner)(body), **({outer: moved} if moved else {})}

    return edit


def camel(name: str) -> str:
    """Return a snake_case name in camelCase."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


# --- What is done to an answer as a whole.


def status(code: int) -> Change:
    """Answer with another status code."""
    return lambda answer: replace(answer, status=code)


def media(media_type: str) -> Change:
    """Answer with another content type, the body unchanged."""
    return lambda answer: answer.with_headers({"content-type": media_type})


def say(body: Any, code: int | None = None) -> Change:
    """Answer this JSON."""
    return lambda answer: answer.saying(body, code)


def send(body: bytes | str, media_type: str = JSON, code: int | None = None) -> Change:
    """Answer these bytes."""
    content = body.encode() if isinstance(body, str) else body
    return lambda answer: answer.sending(content, media_type, code)


def send_as(make: Callable[[bytes], bytes]) -> Change:
    """Answer other bytes, made of the honest ones."""
    return lambda answer: answer.sending(make(answer.body))


def page(title: str, code: int | None = None) -> Change:
    """Answer an HTML page."""
    return send(f"<!DOCTYPE html>\n<html><head><title>{title}</title></head></html>\n", "text/html", code)


def headers(extra: Mapping[str, str]) -> Change:
    """Add headers, or replace those of the same names."""
    return lambda answer: answer.with_headers(extra)


def compress(answer: Answer) -> Answer:
    """Compress the body, if whoever asked accepts that."""
    if "gzip" not in answer.accepts:
        return answer
    return answer.sending(gzip.compress(answer.body)).with_headers({"content-encoding": "gzip"})


def title_case(answer: Answer) -> Answer:
    """Write Header-Names with capitals, and send them in the opposite order."""
    return replace(answer, headers=tuple((name.title(), value) for name, value in reversed(answer.headers)))


def altered(changes: Iterable[Change], method: str, path: str, accepts: str, honest: Response) -> Response:
    """Return the honest response as the changes leave it."""
    answer = Answer(
        method,
        path,
        accepts,
        honest.status_code,
        tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in honest.raw_headers),
        bytes(honest.body),
    )
    for change in changes:
        answer = change(answer)
    return answer.response()
