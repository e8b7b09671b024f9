"""Where the key and the base URL come from, and what makes them, or a request id, unusable."""

import re
from pathlib import Path, PurePath
from typing import Any

import anyio
import httpx
import pytest
from fakes import Cat, Driver, Script, completed, finish, says

from longcat import AsyncLongCat, ConfigurationError, LongCat, LongCatError
from longcat.gateway.contract import contract
from longcat.settings import usable_request_id

QUEUE, RESULT = contract("get_request_status"), contract("get_request_result")

PLACES = "not in the argument api_key, not in PIXAZO_API_KEY, and"
NO_FILE = f"No key was found: {PLACES} there is no ~/.pixazo/api-key. Set PIXAZO_API_KEY to the subscription key."


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home folder with nothing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def key_file(home: Path, content: bytes) -> Path:
    """Write the vendor's key file."""
    folder = home / ".pixazo"
    folder.mkdir()
    (folder / "api-key").write_bytes(content)
    return folder / "api-key"


def sent(api_key: Any = None, base_url: Any = None) -> httpx.Request:
    """Ask once with these arguments, and return the question."""
    script = Script(says(completed()))
    with httpx.Client(transport=script) as http:
        LongCat(api_key, base_url, http_client=http).status("r")
    return script.requests[0]


def key_of(request: httpx.Request) -> str:
    """Return the key that goes with a question."""
    return request.headers["Ocp-Apim-Subscription-Key"]


def refusal(api_key: Any = None, base_url: Any = None) -> str:
    """Return the message of the `ConfigurationError` for these arguments; it must be a readable paragraph."""
    with pytest.raises(ConfigurationError) as caught:
        sent(api_key, base_url)
    message = str(caught.value)
    assert message.isprintable()
    assert re.fullmatch(r"[A-Z].{20,600}[^.]\.", message)
    return message


# --- The key. ---

ENCODINGS = ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
"""Those of which a byte order mark tells."""


def test_the_argument_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is passed wins over the variable and the file."""
    monkeypatch.setenv("PIXAZO_API_KEY", "from-variable")
    key_file(home, b"from-file\n")
    assert key_of(sent("from-argument")) == "from-argument"


def test_the_variable_comes_second(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, the variable wins over the file."""
    monkeypatch.setenv("PIXAZO_API_KEY", "from-variable")
    key_file(home, b"from-file\n")
    assert key_of(sent()) == "from-variable"


@pytest.mark.parametrize(
    "content",
    [
        *(b"from-file", b"from-file\n", b"from-file\r\n", b"\n from-file \n\n"),
        *("\ufefffrom-file\r\n".encode(encoding) for encoding in ENCODINGS),
    ],
)
def test_the_file_comes_last(home: Path, content: bytes) -> None:
    """Without argument and variable, the one line of the vendor's file is the key, white space around it ignored."""
    key_file(home, content)
    assert key_of(sent()) == "from-file"


def test_an_empty_variable_counts_as_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing does not hide the file."""
    monkeypatch.setenv("PIXAZO_API_KEY", "")
    key_file(home, b"from-file")
    assert key_of(sent()) == "from-file"


def test_no_key_says_where_it_was_looked_for() -> None:
    """The error names all three places and the next step."""
    assert refusal() == NO_FILE


def test_a_file_in_the_place_of_the_folder_is_no_key(home: Path) -> None:
    """A `.pixazo` that is a file is told as a file that can't be read."""
    (home / ".pixazo").write_bytes(b"hidden-key")
    assert refusal() == (
        f"No key was found: {PLACES} ~/.pixazo/api-key can't be read (NotADirectoryError). Set PIXAZO_API_KEY to the"
        " subscription key."
    )


def test_a_folder_in_the_place_of_the_file_is_no_key(home: Path) -> None:
    """An `api-key` that is a folder is told as a file that can't be read."""
    (home / ".pixazo" / "api-key").mkdir(parents=True)
    assert refusal() == (
        f"No key was found: {PLACES} ~/.pixazo/api-key can't be read (IsADirectoryError). Set PIXAZO_API_KEY to the"
        " subscription key."
    )


