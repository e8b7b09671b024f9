"""Sandboxes with drifts, at a moment that shows the most.

Of the result gateway, one request is under way at 42 %, and one is done. Of the queue gateway, one waits, one is under
way, one is done, and one has failed.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

import httpx
from attrs import frozen

from longcat.sandbox import EXAMPLE_KEY, Settings, create_app, running

UNDER_WAY, DONE = "gauntlet-under-way", "gauntlet-done"
QUEUE_WAITING, QUEUE_UNDER_WAY, QUEUE_DONE, QUEUE_FAILED = (
    f"longcat-image-498_{name}-0000-7000-8000-000000000000a"
    for name in ("waiting0", "underway", "done0000", "failed00")
)
OPERATIONS: Final = {
    "result": ("get_request_result", (UNDER_WAY, DONE)),
    "status": ("get_request_status", (QUEUE_WAITING, QUEUE_UNDER_WAY, QUEUE_DONE, QUEUE_FAILED)),
}
"""By the name of a sandbox's call: the operation in the contract, and the requests that can be asked about."""
DURATION: Final = 42  # Seconds that the request takes that is done.
WALL: Final = 1_718_447_400.0  # The time of day in process, in seconds since 1970: 2024-06-15T10:30:00Z.


class Clock:
    """The sandbox's clock, which stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:  # noqa: D102
        return self.now


class InProcess(httpx.BaseTransport):
    """Brings requests to an ASGI app without a socket."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:  # noqa: D102
        self._runner.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: D102
        async def handle() -> httpx.Response:
            response = await self._inner.handle_async_request(request)
            raw = b"".join([part async for part in response.aiter_raw()])
            return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(raw))

        return self._runner.run(handle())


@frozen
class Gateway:
    """A sandbox that is served somehow: where, and by which client it is reached."""

    url: str
    client: httpx.Client

    def settle(self, clock: Clock) -> None:
        """Bring the requests to where they should be."""
        requests: dict[str, dict[str, Any]] = {
            DONE: {"duration": DURATION},
            QUEUE_WAITING: {"duration": 1000},
            QUEUE_UNDER_WAY: {"duration": 100},
            QUEUE_DONE: {"duration": DURATION},
            QUEUE_FAILED: {"duration": DURATION, "outcome": "error"},
        }
        for request_id, more in requests.items():
            self.client.post(f"{self.url}/sandbox/requests", json={"request_id": request_id, **more})
        headers = {"Ocp-Apim-Subscription-Key": EXAMPLE_KEY}
        for request_id in (UNDER_WAY, DONE):
            self.client.post(
                f"{self.url}/longcat-image-request-result", json={"request_id": request_id}, headers=headers
            )
        for request_id in OPERATIONS["status"][1]:
            self.client.get(f"{self.url}/v2/requests/status/{request_id}", headers=headers)
        clock.now += 1.1 * DURATION


def settings(drifts: Sequence[str], variants: Sequence[str] = ()) -> Settings:
    """Return the settings of a sandbox with these drifts, which answers as these sister models do."""
    return Settings(duration=100, requests=(UNDER_WAY,), drifts=tuple(drifts), variants=tuple(variants))


@contextlib.contextmanager
def served(drifts: Sequence[str], client: httpx.Client | None = None) -> Iterator[Gateway]:
    """Serve a sandbox with these drifts on a socket."""
    clock = Clock()
    with running(settings(drifts), clock=clock) as url, contextlib.ExitStack() as stack:
        gateway = Gateway(url, client or stack.enter_context(httpx.Client()))
        gateway.settle(clock)
        yield gateway


@contextlib.contextmanager
def in_process(drifts: Sequence[str], variants: Sequence[str] = ()) -> Iterator[Gateway]:
    """Have a sandbox with these drifts and variants without a socket."""
    clock = Clock()
    app = create_app(settings(drifts, variants), clock=clock, wall=lambda: WALL)
    with httpx.Client(transport=InProcess(app), trust_env=False) as client:
        gateway = Gateway("http://127.0.0.1", client)
        gateway.settle(clock)
        yield gateway
