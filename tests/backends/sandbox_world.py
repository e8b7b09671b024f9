"""A sandbox without a socket, in virtual time."""

import json
from typing import Any

import anyio
import httpx

from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, Settings, create_app

PATH = "/longcat-image-request-result"
KEY = {"Ocp-Apim-Subscription-Key": EXAMPLE_KEY}
JSON = {"Content-Type": "application/json"}
ORDER_PATH = "/longcat-image-498/v1/longcat-image-request"
STATUS_PATH = "/v2/requests/status/"
CATS = {"prompt": "two cats", "image_size": "square_1_1"}
"""The least that an order must have."""

Answer = tuple[int, Any]


class World:
    """A sandbox in a world of its own, where it is 2024-06-15T10:30:00Z and time passes when told."""

    def __init__(self, *, backend: str = "asyncio", **settings: Any) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []
        self._backend = backend
        self._app = create_app(
            Settings(**settings), clock=lambda: self.now, wall=lambda: self.now + 1_718_447_400, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Send one HTTP request."""

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
                return await client.request(method, path, **kwargs)

        return anyio.run(run, backend=self._backend)

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Make the documented call with any body and headers."""
        response = self.send("POST", PATH, content=body, headers=headers)
        assert response.headers["content-type"] == "application/json"
        return response.status_code, response.json()

    def ask(self, request_id: str = EXAMPLE_ID) -> Answer:
        """Make the documented call as the documentation does."""
        return self.post(json.dumps({"request_id": request_id}).encode(), KEY | JSON)

    def add(self, **fields: Any) -> Answer:
        """Add a request by the control call."""
        response = self.send("POST", "/sandbox/requests", json=fields)
        return response.status_code, response.json()

    def order(self, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """Order something, of which only what differs from CATS is told."""
        return self.send("POST", ORDER_PATH, json=CATS | fields, headers=KEY | (headers or {}))

    def ordered(self, **fields: Any) -> str:
        """Order something, and return the id of the request."""
        response = self.order(**fields)
        assert response.status_code == 202, response.text
        request_id: str = response.json()["request_id"]
        return request_id

    def status(self, request_id: str) -> Answer:
        """Ask the queue gateway for the status of a request."""
        response = self.send("GET", STATUS_PATH + request_id, headers=KEY)
        return response.status_code, response.json()

    def orders(self) -> dict[str, Any]:
        """Return what the sandbox tells about the orders."""
        told: dict[str, Any] = self.send("GET", "/sandbox/orders").json()
        return told
