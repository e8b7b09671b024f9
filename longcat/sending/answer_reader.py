"""The answer to a call, collected from what the HTTP client reads, within bounds."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from longcat.clock import Clock
from longcat.decoding import CodingError, ContentDecoder, UnknownCodingError
from longcat.errors import LongCatError
from longcat.gateway.messages import MAX_ANSWER, Answer, Call

if TYPE_CHECKING:
    import httpx


class AnswerReader:
    """Collects the answer to a call, for either kind of sender, within the call's time.

    What it refuses, it refuses in `answer`, so that a sender can end its loop over the body in good order.
    """

    def __init__(self, call: Call, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._deadline = clock.monotonic() + call.timeout
        self._code = 0
        self._body = bytearray()
        self._coding: str | None = None
        self._refusal: LongCatError | TimeoutError | CodingError | None = None

    def begin(self, response: "httpx.Response") -> bool:
        """Take in the status and the headers, and return whether the body is still to be read."""
        self._code = response.status_code
        self._headers = read_headers(response.headers.raw)
        self._sink = self._call.sink if self._code == HTTPStatus.OK else None
        try:
            self._decoder = ContentDecoder(self._headers.get("content-encoding", ""))
        except UnknownCodingError as error:
            self._coding, self._decoder = error.coding, ContentDecoder("")
            return False
        if self._sink is not None:
            self._sink.begin(self._headers, ends_with_connection=_ends_with_connection(response))
        if not response.is_stream_consumed:
            return True
        self._decoder = ContentDecoder("")  # A test's transport, or the caller's hook, has read and unpacked it.
        for _ in self.feed(response.content):
            pass
        return False

    def feed(self, chunk: bytes) -> Iterator[None]:
        """Take in the next bytes of the body, and pause after every 64 KiB that they decode to.

        A sender that shares its thread can let others go on in the pauses. It reads on unless `has_enough`.
        """
        try:
            for plain in self._decoder.decode(chunk):
                if self._clock.monotonic() > self._deadline:
                    raise TimeoutError  # noqa: TRY301 - refused like everything else.
                if self._sink is None:
                    self._body += plain
                else:
                    self._sink.write(plain)
                if self.has_enough:
                    return
                yield
        except (LongCatError, TimeoutError, CodingError) as error:
            self._refusal = error

    @property
    def has_enough(self) -> bool:
        """Whether no more is wanted."""
        return self._refusal is not None or len(self._body) > MAX_ANSWER

    def answer(self) -> Answer:
        """Return the answer, or raise why it was refused."""
        try:
            if self._refusal is not None:
                raise self._refusal
            if not self.has_enough:
                self._decoder.finish()
        except CodingError:
            if HTTPStatus.OK <= self._code < HTTPStatus.MULTIPLE_CHOICES:
                raise
            return self._answer(is_damaged=True)  # An error's code says enough, whatever became of its words.
        return self._answer()

    def partial(self) -> Answer | None:
        """Return the part of a cut answer that arrived. None: its status line did not arrive either."""
        return self._answer() if self._code else None

    def _answer(self, *, is_damaged: bool = False) -> Answer:
        whole = len(self._body) <= MAX_ANSWER and not is_damaged
        body = bytes(memoryview(self._body)[:MAX_ANSWER])
        return Answer(self._code, self._headers, body, whole, self._clock.time(), self._coding)


def read_headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by their names in lower case, as the HTTP libraries read them, in far fewer steps."""
    try:
        pairs = [(name.decode().lower(), value.decode()) for name, value in raw]
    except UnicodeDecodeError:
        pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _ends_with_connection(response: "httpx.Response") -> bool:
    """Whether nothing but the end of the connection ends the body (RFC 9112, section 6.3), so that it may be cut."""
    framing = {"content-length", "transfer-encoding"}
    return response.http_version.startswith("HTTP/1") and framing.isdisjoint(map(str.lower, response.headers))