def test_a_file_that_may_not_be_read_is_no_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key file without the right to read it is told so, and not passed over."""
    key_file(home, b"hidden-key")

    def read_bytes(*_: object) -> bytes:  # A real one would be readable to root.
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert refusal() == (
        f"No key was found: {PLACES} ~/.pixazo/api-key can't be read (PermissionError). Set PIXAZO_API_KEY to the"
        " subscription key."
    )


def test_a_file_that_is_not_text_is_no_key(home: Path) -> None:
    """A key file that is not UTF-8 holds no key that could be sent, and its bytes are not shown."""
    key_file(home, b"hidden-key\xff")
    assert refusal() == (
        "The key from ~/.pixazo/api-key can't be sent: it must be one line of printable ASCII without spaces. "
        "Copy it again; a line break at its end is the usual cause."
    )


def test_no_home_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a home folder is told where a key can be put."""

    def expanduser(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", expanduser)
    assert "PIXAZO_API_KEY" in refusal()


UNSENDABLE = {
    "empty": "",
    "a space": " ",
    "a space within": "hidden key",
    "a line break at its end": "hidden-key\n",
    "a carriage return": "hidden-key\r",
    "another header": "hidden-key\r\nX-Other: hidden",
    "a tab": "hidden\tkey",
    "a null": "hidden\0key",
    "an escape": "hidden\x1b[2Jkey",
    "non-ASCII": "hidden-käy",
    "a quote from a word processor": "\u201chidden-key\u201d",
    "a byte order mark": "\ufeffhidden-key",
    "a digit of another script": "hidden-\u0665",
    "a lone surrogate": "hidden-\ud800",
    "a delete": "hidden-key\x7f",
}


@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in UNSENDABLE.items()])
def test_a_key_that_could_not_stand_in_a_header_is_refused_unseen(key: str) -> None:
    """The error says what a key may hold and which one it was, but not the key."""
    message = refusal(key)
    assert message == (
        "The key from the argument api_key can't be sent: it must be one line of printable ASCII without spaces. Copy"
        " it again; a line break at its end is the usual cause."
    )
    assert "hidden" not in message


@pytest.mark.parametrize("key", [b"hidden-key", 42, True, ["hidden-key"], PurePath("hidden-key"), object()])
def test_a_key_that_is_no_text_is_refused_unseen(key: Any) -> None:
    """A key of another type is a `ConfigurationError`, and is not shown."""
    assert "hidden" not in refusal(key)


def test_an_empty_argument_does_not_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who passes an empty key means it, by mistake: no other key is sent in its stead."""
    monkeypatch.setenv("PIXAZO_API_KEY", "from-variable")
    assert "the argument api_key" in refusal("")


@pytest.mark.parametrize("key", ["hidden-key\n", "hidden key", "hidden-käy", " "])
def test_the_variable_is_named_when_it_is_unusable(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """An unusable key from the variable is the variable's fault, and the file is not tried."""
    monkeypatch.setenv("PIXAZO_API_KEY", key)
    message = refusal()
    assert message.startswith("The key from PIXAZO_API_KEY can't be sent")
    assert "hidden" not in message


@pytest.mark.parametrize("content", [b"", b"\n", b"hidden\nkey\n", b"hidden key", "hidden-käy".encode()])
def test_the_file_is_named_when_it_is_unusable(home: Path, content: bytes) -> None:
    """A file that is empty, or has more than one line, is the file's fault."""
    key_file(home, content)
    message = refusal()
    assert message.startswith("The key from ~/.pixazo/api-key can't be sent")
    assert "hidden" not in message


@pytest.mark.parametrize("key", ["k", "!#$%&'*+-.^_`|~", 'te"st', "te\\st", "k" * 4096])
def test_any_printable_ascii_is_sent_as_it_is(key: str) -> None:
    """A key is not judged by its look, length or signs."""
    assert key_of(sent(key)) == key


def test_a_client_does_not_show_its_key(driver: Driver) -> None:
    """The repr of a client names the gateway only."""
    with LongCat("hidden-key", "https://gateway.test") as cat:
        assert repr(cat) == "LongCat(base_url='https://gateway.test')"
        assert "hidden" not in repr(cat._gateways)
        assert "hidden" not in repr(cat._gateways.queue.ask("r", 1.0))

    async def scenario(cat: Cat) -> str:
        return repr(cat)

    assert "test-key" not in driver.run(scenario, Script())


