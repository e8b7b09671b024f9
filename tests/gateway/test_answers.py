"""What the client makes of every answer that a gateway could send, good and bad. "Bad input, by name" stands here."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain, repeat
from typing import Any

import httpx
import pytest
from attrs import frozen
from contract_file import CONTRACT
from fakes import KEY, PICTURE, URL, Driver, Reply, Script, anatomy, completed, fails, processing, says
from hypothesis import example, given
from hypothesis import strategies as st
from longcat_api.models import CompletedStatus, ProcessingStatus

from longcat import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    BadRequestError,
    GenerationFailed,
    Image,
    LongCatError,
    State,
    Status,
    Violation,
    WaitTimeout,
)
from longcat.gateway.messages import (
    LONGEST_PAUSE,
    MAX_ANSWER,
    Answer,
)
from longcat.gateway.reading import error_words
from longcat.gateway.result import (
    ResultGateway,
)

SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]
EVERY_FIELD = completed(
    created_at="2024-06-15T10:30:00Z", duration_seconds=42, model_version="longcat-v1.2", success=True
)
DOCUMENTED = CONTRACT["paths"]["/longcat-image-request-result"]["post"]["responses"]["200"]["content"]
DOCUMENTED_WORDS = set(DOCUMENTED["application/json"]["schema"]["discriminator"]["mapping"])
UNDOCUMENTED_FAILURE = next(word for word in ("failed", "error") if word not in DOCUMENTED_WORDS)
GOOD = {"ProcessingStatus": processing(success=True), "CompletedStatus": EVERY_FIELD}
SYNC = Driver("sync")


def raw(body: Any) -> bytes:
    """Return a body as it is sent: bytes as they are, all else as JSON."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def outcome(driver: Driver, reply: Reply) -> Any:
    """Ask once, and return the status or the error."""
    try:
        return driver.status(Script(reply))
    except LongCatError as error:
        return error


# --- Good answers. ---

LATEST, EARLIEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)
MOMENTS = {
    "2024-06-15t10:30:00z": datetime(2024, 6, 15, 10, 30, tzinfo=UTC),
    "2024-06-15 10:30:00Z": datetime(2024, 6, 15, 10, 30, tzinfo=UTC),
    "2024-06-15T10:30:00.1Z": datetime(2024, 6, 15, 10, 30, 0, 100_000, tzinfo=UTC),
    f"2024-06-15T10:30:00.{'123456789' * 20}-00:00": datetime(2024, 6, 15, 10, 30, 0, 123_456, tzinfo=UTC),
    "2016-12-31T23:59:60Z": datetime(2017, 1, 1, tzinfo=UTC),
    "2016-12-31T15:59:60.5-08:00": datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
    "9999-12-31T23:59:60Z": LATEST,
    "0000-01-01T00:00:00Z": EARLIEST,
    "0001-01-01T00:00:00+14:00": EARLIEST.replace(tzinfo=timezone(timedelta(hours=14))),
}


