"""Compares the content of an answer with the one that the contract documents, by its media type."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import evolve

from longcat.contract.checks.body import Decoded, decode_json, is_short
from longcat.contract.checks.comparison import GONE
from longcat.contract.checks.media import MediaKind, StreamEvent, kind_of, read_events, records, unjudged
from longcat.contract.checks.mismatch import CheckResult, Gap, Mismatch, distinct, show_body, show_value
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.request.forms import read_pairs
from longcat.contract.checks.request.parameters import values_of
from longcat.contract.checks.status_codes import is_success
from longcat.contract.openapi.document import follow
from longcat.contract.openapi.errors import SpecError, UnjudgeableError
from longcat.contract.openapi.examples import NO_EXAMPLES, Examples
from longcat.contract.openapi.operation import Media, Operation, Response, first_json, media_for
from longcat.text import without_queries

TRIED: Final = 20
"""How many events of a stream are held against each way in which a contract may describe them."""


def compare_content(observation: Observation, response: Response) -> Iterator[CheckResult]:
    """Yield how the content of an answer, which is not empty, differs from the documented one."""
    body, media_type = observation.exchange.response_body or b"", observation.media_type
    media = exact_media(observation, response)
    if media is None and not _has_headers(observation):
        media = first_json(response.content) or next(iter(response.content.values()))
        media_type = media.media_type.partition(";")[0].strip().lower()
    if media is None:
        page = f", {show_body(body)}" if observation.is_page else ""
        seen, rule = (without_queries(media_type) or "no content type") + page, f"{response.pointer}/content"
        expected, location = media_types(response), "header:content-type"
        yield Mismatch("content-type-changed", (), rule, expected, seen, media_type, location)
        media, media_type = first_json(response.content), "application/json"
        if media is None or not observation.response_json.is_json:
            return  # Another type has another form: that is one difference.
    kind = kind_of(media_type)
    if kind is MediaKind.JSON:
        yield from _compare_json(observation, media, body)
    elif is_short(observation.exchange.response_headers, body):
        yield Mismatch("body-cut", (), media.pointer, "as many bytes as its header says", f"{len(body)} bytes")
    elif kind is MediaKind.OTHER:
        yield Gap(unjudged(media_type), unclear=False)
    else:
        yield from distinct(_compare_text(observation, media, kind))


def _has_headers(observation: Observation) -> bool:
    """Whether headers were recorded: some recorders keep none at all, neither of requests nor of answers."""
    exchange = observation.exchange
    return bool(exchange.request_headers or exchange.response_headers) or not exchange.may_be_filtered


def documented_media(observation: Observation, response: Response) -> Media | None:
    """Return what an answer is held against: its own media type, or else JSON. None: neither is documented."""
    return exact_media(observation, response) or first_json(response.content)


def exact_media(observation: Observation, response: Response) -> Media | None:
    """Return what is documented for the media type of an answer. None: nothing."""
    header = observation.exchange.response_headers.get("content-type", "")
    return media_for(response.content, observation.media_type, header)


def media_types(response: Response) -> str:
    """Return the documented media types of an answer, in words."""
    return " or ".join(response.content)


def _compare_json(observation: Observation, media: Media, body: bytes) -> Iterator[Mismatch]:
    answer = observation.response_json
    for defect in answer.defects:
        is_cut = not answer.is_json and is_short(observation.exchange.response_headers, body)
        yield evolve(defect, code="body-cut" if is_cut else defect.code, rule=media.pointer)
    if answer.is_json and media.schema is not None:
        yield from _compare_value(observation, media.schema, answer.value, media.examples)


def _compare_text(observation: Observation, media: Media, kind: MediaKind) -> Iterator[Mismatch]:
    comparison, schema, text = observation.comparison, media.item_schema or media.schema, observation.response_text
    if schema is None:
        return
    if kind is MediaKind.TEXT:
        yield from comparison.compare(schema, _value_of_text(observation, schema), media.examples)
    elif kind is MediaKind.FORM:
        yield from _compare_value(observation, schema, _value_of_form(observation, media, schema), media.examples)
    elif _is_one_text(observation, media):
        yield from comparison.compare(schema, text, media.examples)
    elif kind is MediaKind.EVENTS:
        yield from _compare_events(observation, media)
    else:
        is_cut = not text.endswith(("\n", "\r"))
        yield from _compare_row(observation, media, _read_records(kind, text), is_cut=is_cut)


def values_in(observation: Observation, media: Media) -> Iterator[Any]:
    """Yield what in the body of an answer is held against the schema of its media type, as far as it can be read."""
    kind, schema = kind_of(observation.media_type or media.media_type), media.item_schema or media.schema
    if kind is MediaKind.JSON and observation.response_json.is_json:
        yield observation.response_json.value
    elif schema is not None and kind not in {MediaKind.JSON, MediaKind.OTHER}:
        text = observation.response_text
        if kind is MediaKind.TEXT:
            yield _value_of_text(observation, schema)
        elif kind is MediaKind.FORM:
            yield _value_of_form(observation, media, schema)
        elif _is_one_text(observation, media):
            yield text
        else:
            is_stream = kind is MediaKind.EVENTS
            parts = _read_events(observation, media, read_events(text)) if is_stream else _read_records(kind, text)
            values = [one.value for one in parts if one.is_json]
            yield from [values] if _is_one_list(observation, media) else values


def _is_one_text(observation: Observation, media: Media) -> bool:
    """Whether a contract describes a stream or rows of values as one text."""
    types = observation.comparison.types(media.schema, observation.response_text) if media.schema else set()
    return media.item_schema is None and "string" in types


def _is_one_list(observation: Observation, media: Media) -> bool:
    """Whether a contract describes values in a row as one list."""
    types = observation.comparison.types(media.schema, []) if media.schema else set()
    return media.item_schema is None and "array" in types


def _value_of_text(observation: Observation, schema: str) -> Any:
    """Return the value of a text that its schema allows, such as a number; if none is allowed, the text."""
    text = observation.response_text
    values = [text, *values_of(text.strip())]
    return next((one for one in values if observation.comparison.allows(schema, one)), text)


def _value_of_form(observation: Observation, media: Media, schema: str) -> dict[str, Any]:
    form = read_pairs(observation.comparison, media, schema, observation.response_text.strip())
    if form is None:
        raise UnjudgeableError("it can't be judged: it is a form of too many fields")
    return form.value


# --- Many values in a row.


def _read_records(kind: MediaKind, text: str) -> list[Decoded]:
    return [decode_json(one.encode()) for one in records(kind, text)]


def _compare_events(observation: Observation, media: Media) -> Iterator[Mismatch]:
    text = observation.response_text
    events = list(read_events(text))
    is_stream = any(event.data is not None for event in events)
    if not is_stream and text.lstrip().startswith(("{", "[", "<")):
        whole = decode_json(text.strip().encode())
        error = error_schema(observation, observation.at_path, whole.value) if whole.is_json else None
        code = "type-changed" if error is None or not is_success(observation.status_code) else "error-in-success"
        yield Mismatch(code, (), media.pointer, "a stream of events", show_body(text.encode()), whole.value)
        return
    events = [event for event in events if event.is_telling]
    is_cut = bool(events) and not events[-1].is_whole
    yield from _compare_row(observation, media, _read_events(observation, media, events), is_cut=is_cut)


def _read_events(observation: Observation, media: Media, events: Iterable[StreamEvent]) -> list[Decoded]:
    """Return what the events of a stream say, without that which ends it."""
    telling = [event for event in events if event.is_telling]
    read = _reader(observation, media.item_schema or media.schema or "", telling[:TRIED])
    return [read(event) for event in telling]


_Reader = Callable[[StreamEvent], Decoded]


def _data_of(event: StreamEvent) -> Decoded:
    return decode_json((event.data or "").encode())


def _with_data(event: StreamEvent) -> Decoded:
    data = _data_of(event)
    return Decoded({**event.fields, "data": data.value if data.is_json else event.data}, is_json=True)


def _with_text(event: StreamEvent) -> Decoded:
    return Decoded({**event.fields, "data": event.data}, is_json=True)


def _reader(observation: Observation, schema: str, events: Sequence[StreamEvent]) -> _Reader:
    """Return what reads an event as the contract describes it.

    Most contracts describe what the data of an event says, and others the event with its `data` and other fields. The
    way is chosen that most events fit. If several are equal, the schema decides: it may have a field named `data`.
    """
    comparison = observation.comparison

    def fitting(read: _Reader) -> int:
        parts = map(read, events)
        return sum(one.is_json and comparison.allows(schema, one.value) for one in parts)

    readers: list[_Reader] = [_data_of, _with_data, _with_text]
    if any("data" in comparison.fields(schema, _with_data(event).value).named for event in events[:1]):
        readers = [_with_data, _with_text, _data_of]
    return max(readers, key=fitting)


def _compare_row(
    observation: Observation, media: Media, parts: Sequence[Decoded], *, is_cut: bool
) -> Iterator[Mismatch]:
    """Yield how values in a row differ from their schema, each with its index in the path.

    `is_cut` says that the row has no end of its own: if its last value is no JSON, it was cut.
    """
    for index, part in enumerate(parts):
        for defect in part.defects:
            is_last = is_cut and index == len(parts) - 1 and not part.is_json
            code = "body-cut" if is_last else "body-not-json" if defect.code == "body-cut" else defect.code
            yield evolve(defect, code=code, rule=media.pointer).below(index)
    values = [(index, part.value) for index, part in enumerate(parts) if part.is_json]
    if media.schema and _is_one_list(observation, media):
        yield from _compare_value(observation, media.schema, [value for _, value in values])
        return
    schema = media.item_schema or media.schema
    for index, value in values if schema is not None else ():
        for mismatch in _compare_value(observation, schema or "", value):
            yield mismatch.below(index)


# --- An error in the place of a success.


def _compare_value(
    observation: Observation, schema: str, value: Any, examples: Examples = NO_EXAMPLES
) -> Iterator[Mismatch]:
    """Yield how a value differs from its schema: in one way, if it is an error in the place of a success."""
    mismatches, operation = observation.comparison.compare(schema, value, examples), observation.operation
    if mismatches and operation is not None and is_success(observation.status_code):
        error = error_schema(observation, [operation], value)
        if error is not None and _is_error(observation, schema, error, value, mismatches):
            expected = "an error with its own status code"
            yield Mismatch("error-in-success", (), schema, expected, show_value(value), value)
            return
    yield from mismatches


def error_schema(observation: Observation, operations: Sequence[Operation], value: Any) -> str | None:
    """Return where the schema of an error stands that these operations document and a value fits.

    None: it fits none, or only such as fit anything.
    """
    comparison = observation.comparison
    schemas = dict.fromkeys(
        _target(observation, schema) for operation in operations for schema in _error_schemas(operation)
    )
    fitting = (one for one in schemas if isinstance(value, dict) and comparison.allows(one, value))
    return next((one for one in fitting if comparison.fields(one, value).required), None)


def lists_all_of(observation: Observation, error: str, value: Any) -> bool:
    """Whether what is documented for the answer lists all that the schema of an error requires of a value."""
    media = documented_media(observation, observation.documented) if observation.documented else None
    if media is None or media.schema is None:
        return False
    comparison = observation.comparison
    return comparison.fields(error, value).required.keys() <= comparison.fields(media.schema, value).named.keys()


def _error_schemas(operation: Operation) -> Iterator[str]:
    """Yield where the schemas of an operation's errors stand. A defect in one costs the answers with its code only."""
    for code, response in operation.responses.items():
        with suppress(SpecError):
            for media in () if code.startswith(("1", "2", "3")) else response.content.values():
                with suppress(SpecError):
                    if media.schema is not None:
                        yield media.schema


def _target(observation: Observation, pointer: str) -> str:
    """Return where the schema stands that the one at a pointer is a mere reference to: most errors have one schema."""
    schemas = observation.spec.schemas
    schema = schemas.at(pointer)
    return follow(schemas.document, schema, pointer)[1] if isinstance(schema, dict) and len(schema) == 1 else pointer


def _is_error(observation: Observation, schema: str, error: str, value: Any, mismatches: Sequence[Mismatch]) -> bool:
    """Whether a value that fits the schema of an error is one, rather than a success that is a little off."""
    comparison = observation.comparison
    of_error = comparison.fields(error, value).required
    new_words = {one.path[0] for one in mismatches if one.code == "value-undocumented" and one.path} - of_error.keys()
    # A success may well tell of an error: by a word that is new, such as `failed`, or because the contract says so.
    # An error has little else.
    rest = {name: one for name, one in value.items() if name not in new_words}
    fields = comparison.fields(schema, rest)
    if new_words or of_error.keys() <= fields.named.keys():
        required = fields.required.keys() - new_words - of_error.keys()
        return 2 * len(required & value.keys()) < len(required)
    return any(one.path[:1] == (name,) or one.code in GONE for one in mismatches for name in of_error)