# --- The base URL. ---


def test_the_contracts_server_is_the_default() -> None:
    """Without argument and variable, the contract's server is asked."""
    assert str(sent("test-key").url) == f"{contract('get_request_result').server}/longcat-image-request-result"


def test_the_base_urls_argument_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base URL that is passed wins over the variable."""
    monkeypatch.setenv("LONGCAT_BASE_URL", "https://variable.test")
    assert sent("test-key", "https://argument.test").url.host == "argument.test"


@pytest.mark.parametrize(
    ("value", "server"),
    [("https://variable.test", "https://variable.test"), ("", RESULT.server)],
)
def test_the_base_urls_variable_comes_second(monkeypatch: pytest.MonkeyPatch, value: str, server: str) -> None:
    """Without an argument, the variable is asked; an empty one counts as none."""
    monkeypatch.setenv("LONGCAT_BASE_URL", value)
    assert str(sent("test-key").url) == f"{server}/longcat-image-request-result"


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("https://gateway.test", "https://gateway.test"),
        ("https://gateway.test/", "https://gateway.test"),
        ("http://gateway.test:8000", "http://gateway.test:8000"),
        ("http://gateway.test:8000/", "http://gateway.test:8000"),
        ("https://gateway.test:443", "https://gateway.test"),
        ("HTTPS://GATEWAY.test", "https://gateway.test"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[::1]", "http://[::1]"),
        ("http://localhost", "http://localhost"),
        ("http://my_gateway:8000", "http://my_gateway:8000"),
        ("https://a-gateway.test.", "https://a-gateway.test."),
        ("https://gätewäy.test", "https://xn--gtewy-grad.test"),
        ("http://gateway.test:65535", "http://gateway.test:65535"),
    ],
)
def test_a_scheme_and_a_host_are_a_base_url(base_url: str, asked: str) -> None:
    """With or without a port and a slash at its end, it is what the path is put behind."""
    request = sent("test-key", base_url)
    assert (str(request.url), request.url.fragment) == (f"{asked}/longcat-image-request-result", "")


UNUSABLE = [
    "",
    " ",
    "gateway.test",
    "gateway.test:8000",
    "localhost:8000",
    "//gateway.test",
    "/gateway",
    "https:gateway.test",
    "https:/gateway.test",
    "https://",
    "https:///v1",
    "https://:8000",
    "ftp://gateway.test",
    "file:///gateway",
    "https://gateway.test/v1",
    "https://gateway.test//",
    "https://gateway.test/longcat-image-request-result",
    "https://gateway.test?a=b",
    "https://gateway.test/?",
    "https://gateway.test#a",
    "https://gateway.test/#",
    "https://gateway.test#",
    "https://gateway.test:port",
    "https://gateway.test:0",
    "https://gateway.test:65536",
    "https://gateway.test:-1",
    "https://[::1",
    "https://[gateway.test]",
    "https://gate way.test",
    "https://gateway.test\\v1",
    "https://gateway.test\n",
    " https://gateway.test",
    "https://gateway.test ",
    "https://gateway\ud800.test",
    "https://gateway\u200b.test",
    "https://..",
    "https://gateway..test",
    "https://.test",
    f"https://{'a' * 64}.test",
    "\ud800",
]


@pytest.mark.parametrize("base_url", UNUSABLE, ids=ascii)
def test_any_other_base_url_is_refused(base_url: str) -> None:
    """What is not just a scheme and a host is shown, with what it should be and where it may come from."""
    message = refusal("test-key", base_url)
    assert re.fullmatch(
        rf"The base URL (.*) can't be used: it must be http:// or https:// and a host, without a path, such as "
        rf"{re.escape(QUEUE.server)}\. Check the argument base_url and LONGCAT_BASE_URL\.",
        message,
    )


@pytest.mark.parametrize(
    "base_url", [42, True, b"https://gateway.test", ["https://gateway.test"], PurePath("a"), object()]
)
def test_a_base_url_that_is_no_text_is_refused(base_url: Any) -> None:
    """A base URL of another type is a `ConfigurationError`."""
    assert refusal("test-key", base_url).startswith("The base URL ")


def test_a_long_base_url_is_cut_short() -> None:
    """A base URL as long as a book is not repeated."""
    assert len(refusal("test-key", "https://" + "a" * 100_000 + "/v1")) < 400


@pytest.mark.parametrize(
    "base_url",
    [
        "https://hidden:hidden@gateway.test",
        "https://hidden@gateway.test",
        "https://:hidden@gateway.test/v1",
        "https://user:hidden@hidden@gateway.test",
        "https://user:hid/hidden@gateway.test",
        "https://user:#hidden@gateway.test",
        "https:/user:hidden@gateway.test",
        "user:hidden@gateway.test",
    ],
)
def test_a_base_url_with_a_secret_is_refused_without_showing_it(base_url: str) -> None:
    """A name or a password has no place in a base URL, and is not shown, however the URL is misspelt."""
    assert "hidden" not in refusal("test-key", base_url)


UNREACHABLE = ["https://..", f"http://{'a' * 64}.test", "http://127.0.0.1:65536"]


@pytest.mark.parametrize("base_url", UNREACHABLE, ids=lambda url: url[:20])
def test_no_base_url_breaks_the_socket(base_url: str, driver: Driver) -> None:
    """A host that can't be looked up, or a port that can't be, is an error of ours, sooner or later."""

    async def ask() -> None:
        if driver.name == "sync":
            with LongCat("test-key", base_url) as cat:
                cat.status("r")
        else:
            async with AsyncLongCat("test-key", base_url) as async_cat:
                await async_cat.status("r")

    with pytest.raises(LongCatError):
        finish(ask()) if driver.name == "sync" else anyio.run(ask, backend=driver.name)


# --- Request ids. ---


@pytest.mark.parametrize(
    "request_id",
    ["r", "XXXXXXXXXXXXX", "a/b", "a b", "é", "猫", "x" * 1024, "0", "null", '"', "01J0ABCD-1234_x.y:z"],
)
def test_any_line_of_text_can_be_a_request_id(request_id: str) -> None:
    """An id is the service's to judge."""
    script = Script(says(completed(request_id=request_id)))

    async def scenario(cat: Cat) -> str:
        return (await cat.status(request_id)).request_id

    assert Driver("sync").run(scenario, script) == request_id


