"""Finds the proxy that a URL goes through, as the environment says it.

`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY`, in either case, name a proxy for a scheme or for every scheme; where there
are none, the settings of the system do. `NO_PROXY` excepts hosts. What is on this machine, or has an address of a
private network for its host, never goes through a proxy: the proxy would not get there, and it would see the key.
"""

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from urllib.request import getproxies

from attrs import field, frozen

from longcat.errors import ConfigurationError
from longcat.sending.addresses import is_local, is_public, literal
from longcat.text import shorten
from longcat.url import Url

SCHEMES: Final = ("http", "https", "socks5", "socks5h")
"""How a proxy may be spoken to."""
SOCKS_PORT: Final = 1080


@frozen
class Proxy:
    """A proxy that the environment names.

    Attributes:
        url: as it was given, with the password if there is one, so it is not in the repr.
        variable: where it was given. None: in the settings of the system.
    """

    url: str = field(repr=False)
    variable: str | None

    def __str__(self) -> str:
        return f"the proxy {shown(self.url)} of {self.variable or 'the system'}"

    def check(self) -> None:
        """Raise ConfigurationError when it can't be used."""
        where = self.variable or "the system's settings"
        try:
            url = Url.read(self.url)
            url.host.encode("idna")
        except ValueError:
            url = Url("", "", None)
        if url.scheme not in SCHEMES or not re.fullmatch(r"[^][\s%]+", url.host) or not 0 < (url.port or 1) < 65536:  # noqa: PLR2004
            raise ConfigurationError(
                f"The HTTP client can't be set up: {shown(self.url)} in {where} is no proxy. Check the environment's"
                f" proxies: one is {', '.join(f'{scheme}://' for scheme in SCHEMES)} and a host, perhaps with a port."
            )
        if url.scheme.startswith("socks") and find_spec("socksio") is None:
            raise ConfigurationError(
                f"The HTTP client can't be set up: {shown(self.url)} in {where} needs the package socksio, which is"
                f" not installed. Run: pip install 'httpx[socks]'; or unset {where} if no proxy is needed."
            )


def shown(proxy_url: str) -> str:
    """Return a proxy's URL as it may be shown: without the user and the password."""
    scheme = re.match(r"[a-z][a-z0-9+.-]*://|", proxy_url, re.IGNORECASE)
    start = scheme[0] if scheme is not None else ""
    return shorten(start + proxy_url[len(start) :].rpartition("@")[2])


@frozen
class Proxies:
    """The proxies of the environment, and what goes without one.

    Attributes:
        by_scheme: the proxy for `http`, `https` and `all` other URLs.
        exceptions: the entries of `NO_PROXY`.
    """

    by_scheme: Mapping[str, Proxy] = field(factory=dict)
    exceptions: tuple[str, ...] = ()

    @classmethod
    def of_environment(cls, urls: Iterable[str] = ()) -> "Proxies":
        """Return what the environment says at this moment.

        Raises ConfigurationError when the proxy of one of the URLs can't be used.
        """
        found = getproxies()
        by_scheme = {
            scheme: Proxy(url if "://" in url else f"http://{url}", _variable(f"{scheme}_proxy", url))
            for scheme in ("http", "https", "all")
            if (url := found.get(scheme, "").strip())
        }
        proxies = cls(by_scheme, tuple(re.split(r"[\s,]+", found.get("no", "").strip())))
        for url in urls:
            if (proxy := proxies.find(Url.read(url))) is not None:
                proxy.check()
        return proxies

    def find(self, url: Url) -> Proxy | None:
        """Return the proxy that a URL goes through. None: it goes without one."""
        proxy = self.by_scheme.get(url.scheme, self.by_scheme.get("all"))
        if proxy is None or is_local(url.host) or any(excepts(entry, url) for entry in self.exceptions):
            return None
        address = literal(url.host)
        return proxy if address is None or is_public(address) else None

    def at(self, host: str, port: int) -> Proxy | None:
        """Return the proxy that has this host and port. None: none has, so it is not one of the environment."""
        for proxy in self.by_scheme.values():
            try:
                url = Url.read(proxy.url)
            except ValueError:
                continue
            if (url.ascii_host, url.port_asked or SOCKS_PORT) == (host, port):
                return proxy
        return None


def _variable(name: str, value: str) -> str | None:
    """Return the variable that a proxy comes from, as it is written. The one in lower case goes first."""
    candidates = sorted((one for one in os.environ if one.lower() == name), key=str.isupper)
    return next((one for one in candidates if os.environ[one].strip() == value), None)


def excepts(entry: str, url: Url) -> bool:
    """Whether an entry of `NO_PROXY` excepts a URL.

    Entries are `*`, for everything; a domain, with its subdomains; `.domain` or `*.domain`, for its subdomains alone;
    an address, with or without brackets, or a network such as `10.0.0.0/8`. Each may have a port after it and a scheme
    before it, which then must be the URL's. Any other entry excepts nothing.
    """
    scheme, separator, rest = entry.lower().rpartition("://")
    if separator and scheme not in {"all", url.scheme}:
        return False
    if (network := _network(rest)) is not None:
        return _is_in(url, network)
    bracketed = re.fullmatch(r"\[([^]]*)\](/\d+)?(?::(\d+))?", rest)
    host, _, port = (bracketed[1] + (bracketed[2] or ""), "", bracketed[3] or "") if bracketed else rest.partition(":")
    if port and port != str(url.port_asked):
        return False
    if (network := _network(host)) is not None:
        return _is_in(url, network)
    name, host = url.host.lower().rstrip("."), host.rstrip(".")
    if host.startswith((".", "*.")):
        return name.endswith(host.removeprefix("*"))
    return host == "*" or (bool(host) and (name == host or name.endswith(f".{host}")))


@lru_cache
def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _is_in(url: Url, network: IPv4Network | IPv6Network) -> bool:
    address = literal(url.host)
    return address is not None and address in network
