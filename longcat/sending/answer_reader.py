"""The answer to a call, collected from what the HTTP client reads, within bounds."""

import zlib
from http import HTTPStatus

import httpx

from longcat.clock import Clock
from longcat.errors import LongCatError
from longcat.gateway.messages import MAX_ANSWER, Answer, Call


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
        self._refusal: LongCatError | TimeoutError | zlib.error | None = None

    def begin(self, response: httpx.Response) -> bool:
        """Take in the status and the headers, and return whether the body is still to be read."""
        self._code = response.status_code
        self._headers = {name.lower(): value for name, value in response.headers.items()}
        self._sink = self._call.sink if self._code == HTTPStatus.OK else None
        encoded = self._headers.get("content-encoding", "").strip().lower() in {"gzip", "x-gzip", "deflate"}
        self._unzip = zlib.decompressobj(wbits=47) if encoded else None  # 47: either format, by its head.
        if self._sink is not None:
            self._sink.begin(self._headers)
        if not response.is_stream_consumed:
            return True
        self._unzip = None  # The body of a transport made for tests is here already, unpacked.
        self.feed(response.content)
        return False

    def feed(self, chunk: bytes) -> bool:
        """Take in the next bytes of the body, and return whether more are wanted."""
        if self.has_enough:
            return False
        try:
            if self._clock.monotonic() > self._deadline:
                self._refusal = TimeoutError()
                return False
            if self._unzip is not None:
                chunk = self._unzip.decompress(chunk)
            if self._sink is None:
                self._body += chunk
            else:
                self._sink.write(chunk)
        except (LongCatError, zlib.error) as error:
            self._refusal = error
        return not self.has_enough

    @property
    def has_enough(self) -> bool:
        """Whether no more is wanted."""
        return self._refusal is not None or len(self._body) > MAX_ANSWER

    def answer(self) -> Answer:
        """Return the answer, or raise why it was refused."""
        if self._refusal is not None:
            raise self._refusal
        if self._unzip is not None and not self._unzip.eof and not self.has_enough:
            raise zlib.error("the compressed body was cut")
        return self._answer()

    def partial(self) -> Answer | None:
        """Return the part of a cut answer that arrived. None: its status line did not arrive either."""
        return self._answer() if self._code else None

    def _answer(self) -> Answer:
        whole = len(self._body) <= MAX_ANSWER
        return Answer(self._code, self._headers, bytes(self._body[:MAX_ANSWER]), whole, self._clock.time())
