"""Finds what a server sends beyond its answer.

httpcore keeps such bytes, and takes them for the answer to the next request on the connection: an order would get the
id of another one. It has no public way to see them, so this reads its attributes. A response that has others is left
as it is, and so is one that a hook of the caller's has closed already.
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx

INNER: Final = ("_stream", "_httpcore_stream", "_connection")
"""The attributes by which the body of a response leads to the connection that it comes over."""
DEEPEST: Final = 8
"""So many of them are followed at most. The libraries have four."""


def end_if_surplus(response: "httpx.Response") -> None:
    """Have the connection of a response that was read, and is about to be closed, end with it if it holds more bytes.

    The libraries then make a new connection for the next request.
    """
    part: Any = None if response.is_closed else response.stream
    for _ in range(DEEPEST):
        attributes = getattr(part, "__dict__", {})
        if (state := attributes.get("_h11_state")) is not None:
            if state.trailing_data[0]:
                state.send_failed()  # By its state, httpcore decides whether to keep the connection.
            return
        part = next((attributes[name] for name in INNER if name in attributes), None)
