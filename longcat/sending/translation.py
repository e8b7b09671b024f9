"""Our own exceptions for those of the libraries below, with what is known of the proxy and the certificate."""

import re
import ssl
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final

from longcat.decoding import CodingError
from longcat.errors import APIConnectionError, APITimeoutError, LongCatError, is_transient
from longcat.gateway.messages import Call
from longcat.gateway.send_progress import SendProgress
from longcat.sending.http.libraries import HttpLibrary
from longcat.sending.proxies import Proxies
from longcat.text.known_keys import KNOWN_KEYS, causes, without_keys
from longcat.url import Url

NETWORK_FAULTS: Final = (OSError, UnicodeError, CodingError)
"""Those whose own words tell what happened, beside the HTTP library's own."""
# fmt: off
LIBRARIES: Final = frozenset({
    "aiohttp", "anyio", "asyncio", "attr", "attrs", "binascii", "concurrent", "email", "h11", "h2", "hpack", "http",
    "httpcore", "httpcore2", "httpx", "httpx2", "httpx_aiohttp", "hyperframe", "idna", "json", "multidict", "queue",
    "sniffio", "socket", "socks", "socksio", "sqlite3", "ssl", "struct", "trio", "yarl", "zlib",
})
# fmt: on
"""The packages whose exceptions are never the caller's own."""
STAND_INS: Final = frozenset({"pytest_httpx", "pytest_recording", "pytest_socket", "respx", "vcr"})
"""Tools for tests that replace the network. Their exceptions are for the author of the test."""
SYSTEM_ERRORS: Final = (OSError, UnicodeError, RecursionError, EOFError, BufferError, ExceptionGroup)
"""Exceptions of Python's own that tell no more than that something below failed."""
EXPIRED: Final = {9, 10}
"""OpenSSL's codes for a certificate that is not valid yet, or no more."""
MISNAMED: Final = {62, 64}
"""OpenSSL's codes for a certificate of another host."""


class ClientClosedError(Exception):
    """The client was closed while a call was under way. It never leaves this package."""


class Translated:
    """A context that raises our own exceptions for all of those of the libraries below.

    Args:
        call: what is sent within the block.
        library: what sends it.
        is_closed: tells whether the client was closed meanwhile, which makes the libraries raise anything.
        owns_http: whether the HTTP client is our own. Then it is known which proxy it uses, and that it runs no code of
            the caller's, such as a hook, whose own exceptions are the caller's to see.
    """

    def __init__(self, call: Call, library: HttpLibrary, is_closed: Callable[[], bool], *, owns_http: bool) -> None:
        self._call = call
        self._library = library
        self._is_closed = is_closed
        self._owns_http = owns_http

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, LongCatError | MemoryError):
            return
        ours = _our_error(self._call, self._library, error, is_closed=self._is_closed(), owns_http=self._owns_http)
        if ours is not None:
            raise ours from without_keys(error)


def _our_error(
    call: Call, library: HttpLibrary, error: Exception, *, is_closed: bool, owns_http: bool
) -> APIConnectionError | None:
    """Return our own error for an exception. None: it is the caller's own."""
    host, sent = host_of(call), may_have_sent(call.progress, library, error)
    if is_closed or isinstance(error, ClientClosedError):
        return APIConnectionError("this client was closed meanwhile", host, sent, "Make a new client.", lasting=True)
    if isinstance(error, library.timeout_errors):
        return _timeout_error(call, sent, owns_http=owns_http)
    # An `invalid_url` is that of a redirect: the libraries read them in any case.
    if isinstance(error, (library.request_error, library.invalid_url, *NETWORK_FAULTS)):
        return _connection_error(call, library, error, owns_http=owns_http)
    if is_from(error, STAND_INS) or not (owns_http or is_from_below(error)):
        return None
    # A library is at fault; or a hook of the caller's called `raise_for_status`, and there was an answer.
    lasting = isinstance(error, library.status_error)
    return APIConnectionError(f"{type(error).__name__} was raised while it was sent", host, sent, lasting=lasting)


def may_have_sent(progress: SendProgress, library: HttpLibrary, error: Exception) -> bool:
    """Return whether a byte of a call may have gone out before this error."""
    return progress.may_have_sent and (progress.sent or not isinstance(error, library.not_sent_errors))


def is_from_below(error: Exception) -> bool:
    """Return whether an exception is one of the libraries below, or was raised in one of them."""
    return isinstance(error, SYSTEM_ERRORS) or is_from(error, LIBRARIES)


def is_from(error: Exception, packages: Collection[str]) -> bool:
    """Return whether an exception, or one of its group, is one of these packages, or was raised in one of them."""
    if isinstance(error, ExceptionGroup):
        return any(is_from(one, packages) for one in error.exceptions)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return any(one.partition(".")[0] in packages for one in (type(error).__module__, raised_in))


def host_of(call: Call) -> str:
    """Return the host that a call goes to, with its port, for errors."""
    try:
        return Url.read(call.url).netloc
    except ValueError:
        return "an address that is none"