@pytest.mark.in_turn
@pytest.mark.parametrize(("text", "moment"), MOMENTS.items(), ids=[text[:30] for text in MOMENTS])
def test_no_moment_of_rfc_3339_refuses_a_picture(driver: Driver, text: str, moment: datetime) -> None:
    """Small letters, leap seconds, any fraction and every year: what a datetime can't hold becomes what is nearest."""
    status = driver.status(Script(says(completed(created_at=text))))
    assert status.image is not None
    assert status.image.created_at == moment


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(processing(0.45), Status("r", State.PROCESSING, "processing", 0.45), id="processing"),
        pytest.param(processing(0), Status("r", State.PROCESSING, "processing", 0.0), id="an integer for a number"),
        pytest.param(
            completed(), Status("r", State.COMPLETED, "completed", 1.0, Image("r", PICTURE, (PICTURE,))), id="completed"
        ),
        pytest.param(
            EVERY_FIELD,
            Status(
                "r",
                State.COMPLETED,
                "completed",
                1.0,
                Image(
                    "r",
                    PICTURE,
                    (PICTURE,),
                    datetime(2024, 6, 15, 10, 30, tzinfo=UTC),
                    timedelta(seconds=42),
                    "longcat-v1.2",
                ),
            ),
            id="every field",
        ),
        pytest.param(
            completed(progress=1, created_at="2024-06-15T12:30:00.250+02:00", duration_seconds=0.5, status="Completed"),
            Status(
                "r",
                State.COMPLETED,
                "Completed",
                1.0,
                Image(
                    "r",
                    PICTURE,
                    (PICTURE,),
                    datetime(2024, 6, 15, 12, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=2))),
                    timedelta(seconds=0.5),
                ),
            ),
            id="1 for 1.0, fractions, another time zone, another case",
        ),
        pytest.param({"status": "queued"}, Status("r", State.QUEUED, "queued"), id="queued"),
        pytest.param(
            {"status": "DREAMING", "progress": 0}, Status("r", State.UNKNOWN, "DREAMING", 0.0), id="an unknown word"
        ),
        pytest.param(
            {"status": "IN_QUEUE", "progress": 0}, Status("r", State.QUEUED, "IN_QUEUE", 0.0), id="the supplier's word"
        ),
        pytest.param({"status": ""}, Status("r", State.UNKNOWN, ""), id="no word"),
        pytest.param({"status": "queued", "progress": 7}, Status("r", State.QUEUED, "queued"), id="no share"),
        pytest.param({"status": "queued", "progress": 1.5}, Status("r", State.QUEUED, "queued"), id="more than all"),
        pytest.param({"status": "queued", "progress": True}, Status("r", State.QUEUED, "queued"), id="a boolean"),
        pytest.param({"status": "queued", "progress": "0.5"}, Status("r", State.QUEUED, "queued"), id="a text"),
        pytest.param(
            {"status": UNDOCUMENTED_FAILURE, "error": "out of memory", "message": "node 7"},
            Status("r", State.FAILED, UNDOCUMENTED_FAILURE, error="out of memory: node 7"),
            id="a failure with two reasons",
        ),
        pytest.param(
            {"status": UNDOCUMENTED_FAILURE.title(), "error": {"code": 7, "message": "out of memory"}},
            Status("r", State.FAILED, UNDOCUMENTED_FAILURE.title(), error="out of memory"),
            id="a failure with a reason within",
        ),
        pytest.param(
            {"status": "canceled", "error": " "}, Status("r", State.CANCELLED, "canceled"), id="a blank reason"
        ),
    ],
)
def test_a_good_answer_becomes_a_status(body: Any, expected: Status) -> None:
    """Every field of the answer has its place in `Status` and `Image`, with the type that they promise."""
    status = SYNC.status(Script(says(body)))
    assert status == expected
    assert type(status.progress) is type(expected.progress)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("queued", State.QUEUED),
        ("processing", State.PROCESSING),
        ("completed", State.COMPLETED),
        ("failed", State.FAILED),
        ("error", State.FAILED),
        ("cancelled", State.CANCELLED),
        ("canceled", State.CANCELLED),
        ("unknown", State.UNKNOWN),
        ("succeeded", State.UNKNOWN),
        ("completed ", State.UNKNOWN),
        ("", State.UNKNOWN),
        ("\ud800", State.UNKNOWN),
    ],
)
def test_the_case_of_a_word_does_not_matter(word: str, state: State) -> None:
    """A word on the wire stands for its state in lower, upper and mixed case; all others are `UNKNOWN`."""
    assert {State.of(form) for form in (word, word.upper(), word.title())} == {state}


def test_the_states_that_end_a_request_are_final() -> None:
    """After these three, the service will not change its answer."""
    assert [state for state in State if state.is_final] == [State.COMPLETED, State.FAILED, State.CANCELLED]


@pytest.mark.parametrize(
    ("body", "model"),
    [(processing(eta={"s": [1, None]}), ProcessingStatus), (completed(seed=2**70, nothing=None), CompletedStatus)],
)
def test_unknown_fields_of_a_documented_answer_are_kept(body: dict[str, Any], model: type[Any]) -> None:
    """`raw` is the generated model, with everything that the contract does not have."""
    status = SYNC.status(Script(says(body)))
    assert (type(status.raw), status.raw.to_dict()) == (model, body)


def test_an_undocumented_answer_is_kept_whole() -> None:
    """`raw` of an answer whose word the contract does not have is its decoded body."""
    body = {"status": UNDOCUMENTED_FAILURE, "error": {"code": 7}, "more": [1.5, None, "é"]}
    assert SYNC.status(Script(says(body))).raw == body


@pytest.mark.in_turn
@pytest.mark.parametrize(
    "body",
    [
        pytest.param([raw(EVERY_FIELD)], id="whole"),
        pytest.param([bytes([byte]) for byte in raw(EVERY_FIELD)], id="byte by byte"),
        pytest.param([b"", raw(EVERY_FIELD), b""], id="between empty pieces"),
        pytest.param([raw(EVERY_FIELD), b"\r\n\t "], id="before white space"),
        pytest.param([b"\xef\xbb\xbf", raw(EVERY_FIELD)], id="after a byte order mark"),
        pytest.param([b'{"progress": 7, "status": 7, ', raw(EVERY_FIELD)[1:]], id="with names twice, the last counts"),
        pytest.param([raw(EVERY_FIELD).replace(b"completed", b"compl\\u0065ted")], id="with escapes"),
    ],
)
def test_the_form_of_a_body_does_not_matter(driver: Driver, body: list[bytes]) -> None:
    """However an answer is cut into pieces and written down, it says the same."""
    assert driver.status(Script(Reply(body=body))) == driver.status(Script(says(EVERY_FIELD)))


