"""The destination of one call: its host is looked up, its addresses are checked, and no other is connected to."""

from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from itertools import zip_longest
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from longcat.errors import APIConnectionError
from longcat.sending.addresses import Address, is_local, is_public, literal
from longcat.url import Url

Lookups: TypeAlias = Generator[str, Sequence[Address], None]
"""Yields the hosts whose addresses it wants to know. It is sent them, or OSError is thrown into it."""

CONNECT_PATIENCE: Final = 2.0
"""Seconds that connecting to an address may take when the host has another one. The last may take longer."""
LOOPBACK: Final = IPv4Address("127.0.0.1")


@frozen
class AddressRule:
    """The addresses that hosts may have which a gateway names: those of pictures, and what these redirect to.

    They must be on the public internet, unless the gateway itself is not.

    Attributes:
        gateways: the hosts of the gateways.
        allow_private: whether any address will do.
    """

    gateways: tuple[str, ...] = ()
    allow_private: bool = False

    @classmethod
    def of_gateways(cls, base_urls: Iterable[str], *, allow_private: bool) -> "AddressRule":
        """Return the rule for gateways with these URLs."""
        return cls(tuple(Url.read(url).ascii_host for url in base_urls), allow_private)

    def check(self, host: str, addresses: Sequence[Address]) -> Lookups:
        """Raise APIConnectionError if one of a host's addresses must not be connected to."""
        private = next((one for one in addresses if not is_public(one)), None)
        if private is None or self.allow_private:
            return
        for gateway in self.gateways:
            if any(not is_public(one) for one in (yield from _known_addresses(gateway))):
                return
        where = host if literal(host) is not None else f"{host} is {private}, which"
        raise APIConnectionError(
            f"{where} is not on the public internet, where pictures are",
            host,
            sent=False,
            advice="If it is meant to be there, pass allow_private=True (--allow-private).",
            lasting=True,
        )


@define
class Destination:
    """The destination of one call.

    It takes in the events of httpcore's trace extension. Before a connection is made, the host is looked up and its
    addresses are checked; then the HTTP library is told to connect to one address, and if that fails, to the next, so
    that it does not look the name up again. What it has connected to is checked once more before a byte is sent. If it
    uses a connection that is open already, or a proxy, the addresses are checked that the host has for this machine, if
    it has any. With a transport of the caller's that does not trace, hosts that are written as addresses are checked,
    but no names are looked up: it may be made for tests, and have no network. Where it is known to be `untraced`, the
    host's addresses are checked before it is called, which may find others.

    Attributes:
        host: the call's, in ASCII.
        rule: which addresses it may have. None: any.
        untraced: whether connections are made by a library that is known to tell nothing of them.
    """

    host: str
    rule: AddressRule | None
    untraced: bool = False
    _target: str = field(default="", init=False)
    _left: list[Address] = field(factory=list, init=False)
    _failed: bool = field(default=False, init=False)
    _checked: bool = field(default=False, init=False)

    def before_sending(self) -> Lookups | None:
        """Check a host as far as it must be before anything tells of a connection. None: there is nothing to check.

        What is returned, here and by `on_event`, holds up the step until it has ended, and may raise that it is not
        allowed.
        """
        if self.rule is None:
            return None
        address = literal(self.host) or (LOOPBACK if is_local(self.host) else None)
        if address is not None:
            return self._check([address])
        return self._check_known() if self.untraced else None

    def on_event(self, event: str, info: dict[str, Any]) -> Lookups | None:
        """Take in an event, and check what it announces. None: there is nothing to check."""
        if event.endswith(".connect_tcp.started"):
            return self._before_connecting(info)
        if event.endswith(".connect_tcp.failed"):
            self._failed = True
        elif event.endswith(".connect_tcp.complete") and self._target == self.host:
            peer = info["return_value"].get_extra_info("server_addr")
            return self._check([ip_address(peer[0])] if peer else [])
        elif event.endswith(".send_request_headers.started") and self.rule is not None and not self._checked:
            return self._check_known()
        return None

    def next_address(self) -> bool:
        """Go on to the next address of the host when it could not be connected to. False: that was not the fault."""
        failed, self._failed = self._failed, False
        del self._left[:1]
        return failed and bool(self._left)

    def _before_connecting(self, info: dict[str, Any]) -> Lookups:
        host, self._failed = info["host"], False
        if not self._left or host != self._target:
            self._target, self._left = host, []
            if host != self.host:  # It is a proxy.
                yield from self._check_known()
            self._left = _in_turn((yield from _addresses(host)))
        if host == self.host:
            yield from self._check(self._left)
        info["host"] = str(self._left[0])  # httpcore calls with the dict that it shows us.
        if len(self._left) > 1:
            info["timeout"] = (
                CONNECT_PATIENCE
                if info["timeout"] is None
                else min(CONNECT_PATIENCE, info["timeout"] / len(self._left))
            )

    def _check(self, addresses: Sequence[Address]) -> Lookups:
        self._checked = True
        if self.rule is not None:
            yield from self.rule.check(self.host, addresses)

    def _check_known(self) -> Lookups:
        """Check the addresses that the host has for this machine. A proxy may know the host although we don't."""
        if self.rule is not None:
            yield from self._check((yield from _known_addresses(self.host)))


def _in_turn(addresses: Sequence[Address]) -> list[Address]:
    """Return addresses so that IPv4 and IPv6 take turns, as one of the two may lead nowhere."""
    first = [one for one in addresses if one.version == addresses[0].version]
    others = [one for one in addresses if one.version != addresses[0].version]
    return [one for pair in zip_longest(first, others) for one in pair if one is not None]


def _addresses(host: str) -> Generator[str, Sequence[Address], Sequence[Address]]:
    """Return the addresses of a host. Raises OSError when there are none."""
    address = literal(host)
    return [address] if address is not None else (yield host)


def _known_addresses(host: str) -> Generator[str, Sequence[Address], Sequence[Address]]:
    """Return the addresses of a host, none if there are none to be found."""
    try:
        return (yield from _addresses(host))
    except OSError:
        return [LOOPBACK] if is_local(host) else []


def look_up(lookups: Lookups | None, addresses_of: Callable[[str], Sequence[Address]]) -> None:
    """Look up what is wanted, until nothing more is. None: nothing is."""
    if lookups is None:
        return
    with suppress(StopIteration):
        host = next(lookups)
        while True:
            try:
                found = addresses_of(host)
            except OSError as error:
                host = lookups.throw(error)
            else:
                host = lookups.send(found)


async def look_up_async(lookups: Lookups | None, addresses_of: Callable[[str], Awaitable[Sequence[Address]]]) -> None:
    """Look up what is wanted, until nothing more is. None: nothing is."""
    if lookups is None:
        return
    with suppress(StopIteration):
        host = next(lookups)
        while True:
            try:
                found = await addresses_of(host)
            except OSError as error:
                host = lookups.throw(error)
            else:
                host = lookups.send(found)
