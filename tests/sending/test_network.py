"""What stands between a client and a gateway, on real sockets: certificates, cookies and proxies."""

import asyncio
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import certificates
import httpcore
import httpx
import pytest
from fakes import KEY, Driver
from libraries import WAYS
from servers import LIMIT, SHARED, Server, drive, http_client, read, refusing, response, tidy

from longcat import APIConnectionError, APIStatusError, ConfigurationError, DownloadError, LongCat, LongCatError
from longcat.contract import load_spec
from longcat.contract.model import Inconclusive
from longcat.contract.probe.probe import probe
from longcat.sending.http.asyncio_network import AsyncioNetwork, AsyncioStream
from longcat.sending.http.libraries import default_library
from longcat.sending.proxies import Proxies, excepts
from longcat.testing import VirtualClock
from longcat.url import Url

ID = "cat-1"
with_our_own_http_client = pytest.mark.parametrize("driver", [Driver(way) for way in WAYS], ids=str)
"""For what is up to the caller's HTTP client where there is one."""
DONE = response(
    b'{"status": "completed", "progress": 1, "request_id": "cat-1", "result_url": "https://a.test/b.png"}',
    "Content-Type: application/json",
)
CALLS: dict[str, Callable[[Any], Any]] = {
    "status": lambda cat: cat.status(ID),
    "wait": lambda cat: cat.wait(ID, timeout=LIMIT),
    "submit": lambda cat: cat.submit("a cat", timeout=LIMIT),
}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and nothing is left open."""
    with tidy(monkeypatch):
        yield


def failure(driver: Driver, url: str, ask: Callable[[Any], Any], **options: Any) -> LongCatError:
    """Return what a call of a client with an HTTP client of its own raises."""
    with pytest.raises(LongCatError) as caught:
        drive(driver, url, ask, http=None, **options)
    return caught.value


# --- Certificates. ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of certificates."""
    path = tmp_path_factory.mktemp("certificates")
    certificates.make(path)
    return path


@pytest.fixture
def trusting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust one authority, and no other."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority(folder)))


FAULTS = {
    "expired": ("certificate has expired", "Check this machine's clock"),
    "not valid yet": ("certificate is not yet valid", "Check this machine's clock"),
    "for another name": ("IP address mismatch", "Check the URL: the server there goes by another name."),
    "untrusted": ("unable to get local issuer", "name the issuer's certificate file in SSL_CERT_FILE."),
    "self-signed": ("self-signed certificate", "name the issuer's certificate file in SSL_CERT_FILE."),
}


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("call", list(CALLS))
@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_certificate_that_is_not_trusted_is_an_answer(driver: Driver, folder: Path, fault: str, call: str) -> None:
    """It is raised at once with what is wrong and what to do, and neither a question nor an order goes out."""
    words, advice = FAULTS[fault]
    clock = VirtualClock()
    with Server([read, DONE], tls=certificates.context(folder, fault)) as server:
        error = failure(driver, server.url, CALLS[call], clock=clock)
        assert (len(server.connections), server.requests, clock.sleeps) == (1, [], [])
    assert isinstance(error, APIConnectionError)
    assert (error.transient, error.sent) == (False, False)
    assert words in error.message
    assert advice in str(error)


def test_a_picture_behind_such_a_certificate_is_asked_for_once(driver: Driver, tmp_path: Path, folder: Path) -> None:
    """A download ends with the first try, and says what is wrong with the certificate."""
    with Server([read, DONE], tls=certificates.context(folder, "expired")) as server:
        error = failure(driver, server.url, lambda cat: cat.download(f"{server.url}/a.png", tmp_path / "a.png"))
        assert len(server.connections) == 1
    assert isinstance(error, DownloadError)
    assert not error.transient
    assert "is not trusted" in str(error)