def test_the_documented_examples_are_good() -> None:
    """Every example of a 200 in the contract is read without complaint."""
    examples = [one["value"] for one in DOCUMENTED["application/json"]["examples"].values()]
    statuses = [SYNC.status(Script(says({**body, "request_id": "r"}))) for body in examples]
    assert [(status.raw_state, status.progress) for status in statuses] == [
        (body["status"], body["progress"]) for body in examples
    ]


# --- Bad answers, each by its name. ---


@frozen
class Bad:
    """A 200 that breaks the contract, and how: in order, a pointer, what should be there, and what is."""

    body: Any
    findings: tuple[tuple[str, str, str], ...]
    is_json: bool = True


def bad(body: Any, *findings: tuple[str, str, str]) -> Bad:
    """Return a bad answer that is JSON."""
    return Bad(body, findings)


def progress(written: str, expected: str, seen: str | None = None) -> Bad:
    """Return an answer with this progress, written so."""
    body = f'{{"status": "processing", "progress": {written}, "request_id": "r"}}'
    return bad(body.encode(), ("/progress", expected, seen or written))


def no_url(url: Any) -> Bad:
    """Return an answer whose URL is none."""
    return bad(completed(result_url=url), ("/result_url", "a uri", json.dumps(url)))


def no_date(moment: str) -> Bad:
    """Return an answer whose date is none."""
    return bad(completed(created_at=moment), ("/created_at", "a date-time", json.dumps(moment)))


def duration(written: str, expected: str, seen: str | None = None) -> Bad:
    """Return an answer with this duration, written so."""
    body = raw(completed())[:-1] + f', "duration_seconds": {written}}}'.encode()
    return bad(body, ("/duration_seconds", expected, seen or written))


def no_json(body: bytes, seen: str) -> Bad:
    """Return an answer that is not JSON."""
    return Bad(body, (("", "JSON", seen),), is_json=False)


