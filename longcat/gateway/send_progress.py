"""The progress of sending one call: whether a byte of it may have gone out when it fails."""

from collections.abc import Mapping
from typing import Any

from attrs import define


@define
class SendProgress:
    """The progress of sending one call, as far as the HTTP library shows it.

    Attributes:
        watched: whether whoever sends the call keeps this up to date.
        began: whether the call was handed to the HTTP client.
        traced: whether the HTTP client's transport tells what it does. One that is the caller's own may not.
        sent: whether the transport has begun to send the call itself, after the connection was made.
        peer: the host and the port that it connects to: the call's own, or those of a proxy. None: it used a connection
            that was open already, as far as it tells.
        connected: whether that came about.
        tls_name: the name that the other side was last asked to have in its certificate. None: there was no TLS.
    """

    watched: bool = False
    began: bool = False
    traced: bool = False
    sent: bool = False
    peer: tuple[str, int] | None = None
    connected: bool = False
    tls_name: str | None = None

    @property
    def may_have_sent(self) -> bool:
        """Whether a byte of the call may have gone out. True, too, where nobody can tell."""
        return not self.watched or (self.began and (self.sent or not self.traced))

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take in an event of httpcore's trace extension that tells of a connection."""
        self.traced = True
        if event.endswith(".connect_tcp.started"):
            self.peer, self.connected = (info["host"], info["port"]), False
        elif event.endswith(".connect_tcp.complete"):
            self.connected = True
        elif event.endswith(".start_tls.started"):
            self.tls_name = info["server_hostname"]

    def note_sending(self, info: Mapping[str, Any]) -> bool:
        """Take in that a request is sent, and return whether it is the call itself."""
        begins: bool = info["request"].method != b"CONNECT"  # A proxy is asked to connect before the call goes out.
        self.sent = self.sent or begins
        return begins