BAD_IDS: dict[str, tuple[Any, str]] = {
    "empty": ("", "empty"),
    "a space": (" ", "control characters"),
    "a line break": ("r\n", "control characters"),
    "a space before": (" r", "space at either end"),
    "a null": ("r\0", "control characters"),
    "a lone surrogate": ("r\ud800", "control characters"),
    "an invisible sign": ("r\u200b", "control characters"),
    "huge": ("x" * 1025, "1025 characters, more than 1024"),
    "a file": ("x" * 1_000_000, "1000000 characters, more than 1024"),
    "None": (None, "not NoneType"),
    "a number": (42, "not int"),
    "bytes": (b"r", "not bytes"),
    "a list": (["r"], "not list"),
}


@pytest.mark.parametrize(("request_id", "why"), BAD_IDS.values(), ids=BAD_IDS)
def test_what_can_not_be_a_request_id_is_refused(request_id: Any, why: str) -> None:
    """An id that no gateway could know is a `ConfigurationError` that says why."""
    with pytest.raises(ConfigurationError) as caught:
        usable_request_id(request_id)
    message = str(caught.value)
    assert why in message
    assert re.fullmatch(r"[A-Z].{20,400}[^.]\.", message)
    assert message.isprintable()


@pytest.mark.parametrize("method", ["status", "wait", "watch"])
def test_nothing_is_asked_about_what_can_not_be_a_request_id(driver: Driver, method: str) -> None:
    """Every method refuses such an id before it sends anything."""

    async def scenario(cat: Cat) -> object:
        if method == "watch":
            return cat.watch("")
        return await (cat.status("") if method == "status" else cat.wait(""))

    script = Script()
    with pytest.raises(ConfigurationError, match="empty"):
        driver.run(scenario, script)
    assert script.requests == []
