"""What comes of an answer that holds the key: it is shown nowhere, whole or cut, in whatever form it was written."""

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import PICTURE, URL, completed, processing
from secret_forms import FORMS, HEX_KEY, ODD_KEY

from longcat import (
    APIResponseValidationError,
    ConfigurationError,
    DownloadError,
    LongCat,
    LongCatError,
    OrderRequest,
    SubmitUnknown,
)
from longcat.gateway.messages import MAX_ANSWER, Answer
from longcat.gateway.queue import QueueGateway
from longcat.gateway.result import ResultGateway
from longcat.testing import FakeGateway

KEYS = {"hexadecimal": HEX_KEY, "odd": ODD_KEY}
PLACES: dict[str, Callable[[str], Answer]] = {
    "an error": lambda text: says({"error": text}, 401),
    "an error within": lambda text: says({"error": {"message": text}}, 403),
    "a message in \\u": lambda text: Answer(400, {}, b'{"error": "%b"}' % escaped(text)),
    "a title": lambda text: Answer(502, {}, f"<html><title>{text}</title>".encode()),
    "a text": lambda text: Answer(503, {}, text.encode()),
    "a redirect": lambda text: Answer(302, {"location": f"https://elsewhere.test/{text}?k={text}"}, b""),
    "a coding": lambda text: Answer(500, {}, b"x", coding=text),
    "a body in UTF-16": lambda text: Answer(500, {}, json.dumps({"error": text}, ensure_ascii=False).encode("utf-16")),
    "a status word": lambda text: says({"status": f"no {text}"}),
    "a reason": lambda text: says({"status": "failed", "error": text}),
    "another id": lambda text: says(processing(request_id=text)),
    "a number": lambda text: says(processing(progress=[text, {text: text}])),
    "a name": lambda text: says(processing(**{text: 1})),
    "an address": lambda text: says(completed(result_url=f"https://cdn.test/a.png?k={text}")),
    "a user": lambda text: says(completed(result_url=f"https://{text}@cdn.test/a.png")),
    "an unknown field, indented": lambda text: Answer(200, {}, json.dumps(processing(note=[text]), indent=2).encode()),
    "an unknown field in UTF-16": lambda text: Answer(200, {}, json.dumps(processing(note=text)).encode("utf-16")),
    "a date": lambda text: says(completed(created_at=text)),
    "a page": lambda text: Answer(200, {}, f"<!doctype html><title>{text}</title>".encode()),
    "no JSON": lambda text: Answer(200, {}, text.encode()),
}


def says(body: Any, code: int = 200) -> Answer:
    """Return an answer of JSON."""
    return Answer(code, {}, json.dumps(body).encode())


def escaped(text: str) -> bytes:
    """Return a text as JSON with every character escaped."""
    return "".join(f"\\u{ord(one):04X}" for one in text).encode()


def shown(result: Any) -> Iterator[str]:
    """Yield all that a result, or an error with what led to it, may show."""
    if isinstance(result, BaseException):
        yield "".join(traceback.format_exception_only(result))
        yield repr(vars(result))
    yield str(result)
    yield repr(getattr(result, "raw", None))


def asked(key: str, answer: Answer) -> Any:
    """Return what the client makes of an answer."""
    try:
        return ResultGateway(URL, key).read("r", answer)
    except LongCatError as error:
        return error


def halves(key: str) -> set[str]:
    """Return the pieces of a key of which none may be left."""
    return {key[:6], key[6:12], key[-6:], base64.b64encode(key.encode()).decode()[2:10]}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("place", PLACES)
def test_the_key_is_shown_nowhere(key: str, place: str) -> None:
    """In every form, at every place of an answer, at every distance from where a text is cut."""
    for form, write in FORMS.items():
        for distance in (0, 62, 74, 190):
            result = asked(key, PLACES[place]("~" * distance + write(key)))
            left = [one for one in shown(result) for half in halves(key) if half in one]
            assert left == [], (form, distance)


@pytest.mark.parametrize("place", ["an error", "a title", "a text", "a redirect"])
def test_no_part_of_the_key_is_left_where_a_message_is_cut(place: str) -> None:
    """With the key at each distance from each place where a message is cut, less than four characters are shown."""
    for distance in (*range(44, 82, 2), *range(164, 202, 3), *range(4080, 4098, 3)):
        message = str(asked(HEX_KEY, PLACES[place]("~" * distance + HEX_KEY)))
        assert HEX_KEY[:4] not in message, distance


