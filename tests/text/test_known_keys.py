"""That no logger and no error of a library below shows a key of ours, and the logging of others is left alone."""

import logging
import socket
import threading
import traceback

import h11
import httpx
import pytest
from secret_forms import ESCAPED, FORMS, HEX_KEY, ODD_KEY

from longcat import APIConnectionError, APIStatusError, LongCat
from longcat.cli.results import print_error, report
from longcat.text.known_keys import KNOWN_KEYS, LOGGERS, MAX_KEYS, KeyFilter, in_call, without_keys

SIGNED = "https://me:opensesame@cdn.test/a.png?Signature=opensesame#opensesame"


@pytest.fixture(autouse=True)
def known_key(caplog: pytest.LogCaptureFixture) -> None:
    """Let the key be known, and everything be logged, whatever levels other tests have set."""
    for name in ("", *LOGGERS):
        caplog.set_level(logging.DEBUG, logger=name or None)
    KNOWN_KEYS.add(HEX_KEY)


@pytest.mark.parametrize("name", LOGGERS)
def test_no_logger_shows_a_known_key(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the form, in the message, its arguments or a traceback, the key is in no record of the libraries."""
    logger = logging.getLogger(name)
    for write in FORMS.values():
        logger.debug("adding %r to %s", (b"ocp-apim-subscription-key", write(HEX_KEY).encode()), "the table")
        logger.warning("100 %% of %s", write(HEX_KEY))
    logger.error("it failed", exc_info=h11.RemoteProtocolError(f"illegal header line: {HEX_KEY!r}"))
    records = [f"{one.getMessage()} {one.args!r} {one.exc_info} {one.exc_text}" for one in caplog.records]
    assert [one for one in records if HEX_KEY in one or HEX_KEY[:6] in one] == []
    assert len(records) == 2 * len(FORMS) + 1
    assert "RemoteProtocolError: illegal header line: '[key]'" in caplog.text


def test_the_logging_of_others_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """What others log is logged as it is, with its arguments: addresses, packed headers and records that are broken."""
    httpx_log, packed = logging.getLogger("httpx"), logging.getLogger("hpack.hpack")
    httpx_log.info("HTTP Request: GET %s", SIGNED)
    packed.debug("Encoded header block to %s", b"\x82\x86")
    assert [(record.msg, record.args) for record in caplog.records] == [
        ("HTTP Request: GET %s", (SIGNED,)),
        ("Encoded header block to %s", (b"\x82\x86",)),
    ]
    record = httpx_log.makeRecord("httpx", logging.INFO, "", 0, "%d", ("no number",), None)
    assert KNOWN_KEYS.filter(record) is True


def test_a_call_of_ours_is_logged_without_what_lets_anybody_in(caplog: pytest.LogCaptureFixture) -> None:
    """During a call, addresses lose users and queries, and headers that are packed for the wire are not logged."""
    with in_call():
        logging.getLogger("httpx").info("HTTP Request: GET %s", SIGNED)
        logging.getLogger("httpcore.http11").debug(
            "headers %r", [(b"Location", b"/a.png?sig=opensesame"), (b"A", b"b?")]
        )
        logging.getLogger("hpack.hpack").debug("Encoded header block to %s", b"\x82\x86")
        thread = threading.Thread(target=logging.getLogger("hpack.hpack").debug, args=("of another thread",))
        thread.start()
        thread.join()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "HTTP Request: GET https://cdn.test/a.png?...",
        "headers [(b'Location', b'/a.png?...'), (b'A', b'b?')]",
        "of another thread",
    ]


def test_a_key_is_hidden_before_a_query_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A key with a quote or a question mark in it, at which the address seems to end, leaves nothing in the log."""
    KNOWN_KEYS.add(ODD_KEY)
    with in_call():
        for write in ESCAPED.values():
            headers = [(b"Location", f"https://a/?k={write(ODD_KEY)}".encode()), (b"A", f"/?{write(ODD_KEY)}".encode())]
            logging.getLogger("httpcore.http11").debug("headers %r", headers)
    messages = {record.getMessage() for record in caplog.records}
    assert [one for one in messages if ODD_KEY[-6:] in one or ODD_KEY[:6] in one] == []


def test_few_keys_are_known() -> None:
    """Of many keys the last ones are known, so that logging stays fast; a short one is never known."""
    known = KeyFilter()
    keys = [f"{index:032x}" for index in range(MAX_KEYS + 1)]
    for key in [*keys, keys[1], "short"]:
        known.add(key)
    assert [key for key in [*keys, "short"] if known.hide(key) == key] == [keys[0], "short"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n%b\x00: 1\r\n\r\n",
        b"%b HTTP\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://a:%b/\r\n\r\n",
    ],
)
def test_no_error_of_a_library_shows_the_key(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that is no HTTP, or leads nowhere, is told without the key that it holds, with all that led to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_once, args=(server, answer % HEX_KEY.encode()))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with LongCat(HEX_KEY, url) as cat, pytest.raises((APIConnectionError, APIStatusError)) as caught:
            cat.status("r")
        thread.join()
    led_to_it, context = "", caught.value.__context__
    while context is not None:
        led_to_it, context = f"{led_to_it}{context!r}", context.__context__
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text + led_to_it
    assert (HEX_KEY[:6] in shown, "[key]" in str(caught.value)) == (False, True)


def answer_once(server: socket.socket, answer: bytes) -> None:
    """Take one connection, read what comes, and answer."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # What is left unread would end the connection with a reset.
            pass


def test_an_error_without_the_key_is_passed_on_itself() -> None:
    """Only what shows a key is replaced, by the like of it; what needs more than a message, by another one."""
    good = httpx.ReadError("reset")
    bad = httpx.ReadError(f"no {HEX_KEY}")
    behind = httpx.ReadError("reset")
    behind.__cause__ = ValueError(HEX_KEY)
    odd = UnicodeDecodeError("utf-8", HEX_KEY.encode(), 0, 1, HEX_KEY)
    cleaned = [without_keys(error) for error in (bad, behind, odd)]
    assert without_keys(good) is good
    assert [(type(error), error.__cause__) for error in cleaned] == [
        (httpx.ReadError, None),
        (httpx.ReadError, None),
        (ValueError, None),
    ]
    assert [str(error) for error in cleaned if HEX_KEY[:6] in str(error)] == []


def test_what_the_command_line_prints_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """Tracebacks and lines on stderr have no key, and nothing that a terminal would obey."""
    report(httpx.RemoteProtocolError(f"a\x1b[2J\u202e{HEX_KEY}\x9b"), debug=True)
    print_error(f"\x1b]0;{HEX_KEY}\x07")
    printed = capsys.readouterr().err
    assert "httpx.RemoteProtocolError: a\\x1b[2J\\u202e[key]\\x9b\n" in printed
    assert (HEX_KEY in printed, printed.replace("\n", "").isprintable()) == (False, True)
