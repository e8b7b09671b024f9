"""The drivers of Google's and Azure's storage, each against the few answers of its protocol that they need."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pytest
from object_storage import SECRET
from test_stores import save

from longcat import DownloadError
from longcat.saving.stores.opening import open_store
from longcat.testing import FakeGateway

if TYPE_CHECKING:  # Paramiko is slow to import, and two tests need it.
    from sftp_server import SftpServer

ACCOUNT: Final = "tests"


class CloudServer(ThreadingHTTPServer):
    """Keeps objects as Google and Azure do. It is asked for whole objects only: there are no listings here.

    Attributes:
        objects: the bytes of each object, its media type and its hash.
        asked: the methods and paths that came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CloudHandler)
        self.objects: dict[str, tuple[bytes, str, str]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class CloudHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: CloudServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take an object of Google's: a JSON object and the bytes, in two parts."""
        body = self._body()
        match = re.match(r"--==0==\n.*?\n\n(.*?)\n--==0==\nContent-Type: (.*?)\n\n(.*)\n--==0==--$", body, re.DOTALL)
        assert match is not None
        fields = json.loads(match[1])
        key = f"{self.path.split('/b/')[1].split('/o')[0]}/{fields['name']}"
        content = match[3].encode("latin-1")
        if "ifGenerationMatch=0" in self.path and key in self.server.objects:
            self._answer(412, {"error": {"code": 412, "message": "Precondition"}})
            return
        self.server.objects[key] = content, match[2], fields["metadata"]["sha256"]
        self._answer(200, {"name": fields["name"], "size": str(len(content))})

    def do_GET(self) -> None:
        """Tell of an object of Google's."""
        self._body()
        found = self.server.objects.get(self._object())
        if found is None:
            self._answer(404, {"error": {"code": 404, "message": "No such object"}})
        else:
            self._answer(200, {"size": str(len(found[0])), "metadata": {"sha256": found[2]}})

    def do_PUT(self) -> None:
        """Take a blob of Azure's."""
        content, key = self._body().encode("latin-1"), self._blob()
        if self.headers.get("If-None-Match") == "*" and key in self.server.objects:
            self._answer(409, None, {"x-ms-error-code": "BlobAlreadyExists"})
            return
        kind, digest = self.headers["x-ms-blob-content-type"], self.headers["x-ms-meta-sha256"]
        self.server.objects[key] = content, kind, digest
        self._answer(201, None, {"ETag": '"1"', "Last-Modified": "Fri, 27 Nov 2026 10:00:00 GMT"})

    def do_HEAD(self) -> None:
        """Tell of a blob of Azure's."""
        self._body()
        found = self.server.objects.get(self._blob())
        if found is None:
            self._answer(404, None, {"x-ms-error-code": "BlobNotFound"})
        else:
            told = {"x-ms-meta-sha256": found[2], "ETag": '"1"', "Last-Modified": "Fri, 27 Nov 2026 10:00:00 GMT"}
            self._answer(200, None, told | {"Content-Length": str(len(found[0])), "x-ms-blob-type": "BlockBlob"})

    def do_DELETE(self) -> None:
        """Delete an object of either."""
        self._body()
        self.server.objects.pop(self._object() if "/b/" in self.path else self._blob())
        self._answer(202, None)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _object(self) -> str:
        return unquote(self.path.split("/b/")[1].partition("?")[0]).replace("/o/", "/", 1)

    def _blob(self) -> str:
        return unquote(self.path.partition("?")[0]).removeprefix(f"/{ACCOUNT}/")

    def _body(self) -> str:
        self.server.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        return self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("latin-1")

    def _answer(self, code: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        headers = {"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})
        self.send_response(code)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def cloud() -> Iterator[CloudServer]:
    """Return a server of both protocols."""
    with CloudServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_a_driver_puts_whole_objects(
    cloud: CloudServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """A picture is put with its kind and its hash, found again, and not replaced by another; nothing is listed."""
    key = base64.b64encode(b"0" * 32).decode()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
    connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{connection}BlobEndpoint={cloud.url}/{ACCOUNT};")
    monkeypatch.setattr(cloud, "asked", [])
    gateway, output, journal = FakeGateway().request("r", 0).request("s", 0), f"{scheme}://cats/a b", tmp_path / "j.db"
    for _ in range(2):
        assert save(gateway, output, "r", name="cat", journal=journal) == [f"{output}/cat.png"]
    content = gateway.picture("r")
    assert cloud.objects["cats/a b/cat.png"] == (content, "image/png", sha256(content).hexdigest())
    assert [one.split()[0] for one in cloud.asked] == {"gs": ["POST", "GET"], "az": ["PUT", "HEAD"]}[scheme]
    with pytest.raises(DownloadError, match="is there already"):
        save(gateway, output, "s", name="cat")
    assert save(gateway, output, "r", name="cat") == [f"{output}/cat.png"]
    save(gateway, output, "s", name="cat", overwrite=True)
    open_store(output).prepare()
    assert cloud.asked[-1].startswith("DELETE ")
    assert cloud.objects.pop("cats/a b/cat.png")[0] == gateway.picture("s")
    assert not cloud.objects


# --- SFTP. ---


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[SftpServer]":
    """Return an SFTP server that the user knows."""
    from sftp_server import SftpServer  # noqa: PLC0415 - see above.

    (tmp_path / "there").mkdir()
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    with SftpServer(tmp_path / "there", SECRET) as server:
        (tmp_path / ".ssh" / "known_hosts").write_text(server.known_hosts)
        yield server


def test_pictures_go_over_sftp(sftp: "SftpServer", tmp_path: Path) -> None:
    """A picture gets its name when it is complete; no URL holds the password; a lost connection is made anew."""
    gateway, journal = FakeGateway().request("r", 0).request("s", 0), tmp_path / "j.db"
    place = f"sftp://cat@127.0.0.1:{sftp.port}/out/cat.png"
    store = open_store(f"sftp://cat:{SECRET}@127.0.0.1:{sftp.port}/out", layout="flat")
    for _ in range(2):
        assert save(gateway, store, "r", name="cat", journal=journal) == [place]
        sftp.cut()
    store.prepare()
    assert [path.name for path in (tmp_path / "there" / "out").iterdir()] == ["cat.png"]
    assert (tmp_path / "there" / "out" / "cat.png").read_bytes() == gateway.picture("r")
    assert save(gateway, store, "r", name="cat") == [place]
    with pytest.raises(DownloadError, match="is there already"):
        save(gateway, store, "s", name="cat")
    save(gateway, store, "s", name="cat", overwrite=True)
    assert (tmp_path / "there" / "out" / "cat.png").read_bytes() == gateway.picture("s")
    assert gateway.downloads.count("r") == 2
    assert SECRET not in repr(store)


@pytest.mark.parametrize("wrong", ["password", "host"])
def test_a_host_that_is_not_known_gets_no_password(sftp: "SftpServer", tmp_path: Path, wrong: str) -> None:
    """As `ssh` does it; and what a wrong password says does not show it."""
    password = "a-wrong-password" if wrong == "password" else SECRET
    if wrong == "host":
        (tmp_path / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(DownloadError, match="known_hosts has no" if wrong == "host" else "Authentication") as error:
        save(FakeGateway().request("r", 0), f"sftp://cat:{password}@127.0.0.1:{sftp.port}/out", "r")
    assert password not in str(error.value)
    assert not error.value.transient