@pytest.mark.usefixtures("trusting")
def test_a_probe_does_not_ask_on_behind_such_a_certificate(folder: Path) -> None:
    """One connection is made; every question says why it was not asked, and the first one what to do."""
    with Server([read, DONE], tls=certificates.context(folder, "for another name")) as server:
        outcomes = [one for one in probe(load_spec(), server.url, KEY, [ID]) if isinstance(one, Inconclusive)]
        assert len(server.connections) == 1
    told = [one.why for one in outcomes if "IP address mismatch" in one.why]
    assert len(told) > 3
    assert told[0].endswith("Check the URL: the server there goes by another name")
    assert told[1].startswith("left out, because the certificate of ")


@pytest.mark.usefixtures("trusting")
def test_the_environment_s_certificates_are_used(driver: Driver, folder: Path) -> None:
    """A client of our own trusts what SSL_CERT_FILE names."""
    with Server([read, DONE], tls=certificates.context(folder, "good")) as server:
        assert drive(driver, server.url, CALLS["status"], http=None).image is not None


class Hasty:
    """Speaks before TLS begins, as someone on the way may do who has no certificate, and then as the server does."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls

    def wrap_socket(self, plain: socket.socket, **options: Any) -> ssl.SSLSocket:
        """Say what a server would answer to a call that was not sent yet, and begin."""
        plain.sendall(DONE)
        return self._tls.wrap_socket(plain, **options)


@pytest.mark.usefixtures("trusting")
def test_what_comes_before_tls_is_not_believed(driver: Driver, folder: Path) -> None:
    """A good certificate does not vouch for it, so nothing is asked over such a connection."""
    with Server([read, DONE], tls=cast("Any", Hasty(certificates.context(folder, "good")))) as server:
        with pytest.raises(APIConnectionError) as caught:
            drive(driver, server.url, CALLS["status"], http=None)
        assert server.requests == []
    assert not caught.value.sent


@pytest.mark.parametrize(
    ("error", "why"), [(ConnectionResetError("reset by the proxy"), "reset by the proxy"), (None, "was closed")]
)
def test_what_is_sent_over_a_connection_that_is_over_fails_in_words(error: Exception | None, why: str) -> None:
    """It says what ended the connection, as far as that is known."""
    stream = AsyncioStream(default_library())
    stream.connection_lost(error)
    with pytest.raises(httpcore.WriteError, match=why):
        asyncio.run(stream.write(b"more"))


@pytest.mark.parametrize("is_reset", [False, True])
def test_what_was_received_is_read_before_the_connection_s_end(*, is_reset: bool) -> None:
    """After it, a connection that was closed has no more bytes, and one that was reset raises an error."""
    chunks: list[bytes] = []

    async def main() -> None:
        stream = await AsyncioNetwork(default_library()).connect_tcp("127.0.0.1", listening.getsockname()[1])
        server, _ = listening.accept()
        server.sendall(b"some")
        try:
            chunks.append(await stream.read(2))
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", is_reset, 0))
            server.close()
            while not chunks or chunks[-1]:
                chunks.append(await stream.read(9))
        finally:
            await stream.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listening, suppress(httpcore.ReadError):
        asyncio.run(main())
    assert chunks == [b"so", b"me", *([] if is_reset else [b""])]


@pytest.mark.usefixtures("trusting")
def test_what_has_arrived_before_tls_is_not_believed_either(folder: Path) -> None:
    """On asyncio it is left to TLS, however long that is in coming."""

    async def main() -> bytes:
        network, context = AsyncioNetwork(default_library()), httpx.create_ssl_context()
        stream = await network.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2]))
        select.select([stream.get_extra_info("socket")], [], [], LIMIT)  # Something has arrived,
        for _ in range(3):
            await asyncio.sleep(0)  # and the event loop looks.
        try:
            stream = await stream.start_tls(context, "127.0.0.1")
            return await stream.read(1)
        finally:
            await stream.aclose()

    with (
        Server([read, DONE], tls=cast("Any", Hasty(certificates.context(folder, "good")))) as server,
        pytest.raises((httpcore.ConnectError, ssl.SSLError)),
    ):
        asyncio.run(main())


# --- Cookies. ---


@pytest.mark.parametrize(
    "http", [None, SHARED, {**SHARED, "cookies": {"mine": "1"}}, {**SHARED, "headers": {"Cookie": "mine=1"}}]
)
def test_no_cookie_is_sent_or_kept(driver: Driver, http: dict[str, Any] | None, tmp_path: Path) -> None:
    """Neither the gateway's nor a picture host's cookies come back, nor do those of the caller's HTTP client."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(100)
    with Server(
        [read, DONE.replace(b"Content-Type", b"Set-Cookie: theirs=1; Path=/\r\nContent-Type")],
        [read, response(picture, "Set-Cookie: theirs=2; Path=/; Max-Age=9999")],
        [read, DONE],
        [read, response(picture)],
    ) as server:
        save = [lambda cat, name=name: cat.download(f"{server.url}/a.png", tmp_path / name) for name in ("a", "b")]
        drive(
            driver,
            server.url,
            CALLS["status"],
            save[0],
            CALLS["status"],
            save[1],
            http=http if http is None else {**SHARED, **http},
        )
    assert [request.values("cookie") for request in server.requests] == [[], [], [], []]


