"""Finds the key and the base URL, and refuses a key, a URL, an id or a timeout that can't be used."""

import math
import os
import re
from collections.abc import AsyncIterable, Collection, Iterable
from pathlib import Path
from typing import Any, Final, Literal

from longcat.errors import ConfigurationError
from longcat.text import decode_text, shorten, show
from longcat.text.hiding import MIN_SECRET_LENGTH, hiding
from longcat.url import Url

KEY_VARIABLE: Final = "PIXAZO_API_KEY"
KEY_FILE: Final = Path("~/.pixazo/api-key")
URL_VARIABLE: Final = "LONGCAT_BASE_URL"
MAX_REQUEST_ID: Final = 1024
"""Characters. The documented ids have some 60; the bound keeps a file passed by mistake from being sent."""
LOWEST_RATE: Final = 1e-9  # Calls per second: one in 30 years. With a lower rate, moments can't be computed.


def find_api_key(argument: str | None) -> str:
    """Return the key: the argument, then `PIXAZO_API_KEY`, then the one line of `~/.pixazo/api-key`.

    The last two are the vendor's own convention. An empty variable counts as none.
    Raises ConfigurationError when there is none, or when it could not stand in a header. The message never shows it.
    """
    if argument is not None:
        return _usable_key(argument, "the argument api_key")
    if os.environ.get(KEY_VARIABLE):
        return _usable_key(os.environ[KEY_VARIABLE], KEY_VARIABLE)
    try:
        content = KEY_FILE.expanduser().read_bytes()
        return _usable_key(decode_text(content, "replace").strip(), str(KEY_FILE))
    except FileNotFoundError:
        raise ConfigurationError(
            f"No key was found: not in the argument api_key, not in {KEY_VARIABLE}, and there is no {KEY_FILE}. "
            f"Set {KEY_VARIABLE} to the subscription key."
        ) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home.
        raise ConfigurationError(
            f"No key was found: not in the argument api_key, not in {KEY_VARIABLE}, and {KEY_FILE} can't be read"
            f" ({type(error).__name__}). Set {KEY_VARIABLE} to the subscription key."
        ) from None


def api_key_if_any() -> str:
    """Return the key that `find_api_key` finds, or an empty text if it finds none."""
    try:
        return find_api_key(None)
    except ConfigurationError:
        return ""


def _usable_key(key: Any, source: str) -> str:
    if not isinstance(key, str) or not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ConfigurationError(
            f"The key from {source} can't be sent: it must be one line of printable ASCII without spaces. "
            "Copy it again; a line break at its end is the usual cause."
        )
    return key


def refuse_key(api_key: str, what: str, value: object) -> None:
    """Raise ConfigurationError for what a caller passed if the key is in it: it would go into URLs, logs and files.

    A key that is so short that it could be any word may be in it.
    """
    text = str(value)
    if len(api_key) >= MIN_SECRET_LENGTH and hiding(api_key)(text) != text:
        raise ConfigurationError(f"{what} holds the key, which belongs into a header alone. Take it out.")


def find_base_url(argument: str | None, server: str) -> str:
    """Return the base URL, without a slash at its end: the argument, `LONGCAT_BASE_URL`, or the contract's server.

    Raises ConfigurationError when it is not just a scheme, http or https, and a host, perhaps with a port.
    """
    text = argument if argument is not None else os.environ.get(URL_VARIABLE) or server
    if not re.fullmatch(r"(?i:https?)://[^\s/?#@\\]+/?", str(text)) or not is_http_url(text):
        shown = "that was given (not shown, as it may hold a password)" if "@" in str(text) else show(text)
        raise ConfigurationError(
            f"The base URL {shown} can't be used: it must be http:// or https:// and a host, "
            f"without a path, such as {server}. Check the argument base_url and {URL_VARIABLE}."
        )
    url = Url.read(str(text))
    return f"{url.scheme}://{url.netloc}"


def is_http_url(text: str, schemes: Collection[str] = ("http", "https")) -> bool:
    """Whether a text is an absolute URL of one of these schemes that could be asked. False for what is no text."""
    try:
        url = Url.read(text)
        url.host.encode("idna")
    except (TypeError, ValueError):
        return False
    return url.scheme in schemes and bool(url.ascii_host) and (url.port is None or 0 < url.port < 65536)  # noqa: PLR2004


def usable_request_id(request_id: Any) -> str:
    """Return the request id, or raise ConfigurationError when no gateway could know it."""
    if not isinstance(request_id, str):
        raise ConfigurationError(f"A request id is a string, not {type(request_id).__name__}. Pass the id alone.")
    if not request_id:
        raise ConfigurationError(
            'The request id "" can\'t be used: it is empty. Pass the one that was given out when the image was ordered.'
        )
    if not request_id.isprintable() or request_id != request_id.strip():
        raise ConfigurationError(
            f"The request id {show(request_id)} can't be used: it must have no control characters, and no space at"
            " either end. Strip it."
        )
    if request_id in {".", ".."}:
        raise ConfigurationError(
            f"The request id {show(request_id)} can't be used: in a URL, it is a way to elsewhere."
        )
    if len(request_id) > MAX_REQUEST_ID:
        raise ConfigurationError(
            f"The request id {show(request_id)} has {len(request_id)} characters, more than {MAX_REQUEST_ID}. "
            "Pass one id at a time."
        )
    return request_id


def usable_timeout(timeout: Any, name: str = "A timeout") -> float | None:
    """Return the timeout in seconds, None for none, or raise ConfigurationError when it is no time."""
    if timeout is None or timeout == math.inf:
        return None
    try:
        if isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout >= 0:
            return float(timeout)
    except OverflowError:
        pass
    raise ConfigurationError(f"{name} is zero or more seconds, not {show(timeout)}. Pass such a number.")


def usable_rate(rate: Any, name: str = "max_rate") -> float:
    """Return how many calls may go out in a second, infinite for None, or raise ConfigurationError."""
    if rate is None:
        return math.inf
    is_positive = isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0
    if not is_positive or rate < LOWEST_RATE:
        allowed = f"{LOWEST_RATE:g} or more" if is_positive else "more than zero"
        raise ConfigurationError(f"{name} is calls per second, {allowed}, not {show(rate)}. Pass such a number.")
    try:
        return float(rate)
    except OverflowError:  # A whole number that is larger than any other.
        return math.inf


def usable_count(count: Any, name: str) -> int:
    """Return a setting of this name that counts things, or raise ConfigurationError when it is not one or more."""
    if isinstance(count, int) and not isinstance(count, bool) and count > 0:
        return count
    raise ConfigurationError(f"{name} is a whole number from one up, not {show(count)}. Pass such a number.")


def usable_request_ids(request_ids: Any) -> Any:
    """Return what yields request ids, or raise ConfigurationError when it is one id, or nothing that yields."""
    if isinstance(request_ids, str | bytes) or not isinstance(request_ids, Iterable | AsyncIterable):
        kind = type(request_ids).__name__
        raise ConfigurationError(f"Pass the request ids as a list or as what yields them, not as {kind}.")
    return request_ids


def usable_unknown(unknown: Any) -> Literal["wait", "raise"]:
    """Return what to do about an unknown status word, or raise ConfigurationError when it is none of the two."""
    if unknown == "wait" or unknown == "raise":  # noqa: PLR1714 - mypy does not narrow a test for membership.
        return unknown  # type: ignore[no-any-return]
    raise ConfigurationError(f"unknown is 'wait' or 'raise', not {shorten(unknown)!r}. Pass one of the two.")
