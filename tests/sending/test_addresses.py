"""Where pictures are fetched from, and where not: addresses, names, redirects, proxies. No name is really looked up."""

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import trio
from fakes import KEY, Driver
from httpx_aiohttp import HttpxAiohttpClient
from servers import LOOPBACK, SHARED, SOON, Server, drive, eventually, http_client, read, response, tidy, untrusted

from longcat import APIConnectionError, AsyncLongCat, DownloadError, LongCat, WaitTimeout
from longcat.cli.run import run
from longcat.sending.addresses import is_local, is_public, literal
from longcat.sending.destination import AddressRule, Destination, look_up
from longcat.testing import FakeGateway, VirtualClock

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(100)
PUBLIC = "8.8.8.8"
GATEWAY = "https://gateway.test"
"""A gateway on the public internet, which is not asked."""


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Return the addresses by name, which a test adds to; there are no other names. `looked up` has those asked for."""
    known: dict[str, list[str]] = {"gateway.test": [PUBLIC], "looked up": []}

    def fake(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        host = host.decode() if isinstance(host, bytes) else host
        try:
            addresses = [str(literal(host) or ip) for ip in ([host] if literal(host) is not None else known[host])]
        except KeyError:
            raise socket.gaierror(-2, "Name or service not known") from None
        if literal(host) is None:
            known["looked up"].append(host)
        kind = {False: socket.AF_INET, True: socket.AF_INET6}
        return [(kind[":" in one], socket.SOCK_STREAM, 6, "", (one, port or 0)) for one in addresses]

    monkeypatch.setattr("socket.getaddrinfo", fake)
    return known


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and nothing is left open."""
    with tidy(monkeypatch):
        yield


def save(url: str, folder: Path) -> Any:
    """Return the call that saves a picture."""
    return lambda cat: cat.download(url, folder / "cat.png", overwrite=True)


def refused(driver: Driver, url: str, folder: Path, base_url: str = GATEWAY, **options: Any) -> DownloadError:
    """Return why a picture is not fetched, and by a client with an HTTP client of its own unless one is given."""
    with pytest.raises(DownloadError) as caught:
        drive(driver, base_url, save(url, folder), **{"http": None, **options})
    return caught.value


# --- Addresses. ---

LOCAL = (
    "127.0.0.1 127.255.255.254 2130706433 0x7f000001 0X7F.1 0177.0.0.1 127.1 127.0.0.1. 0.0.0.0 0 :: ::1 [::1]"
    " ::ffff:127.0.0.1 ::ffff:0:0 ::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::"
    " \uff11\uff12\uff17.\uff10.\uff10.\uff11 \u2460\u2461\u2466.0.0.1"
)
PRIVATE = (
    "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 169.254.169.254 3232235777 192.0.0.1"
    " 192.0.0.9 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1"
    " 255.255.255.255 0.1.2.3 fe80::1 fe80::1%eth0 fec0::1 fc00::1 fd00:ec2::254 ff02::1 ff0e::1 2001:db8::1 3fff::1"
    " 2001::1 5f00::1 100::1 ::ffff:10.0.0.1 64:ff9b::a00:1 64:ff9b:1::808:808 2002:a00:1:: 2002:a9fe:a9fe::"
    " ::1:808:808 ::ffff:0:808:808"
)
OPEN = (
    "8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 134744072 2606:4700::1111 2001:4860:4860::8888 ::ffff:8.8.8.8"
    " 64:ff9b::808:808 2002:808:808::1"
)


@pytest.mark.parametrize(
    ("host", "local", "public"),
    [(host, True, False) for host in LOCAL.split()]
    + [(host, False, False) for host in PRIVATE.split()]
    + [(host, False, True) for host in OPEN.split()],
)
def test_an_address_is_known_in_every_form(host: str, local: bool, public: bool) -> None:
    """Whether it is this machine, and whether it is on the public internet, does not depend on how it is written."""
    address = literal(host)
    assert address is not None
    assert (is_local(host), is_public(address)) == (local, public)


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "a.b.localhost."])
def test_a_local_name_is_known(name: str) -> None:
    """These names are this machine, without looking them up."""
    assert (is_local(name), literal(name)) == (True, None)


@pytest.mark.parametrize("name", ["a.test", "localhost.test", "notlocalhost", "1.2.3.4.5", "", "a b", "127.0.0.1.test"])
def test_any_other_name_is_not_local(name: str) -> None:
    """All else is a name that says nothing."""
    assert (is_local(name), literal(name)) == (False, None)