class ProxyOnTheWay:
    """The proxy that a call went through, for errors.

    Attributes:
        name: what it is called.
        advice: what to do when it is in the way.
        login: what to do when it wants a login.
    """

    def __init__(self, name: str, variable: str | None) -> None:
        self.name = name
        self.advice = "Check that proxy, or use an http_client without it."
        self.login = "Pass an http_client whose proxy has the user and the password."
        if variable is not None:
            self.advice = f"Check that proxy; or unset {variable}, or except the host in NO_PROXY."
            self.login = f"Put the user and the password into {variable}, as in http://user:password@host:port."

    @classmethod
    def find(cls, call: Call, *, owns_http: bool) -> "ProxyOnTheWay | None":
        """Return the proxy that a call went through. None: none, as far as the HTTP client tells."""
        peer, proxies = call.progress.peer, Proxies.of_environment()
        if peer is None and not (owns_http and call.progress.traced):
            return None  # It failed before anything was sent, perhaps as its URL can't be read.
        url = Url.read(call.url)
        if peer is None:  # It used a connection that was open already.
            proxy = proxies.find(url)
        elif peer == (url.ascii_host, url.port_asked):
            return None
        else:
            proxy = proxies.at(*peer)
        if proxy is not None:
            return cls(str(proxy), proxy.variable)
        return None if peer is None else cls(f"the proxy {peer[0]}:{peer[1]}", None)


def refused_by_proxy(call: Call, *, owns_http: bool) -> APIConnectionError | None:
    """Return the error for an answer of 407 that is a proxy's, so that the gateway did not get the call.

    None: it is not known that there was a proxy, so the gateway seems to have given that answer.
    """
    proxy = ProxyOnTheWay.find(call, owns_http=owns_http)
    if proxy is None:
        return None
    message = f"{proxy.name} wants a user and a password (407)"
    return APIConnectionError(message, host_of(call), False, proxy.login, lasting=True)


def _timeout_error(call: Call, sent: bool, *, owns_http: bool) -> APITimeoutError:
    proxy = ProxyOnTheWay.find(call, owns_http=owns_http)
    message, advice = f"no whole answer within {call.timeout:.3g} s", None
    if proxy is not None:
        message, advice = f"{message}, through {proxy.name}", proxy.advice
    return APITimeoutError(message, host_of(call), sent, advice)


def _connection_error(call: Call, library: HttpLibrary, error: Exception, *, owns_http: bool) -> APIConnectionError:
    progress = call.progress
    host, sent = host_of(call), may_have_sent(progress, library, error)
    proxy = ProxyOnTheWay.find(call, owns_http=owns_http)
    message = KNOWN_KEYS.hide(next(filter(None, map(str, causes(error))), "")) or type(error).__name__
    if call.cross_origin and isinstance(error, library.protocol_error):
        message = message.partition(":")[0]  # What comes after it may be in the words of whoever answered.
    if (fault := _tls_fault(error)) is not None:
        is_proxys = proxy is not None and progress.peer is not None and progress.tls_name == progress.peer[0]
        text, advice = _certificate(fault, proxy.name if proxy is not None and is_proxys else host)
        return APIConnectionError(text, host, sent, advice, lasting=True)
    if isinstance(error, library.unsupported_protocol):
        return APIConnectionError(message, host, sent, "Use a URL that begins with http:// or https://.", lasting=True)
    if proxy is None:
        return APIConnectionError(message, host, sent)
    if not isinstance(error, library.proxy_error):
        reached = progress.connected
        message = f"{message}, through {proxy.name}" if reached else f"{proxy.name} can't be reached: {message}"
        return APIConnectionError(message, host, sent, proxy.advice)
    code = int(number[0]) if (number := re.match(r"\d{3}\b", message)) else None
    if code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return refused_by_proxy(call, owns_http=owns_http) or APIConnectionError(message, host, sent)
    # A SOCKS proxy may find the way to the host later, but not take a login that it has refused.
    lasting = not is_transient(code) if code is not None else "could not connect" not in message
    return APIConnectionError(f"{proxy.name} answered: {message}", host, sent, proxy.advice, lasting=lasting)


def _tls_fault(error: Exception) -> ssl.SSLError | None:
    """Return the fault of a certificate, ours or theirs, that led to an error. None: none did."""
    for one in causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return one
        if isinstance(one, ssl.SSLError) and re.search("CERTIFICATE|UNKNOWN_CA", getattr(one, "reason", None) or ""):
            return one
    return None


def _certificate(fault: ssl.SSLError, whose: str) -> tuple[str, str]:
    """Return what is wrong with a certificate, and what to do about it."""
    if not isinstance(fault, ssl.SSLCertVerificationError):
        message = f"it does not take our certificate, or wants one ({fault.reason})"
        return message, "Pass an http_client that has the certificate which it wants."
    # Python's own checks, and those of other libraries, tell no code.
    message = f"the certificate of {whose} is not trusted: {getattr(fault, 'verify_message', fault)}"
    code = getattr(fault, "verify_code", None)
    if code in EXPIRED:
        return message, "Check this machine's clock; if it is right, the owner of that server must renew it."
    if code in MISNAMED:
        return message, "Check the URL: the server there goes by another name."
    return message, "If you trust who issued it, name the issuer's certificate file in SSL_CERT_FILE."
