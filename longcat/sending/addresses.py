"""Tells by a host's address whether it is this machine, and whether it is on the public internet."""

import logging
import socket
import threading
import unicodedata
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

logger: Final = logging.getLogger("longcat")

Address: TypeAlias = IPv4Address | IPv6Address

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NOT_PUBLIC: Final[tuple[IPv4Network | IPv6Network, ...]] = (
    IPv4Network("192.0.0.0/24"),  # For protocols. Python calls some of these global.
    IPv4Network("192.88.99.0/24"),  # The relays of 6to4, which are no more.
    IPv6Network("2001::/23"),  # For protocols, Teredo among them.
    IPv6Network("3fff::/20"),  # For documentation, since RFC 9637.
)
"""What Python, in one version or another, calls global although nobody has it on the public internet."""


def literal(host: str) -> Address | None:
    """Return the address that a host is written as, in any form that a system reads as one. None: it is a name.

    Beside the usual forms these are decimal (`2130706433`), hexadecimal, octal and short ones (`127.1`), those with a
    dot at the end, in brackets, or in full-width digits.
    """
    text = unicodedata.normalize("NFKC", host).strip("[]").rstrip(".")
    try:
        return ip_address(text)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(text)) if text and not any(map(str.isspace, text)) else None
    except (OSError, UnicodeError):
        return None


def is_local(host: str) -> bool:
    """Whether a host is this machine by the way it is written, without looking its name up."""
    address = literal(host)
    if address is not None:
        address = embedded(address)
        return address.is_loopback or address.is_unspecified
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def warn_of_plain_http(base_url: str) -> None:
    """Log a warning if the key would go to a gateway over a network without TLS."""
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not is_local(parts.hostname or ""):
        logger.warning(
            "Warning: %s is asked over plain HTTP, so whoever is on the way can read the key and change the answers."
            " Use https://.",
            base_url,
        )


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself if it stands for none."""
    if isinstance(address, IPv4Address):
        return address
    if (mapped := address.ipv4_mapped or address.sixtofour) is not None:
        return mapped
    is_compatible = int(address) >> 32 == 0 and int(address) > 1
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 or is_compatible else address


def is_public(address: Address) -> bool:
    """Whether an address is one of a single machine on the public internet.

    It is not if it is one of this machine, of a private or shared network, link-local, multicast, reserved, or an IPv6
    address that stands for such an IPv4 address.
    """
    address = embedded(address)
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


def resolve(host: str) -> list[Address]:
    """Return the addresses of a host, in the order in which they are to be tried. This may take long.

    Raises OSError when there are none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))


def resolve_in_thread(host: str, report: Callable[[list[Address] | Exception], object]) -> None:
    """Look a host up in a thread, and report from there its addresses or the error.

    It can't be stopped, only left behind: as a daemon, the thread does not keep the program from ending.
    """

    def look_up() -> None:
        try:
            outcome: list[Address] | Exception = resolve(host)
        except Exception as error:  # noqa: BLE001 - it is raised where the addresses are wanted.
            outcome = error
        report(outcome)

    threading.Thread(target=look_up, name="longcat-lookup", daemon=True).start()
