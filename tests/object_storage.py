"""A real HTTP server of the S3 protocol on this machine, which tells what it was asked and can be told to refuse."""

import io
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import httpx

SECRET: Final = "the-secret-key-of-the-storage"
SIGNED: Final = "AWS4-HMAC-SHA256 Credential=AKIATESTS/20260101/us-east-1/s3/aws4_request"
"""What moto takes for a signature: it looks whether there is one."""
SLOW_DOWN: Final = "SlowDown"
ERRORS: Final[Mapping[str, int]] = {
    SLOW_DOWN: 503,
    "AccessDenied": 403,
    "NotImplemented": 501,
    "InternalError": 500,
    "IncompleteBody": 400,
}


class ObjectStorage:
    """Moto's server in a thread.

    Attributes:
        asked: the requests that came, such as `PUT /bucket/key`.
        faults: error codes with which the next uploads are refused; an empty one lets an upload pass.
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
        httpx.put(f"{self.url}/{bucket}", trust_env=False).raise_for_status()
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
        answer = httpx.request(method, f"{self.url}/{path}", headers={"Authorization": SIGNED}, trust_env=False)
        self.asked.pop()
        return answer

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query}")
        if environ["REQUEST_METHOD"] == "PUT":
            if self.before is not None:
                self.before()
            size = int(environ.get("CONTENT_LENGTH") or 0)
            body = environ["wsgi.input"].read(size)
            code = "IncompleteBody" if len(body) < size else self.faults.popleft() if self.faults else ""
            if code:
                start_response(f"{ERRORS[code]} No", [("Content-Type", "application/xml")])
                return [f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode()]
            environ["wsgi.input"] = io.BytesIO(body)
        answer: Iterable[bytes] = self._app(environ, start_response)
        if environ["REQUEST_METHOD"] == "PUT" and self.after is not None:
            self.after(environ["PATH_INFO"])
        return answer
