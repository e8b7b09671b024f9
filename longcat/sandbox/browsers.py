"""Keeps web pages out of the sandbox: a browser runs the code of strangers, and reaches what its machine does."""

from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from longcat.sandbox.bodies import error


class BrowserGuard:
    """An ASGI middleware that refuses what a web page of another site sends.

    Args:
        local: whether only this machine reaches the sandbox. Then it is called by an address or by a name without dots:
            any other name is one that a stranger's name server leads here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with an error."""
        request = Request(scope)
        app = self._app
        if self._local and not _is_local_name(request.headers.get("Host", "")):
            app = error(HTTPStatus.MISDIRECTED_REQUEST, "The sandbox is called 127.0.0.1 or localhost.")
        elif _is_from_elsewhere(request):
            app = error(HTTPStatus.FORBIDDEN, "The sandbox takes nothing from web pages of other sites.")
        await app(scope, receive, send)


def _is_local_name(host: str) -> bool:
    """Whether no public name server is asked for a `Host`. Every browser sends one."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".").removesuffix(".localhost")
    except ValueError:
        return False
    return "." not in name or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_from_elsewhere(request: Request) -> bool:
    """Whether another site's page sent the request. One that only embeds a picture is let pass."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scope['scheme']}://{request.headers.get('Host', '')}":
        return True
    site = request.headers.get("Sec-Fetch-Site", "none")
    return request.method not in {"GET", "HEAD"} and site not in {"none", "same-origin"}