CALENDAR = "a number of seconds that a calendar can hold"
PAGE = b"<html>\n<head><title>\n 502 Bad &amp; Gateway </title></head><body>...</body></html>"
BAD = {
    "an array": bad([], ("", "of type object", "[]")),
    "null": bad(None, ("", "of type object", "null")),
    "a number": bad(42, ("", "of type object", "42")),
    "a text": bad("completed", ("", "of type object", '"completed"')),
    "true": bad(b"true", ("", "of type object", "true")),
    "a long array": bad(list(range(1000)), ("", "of type object", f"[{', '.join(map(str, range(23)))[:76]}...")),
    "no field": bad({}, ("/status", "of type string", "missing")),
    "an error inside": bad(
        {"error": "Invalid parameters"},
        ("/status", "of type string", "missing"),
        ("/error", "missing", '"Invalid parameters"'),
    ),
    "an error inside, with a code": bad(
        {"status": 404, "message": "no such request"},
        ("/status", "of type string", "404"),
        ("/error", "missing", '"no such request"'),
    ),
    "progress above 1": progress("1.5", "at most 1"),
    "progress in percent": progress("45", "at most 1"),
    "progress below 0": progress("-0.1", "at least 0"),
    "progress NaN": progress("NaN", "at least 0"),
    "progress infinite": progress("Infinity", "at most 1"),
    "progress infinitely below": progress("-Infinity", "at least 0"),
    "progress too large for a float": progress("1e999", "at most 1", "Infinity"),
    "progress a huge integer": progress("1" + 400 * "0", "at most 1", "1" + 76 * "0" + "..."),
    "progress text": progress('"half"', "of type number"),
    "progress a number in quotes": progress('"0.5"', "of type number"),
    "progress a boolean": progress("true", "of type number"),
    "progress null": progress("null", "of type number"),
    "completed too early": bad(completed(progress=0.99), ("/progress", "at least 1", "0.99")),
    "no URL": bad(
        {"status": "completed", "progress": 1.0, "request_id": "r"},
        ("/result_url", "of type string, a uri", "missing"),
    ),
    "URL empty": no_url(""),
    "URL a word": no_url("soon"),
    "URL a path": no_url("/results/cat.png"),
    "URL without a scheme": no_url("//storage.pixazo.ai/cat.png"),
    "URL without a host": no_url("https://"),
    "URL with a space": no_url("https://storage.pixazo.ai/a cat.png"),
    "URL with a line break": no_url("https://storage.pixazo.ai/cat.png\n"),
    "URL with a lone surrogate": no_url("https://storage.pixazo.ai/\ud800.png"),
    "URL with half an address": no_url("https://[::1/cat.png"),
    "URL very long": bad(completed(result_url="cat" * 100_000), ("/result_url", "a uri", f'"{("cat" * 30)[:80]}..."')),
    "date a word": no_date("yesterday"),
    "date without a time": no_date("2024-06-15"),
    "date without a zone": no_date("2024-06-15T10:30:00"),
    "date in no month": no_date("2024-13-15T10:30:00Z"),
    "date on no day": no_date("2024-02-30T10:30:00Z"),
    "date with a space and without a zone": no_date("2024-06-15 10:30:00"),
    "date in a leap second that can't be": no_date("2024-06-15T10:30:60Z"),
    "date in no zone": no_date("2024-06-15T10:30:00+25:00"),
    "date a number": bad(completed(created_at=1718447400), ("/created_at", "of type string", "1718447400")),
    "duration negative": duration("-1", "at least 0"),
    "duration NaN": duration("NaN", "at least 0"),
    "duration text": duration('"42"', "of type number"),
    "duration longer than time": duration("1e300", CALENDAR, "1e+300"),
    "duration infinite": duration("Infinity", CALENDAR),
    "duration a huge integer": duration("1" + 400 * "0", CALENDAR, "1" + 76 * "0" + "..."),
    "another request's id": bad(processing(request_id="other"), ("/request_id", '"r"', '"other"')),
    "another request's id, queued": bad({"status": "queued", "request_id": "other"}, ("/request_id", '"r"', '"other"')),
    "an empty id": bad(
        processing(request_id=""),
        ("/request_id", "of at least 1 characters", '""'),
        ("/request_id", '"r"', '""'),
    ),
    "no success": bad(processing(success=False), ("/success", "true", "false")),
    "success 1": bad(processing(success=1), ("/success", "of type boolean", "1")),
    "much at once": bad(
        {"status": "completed", "progress": "all", "success": None},
        ("/request_id", "of type string, of at least 1 characters", "missing"),
        ("/result_url", "of type string, a uri", "missing"),
        ("/progress", "of type number", '"all"'),
        ("/success", "of type boolean", "null"),
    ),
    "nested too deeply": bad(b"[" * 200_000, ("", "JSON", "nested too deeply to read")),
    "a page": no_json(PAGE, 'an HTML page titled "502 Bad & Gateway"'),
    "a page without a title": no_json(b"  <!DOCTYPE HTML>\n<p>no", "an HTML page"),
    "empty": no_json(b"", "an empty body"),
    "white space": no_json(b" \n", "an empty body"),
    "truncated": no_json(
        raw(EVERY_FIELD)[:-1], f"a body that begins {json.dumps(raw(EVERY_FIELD).decode()[:80] + '...')}"
    ),
    "cut in a word": no_json(b"nul", 'a body that begins "nul"'),
    "followed by more": no_json(b"{} x", 'a body that begins "{} x"'),
    "twice": no_json(b"{}{}", 'a body that begins "{}{}"'),
    "in single quotes": no_json(b"{'a': 1}", "a body that begins \"{'a': 1}\""),
    "invalid UTF-8": no_json(b'{"status": "\xff"}', 'a body that begins "{\\"status\\": \\"\ufffd\\"}"'),
    "a binary": no_json(b"\x00\x01\x02\x1b[2J", 'a body that begins "\\u0000\\u0001\\u0002\\u001b[2J"'),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_a_bad_answer_is_told_field_by_field(case: Bad) -> None:
    """The error names each field, what should be there and what is; it has the raw body, and knows if it may pass.

    It is the same when the body comes byte by byte. The message has each violation on one short line, before the next
    step.
    """
    body = raw(case.body)
    violations = tuple(Violation(*finding) for finding in case.findings)
    expected = APIResponseValidationError(violations, body, "r", case.is_json)
    error = outcome(SYNC, says(body))
    assert anatomy(error) == anatomy(expected)
    assert error.transient is not case.is_json
    pieces = [body[index : index + 1] for index in range(200)] + [body[200:]]
    assert anatomy(outcome(SYNC, Reply(body=pieces))) == anatomy(expected)
    wrong = "; ".join(
        f"{pointer or 'the body'} should be {what}, but is {seen}" for pointer, what, seen in case.findings
    )
    next_step = (
        "If the service has changed, change openapi.yaml and run make generate; the body is on this error."
        if case.is_json
        else "It most likely comes from the CDN in front of the gateway: ask again; wait() does so by itself."
    )
    assert str(error) == f"The answer about request 'r' breaks the contract: {wrong}. {next_step}"
    assert str(error).isprintable()
    assert len(str(error)) < 600


@pytest.mark.parametrize("name", ["much at once", "a page"])
def test_a_bad_answer_is_told_by_every_client(driver: Driver, name: str) -> None:
    """On asyncio and trio, the error is that of the blocking client."""
    case = BAD[name]
    assert anatomy(outcome(driver, says(case.body))) == anatomy(outcome(SYNC, says(case.body)))


SAMPLES: dict[str, Any] = {"string": "text", "number": 0.5, "boolean": True, "null": None, "array": [], "object": {}}


@pytest.mark.parametrize("schema", GOOD)
def test_every_field_of_the_contract_must_have_its_type(schema: str) -> None:
    """A field of any wrong type, null included, is named, with what it is."""
    for name, field in SCHEMAS[schema]["properties"].items():
        for value in (value for kind, value in SAMPLES.items() if kind != field["type"]):
            body = {**GOOD[schema], name: value}
            violation = Violation(f"/{name}", f"of type {field['type']}", json.dumps(value))
            expected = APIResponseValidationError((violation,), raw(body), "r")
            assert anatomy(outcome(SYNC, says(body))) == anatomy(expected)


@pytest.mark.parametrize("schema", GOOD)
def test_every_required_field_of_the_contract_must_be_there(schema: str) -> None:
    """A field that is missing is named if the contract requires it, and not missed if it does not."""
    for name in SCHEMAS[schema]["properties"]:
        body = {key: value for key, value in GOOD[schema].items() if key != name}
        result = outcome(SYNC, says(body))
        if name in SCHEMAS[schema]["required"]:
            assert [(violation.pointer, violation.seen) for violation in result.findings] == [(f"/{name}", "missing")]
        else:
            assert result.raw.to_dict() == body


def test_an_integer_with_thousands_of_digits_breaks_the_contract() -> None:
    """A number that is JSON, but that Python refuses to read, is the fault of its field and won't pass."""
    body = b'{"status": "processing", "progress": 1' + b"0" * 5000 + b', "request_id": "r"}'
    finding = Violation("/progress", "at most 1", "Infinity")
    assert anatomy(outcome(SYNC, says(body))) == anatomy(APIResponseValidationError((finding,), body, "r"))


@pytest.mark.parametrize("depth", range(1, 10))
@pytest.mark.parametrize("name", ["error", "message"])
def test_a_reason_is_found_in_eight_objects_at_most(name: str, depth: int) -> None:
    """Gateways wrap the words of the servers behind them. Nobody wraps them more often."""
    body: Any = "boom"
    for _ in range(depth):
        body = {name: body}
    assert error_words(body) == ("boom" if depth <= 8 else None)


def test_both_reasons_are_told() -> None:
    """One may hold the other, or stand beside it; what is no text, or is empty, is none."""
    assert error_words({"error": "Bad Request", "message": {"error": "no prompt", "message": 7}}) == (
        "Bad Request: no prompt"
    )
    assert error_words({"error": " ", "message": None}) is None


def test_no_depth_of_nesting_breaks_the_client() -> None:
    """A deeply nested body is a status or an error of ours, wherever in it the depth is."""
    for depth in (10, 200, 330, 450, 600, 800, *range(900, 1000, 7), 1100):
        for body in (
            b'{"status": "processing", "progress": 0.5, "request_id": "r", "x": %b%b}' % (b"[" * depth, b"]" * depth),
            b'{"status": "failed", "error": %b"boom"%b}' % (b'{"error": ' * depth, b"}" * depth),
            b"%b{}%b" % (b'{"message": ' * depth, b"}" * depth),
        ):
            assert all(str(outcome(SYNC, says(body, code))) for code in (200, 403))


def kept(script: Script, error: Any) -> tuple[int, set[int]]:
    """Return how many KiB of a body are kept, of which bytes; fail unless little more was read, and the rest let go."""
    assert script.bodies[0].taken < 2 * MAX_ANSWER
    assert script.bodies[0].closed
    return round(len(error.body) / 1024), set(error.body)


def test_a_huge_body_is_not_read_to_its_end(driver: Driver) -> None:
    """Of 50 MB, one MiB is read and kept; the answer is refused, and the connection is let go."""
    script = Script(Reply(body=chain([b'{"status": "'], repeat(b"x" * 65_536, 800))))
    with pytest.raises(APIResponseValidationError) as caught:
        driver.status(script)
    finding = Violation("", f"at most {MAX_ANSWER} bytes long", "longer")
    assert (caught.value.findings, caught.value.transient) == ((finding,), False)
    assert kept(script, caught.value) == (1024, {*b'{"status": x'})


def test_a_huge_error_is_not_read_to_its_end(driver: Driver) -> None:
    """Of an error with 50 MB, one MiB is kept, and its message stays short."""
    script = Script(Reply(500, repeat(b"x" * 65_536, 800)))
    with pytest.raises(APIStatusError) as caught:
        driver.status(script)
    assert caught.value.message == f'a body that begins "{"x" * 80}..."'
    assert kept(script, caught.value) == (1024, {*b"x"})


def test_an_answer_of_the_greatest_length_is_read(driver: Driver) -> None:
    """One MiB is not too much."""
    body = raw(processing())
    assert driver.status(Script(says(body + b" " * (MAX_ANSWER - len(body))))).progress == 0.5


def test_a_long_unknown_word_is_cut_short_in_messages() -> None:
    """A status word as long as a book is kept in `raw_state`, but no message repeats it."""
    word = "zz" * 100_000
    script = Script(says({"status": word}))
    with pytest.raises(WaitTimeout) as caught:
        SYNC.wait(script, 1.0)
    assert caught.value.last_status == Status("r", State.UNKNOWN, word)
    assert len(str(caught.value)) < 600


# --- What errors say. ---


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "Invalid parameters"}, "Invalid parameters"),
        ({"message": "Invalid parameters"}, "Invalid parameters"),
        ({"error": "Bad Request", "message": "no id"}, "Bad Request: no id"),
        ({"error": {"code": 7, "message": "no id"}}, "no id"),
        ({"error": {"code": 7, "message": "no id"}, "message": "sorry"}, "no id: sorry"),
        ({"error": {"error": {"error": "no id"}}}, "no id"),
        ({"error": "  two\n\n lines\t"}, "two lines"),
        ({"error": "x" * 1000}, "x" * 197 + "..."),
        ({"error": ""}, "bad request"),
        ({"error": None}, "bad request"),
        ({"error": 400}, "bad request"),
        ({}, "bad request"),
        ([], "bad request"),
        (b"", "bad request"),
        (b"Bad Request", 'a body that begins "Bad Request"'),
        (PAGE, 'an HTML page titled "502 Bad & Gateway"'),
    ],
)
def test_an_error_gives_the_gateways_reason(body: Any, message: str) -> None:
    """The reason is the gateway's own words, cut short; else a description of its body; else the code's name."""
    error = outcome(SYNC, says(body, 400))
    assert anatomy(error) == anatomy(BadRequestError(400, message, raw(body), request_id="r"))
    stop = "" if message.endswith(".") else "."
    assert str(error) == f"The gateway answered 400 about request 'r': {message}{stop} Check the request id."