def test_a_caller_s_cookies_stay_as_they_are(sync_driver: Driver) -> None:
    """The caller's HTTP client, which may be used for other things, has the cookies that it had before our calls."""
    answer = DONE.replace(b"Content-Type", b"Set-Cookie: theirs=1; Path=/\r\nContent-Type")
    mine = {**SHARED, "cookies": {"mine": "1"}}
    with Server([read, answer]) as server, http_client(sync_driver, mine) as http:
        LongCat(KEY, server.url, http_client=http).status(ID)
        assert dict(http.cookies) == {"mine": "1"}


# --- Proxies. ---

PASSWORD = "s3cret"


def proxied(url: str) -> str:
    """Return a proxy's URL with a user and a password."""
    return url.replace("//", f"//user:{PASSWORD}@")


@pytest.mark.parametrize("call", ["status", "submit"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_login_that_a_proxy_wants_is_an_answer(
    driver: Driver, scheme: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 407 is raised at once; the error names the proxy without its password, and the variable that it is from."""
    with Server([read, response(b"<b>no</b>", status="407 Proxy Authentication Required")]) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxied(proxy.url))
        error = failure(driver, f"{scheme}://gateway.invalid", CALLS[call])
        assert len(proxy.requests) == 1
    assert isinstance(error, APIConnectionError)
    assert (error.transient, error.sent) == (False, False)
    assert f"the proxy {proxy.url} of {scheme.upper()}_PROXY wants a user and a password" in str(error)
    assert PASSWORD not in str(error)


class Tunnel(Hasty):
    """Agrees to be a proxy's tunnel, and then speaks TLS as the server at its end does."""

    def wrap_socket(self, plain: socket.socket, **options: Any) -> ssl.SSLSocket:
        """Read what the proxy is asked, agree, and begin."""
        with plain.makefile("rb", buffering=0) as asked:
            while asked.readline().strip():
                pass
        plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return self._tls.wrap_socket(plain, **options)


@with_our_own_http_client
@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("whose", ["the gateway's", "the proxy's"])
def test_a_certificate_behind_a_proxy_is_named_after_its_owner(
    driver: Driver, folder: Path, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy with TLS may have a certificate that is not trusted, or the gateway behind a proxy may."""
    tls = certificates.context(folder, "untrusted")
    with Server([read, DONE], tls=tls if whose == "the proxy's" else cast("Any", Tunnel(tls))) as proxy:
        url = proxy.url.replace("https", "https" if whose == "the proxy's" else "http")
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = failure(driver, "https://gateway.test", CALLS["status"])
        assert proxy.requests == []
    owner = f"the proxy {url} of HTTPS_PROXY" if whose == "the proxy's" else "gateway.test"
    assert f"the certificate of {owner} is not trusted" in str(error)


@pytest.mark.parametrize("http", [None, SHARED], ids=["ours", "the caller's"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_dead_proxy_is_named(
    driver: Driver, scheme: str, http: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that refuses connections is not told as the gateway's fault."""
    with refusing() as url:
        monkeypatch.setenv("all_proxy", proxied(url))
        with pytest.raises(APIConnectionError) as caught:
            drive(driver, f"{scheme}://gateway.invalid", CALLS["status"], http=http)
    assert caught.value.transient
    assert f"the proxy {url} of all_proxy can't be reached" in str(caught.value)
    assert "unset all_proxy" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_the_caller_s_own_proxy_is_named(driver: Driver) -> None:
    """A proxy that no variable names is told by its host and port."""
    with refusing() as url, pytest.raises(APIConnectionError) as caught:
        drive(driver, "http://gateway.invalid", CALLS["status"], http={**SHARED, "proxy": url})
    assert f"the proxy {url[7:]} can't be reached" in str(caught.value)
    assert "Check that proxy, or use an http_client without it." in str(caught.value)


@pytest.mark.parametrize(("code", "transient"), [(403, False), (502, True), (503, True), (429, True)])
def test_a_proxy_that_refuses_a_tunnel_is_named(
    driver: Driver, code: int, transient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a proxy forbids stays forbidden; what it can't do now may pass."""
    with Server([read, response(b"", status=f"{code} No\x1b[31m")]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure(driver, "https://gateway.invalid", CALLS["status"])
    assert error.transient is transient
    assert f"the proxy {proxy.url} of HTTPS_PROXY answered: {code}" in str(error)
    assert "\x1b" not in str(error)


def test_a_407_of_the_gateway_is_the_gateway_s(sync_driver: Driver) -> None:
    """Without a proxy, it is an answer like any other."""
    with Server([read, response(b"{}", status="407 Proxy Authentication Required")]) as server:
        error = failure(sync_driver, server.url, CALLS["status"])
    assert isinstance(error, APIStatusError)


@with_our_own_http_client
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])  # noqa: S104
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_this_machine_is_asked_without_a_proxy(
    driver: Driver, variable: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway on this machine, however it is written, is never asked through a proxy of the environment."""
    with Server([read, DONE]) as server, Server([read, DONE]) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        drive(driver, server.url.replace("127.0.0.1", host), CALLS["status"], http=None)
    assert (len(proxy.connections), len(server.requests)) == (0, 1)


EXCEPTED = {
    "*": ["http://a.test", "https://[2606::1]"],
    "a.test": ["http://a.test", "http://A.test.", "https://b.a.test:8080"],
    "a.test.": ["http://a.test"],
    ".a.test": ["http://b.a.test"],
    "*.a.test": ["http://b.a.test"],
    "a.test:8080": ["http://a.test:8080", "http://b.a.test:8080"],
    "http://a.test": ["http://a.test"],
    "all://a.test": ["http://a.test"],
    "8.8.8.8": ["http://8.8.8.8", "http://0x08080808"],
    "8.8.0.0/16": ["http://8.8.8.8"],
    "8.8.8.8:80": ["http://8.8.8.8"],
    "2606::1": ["http://[2606:0::1]"],
    "[2606::1]": ["http://[2606::1]"],
    "[2606::1]:443": ["https://[2606::1]"],
    "2606::/16": ["http://[2606::1]"],
    "[2606::]/16": ["http://[2606::1]"],
}
NOT_EXCEPTED = {
    "": ["http://a.test"],
    "a.test": ["http://ba.test", "http://a.test.b"],
    ".a.test": ["http://a.test"],
    "a.test:8080": ["http://a.test"],
    "https://a.test": ["http://a.test"],
    "8.8.0.0/16": ["http://8.9.8.8", "http://a.test", "http://[2606::1]"],
    "[2606::1]:443": ["http://[2606::1]"],
    "[::1": ["http://a.test"],
    "8.8.8.8/99": ["http://8.8.8.8"],
    "[::1]": ["http://a.test"],
    "[]": ["http://a.test"],
    "://": ["http://a.test"],
    ":80": ["http://a.test"],
}


@pytest.mark.parametrize(
    ("entry", "url", "expected"),
    [(entry, url, True) for entry, urls in EXCEPTED.items() for url in urls]
    + [(entry, url, False) for entry, urls in NOT_EXCEPTED.items() for url in urls],
)
def test_every_form_of_an_exception_is_understood(entry: str, url: str, expected: bool) -> None:
    """What `NO_PROXY` holds excepts what it names, and nonsense in it excepts nothing and breaks nothing."""
    assert excepts(entry, Url.read(url)) is expected


@with_our_own_http_client
@pytest.mark.parametrize("entries", ["[::1]", "a.test, [::1]:8080,[", "::1 10.0.0.0/8", "http://", "[::1]/x,%"])
def test_a_client_is_made_whatever_the_exceptions_are(
    driver: Driver, entries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of `NO_PROXY` that the HTTP library can't read keeps no client from being made, nor from its proxy."""
    with Server([read, DONE]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", entries)
        drive(driver, "http://gateway.invalid", CALLS["status"], http=None)
    assert len(proxy.requests) == 1


NO_PROXIES = {
    "nonsense://proxy.test": "is no proxy",
    "http://": "is no proxy",
    "http://[::1": "is no proxy",
    "http://[x": "is no proxy",
    "http://a b": "is no proxy",
    "http://user:s3cret://s3cret@[proxy": "is no proxy",
    "user:s3cret@[proxy": "is no proxy",
    "s3cret@s3cret://s3cret@": "is no proxy",
    "\x1b[31m": "is no proxy",
    "http://proxy.test:99999": "is no proxy",
    "http://proxy.test:port": "is no proxy",
    "http://a..test": "is no proxy",
    "socks4://proxy.test": "is no proxy",
    "socks5://proxy.test:1080": "needs the package socksio",
    "socks5h://user:s3cret@proxy.test": "needs the package socksio",
    "htp://user:s3cret@proxy.test": "is no proxy",
}


@pytest.mark.parametrize(("value", "words"), list(NO_PROXIES.items()))
def test_a_proxy_that_can_not_be_used_is_told(value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the proxy without its password, and the variable; whoever does not need it is not told."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigurationError, match=words) as caught:
        LongCat(KEY, "https://gateway.test")
    assert "HTTPS_PROXY" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert str(caught.value).isprintable()
    LongCat(KEY, "http://127.0.0.1").close()


@with_our_own_http_client
def test_a_proxy_that_can_not_be_used_is_told_when_it_is_needed(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that would go through such a proxy raises the same, and nothing is tried again."""
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy.test")
    clock = VirtualClock()
    error = failure(
        driver, "http://127.0.0.1", lambda cat: cat.download("https://a.test/a.png", tmp_path / "a.png"), clock=clock
    )
    assert isinstance(error, ConfigurationError)
    assert clock.sleeps == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HTTP_PROXY": "http://a.test:1"}, "the proxy http://a.test:1 of HTTP_PROXY"),
        ({"http_proxy": "a.test:1", "HTTP_PROXY": "b.test:1"}, "the proxy http://a.test:1 of http_proxy"),
        ({"ALL_PROXY": "http://a.test:1"}, "the proxy http://a.test:1 of ALL_PROXY"),
        ({"ALL_PROXY": "http://a.test:1", "http_proxy": "http://b.test"}, "the proxy http://b.test of http_proxy"),
        ({"HTTPS_PROXY": "http://a.test:1"}, "None"),
        ({"HTTP_PROXY": ""}, "None"),
    ],
)
def test_the_variable_of_a_proxy_is_known(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one that the HTTP library would take, too."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(Proxies.of_environment().find(Url.read("http://gateway.test"))) == expected
