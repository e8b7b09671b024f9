"""The keys that this process uses, kept out of what the libraries below log and raise.

They log the headers that they send and the addresses that they ask, at DEBUG and INFO. To forbid them that would take
it away from the other clients of a program. So a filter on their loggers takes out what is ours, and nothing else.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Final

from longcat.text import without_queries
from longcat.text.hiding import MIN_SECRET_LENGTH, Hide, hiding

MAX_KEYS: Final = 16
"""How many keys are known at most. A program has one, or a few; of more, those that came last are known."""
MAX_CAUSES: Final = 16
"""How many errors that led to one another are looked at. Fewer libraries are in between; errors may go in a circle."""
LOGGERS: Final = (
    "asyncio",
    *("h2", "h2.connection", "hpack", "hpack.hpack", "hpack.huffman", "hpack.table"),
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *("httpx", "httpx2", "longcat", "urllib3.connectionpool"),
)
"""Those that may log what is sent for us. A filter counts for the records of its own logger, not for those below it."""
_QUERY: Final = re.compile(r"\?[^\s\"'?]+")
_ENCODED: Final = "hpack"
"""It logs headers as they are packed for the wire as well, which anybody can unpack."""
_in_call: ContextVar[bool] = ContextVar("longcat_in_call", default=False)


class KeyFilter(logging.Filter):
    """Takes the keys out of log records.

    Out of those that are logged during a call of ours, it takes the users and queries of addresses as well, which may
    hold a password or a signature.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hides: dict[str, Hide] = {}

    def add(self, key: str) -> None:
        """Hide this key from now on, unless it is so short that it could be any word."""
        if len(key) < MIN_SECRET_LENGTH:
            return
        hides = {name: hide for name, hide in self._hides.items() if name != key} | {key: hiding(key)}
        self._hides = dict([*hides.items()][-MAX_KEYS:])  # A new one, as other threads may go through the old one.
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self)

    def hide(self, text: str) -> str:
        """Return a text without the keys."""
        for hide in self._hides.values():
            text = hide(text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record that holds what nobody should see, and return whether it may be logged."""
        ours = _in_call.get()
        if ours and record.name.partition(".")[0] == _ENCODED:
            return False
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments of others may raise anything; `logging` says so by itself.
            return True
        hidden = self.hide(text)  # Before anything is left out, as half a key would not be found.
        if ours and not record.name.startswith("longcat"):  # Our own messages have no such address.
            hidden = _QUERY.sub("?...", without_queries(hidden))  # One in a header of theirs may be relative.
        if hidden != text:
            record.msg, record.args = hidden, ()
        if record.exc_info:
            trace = record.exc_text or logging.Formatter().formatException(record.exc_info)
            if (hidden := self.hide(trace)) != trace:
                record.exc_info, record.exc_text = None, hidden
        return True


KNOWN_KEYS: Final = KeyFilter()


class _InCall:
    def __enter__(self) -> None:
        _in_call.set(True)

    def __exit__(self, *error: object) -> None:
        _in_call.set(False)


_IN_CALL: Final = _InCall()


def in_call() -> AbstractContextManager[None]:
    """Return a context in which what this thread or task logs is treated as logged for a call of ours."""
    return _IN_CALL


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what led to it, what led to that, and so on."""
    for _ in range(MAX_CAUSES):
        if error is not None:
            yield error
            error = error.__cause__ or error.__context__


def without_keys(error: Exception) -> Exception:
    """Return an error of a library below that shows no key: itself, or the like of it without what led to it.

    The words of those that showed one are hidden in place as well, as Python keeps them in `__context__`.
    """
    chain = [*causes(error)]
    if not any(KNOWN_KEYS.hide(text) != text for text in (f"{one}\n{one!r}" for one in chain)):
        return error
    shown = KNOWN_KEYS.hide(str(error))
    for one in chain:
        one.args = tuple(KNOWN_KEYS.hide(word) if isinstance(word, str) else word for word in one.args)
    try:
        return type(error)(shown)
    except TypeError:  # It needs more than a message.
        return ValueError(shown)
