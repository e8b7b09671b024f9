"""Certificates for servers on the loopback address, good ones and bad ones, made on the spot."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

LOOPBACK: Final = "127.0.0.1"
SIGNED: Final[dict[str, dict[str, Any]]] = {
    "good": {},
    "expired": {"not_after": datetime(2020, 1, 2, tzinfo=UTC)},
    "not valid yet": {"not_before": datetime(2037, 1, 1, tzinfo=UTC)},
}
"""What is told of certificates that the authority signs: from when, or until when, they are valid."""


def authority(folder: Path) -> Path:
    """Return the certificate that a client has to trust, once `make` has been called for the folder."""
    return folder / "authority.pem"


def make(folder: Path) -> None:
    """Make two authorities, of which one is to be trusted, and every certificate, in an empty folder."""
    from trustme import CA  # noqa: PLC0415 - few tests need it, and it is slow to import.

    trusted, stranger = CA(), CA()
    trusted.cert_pem.write_to_path(authority(folder))
    leaves = {name: trusted.issue_cert(LOOPBACK, **valid) for name, valid in SIGNED.items()}
    leaves["for another name"] = trusted.issue_cert("other.example")
    leaves["untrusted"] = stranger.issue_cert(LOOPBACK)
    for name, leaf in leaves.items():
        leaf.private_key_and_cert_chain_pem.write_to_path(_path(folder, name))
    for part in (stranger.private_key_pem, stranger.cert_pem):
        part.write_to_path(_path(folder, "self-signed"), append=True)


def context(folder: Path, name: str) -> ssl.SSLContext:
    """Return what a server needs to speak TLS with one of the certificates."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(_path(folder, name))
    return made


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.pem"