@pytest.mark.parametrize("words", ["Try again.", "Really?", "Stop!"])
def test_a_reason_that_is_a_sentence_is_not_ended_twice(words: str) -> None:
    """A reason keeps its own full stop and gets no second one."""
    error = outcome(SYNC, says({"error": words}, 400))
    assert str(error) == f"The gateway answered 400 about request 'r': {words} Check the request id."


HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "a\x00b\x08c",
    "\u202etxet",
    "\ud800 alone",
    "\x9b31m",
    "a\u2028b\u2029c",
    "\r\n\r\n",
]


@pytest.mark.parametrize("words", HOSTILE, ids=ascii)
def test_messages_hold_nothing_that_a_terminal_obeys_or_can_not_print(words: str) -> None:
    """Control characters, lone surrogates and their like never reach a message, whichever field they come in."""
    replies = [
        says({"error": words}, 400),
        says({"error": f"<html><title>{words}</title>"}, 400),
        says(f"<html><title>{words}</title>".encode(errors="surrogatepass"), 500),
        says(words.encode(errors="surrogatepass"), 500),
        says(b"", 302, {"Location": ascii(words)}),
        says({"status": "failed", "error": words}),
        says({"status": words}),
        says(processing(request_id=words)),
        says(processing(progress=words)),
        fails(httpx.ConnectError(words)),
    ]
    for reply in replies:
        with pytest.raises(LongCatError) as caught:
            SYNC.wait(Script(reply), 0.25)
        assert str(caught.value).isprintable()


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_may_be_in_any_encoding_and_layout(encoding: str) -> None:
    """JSON is read in every encoding of RFC 4627, with spaces around it or within, and may hold any character."""
    body = {**EVERY_FIELD, "note": "é猫\ud83d\ude00\ud800"}
    for indent, around in ((None, ""), (2, "\r\n "), ("\t", "\n")):
        text = around + json.dumps(body, indent=indent, ensure_ascii=indent is None) + around
        assert SYNC.status(Script(says(text.encode(encoding, "surrogatepass")))) == SYNC.status(Script(says(body)))