# --- Pictures. ---

FORMS = "127.0.0.1 2130706433 127.1 0x7f.1 [::ffff:127.0.0.1] [64:ff9b::7f00:1] localhost 0.0.0.0"


@pytest.mark.parametrize("host", FORMS.split())
def test_a_picture_on_this_machine_is_not_fetched(sync_driver: Driver, host: str, tmp_path: Path) -> None:
    """However the address is written, nothing connects to it, and the way out is told."""
    with Server([read, response(PICTURE)]) as server:
        error = refused(sync_driver, server.url.replace("127.0.0.1", host), tmp_path)
        assert server.connections == []
    assert "is not on the public internet" in str(error)
    assert str(error).endswith("pass allow_private=True (--allow-private).")
    assert not error.transient


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], ["fe80::1"], ["::1"]]
)
def test_a_name_that_leads_inside_is_not_followed(
    driver: Driver, addresses: list[str], names: dict[str, list[str]], tmp_path: Path
) -> None:
    """Of several addresses, one that is not public is enough to connect to none."""
    names["inside.test"] = addresses
    with Server([read, response(PICTURE)]) as server:
        error = refused(driver, server.url.replace("127.0.0.1", "inside.test"), tmp_path)
        assert server.connections == []
    assert "inside.test is " in str(error)


def test_a_name_that_leads_inside_is_not_followed_by_a_transport_that_does_not_trace(
    names: dict[str, list[str]], tmp_path: Path
) -> None:
    """That of the extra `fast` makes its connections without a word, so the name is looked up before it is called."""
    names["inside.test"] = ["127.0.0.1"]

    async def main(url: str) -> str:
        async with HttpxAiohttpClient() as http, AsyncLongCat(KEY, GATEWAY, http_client=http) as cat:
            with pytest.raises(DownloadError) as caught:
                await cat.download(url, tmp_path / "cat.png")
            return str(caught.value)

    with Server([read, response(PICTURE)]) as server:
        error = anyio.run(main, server.url.replace("127.0.0.1", "inside.test"), backend="asyncio")
        assert server.connections == []
    assert "inside.test is 127.0.0.1, which is not on the public internet" in error


@pytest.mark.parametrize("allowed", ["by the caller", "by the gateway's address", "by the gateway's name"])
def test_a_picture_inside_is_fetched_when_that_is_allowed(
    driver: Driver, allowed: str, names: dict[str, list[str]], tmp_path: Path
) -> None:
    """The caller may allow it, and a gateway that is inside itself has its pictures there, too."""
    names |= {"inside.test": ["127.0.0.1"], "private.test": ["10.0.0.1"]}
    base_urls = {"by the gateway's address": "http://localhost", "by the gateway's name": "https://private.test"}
    with Server([read, response(PICTURE)]) as server:
        url = server.url.replace("127.0.0.1", "inside.test")
        base_url = base_urls.get(allowed, GATEWAY)
        drive(driver, base_url, save(url, tmp_path), http=None, allow_private=allowed == "by the caller")
    assert (tmp_path / "cat.png").read_bytes() == PICTURE


def test_a_fake_gateway_may_have_pictures_anywhere(tmp_path: Path) -> None:
    """There is no network that could be reached."""
    with FakeGateway().client() as cat, pytest.raises(DownloadError, match="answered 404"):
        cat.download("http://127.0.0.1/cat.png", tmp_path / "cat.png")


# --- A name that changes its address meanwhile. ---


