"""The server of the benchmark: a bare asyncio protocol in a process of its own, which answers as several services do.

Of the result gateway it answers any POST. The id of a request says what becomes of it: `all-3-1-...` is processing
until three ids that begin with `all-3-1-` were asked about, and completed from then on; any other is processing for
ever. Of the services that the peers are made for, it answers a GET with a job that runs. `GET /counts` tells how much
it has done.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.request import urlopen

from attrs import frozen

PROCESSING: Final = b'{"status":"processing","progress":0.4,"request_id":"%s"}'
COMPLETED: Final = (
    b'{"status":"completed","progress":1.0,"request_id":"%s","result_url":"https://storage.pixazo.ai/results/%s.png",'
    b'"created_at":"2026-01-02T03:04:05Z","duration_seconds":42,"model_version":"longcat-v1.2"}'
)
OTHERS: Final = {
    # By the beginning of the path: the first is OpenAI's, the others are Replicate's, Runway's and fal's.
    b"/v1/videos/": b'{"id":"%s","object":"video","model":"sora-2","status":"in_progress","progress":40,'
    b'"created_at":1767322800,"size":"1024x1024","seconds":"8"}',
    b"/v1/predictions/": b'{"id":"%s","model":"fal/bench","version":"1","status":"processing","input":{},'
    b'"output":null,"error":null,"logs":"","created_at":"2026-01-02T03:04:05Z","urls":{}}',
    b"/v1/tasks/": b'{"id":"%s","status":"RUNNING","createdAt":"2026-01-02T03:04:05Z","progress":0.4}',
    b"/fal/": b'{"status":"IN_PROGRESS","request_id":"%s","logs":[]}',
}
REQUEST_ID: Final = re.compile(rb'"request_id": ?"([^"]*)"')
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answering(asyncio.Protocol):
    """One connection."""

    answers = 0
    asked: Final[dict[bytes, set[bytes]]] = {}  # By the beginning of their ids: the requests that were asked about.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_server makes no other.
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        """Answer every request that has come whole."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end]
            length = LENGTH.search(head)
            until = end + 4 + (int(length[1]) if length else 0)
            if len(self.received) < until:
                return
            body, self.received = self.received[end + 4 : until], self.received[until:]
            answer = self.answer(head, body)
            lines = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            self.transport.write(lines % len(answer) + answer)

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Return the body of the answer."""
        if head.startswith(b"POST"):
            Answering.answers += 1
            found = REQUEST_ID.search(body)
            return self.status(found[1] if found else b"")
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        if path == b"/counts":
            return json.dumps({"answers": self.answers, "cpu": time.process_time()}).encode()
        Answering.answers += 1
        form = next(form for start, form in OTHERS.items() if path.startswith(start))
        return form % path.removesuffix(b"/status").rpartition(b"/")[2]

    def status(self, request_id: bytes) -> bytes:
        """Return how a request stands by the result gateway."""
        if request_id.startswith(b"all-"):
            group, _, number = request_id.rpartition(b"-")
            asked = self.asked.setdefault(group, set())
            asked.add(number)
            if len(asked) >= int(group.split(b"-")[1]):
                return COMPLETED % (request_id, request_id)
        return PROCESSING % request_id


@frozen
class Counts:
    """What the server has done since it began: how many answers, in how many seconds of CPU time."""

    answers: int
    cpu: float

    @classmethod
    def of(cls, url: str) -> "Counts":
        """Ask the server."""
        with urlopen(f"{url}/counts") as response:  # noqa: S310 - it is the server of this benchmark.
            return cls(**json.load(response))


@contextmanager
def serving() -> Iterator[str]:
    """Run the server in a process of its own, and yield its URL."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101 - it is a pipe.
    with process, process.stdout:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def serve() -> None:
    """Serve at a free port, and print which, until the process is killed."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