@pytest.mark.parametrize("size", [1, 20, 37, 190])
def test_no_part_of_the_key_is_left_where_an_answer_is_cut(size: int) -> None:
    """An answer that is longer than what is read of it may end in the midst of the key, in whatever form."""
    for form in ("plain", "JSON with \\u", "HTML, decimal", "percent"):
        body = b'"' + b"x" * (MAX_ANSWER - size - 1) + FORMS[form](HEX_KEY).encode()
        error = asked(HEX_KEY, Answer(500, {}, body[:MAX_ANSWER], whole=False))
        assert error.body.rstrip(b"x") == b'"' or error.body.endswith(b"[key]"), form


ADDRESSES = (
    "https://{}@cdn.test/a.png",
    "https://{}/a.png",
    "https://cdn.test/{}.png",
    "https://cdn.test/a.png?k={}#x",
)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_with_the_key_is_refused(key: str, address: str) -> None:
    """A picture is not asked for where the key would go with the question, and the error says why."""
    for form, write in FORMS.items():
        url = address.format(f"{'x' * 60}{write(key)}")
        queued = {"status": "COMPLETED", "request_id": "r", "output": {"media_url": [PICTURE, url]}}
        for gateway, body, where in (
            (ResultGateway(URL, key), completed(result_url=url), "/result_url"),
            (QueueGateway(URL, key), queued, "/output/media_url/1"),
        ):
            with pytest.raises(APIResponseValidationError) as caught:
                gateway.read("r", says(body))
            assert f"{where} should be a uri without the key, but is" in str(caught.value), form
            assert caught.value.transient is False


def test_an_order_that_yields_an_address_with_the_key() -> None:
    """The request that the order became is asked about again; one without an id is in doubt."""
    queue, order = QueueGateway(URL, HEX_KEY), OrderRequest("a cat", {})
    body = {"output": {"media_url": [f"https://cdn.test/{HEX_KEY}.png"]}}
    assert queue.read_order(order, says({**body, "request_id": "r"}, 202)).status.image is None
    for answer in (body, {**body, "request_id": f"r-{HEX_KEY}"}):
        with pytest.raises(SubmitUnknown) as caught:
            queue.read_order(order, says(answer, 202))
        assert [one for one in shown(caught.value) if HEX_KEY[:6] in one] == []


def test_what_a_caller_passes_must_not_hold_the_key() -> None:
    """A request id or an order with the key in it is refused before it is sent, logged or written anywhere."""
    gateway = FakeGateway()
    with gateway.client(HEX_KEY) as cat:
        uses: list[Callable[[], Any]] = [
            lambda: cat.status(f"r-{HEX_KEY}"),
            lambda: cat.wait(HEX_KEY),
            lambda: cat.submit(f"a cat with {HEX_KEY}"),
            lambda: cat.submit("a cat", webhook_url=f"https://a/?k={HEX_KEY}"),
            lambda: cat.generate("a cat", id=HEX_KEY),
        ]
        for use in uses:
            with pytest.raises(ConfigurationError, match="holds the key, which belongs into a header") as caught:
                use()
            assert [one for one in shown(caught.value) if HEX_KEY in one] == []
        (error,) = cat.wait_all([HEX_KEY])
    assert (type(error), gateway.questions, gateway.orders) == (ConfigurationError, [], [])


def test_a_short_key_is_any_word() -> None:
    """With a key of a few letters, as for an emulator, ids and addresses that have them are good."""
    status = ResultGateway(URL, "r").read("r", says(completed()))
    assert (status.request_id, status.image and status.image.url) == ("r", PICTURE)


def test_a_failed_download_shows_no_signature() -> None:
    """Who reads the message or the repr can't fetch the picture; the error's own field still has the address."""
    error = DownloadError("https://me:pass@cdn.test/a.png?sig=open#token=sesame", "no", "Try again.", 404)
    assert str(error) == "https://cdn.test/a.png?... was not downloaded: no. Try again."
    assert [word for word in ("me:", "pass", "open", "sesame") if word in repr(error)] == []
    assert error.url.endswith("sesame")


def test_a_key_in_the_log_of_a_wait(caplog: pytest.LogCaptureFixture) -> None:
    """What a wait logs about an answer has no key and no control characters in it."""
    caplog.set_level(logging.DEBUG, logger="longcat")
    gateway = FakeGateway().request("r", 5, faults=[500])
    with gateway.client(HEX_KEY) as cat:
        cat.wait("r")
        logging.getLogger("longcat").warning("we sent %s", HEX_KEY)
    assert (HEX_KEY in caplog.text, "we sent [key]" in caplog.text, isinstance(cat, LongCat)) == (False, True, True)
