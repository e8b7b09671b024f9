"""The exception tree: drawn, built and exported alike; readable, picklable, and each with its next step."""

import copy
import pickle
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest
from fakes import HOST, Driver, Script, anatomy, fails, processing, says

import longcat
from longcat import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DownloadError,
    GenerationCancelled,
    GenerationFailed,
    InsufficientBalanceError,
    InternalServerError,
    JournalError,
    LongCatError,
    NotFoundError,
    OrderRequest,
    Outcome,
    PermissionDeniedError,
    RateLimitError,
    State,
    Status,
    SubmitUnknown,
    Violation,
    WaitTimeout,
    errors,
)
from longcat.models import Pause

SYNC = Driver("sync")


def drawing() -> dict[str, tuple[str, str]]:
    """Return the tree in the docstring: for each name, that of its parent and the note beside it."""
    tree, above = {}, {-1: "Exception"}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"(?:[ |]*\+-- |(?=LongCatError$))(\w+)(?: +(.+))?$", line)
        if found:
            above = {indent: name for indent, name in above.items() if indent < found.start(1)}
            tree[found[1]] = (above[max(above)], found[2] or "")
            above[found.start(1)] = found[1]
    return tree


BUILT: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
}


# --- The tree. ---


def test_the_drawing_is_the_tree() -> None:
    """Each class is drawn below its base, and nothing is drawn that is not there."""
    assert {name: parent for name, (parent, _) in drawing().items()} == {
        name: kind.__bases__[0].__name__ for name, kind in BUILT.items()
    }


def test_the_drawing_is_read_at_all() -> None:
    """The reader of the drawing sees depth and notes: an empty result would make the test above worthless."""
    tree = drawing()
    assert (tree["LongCatError"], tree["NotFoundError"]) == (("Exception", ""), ("APIStatusError", "404"))
    assert (tree["GenerationCancelled"], len(tree)) == (("GenerationFailed", ""), 19)


def test_every_exception_is_exported_and_lives_in_one_module() -> None:
    """The package exports the whole tree, and no exception that is not in it."""
    exported = {name for name in longcat.__all__ if isinstance(getattr(longcat, name), type(Exception))}
    exported = {name for name in exported if issubclass(getattr(longcat, name), BaseException)}
    assert (exported, {kind.__module__ for kind in BUILT.values()}) == (set(BUILT), {"longcat.errors"})


@cache
def raised_by_code() -> dict[int, LongCatError]:
    """Return the error that each status code becomes, its body being JSON."""
    raised = {}
    for code in range(300, 1000):
        with pytest.raises(LongCatError) as caught:
            SYNC.status(Script(says({"error": "no"}, code)))
        raised[code] = caught.value
    return raised


def test_every_status_code_maps_to_the_class_beside_it_in_the_drawing() -> None:
    """A code raises the class that the drawing gives it; a 5xx has one of its own; all others raise their base."""
    drawn = {note: name for name, (_, note) in drawing().items() if note}
    expected = {
        code: drawn.get(str(code)) or drawn.get(f"{code // 100}xx", "APIStatusError") for code in range(300, 1000)
    }
    assert {code: type(error).__name__ for code, error in raised_by_code().items()} == expected


def test_only_codes_that_may_pass_are_transient() -> None:
    """408, 425, 429 and every 5xx may pass when asked again; no other code with a JSON body does."""
    transient = [code for code, error in raised_by_code().items() if error.transient]
    assert transient == [408, 425, 429, *range(500, 600)]


def test_a_wait_that_timed_out_is_a_timeout_error() -> None:
    """Code that catches Python's own `TimeoutError` catches ours, and it is no error of the network."""
    assert issubclass(WaitTimeout, TimeoutError)
    assert not issubclass(WaitTimeout, APIConnectionError)


# --- What they say. ---

