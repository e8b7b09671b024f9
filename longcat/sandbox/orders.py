"""Orders as the queue gateway reads and counts them: what a body must hold, what it costs, and what became of each."""

import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request

from longcat.sandbox.bodies import has_json_type, parse_object
from longcat.sandbox.picture import Look
from longcat.sandbox.state import MOST_REQUESTS

MODEL: Final = "longcat-image-498"
# The page: 0.13 USD per generation, and elsewhere per image. Here: per image, which is the worst for a budget.
PRICE: Final = Decimal("0.13")
# No page has the sizes in pixels: these have the shapes that the words say.
SIZES: Final = {
    "landscape_4_3": (1024, 768),
    "portrait_3_4": (768, 1024),
    "square_1_1": (1024, 1024),
    "ultra_wide_16_9": (1024, 576),
    "ultra_portrait_9_16": (576, 1024),
}
FORMATS: Final = ("png", "jpeg", "webp")
# No page has a range. The sandbox draws no more pictures than these for one order.
MOST_PICTURES: Final = 100
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "prompt": (str,),
    "image_size": (str,),
    "num_inference_steps": (int,),
    "guidance_scale": (int, float),
    "num_images": (int,),
    "enable_safety_checker": (bool,),
    "output_format": (str,),
    "acceleration": (str,),
}
_ENUMS: Final[dict[str, tuple[str, ...]]] = {
    "image_size": tuple(SIZES),
    "output_format": FORMATS,
    "acceleration": ("regular", "high_performance"),
}


@dataclass(frozen=True)
class WantedPictures:
    """What an order asks for."""

    count: int
    look: Look

    @property
    def cost(self) -> Decimal:
        """The price, in US dollars."""
        return PRICE * self.count


def read_order(request: Request, body: bytes) -> WantedPictures:
    """Return what a valid order asks for; raise ValueError, naming the field, for another one.

    Fields that the page does not list are let pass, as the page does not say that they are refused.
    """
    if not has_json_type(request):
        raise ValueError("The Content-Type must be application/json.")
    fields = parse_object(body)
    for name in ("prompt", "image_size"):
        if name not in fields:
            raise ValueError(f"The field {name} is required.")
    for name, types in _TYPES.items():
        if name in fields and type(fields[name]) not in types:
            raise ValueError(f"The field {name} has the wrong type.")
    for name, words in _ENUMS.items():
        if name in fields and fields[name] not in words:
            raise ValueError(f"The field {name} must be one of: {', '.join(words)}.")
    if not fields["prompt"]:
        raise ValueError("The field prompt must not be empty.")
    count = fields.get("num_images", 1)
    if not 1 <= count <= MOST_PICTURES:
        raise ValueError(f"The field num_images must be between 1 and {MOST_PICTURES}.")
    # The page's example orders png; it does not say that this is the default.
    return WantedPictures(count, Look(*SIZES[fields["image_size"]], fields.get("output_format", "png").upper()))


@dataclass(slots=True)
class ReceivedOrder:
    """One POST to the order call.

    Attributes:
        headers: names in lower case, without the key.
        request_id: None: the gateway did not take the order.
        fault: the fault that struck it, as it is written. None: none did.
    """

    headers: dict[str, str]
    body: bytes = b""
    request_id: str | None = None
    fault: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return it as the control call shows it; a body that is no JSON is shown as text."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            body = self.body.decode(errors="replace")
        return {"request_id": self.request_id, "fault": self.fault, "headers": self.headers, "body": body}


@dataclass
class Orders:
    """Every POST to the order call, and the money that the orders cost.

    Attributes:
        received: the POSTs, the newest last; only the first MOST_REQUESTS are kept.
        posts: how many POSTs there were.
        taken: how many of them were taken as orders, so that a request began.
        spent: what the orders taken cost, less those that end in an error of the system.
    """

    received: list[ReceivedOrder] = field(default_factory=list)
    posts: int = 0
    taken: int = 0
    spent: Decimal = Decimal(0)

    def receive(self, request: Request) -> ReceivedOrder:
        """Count one more POST and return its record."""
        self.posts += 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.pop("ocp-apim-subscription-key", None)
        order = ReceivedOrder(headers)
        if len(self.received) < MOST_REQUESTS:
            self.received.append(order)
        return order

    def take(self, order: ReceivedOrder, request_id: str, cost: Decimal) -> None:
        """Count an order that has become a request."""
        order.request_id = request_id
        self.taken += 1
        self.spent += cost

    def next_id(self, wall: float) -> str:
        """Return the id of the request that the next order becomes, at a moment in seconds since 1970.

        The first 48 bits after the model's id are the milliseconds of that moment, and the last group has 13 hex
        digits, as in the ids that sister models have published.
        """
        born = f"{int(wall * 1000):012x}"
        rest = hashlib.blake2b(f"{self.taken}".encode(), digest_size=10).hexdigest()
        return f"{MODEL}_{born[:8]}-{born[8:]}-7{rest[:3]}-{rest[3:7]}-{rest[7:20]}"

    def count(self) -> dict[str, Any]:
        """Return the figures."""
        return {"posts": self.posts, "taken": self.taken, "spent": f"{self.spent:.2f}"}