@pytest.mark.parametrize("more", [b"x", b"{}", b",", b"\0", "\u00a0".encode(), b"\x0b"])
def test_a_body_is_one_value(more: bytes) -> None:
    """JSON with anything but white space before or after it is none."""
    for body in (raw(EVERY_FIELD) + more, more + raw(EVERY_FIELD)):
        error = outcome(SYNC, says(body))
        assert isinstance(error, APIResponseValidationError)
        assert (error.is_json, error.findings[0].expected) == (False, "JSON")


# --- The key. ---


def told(error: BaseException | None) -> Iterator[str]:
    """Yield all that an exception and those behind it may show."""
    while error is not None:
        yield str(error)
        yield repr(error)
        yield repr(getattr(error, "body", None))
        yield repr(getattr(error, "findings", None))
        yield repr(getattr(error, "last_status", None))
        yield repr(getattr(error, "status", None))
        if isinstance(error, WaitTimeout):
            yield from told(error.last_error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


ECHOES = {
    "error": says({"error": f"the key {KEY} is not valid"}, 401),
    "error within": says({"error": {"message": KEY}}, 403),
    "page": says(f"<html><title>{KEY}</title>".encode(), 500),
    "text": says(f"no access with {KEY}".encode(), 502),
    "redirect": says(b"", 302, {"Location": f"https://elsewhere.test/?key={KEY}"}),
    "failure": says({"status": "failed", "error": f"the key {KEY} has no balance"}),
    "unknown word": says({"status": f"refused {KEY}"}),
    "wrong id": says(processing(request_id=KEY)),
    "wrong type": says(processing(progress=KEY)),
    "wrong type, a list": says(processing(progress=[KEY])),
    "error in a 200": says({"error": KEY}),
    "200, a page": says(f"<html><title>{KEY}</title>".encode()),
    "200, a text": says(KEY.encode()),
}


@pytest.mark.parametrize("reply", [pytest.param(reply, id=name) for name, reply in ECHOES.items()])
def test_a_key_that_the_gateway_echoes_is_shown_nowhere(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    """The key is in no message, no repr, no body and no log, even when the gateway sends it back."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LongCatError) as caught:
        SYNC.wait(Script(reply), 0.25)
    assert [text for text in [*told(caught.value), caplog.text] if KEY in text] == []


@pytest.mark.parametrize("limit", [80, 200, 300, 4096])
def test_no_part_of_the_key_is_left_where_a_value_is_cut(limit: int) -> None:
    """A message that is cut short in the midst of an echoed key does not show its first half."""
    shown = []
    for length in range(limit - 14, limit + 3):
        text = "x" * length + KEY
        for reply in (
            says({"error": text}, 400),
            says(processing(progress=text)),
            says(text.encode(), 500),
            says(f"<title>{text}</title><html>".encode(), 500),
        ):
            shown += [str(outcome(SYNC, reply))]
    assert [message for message in shown if KEY[:4] in message] == []


def test_no_part_of_the_key_is_left_where_a_body_is_cut() -> None:
    """A body that is cut in the midst of an echoed key does not keep its first half."""
    error = outcome(SYNC, says(b"x" * (MAX_ANSWER - 5) + KEY.encode(), 500))
    assert KEY[:4].encode() not in error.body[-16:]


@pytest.mark.parametrize("key", ['te"st', "te\\st", "te/st"])
def test_a_key_that_json_escapes_is_hidden_too(key: str) -> None:
    """A key with a quote, a backslash or a slash is hidden in the forms that JSON writers give it."""
    written = json.dumps(key).strip('"').replace("/", "\\/")
    answer = Answer(401, {}, b'{"error": "the key %b is wrong"}' % written.encode())
    with pytest.raises(LongCatError) as caught:
        ResultGateway(URL, key).read("r", answer)
    assert [text for text in told(caught.value) if key in text or written in text or repr(written)[1:-1] in text] == []


# --- Any answer at all. ---

CODES = st.integers(200, 999)
TEXTS = st.text(st.characters(codec=None), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just(KEY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.sampled_from(["error", "message"]), inner),
    max_leaves=8,
)
WORDS = st.sampled_from(["processing", "completed", "failed", "queued", "cancelled", "COMPLETED", "new"])
FIELDS = sorted({*EVERY_FIELD, "error", "message"})
NEARLY_GOOD = st.builds(
    lambda word, changes: {**EVERY_FIELD, "status": word, **changes},
    WORDS,
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3),
)


def check(result: Any) -> None:
    """Fail unless a result is a status or an error of ours, and can be shown."""
    assert isinstance(result, Status | LongCatError)
    assert str(result)
    assert repr(result)


@given(body=VALUES | NEARLY_GOOD, code=st.just(200) | CODES)
def test_any_json_is_a_status_or_an_error_of_ours(body: Any, code: int) -> None:
    """Whatever JSON comes, with whatever code, nothing outside of the exception tree is raised."""
    check(outcome(SYNC, says(body, code)))


@given(body=st.binary(max_size=200), code=st.just(200) | CODES, content_type=st.sampled_from(["", "text/html"]))
@example(body=b"{", code=204, content_type="")
def test_any_bytes_are_an_error_of_ours(body: bytes, code: int, content_type: str) -> None:
    """Whatever bytes come, with whatever code, nothing outside of the exception tree is raised."""
    check(outcome(SYNC, Reply(code, [body], {"Content-Type": content_type})))


@given(body=NEARLY_GOOD)
def test_an_answer_that_is_accepted_can_be_trusted(body: dict[str, Any]) -> None:
    """What comes out as a status keeps the promises of its attributes, whatever went in."""
    status = outcome(SYNC, says(body))
    if not isinstance(status, Status):
        return
    assert status.request_id == "r"
    assert status.progress is None or 0.0 <= status.progress <= 1.0
    assert type(status.progress) in {float, type(None)}
    assert (status.image is not None) == (status.state is State.COMPLETED)
    if status.image is not None:
        assert httpx.URL(status.image.url).scheme
        assert status.image.created_at is None or status.image.created_at.utcoffset() is not None


@given(
    value=st.text(max_size=40) | st.from_regex(r"\A[A-Z][a-z]{2}, ?\d{1,2} [A-Z][a-z]{2} \d{1,4} [\d:]{0,9}.{0,6}\Z")
)
@example(value="Sat, 15 Jun 2030 10:30:00 GMT")
@example(value="Mon,")
@example(value="Wed, 21 Oct 2015 07:28:00 +99999999")
@example(value="1" * 5000)
def test_any_retry_after_is_a_number_of_seconds_or_nothing(value: str) -> None:
    """Whatever `Retry-After` and `Date` hold, they give a time that can be waited, or none."""
    for headers in ({"retry-after": value}, {"retry-after": "Sat, 15 Jun 2024 10:30:00 GMT", "date": value}):
        seconds = Answer(429, headers, b"").retry_after
        assert seconds is None or 0.0 <= seconds <= LONGEST_PAUSE


NOW = "Sat, 15 Jun 2024 10:30:00 GMT"
SOON = "Sat, 15 Jun 2024 10:30:09 GMT"


@pytest.mark.parametrize(
    ("value", "date", "asked"),
    [
        ("120", NOW, 120.0),
        ("86400", NOW, 86_400.0),
        ("9" * 400, NOW, 1e9),
        ("0" * 400 + "7", NOW, 7.0),
        ("1." + "5" * 400, NOW, 1.5555555555555556),
        ("-5", NOW, None),
        ("+5", NOW, None),
        ("nan", NOW, None),
        ("inf", NOW, None),
        ("1e9", NOW, None),
        ("0x10", NOW, None),
        ("٣", NOW, None),
        ("5, 5", NOW, None),
        (SOON, NOW, 9.0),
        ("Saturday, 15-Jun-24 10:30:09 GMT", NOW, 9.0),
        ("Sat Jun 15 10:30:09 2024", NOW, 9.0),
        (SOON, "Sat, 15 Jun 2024 10:30:04 GMT", 5.0),
        (SOON, "Thu, 01 Jan 1970 00:00:00 GMT", 9.0),
        (SOON, "Fri, 31 Dec 9999 23:59:59 GMT", 9.0),
        (SOON, "yesterday", 9.0),
        (SOON, "", 9.0),
        (NOW, "Sat, 15 Jun 2024 10:30:05 GMT", 0.0),
        ("Sun, 16 Jun 2024 10:30:00 GMT", NOW, 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", NOW, 1e9),
        ("Fri, 31 Dec 9999 23:59:59 -2359", NOW, 1e9),
        (SOON + " " * 400 + "x", NOW, None),
    ],
)
def test_retry_after_is_read_in_every_form_and_bounded(value: str, date: str, asked: float | None) -> None:
    """Seconds, and dates in the three forms of HTTP, are read; what is no time is not, and an hour is the most."""
    answer = Answer(429, {"retry-after": value, "date": date}, b"", received=1_718_447_400.0)
    assert answer.asked_pause == asked
    assert answer.retry_after == (asked if asked is None else min(asked, LONGEST_PAUSE))


@pytest.mark.parametrize("code", [200, 404, 500])
def test_a_content_type_proves_nothing(code: int) -> None:
    """An answer is read by what it is, not by what its header calls it."""
    results = [outcome(SYNC, says(EVERY_FIELD, code, {"Content-Type": kind})) for kind in ("text/html", "", "x")]
    assert [anatomy(result) for result in results] == [anatomy(outcome(SYNC, says(EVERY_FIELD, code)))] * 3


def test_an_answer_that_ends_early_is_no_answer(driver: Driver) -> None:
    """A connection that breaks within the body gives no status, not even when what came is JSON."""
    reply = Reply(body=[raw(EVERY_FIELD), httpx.RemoteProtocolError("cut")])
    error = outcome(driver, reply)
    assert anatomy(error) == anatomy(APIConnectionError("cut", "gateway.test"))


def test_a_failure_is_told_with_its_reason() -> None:
    """`GenerationFailed` says the service's word, the request and the reason, and what to do."""
    with pytest.raises(GenerationFailed) as caught:
        SYNC.wait(Script(says({"status": "Error", "error": "out of memory"})))
    assert str(caught.value) == (
        "The service says 'Error': request 'r' failed: out of memory. Submit it again if the picture is still wanted."
    )
