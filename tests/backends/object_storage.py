"""A real HTTP server of the S3 protocol on this machine, which tells what it was asked and can be told to refuse."""

import io
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import httpx
from servers import LIMIT

SECRET: Final = "the-secret-key-of-the-storage"
SIGNED: Final = "AWS4-HMAC-SHA256 Credential=AKIATESTS/20260101/us-east-1/s3/aws4_request"
"""What moto takes for a signature: it looks whether there is one."""
SLOW_DOWN: Final = "SlowDown"
CUT: Final = "cut"
"""The connection ends before an upload is stored."""
LOST: Final = "lost"
"""It ends when an upload is stored, before that is said."""
DENIED: Final = "AccessDenied"
ERRORS: Final[Mapping[str, int]] = {
    SLOW_DOWN: 503,
    DENIED: 403,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "RequestTimeTooSkewed": 403,
    "ExpiredToken": 400,
    "NotImplemented": 501,
    "InternalError": 500,
    "IncompleteBody": 400,
    "BadDigest": 400,
    "RequestTimeout": 400,
    "ConditionalRequestConflict": 409,
}
"""Error codes of S3, with their HTTP status."""


class ObjectStorage:
    """Moto's server in a thread.

    Attributes:
        asked: the requests that came, such as `PUT /bucket/key`.
        faults: what happens to the next uploads: an error code, `CUT` or `LOST`; an empty one lets an upload pass.
        is_listed: whether it says that an object is missing. False: to look for one is refused, as with S3's own to
            someone who may not list.
        is_read: whether it tells of objects. False: to look for any is refused.
        before: called before an upload is looked at. None: nothing is.
        after: called with the path of an upload that is stored, before it is answered. None: nothing is.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - it is slow to import.
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: PLC0415 - likewise.

        class Quiet(WSGIRequestHandler):
            """Logs nothing."""

            def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - its name there.
                pass

        self._numbers = count()
        self.asked: list[str] = []
        self.faults: deque[str] = deque()
        self.before: Callable[[], object] | None = None
        self.after: Callable[[str], object] | None = None
        self.is_listed = self.is_read = True
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        # So that the body of an upload that is held is not all here.
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What a program finds it and its keys by."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIATESTS",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def make(self) -> str:
        """Make a bucket, forget what was asked, and return its name."""
        bucket = f"cats-{next(self._numbers)}"
        self.faults.clear()
        self.before = self.after = None
        self.is_listed = self.is_read = True
        # The first request waits until the server has imported what S3 is.
        httpx.put(f"{self.url}/{bucket}", trust_env=False, timeout=LIMIT).raise_for_status()
        self.asked.clear()
        return bucket

    def get(self, path: str) -> httpx.Response:
        """Return an object with its headers, without it being counted."""
        return self._send("GET", path)

    def delete(self, path: str) -> None:
        """Delete an object, without it being counted."""
        self._send("DELETE", path)

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of all objects in a bucket."""
        listing = self.get(f"{bucket}?list-type=2").text
        return [part.partition("</Key>")[0] for part in listing.split("<Key>")[1:]]

    def counted(self, *words: str) -> int:
        """Return how many requests began so."""
        return sum(one.startswith(words) for one in self.asked)

    def _send(self, method: str, path: str) -> httpx.Response:
        answer = httpx.request(
            method, f"{self.url}/{path}", headers={"Authorization": SIGNED}, trust_env=False, timeout=LIMIT
        )
        self.asked.pop()
        return answer

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query}")
        if environ["REQUEST_METHOD"] == "PUT":
            return self._take(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD" and not self.is_read:
            return _refuse(DENIED, start_response)[:0]
        if environ["REQUEST_METHOD"] == "HEAD" and not self.is_listed:

            def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
                return start_response("403 No" if status.startswith("404") else status, headers, *more)

            return self._app(environ, start)  # type: ignore[no-any-return]
        return self._app(environ, start_response)  # type: ignore[no-any-return]

    def _take(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.before is not None:
            self.before()
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        fault = "IncompleteBody" if len(body) < size else self.faults.popleft() if self.faults else ""
        if fault == CUT:
            return _cut(environ)
        if fault in ERRORS:
            return _refuse(fault, start_response)
        environ["wsgi.input"] = io.BytesIO(body)
        answer: Iterable[bytes] = self._app(environ, start_response)
        if fault == LOST:
            return _cut(environ)
        if self.after is not None:
            self.after(environ["PATH_INFO"])
        return answer


def _cut(environ: dict[str, Any]) -> NoReturn:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


def _refuse(code: str, start_response: Callable[..., Any]) -> list[bytes]:
    start_response(f"{ERRORS[code]} No", [("Content-Type", "application/xml")])
    return [f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode()]
