"""One piece for a whole request: the libraries send its head and its body apart, which takes longer at both ends."""

from contextlib import suppress
from typing import Any, Final

MAX_UNSENT: Final = 64 * 1024
"""How many bytes of a request are collected at most before they are sent."""


def join_writes(stream: Any, write_error: type[Exception]) -> None:
    """Have a blocking connection of httpcore send what is written to it when an answer is read.

    Only for HTTP/1.1, where an answer is read by who sent the request, and after that.

    Args:
        stream: the connection.
        write_error: what it raises when it can't write. The reading of the answer tells more, so that is ignored.
    """
    read, write, unsent, last_timeout = stream.read, stream.write, bytearray(), None

    def joined_write(buffer: bytes, timeout: float | None = None) -> None:
        nonlocal last_timeout
        unsent.extend(buffer)
        last_timeout = timeout
        if len(unsent) > MAX_UNSENT:
            send()

    def joined_read(max_bytes: int, timeout: float | None = None) -> Any:
        if unsent:
            with suppress(write_error):
                send()
        return read(max_bytes, timeout)

    def send() -> None:
        whole = bytes(unsent)
        unsent.clear()
        write(whole, last_timeout)

    stream.read, stream.write = joined_read, joined_write
