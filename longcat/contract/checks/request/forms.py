"""The bodies of forms as values: the pairs of `application/x-www-form-urlencoded`, the parts of `multipart/form-data`.

The fields of a form are written as parameters are, and read as leniently (see `parameters`).
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from longcat.contract.checks.comparison import Comparison
from longcat.contract.checks.request.parameters import read_value
from longcat.contract.checks.request.styles import Decode, in_json, in_pairs, split_pairs
from longcat.contract.openapi.operation import Encoding, Media, is_json

MAX_FORM_FIELDS: Final = 1000
"""How many pairs or parts of a form are read."""
_BINARY: Final = "application/octet-stream"


class FormPart(NamedTuple):
    """A part of a `multipart/form-data`. `is_file`: what is in it is not judged."""

    name: str
    text: str
    media_type: str
    is_file: bool


class Form(NamedTuple):
    """The value of a form. What is in the fields that are `files` is not judged."""

    value: dict[str, Any]
    files: frozenset[str] = frozenset()


def read_pairs(comparison: Comparison, media: Media, schema: str, text: str) -> Form | None:
    """Return the value of an `application/x-www-form-urlencoded`. None: it has more fields than are read."""
    pairs = split_pairs(text, "&")
    if len(pairs) > MAX_FORM_FIELDS:
        return None
    return Form(dict(_fields(comparison, media, schema, pairs, unquote_plus)))


def read_parts(comparison: Comparison, media: Media, schema: str, parts: list[FormPart]) -> Form:
    """Return the value of a `multipart/form-data`."""
    typed_parts = {one.name: next(in_json(one.text)).value for one in parts if is_json(one.media_type)}
    plain = [(one.name, one.text) for one in parts if one.name not in typed_parts]
    fields = dict(_fields(comparison, media, schema, plain, str))
    return Form(fields | typed_parts, frozenset(one.name.partition("[")[0] for one in parts if one.is_file))


def split_parts(body: bytes, content_type: str) -> list[FormPart] | None:
    """Return the parts of a `multipart/form-data`. None: it can't be read, as with many recordings of files.

    Nor is one read that has more parts than `MAX_FORM_FIELDS`.
    """
    from email.parser import BytesParser  # noqa: PLC0415 - they are slow to import, and few requests have parts.
    from email.policy import HTTP  # noqa: PLC0415

    head = f"Content-Type: {content_type}\r\n\r\n".encode("utf-8", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    parts = message.get_payload()
    if not isinstance(parts, list) or message.defects or len(parts) > MAX_FORM_FIELDS:
        return None
    return [found for part in parts if (found := _field(part)) is not None]


def _field(part: Any) -> FormPart | None:
    name = part.get_param("name", header="content-disposition")
    content = None if part.is_multipart() else part.get_payload(decode=True)
    if not isinstance(name, str) or not isinstance(content, bytes):
        return None
    is_file = part.get_filename() is not None or part.get_content_type() == _BINARY
    return FormPart(name, "" if is_file else content.decode("utf-8", "replace"), part.get_content_type(), is_file)


def _fields(
    comparison: Comparison, media: Media, schema: str, pairs: list[tuple[str, str]], decode: Decode
) -> Iterator[tuple[str, Any]]:
    """Yield each field of a form with its value."""
    known = comparison.fields(schema, {name.partition("[")[0]: "" for name, _ in pairs})
    for name in dict.fromkeys(name if name in known.named else name.partition("[")[0] for name, _ in pairs):
        encoding = media.encodings.get(name) or Encoding(name)
        yield name, read_value(comparison, known.pointers(name), in_pairs(encoding, pairs, decode))