HALF = Status("r", State.PROCESSING, "processing", 0.5)
EXAMPLES: list[tuple[LongCatError, str]] = [
    (LongCatError("All is lost."), "All is lost."),
    (ConfigurationError("No key was found. Set one."), "No key was found. Set one."),
    (
        APIConnectionError("refused", HOST),
        "No answer from gateway.test: refused. Check the network and the base URL, then try again.",
    ),
    (
        APITimeoutError("no whole answer within 30 s", HOST),
        (
            "No answer from gateway.test: no whole answer within 30 s. Check the network, or allow more time, then try"
            " again."
        ),
    ),
    (
        APIStatusError(418, "I'm a teapot", b"", None, "r"),
        (
            "The gateway answered 418 about request 'r': I'm a teapot. See the body on this error, and tell the"
            " maintainers if it should be documented."
        ),
    ),
    (APIStatusError(418, "no"), "The gateway answered 418: no. " + APIStatusError.advice),
    (
        BadRequestError(400, "Invalid parameters", b"{}", None, "r"),
        "The gateway answered 400 about request 'r': Invalid parameters. Check the request id.",
    ),
    (
        AuthenticationError(401, "Invalid or missing authentication", b"{}", None, "r"),
        (
            "The gateway answered 401 about request 'r': Invalid or missing authentication. Check the key: the"
            " argument api_key, then PIXAZO_API_KEY, then ~/.pixazo/api-key."
        ),
    ),
    (
        JournalError("The journal a.db can't be used: database is locked. Run again later.", locked=True),
        "The journal a.db can't be used: database is locked. Run again later.",
    ),
    (
        InsufficientBalanceError(402, "payment required", b"{}", None, "r"),
        "The gateway answered 402 about request 'r': payment required. Top up the account, then try again.",
    ),
    (
        PermissionDeniedError(403, "Access denied", b"{}", None, "r"),
        "The gateway answered 403 about request 'r': Access denied. Check what the key's subscription covers.",
    ),
    (
        NotFoundError(404, "Endpoint not found", b"{}", None, "r"),
        "The gateway answered 404 about request 'r': Endpoint not found. Check the request id and the base URL.",
    ),
    (
        RateLimitError(429, "too many requests", b"{}", 5.0, "r"),
        (
            "The gateway answered 429 about request 'r': too many requests. Leave it alone for 5 s. Ask less often;"
            " wait() does so by itself."
        ),
    ),
    (
        InternalServerError(522, "no reason given", b"", None, "r"),
        "The gateway answered 522 about request 'r': no reason given. Ask again later; wait() does so by itself.",
    ),
    (
        APIResponseValidationError((Violation("/progress", "at most 1", "7"), Violation("/a", "b", "c")), b"{}", "r"),
        (
            "The answer about request 'r' breaks the contract: /progress should be at most 1, but is 7; /a should be"
            " b, but is c. If the service has changed, change openapi.yaml and run make generate; the body is on this"
            " error."
        ),
    ),
    (
        GenerationFailed(Status("r", State.FAILED, "failed", error="out of memory")),
        (
            "The service says 'failed': request 'r' failed: out of memory. Submit it again if the picture is still"
            " wanted."
        ),
    ),
    (
        GenerationFailed(Status("r", State.FAILED, "error")),
        (
            "The service says 'error': request 'r' failed. It gave no reason. Submit it again if the picture is still"
            " wanted."
        ),
    ),
    (
        GenerationCancelled(Status("r", State.CANCELLED, "canceled")),
        (
            "The service says 'canceled': request 'r' was cancelled. It gave no reason. Submit it again if the"
            " picture is still wanted."
        ),
    ),
    (
        SubmitUnknown(OrderRequest("a cat"), "the connection was reset"),
        (
            "The order for 'a cat' is in doubt: the connection was reset. It may have been taken, and paid for. Look"
            " into the account before you send it again; longcat does not, by itself."
        ),
    ),
    (
        SubmitUnknown(OrderRequest("a cat", id="cat-1"), "the gateway answered 502: bad gateway", 502),
        (
            "The order 'cat-1' for 'a cat' is in doubt: the gateway answered 502: bad gateway. It may have been taken,"
            " and paid for. Look into the account before you send it again; longcat does not, by itself."
        ),
    ),
    (
        BadRequestError(400, "no such size"),
        ("The gateway answered 400: no such size. Nothing was ordered: mend the order and send it again."),
    ),
    (
        NotFoundError(404, "Endpoint not found"),
        ("The gateway answered 404: Endpoint not found. Nothing was ordered: check the base URL."),
    ),
    (
        RateLimitError(429, "too many requests", b"{}", 5.0),
        (
            "The gateway answered 429: too many requests. Leave it alone for 5 s. Nothing was ordered: order again"
            " later, or bound the client with max_rate."
        ),
    ),
    (
        PermissionDeniedError(403, "an HTML page titled 'Just a moment...'", b"<html>"),
        (
            "The gateway answered 403: an HTML page titled 'Just a moment...'. It most likely comes from the CDN in"
            " front. Order again later."
        ),
    ),
    (
        InternalServerError(503, "service unavailable", b"{}", 5.0),
        "The gateway answered 503: service unavailable. Leave it alone for 5 s. Wait before you order again.",
    ),
    (
        WaitTimeout("r", 10.0),
        ("Request 'r' was not done after 10.0 s; no answer came. It goes on without us: wait for it again, or longer."),
    ),
    (
        WaitTimeout("r", 2.0, asked=False, pause=Pause(3600.0, 1_718_447_400.0, 86_400.0)),
        (
            "Request 'r' was not done after 2.0 s; it was not asked about. It was not waited for any longer, as the"
            " gateway asked at 2024-06-15T10:30:00Z to be left alone for 86400 s, of which longcat keeps to 3600 s. It"
            " goes on without us: wait for it again, or longer."
        ),
    ),
    (
        WaitTimeout("r", 2.0, pause=Pause(8.0, 1e300)),
        (
            "Request 'r' was not done after 2.0 s; no answer came. It was not waited for any longer, as the gateway"
            " answered 429, and is left alone for 8.0 s. It goes on without us: wait for it again, or longer."
        ),
    ),
    (
        WaitTimeout("r", 2.0, pause=Pause(8.0, 1e300, 0.0)),
        (
            "Request 'r' was not done after 2.0 s; no answer came. It was not waited for any longer, as the gateway"
            " answered 429, and is left alone for 8.0 s. It goes on without us: wait for it again, or longer."
        ),
    ),
    (
        WaitTimeout("r", 10.0, HALF),
        (
            "Request 'r' was not done after 10.0 s; the last answer was 'processing' at 50%. It goes on without us:"
            " wait for it again, or longer."
        ),
    ),
    (
        WaitTimeout("r", 10.0, Status("r", State.UNKNOWN, "dreaming"), APIConnectionError("refused", HOST)),
        (
            "Request 'r' was not done after 10.0 s; the last answer was 'dreaming'. It goes on without us: wait for it"
            " again, or longer. The last error was: No answer from gateway.test: refused. Check the network and the"
            " base URL, then try again."
        ),
    ),
    (
        DownloadError("https://a.test/cat.png", "the storage answered 503", "Try again later.", 503, retryable=True),
        "https://a.test/cat.png was not downloaded: the storage answered 503. Try again later.",
    ),
    (
        DownloadError("https://a.test/cat.png", "it is not an image but an HTML page", "Look at the URL in a browser."),
        (
            "https://a.test/cat.png was not downloaded: it is not an image but an HTML page. Look at the URL in a"
            " browser."
        ),
    ),
]
EACH = [pytest.param(error, text, id=f"{index}-{type(error).__name__}") for index, (error, text) in enumerate(EXAMPLES)]