def test_a_name_is_looked_up_once(
    driver: Driver, names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that would lead elsewhere when it is looked up again does not get the chance."""
    names["two.test"] = ["127.0.0.1"]
    now = socket.getaddrinfo

    def then(*arguments: Any, **options: Any) -> Any:
        found = now(*arguments, **options)
        names["two.test"] = ["127.0.0.2"]
        return found

    monkeypatch.setattr("socket.getaddrinfo", then)
    with Server([read, response(PICTURE)]) as server:
        drive(driver, "http://localhost", save(server.url.replace("127.0.0.1", "two.test"), tmp_path), http=None)
    assert names["looked up"] == ["two.test"]


def test_what_was_looked_up_is_connected_to() -> None:
    """One address after the other, IPv4 and IPv6 in turn; what is not the last gets two seconds."""
    addresses = [ip_address(one) for one in (PUBLIC, "8.8.4.4", "2606:4700::1111")]
    destination, seen = Destination("a.test", AddressRule()), []
    while True:
        info: dict[str, Any] = {"host": "a.test", "port": 80, "timeout": 10.0}
        look_up(destination.on_event("connection.connect_tcp.started", info), lambda _: addresses)
        look_up(destination.on_event("connection.connect_tcp.failed", {}), lambda _: [])
        seen.append((info["host"], info["timeout"]))
        if not destination.next_address():
            break
    assert seen == [(PUBLIC, 2.0), ("2606:4700::1111", 2.0), ("8.8.4.4", 10.0)]


def test_a_peer_that_is_not_public_is_refused() -> None:
    """Whatever was looked up, the other end of the connection decides."""
    destination = Destination("a.test", AddressRule())
    stream = SimpleNamespace(get_extra_info=lambda _: ("10.0.0.1", 80))
    info: dict[str, Any] = {"host": "a.test", "port": 80, "timeout": None}
    look_up(destination.on_event("connection.connect_tcp.started", info), lambda _: [ip_address(PUBLIC)])
    with pytest.raises(APIConnectionError, match=r"a\.test is 10\.0\.0\.1"):
        look_up(destination.on_event("connection.connect_tcp.complete", {"return_value": stream}), lambda _: [])


def test_a_connection_that_leads_inside_is_closed_before_a_byte_is_sent(
    driver: Driver, names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever turns a connection to a public address round, a request does not go out on it."""
    names["turned.test"] = [PUBLIC]
    with Server([read, response(PICTURE)]) as server:
        port = int(server.url.rpartition(":")[2])
        here = (LOOPBACK, port)
        connect, connect_trio = socket.create_connection, trio.open_tcp_stream
        connect_asyncio = asyncio.BaseEventLoop.create_connection
        monkeypatch.setattr(
            "socket.create_connection", lambda _, *more, **options: connect((LOOPBACK, port), *more, **options)
        )
        monkeypatch.setattr(
            "asyncio.BaseEventLoop.create_connection", lambda loop, make, *_, **__: connect_asyncio(loop, make, *here)
        )
        monkeypatch.setattr("trio.open_tcp_stream", lambda **_: connect_trio(*here))
        error = refused(driver, server.url.replace("127.0.0.1", "turned.test"), tmp_path)
        assert eventually(lambda: server.connections)
        assert server.deserted()
        assert server.requests == []
    assert "turned.test is 127.0.0.1" in str(error)


def test_a_connection_that_is_open_already_is_no_way_in(
    sync_driver: Driver, names: dict[str, list[str]], tmp_path: Path
) -> None:
    """What the caller's HTTP client is connected to is no exception for pictures."""
    names["inside.test"] = ["127.0.0.1"]
    with (
        Server([read, response(b"mine", keep=True), read, response(PICTURE)]) as server,
        http_client(sync_driver, SHARED) as http,
    ):
        url = server.url.replace("127.0.0.1", "inside.test")
        assert http.get(url).content == b"mine"
        with pytest.raises(DownloadError, match=r"inside\.test is 127\.0\.0\.1"):
            LongCat(KEY, GATEWAY, http_client=http).download(url, tmp_path / "cat.png")
        assert len(server.requests) == 1


# --- Redirects and proxies. ---


@pytest.mark.parametrize("location", ["http://HERE/a.png", "http://inside.test/a.png", "//2130706433/a.png"])
def test_a_redirect_inside_is_not_followed(
    driver: Driver, location: str, names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect is checked like the first address, whether or not there is a proxy."""
    names |= {"inside.test": ["192.168.0.1"]}
    with Server([read, response(PICTURE)]) as inside:
        moved = response(b"", f"Location: {location.replace('HERE', inside.url[7:])}", status="302 Found")
        with Server([read, moved]) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            error = refused(driver, "http://pictures.test/a.png", tmp_path)
            assert len(proxy.requests) == 1
        assert inside.connections == []
    assert "is not on the public internet" in str(error)


def test_a_proxy_is_asked_for_what_it_alone_can_find(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that this machine does not know may be known to the proxy, which may be on this machine itself."""
    with Server([read, response(PICTURE)]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        drive(driver, GATEWAY, save("http://pictures.test/a.png", tmp_path), http=None)
    assert proxy.requests[0].target == "http://pictures.test/a.png"


@pytest.mark.parametrize("location", ["http://HERE/b.png", "HTTP://HERE/b.png"])
def test_https_never_falls_to_http(driver: Driver, location: str, tmp_path: Path) -> None:
    """A redirect from https:// to http:// is not followed, not even where private addresses are allowed."""
    with Server([read, response(PICTURE)]) as plain:
        moved = response(b"", f"Location: {location.replace('HERE', plain.url[7:])}", status="302 Found")
        with Server([read, moved], tls=untrusted()) as server:
            error = refused(
                driver, f"{server.url}/a.png", tmp_path, "http://localhost", http={**SHARED, "verify": False}
            )
        assert plain.connections == []
    assert "redirects from https:// to http://" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        response(b"<html><title>sesame</title>sesame</html>"),
        response(b"sesame"),
        response(b'{"password": "sesame"}', status="404 sesame"),
        b"220 sesame ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nsesame\x00: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsesame\r\n",
    ],
)
def test_no_byte_of_a_stranger_s_answer_is_told(driver: Driver, answer: bytes, tmp_path: Path) -> None:
    """Whatever answers where a picture should be, the message does not repeat it."""
    with Server([read, answer]) as server:
        error = refused(driver, f"{server.url}/a.png", tmp_path, "http://localhost", clock=VirtualClock())
    assert "sesame" not in str(error)


@pytest.mark.parametrize(("flags", "code"), [([], 3), (["--allow-private"], 0)])
def test_the_command_line_can_allow_it(
    flags: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a gateway on the public internet, here behind a proxy, says is on this machine is fetched if one says so."""
    monkeypatch.setenv("PIXAZO_API_KEY", KEY)
    with Server([read, response(PICTURE)]) as inside:
        fields = {"status": "completed", "progress": 1, "request_id": "cat-1", "result_url": f"{inside.url}/cat.png"}
        with Server([read, response(json.dumps(fields).encode(), "Content-Type: application/json")]) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            arguments = ["wait", "cat-1", "-o", str(tmp_path), "--base-url", "http://gateway.test"]
            assert run([*arguments, *flags]) == code
        assert len(inside.requests) == len(flags)
    assert ("--allow-private" in capsys.readouterr().err) is not bool(flags)


# --- Looking up names. ---


def test_a_slow_name_server_does_not_hold_up_a_deadline(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline holds although the name is still being looked up, which nothing can stop."""
    over = threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        over.wait(SOON * 2)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", slow)
    began = time.monotonic()
    with pytest.raises(WaitTimeout):
        drive(driver, GATEWAY, lambda cat: cat.wait("cat-1", timeout=0.2), http=None, after=over.set)
    assert time.monotonic() - began < SOON


def test_every_address_of_a_gateway_is_tried(driver: Driver, names: dict[str, list[str]], tmp_path: Path) -> None:
    """When the first address refuses, the next one is asked, and the name is looked up once for both."""
    names["two.test"] = ["127.0.0.2", "127.0.0.1"]
    with Server([read, response(PICTURE)]) as server:
        url = server.url.replace("127.0.0.1", "two.test")
        drive(driver, "http://localhost", save(url, tmp_path), http=None)
    assert len(server.requests) == 1
    assert names["looked up"] == ["two.test"]


# --- Without TLS. ---


@pytest.mark.parametrize(
    ("base_url", "warned"),
    [
        ("http://gateway.test", True),
        ("http://192.168.0.1:8000", True),
        ("https://gateway.test", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("http://localhost:8000", False),
        ("http://sandbox.localhost", False),
    ],
)
def test_a_gateway_without_tls_is_warned_of(base_url: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    """One warning is logged for a client whose key could be read on the way; none where nobody is on the way."""
    caplog.set_level(logging.WARNING)
    with closing(LongCat(KEY, base_url)):
        messages = [record.getMessage() for record in caplog.records]
    assert [message for message in messages if base_url in message] == messages
    assert len(messages) == warned


def test_the_command_line_warns_of_a_gateway_without_tls(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning stands on stderr, once."""
    monkeypatch.setenv("PIXAZO_API_KEY", KEY)
    monkeypatch.setattr(logging.root, "handlers", [])  # As in a process of its own.
    assert run(["status", "cat-1", "--base-url", "http://nowhere.test"]) == 3
    assert capsys.readouterr().err.count("http://nowhere.test is asked over plain HTTP") == 1
