"""What in the body and headers of an answer differs from the one that the contract documents for its status code."""

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from longcat.contract.checks.body import decode, is_html, is_short, media_type_of
from longcat.contract.checks.expectation import is_success, media_for, readings
from longcat.contract.checks.mismatch import Mismatch, Path, seen, tidy
from longcat.contract.checks.reading import GONE, Reader
from longcat.contract.model import Exchange
from longcat.contract.openapi.operation import Media, Operation, Response, is_json
from longcat.contract.openapi.spec import Spec
from longcat.text import describe


def error_schema(spec: Spec, operations: Sequence[Operation], value: Any) -> str | None:
    """Return where the schema of a documented error stands that a value fits.

    None: it fits none, or only such as fit anything.
    """
    reader = Reader(spec.schemas)
    schemas = (
        media.schema
        for operation in operations
        for code, response in operation.responses.items()
        if not code.startswith(("1", "2", "3"))
        for media in response.content.values()
        if media.schema is not None
    )
    fitting = (one for one in schemas if isinstance(value, dict) and spec.schemas.is_valid(one, value))
    return next((one for one in fitting if reader.fields(one, value).required), None)


@frozen
class Answer:
    """An answer, about to be compared.

    Attributes:
        operation: that was asked. None: there is no such path.
    """

    spec: Spec
    operation: Operation | None
    exchange: Exchange

    def mismatches(self, response: Response) -> Iterator[Mismatch]:
        """Yield how the answer differs from a documented one."""
        yield from self._headers(response)
        body = self.exchange.response_body
        if self.exchange.method == "HEAD" or body is None:
            return
        if not response.content:
            if body.strip():
                yield Mismatch("body-new", (), response.pointer, "no body", tidy(describe(body)))
        elif not body.strip():
            yield Mismatch("body-empty", (), response.pointer, f"a body of {_names(response)}", "an empty body")
        else:
            yield from self._content(response, body)

    def _headers(self, response: Response) -> Iterator[Mismatch]:
        for name, header in response.headers.items():
            value, place = self.exchange.response_headers.get(name), f"header:{name}"
            if name == "content-type":
                continue  # It is described by `content` (OpenAPI, "Response Object").
            if value is None:
                if header.required:
                    yield Mismatch("header-missing", (), header.pointer, f"the header {name}", "missing", place=place)
            elif header.schema and not any(self.spec.schemas.is_valid(header.schema, one) for one in readings(value)):
                expected = Reader(self.spec.schemas).words_for([header.schema])
                yield Mismatch("header-changed", (), header.schema, expected, seen(value), value, place)

    def _content(self, response: Response, body: bytes) -> Iterator[Mismatch]:
        media_type = media_type_of(self.exchange.response_headers)
        media = media_for(response.content, media_type)
        if media is None:
            came = media_type or "no content type"
            page = f", {describe(body)}" if is_html(body, media_type) else ""
            rule, place = f"{response.pointer}/content", "header:content-type"
            yield Mismatch("content-type-changed", (), rule, _names(response), tidy(came + page), media_type, place)
            media = next((one for one in response.content.values() if is_json(one.media_type)), None)
            if media is None or not decode(body).is_json:
                return  # Another type has another form: that is one difference.
        if is_json(media.media_type):
            yield from self._json(media, body)
        elif is_short(self.exchange.response_headers, body):
            yield Mismatch("body-cut", (), media.pointer, "as many bytes as its header says", f"{len(body)} bytes")
        elif media.media_type.startswith("text/") and media.schema is not None:
            yield from self._reader().read(media.schema, body.decode("utf-8", "replace"), media.examples)

    def _json(self, media: Media, body: bytes) -> Iterator[Mismatch]:
        decoded = decode(body)
        for fault in decoded.faults:
            is_cut = not decoded.is_json and is_short(self.exchange.response_headers, body)
            yield Mismatch("body-cut" if is_cut else fault.code, (), media.pointer, fault.expected, fault.seen)
        if not decoded.is_json or media.schema is None:
            return
        value, schema = decoded.value, media.schema
        mismatches = self._reader().read(schema, value, media.examples)
        if self.operation is None or not is_success(self.exchange.status_code):
            yield from mismatches
            return
        error = error_schema(self.spec, [self.operation], value) if mismatches else None
        if error is not None and self._is_error(schema, error, value, mismatches):
            yield Mismatch("error-in-success", (), schema, "an error with its own status code", seen(value), value)
            return
        yield from mismatches
        known = {mismatch.path for mismatch in mismatches}
        path = next((mismatch.path for mismatch in mismatches if mismatch.code == "enveloped"), ())
        yield from (
            mismatch for mismatch in self._echo(self.operation, schema, value, path) if mismatch.path not in known
        )

    def _reader(self) -> Reader:
        return Reader(self.spec.schemas, self.exchange.url.partition(":")[0].lower())

    def _is_error(self, schema: str, error: str, value: dict[str, Any], mismatches: Sequence[Mismatch]) -> bool:
        """Whether a value that fits the schema of an error is one, rather than a success that is a little off."""
        reader = Reader(self.spec.schemas)
        telling = reader.fields(error, value).required
        words = {
            mismatch.path[0] for mismatch in mismatches if mismatch.code == "value-undocumented" and mismatch.path
        } - telling.keys()
        if words:
            # A word that is new, such as `failed`, may well bring a message. An error has little else.
            rest = {name: one for name, one in value.items() if name not in words}
            required = reader.fields(schema, rest).required.keys() - words
            return 2 * len(required & value.keys()) < len(required)
        return any(mismatch.path[:1] == (name,) or mismatch.code in GONE for mismatch in mismatches for name in telling)

    def _echo(self, operation: Operation, schema: str, value: Any, path: Path) -> Iterator[Mismatch]:
        """Yield the fields that give back another value than the request had by the same name.

        Both sides must require the field, and it must be text or a whole number: an id, rather than a setting that the
        gateway may round or complete.
        """
        for part in path:
            value = value[part]
        if not isinstance(value, dict):
            return
        fields = Reader(self.spec.schemas).fields(schema, value)
        for name, sent in self._sent(operation).items():
            got = value.get(name)
            if name in fields.required and _is_id(got) and str(sent) != str(got):
                rule = next(iter(fields.named.get(name, ())), fields.owner)
                yield Mismatch("answer-mismatched", (*path, name), rule, seen(sent), seen(got), got)

    def _sent(self, operation: Operation) -> dict[str, Any]:
        """Return what the request names: the values in its path, and the required fields of its JSON body."""
        found: dict[str, Any] = dict(self.spec.path_values(operation, self.exchange.url))
        schema = next((one.schema for one in operation.request.values() if is_json(one.media_type)), None)
        value = decode(self.exchange.request_body or b"").value
        if schema is not None and isinstance(value, dict):
            required = Reader(self.spec.schemas).fields(schema, value).required
            found |= {name: value[name] for name in required if _is_id(value.get(name))}
        return found


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _names(response: Response) -> str:
    return " or ".join(response.content)