def test_there_is_an_example_of_every_class() -> None:
    """No class of the tree is left out of the tests below."""
    assert {type(error).__name__ for error, _ in EXAMPLES} == set(BUILT)


@pytest.mark.parametrize(("error", "text"), EACH)
def test_each_message_says_what_happened_and_what_to_do(error: LongCatError, text: str) -> None:
    """The message is one paragraph that ends with the next step, without gaps where a value was missing."""
    assert str(error) == text
    assert re.fullmatch(r"[A-Zh][^\n]*[^.]\.", text)
    assert "None" not in text


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "error",
    [
        APIConnectionError(LONG, HOST),
        APIStatusError(418, "no", b"", None, LONG),
        APIResponseValidationError((Violation("", "JSON", "an HTML page"),), b"", LONG),
        GenerationFailed(Status(LONG, State.FAILED, "failed")),
        WaitTimeout(LONG, 1.0),
        WaitTimeout("r", 1.0, Status("r", State.UNKNOWN, LONG)),
        DownloadError(f"https://a.test/{LONG}", "no", "Try again later."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_message_is_longer_than_a_paragraph(error: LongCatError) -> None:
    """Values without end are cut short."""
    assert len(str(error)) < 600


@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301
@pytest.mark.parametrize(("error", "text"), EACH)
def test_errors_survive_pickling_and_copying(
    error: LongCatError, text: str, duplicate: Callable[[LongCatError], LongCatError]
) -> None:
    """An error that crosses to another process, or is copied, keeps its class, its values and its message."""
    double = duplicate(error)
    assert (anatomy(double), str(double), repr(double)) == (anatomy(error), text, repr(error))


@pytest.mark.parametrize(
    "reply",
    [
        says({"error": "no"}, 429, {"Retry-After": "5"}),
        says(b"<html>", 522),
        says(processing(7)),
        says({"status": "failed", "error": "no"}),
        fails(httpx.ConnectError("refused")),
    ],
)
def test_errors_that_were_raised_survive_pickling(reply: Any) -> None:
    """What a wait really raises, with its models and its causes, can be sent to another process."""
    with pytest.raises(LongCatError) as caught:
        SYNC.wait(Script(reply), 0.25)
    double = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (anatomy(double), str(double)) == (anatomy(caught.value), str(caught.value))


def test_a_timeout_with_its_last_status_survives_pickling() -> None:
    """The status on a `WaitTimeout`, with the generated model on it, can be sent to another process."""
    with pytest.raises(WaitTimeout) as caught:
        SYNC.wait(Script(says(processing(0.5, more=[1]))), 1.0)
    double = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert isinstance(double, WaitTimeout)
    assert double.last_status == HALF
    assert double.last_status.raw.to_dict() == processing(0.5, more=[1])


def test_reprs_are_short_and_have_no_bodies() -> None:
    """The repr of an error names its values but for the body, which may be long."""
    error = BadRequestError(400, "no", b"a body", None, "r")
    assert repr(error) == "BadRequestError(status_code=400, message='no', retry_after=None, request_id='r')"
    validation = APIResponseValidationError((), b"a body", "r")
    assert repr(validation) == "APIResponseValidationError(findings=(), request_id='r', is_json=True)"


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConfigurationError("no"), False),
        (APIConnectionError("no", HOST), True),
        (APITimeoutError("no", HOST), True),
        (PermissionDeniedError(403, "no", b'{"error": "no"}'), False),
        (PermissionDeniedError(403, "no", b"<html>"), True),
        (PermissionDeniedError(403, "no", b"[" * 100_000), True),
        (APIResponseValidationError((), b"{}", "r"), False),
        (APIResponseValidationError((), b"<html>", "r", is_json=False), True),
        (GenerationFailed(HALF), False),
        (WaitTimeout("r", 1.0), False),
        (DownloadError("u", "no", "Stop."), False),
        (DownloadError("u", "no", "Go on.", retryable=True), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_knows_whether_asking_again_may_help(error: LongCatError, transient: bool) -> None:
    """`transient` is what `wait` goes by."""
    assert error.transient is transient


def test_the_cause_is_kept(driver: Driver) -> None:
    """An error that stands for one of the HTTP library's has it as its cause."""
    with pytest.raises(APIConnectionError) as caught:
        driver.status(Script(fails(httpx.ConnectError("refused"))))
    assert isinstance(caught.value.__cause__, driver.http.ConnectError)


def test_no_error_shows_a_traceback_of_the_parser(driver: Driver) -> None:
    """A body that can't be read is told in our words; the parser's own error is not shown before ours."""
    with pytest.raises(APIResponseValidationError) as caught:
        driver.status(Script(says(b"<html>")))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ is True


LARGE = b'{"error": "no", "filler": "' + b"x" * 1_000_000 + b'"}'


def with_frames(error: LongCatError) -> LongCatError:
    """Return the error as it comes out of a call: with a traceback, and with what led to it."""
    try:
        try:
            int(LARGE)
        except ValueError as below:
            raise error from below
    except LongCatError as caught:
        error = caught
    return error


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError(400, "no", LARGE, None, "r"),
        PermissionDeniedError(403, "no", LARGE, None, "r"),
        PermissionDeniedError(403, "no", LARGE[1:], None, "r"),
        InternalServerError(503, "no", LARGE, 7.0),
        APIResponseValidationError((Violation("/a", "b", "c"),) * 100_000, LARGE, "r"),
        APIConnectionError("reset", "gateway.test"),
        GenerationFailed(Status("r", State.FAILED, "FAILED", error="x" * 1_000_000, raw={"a": [LARGE.decode()]})),
        SubmitUnknown(OrderRequest("a cat"), "reset"),
        WaitTimeout("r", 9.0, Status("r", State.QUEUED, "q", raw=["x"] * 100_000), NotFoundError(404, "no", LARGE)),
        DownloadError("https://x.example/a.png", "reset", "Try again."),
        ConfigurationError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_batch_is_small_and_says_the_same(error: LongCatError) -> None:
    """It keeps no frame, no error of a library below and no more than a part of a body; nor does its pickle."""
    error = with_frames(error)
    inner = error.last_error if isinstance(error, WaitTimeout) else None
    if inner is not None:
        with_frames(inner)
    before = str(error)[:500], error.transient
    outcome = Outcome("r", error=error)
    assert (str(error)[:500], error.transient) == before
    for one in (error, inner):
        if one is not None:
            assert (one.__traceback__, one.__context__, one.__cause__) == (None, None, None)
    assert len(pickle.dumps(outcome.error)) < 40_000
    assert outcome.error is error
