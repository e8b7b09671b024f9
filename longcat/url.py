"""The parts of a URL, read as the HTTP libraries read them, but without any of these, which take long to import."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

from attrs import frozen

MAX_CHARACTERS: Final = 65536
PORTS: Final = {"http": 80, "https": 443}
"""Where what names no port is asked."""
_START: Final = re.compile(r"(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://([^/?#]*))?")
_AUTHORITY: Final = re.compile(r"(?:.*@)?(\[.*\]|[^:@]*):?(.*)")
_IN_HOSTS: Final = "!$&'()*+,;=\"`{}%|\\"


@frozen
class Url:
    """The first parts of a URL.

    Attributes:
        scheme: in lower case. Empty if there is none.
        ascii_host: the host in ASCII and lower case, an IPv6 address without brackets. Empty if there is none.
        port: None for the scheme's usual one.
    """

    scheme: str
    ascii_host: str
    port: int | None

    @classmethod
    def read(cls, text: str) -> "Url":
        """Return the parts of a URL. Raises ValueError for what no HTTP library takes for one."""
        if len(text) > MAX_CHARACTERS or any(one.isascii() and not one.isprintable() for one in text):
            raise ValueError("no URL")
        start = _START.match(text)
        authority = _AUTHORITY.match((start and start[2]) or "")
        scheme = ((start and start[1]) or "").lower()
        host, port = (authority[1], authority[2]) if authority is not None else ("", "")
        number = int(port) if port else None
        return cls(scheme, _in_ascii(host), None if number == PORTS.get(scheme) else number)

    @property
    def host(self) -> str:
        """The host in Unicode. Raises ValueError when it can't be read."""
        if not self.ascii_host.startswith("xn--"):
            return self.ascii_host
        import idna  # noqa: PLC0415 - hardly any host needs it.

        return idna.decode(self.ascii_host)

    @property
    def port_asked(self) -> int | None:
        """The port, or the scheme's usual one. None: the scheme is none of HTTP's."""
        return self.port or PORTS.get(self.scheme)

    @property
    def netloc(self) -> str:
        """The host with its port, as in a `Host` header."""
        host = f"[{self.ascii_host}]" if ":" in self.ascii_host else self.ascii_host
        return host if self.port is None else f"{host}:{self.port}"


def _in_ascii(host: str) -> str:
    """Return a host as it is asked for. Raises ValueError when it is none."""
    if re.match(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$", host):
        return str(IPv4Address(host))
    if host.startswith("["):
        IPv6Address(host[1:-1])
        return host[1:-1]
    if host.isascii():
        return quote(host.lower(), safe=_IN_HOSTS)
    import idna  # noqa: PLC0415 - as above.

    return idna.encode(host.lower()).decode("ascii")
