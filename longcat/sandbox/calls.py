"""The documented calls of both gateways: methods and paths."""

from dataclasses import dataclass
from typing import Final

MODEL: Final = "longcat-image-498"


@dataclass(frozen=True)
class EmulatedCall:
    """A documented call.

    Attributes:
        name: as the table of drifts writes it.
        path: one that ends with a slash is followed by a request id.
    """

    name: str
    method: str
    path: str

    def is_at(self, path: str) -> bool:
        """Whether a path is this call's."""
        return path.startswith(self.path) if self.path.endswith("/") else path == self.path


RESULT: Final = EmulatedCall("result", "POST", "/longcat-image-request-result")
ORDER: Final = EmulatedCall("order", "POST", f"/{MODEL}/v1/longcat-image-request")
STATUS: Final = EmulatedCall("status", "GET", "/v2/requests/status/")
CALLS: Final = (RESULT, ORDER, STATUS)


def call_at(path: str) -> EmulatedCall | None:
    """Return the call that a path is for; None if there is none."""
    return next((call for call in CALLS if call.is_at(path)), None)
