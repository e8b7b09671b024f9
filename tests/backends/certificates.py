"""Certificates for servers on the loopback address, good ones and bad ones, made on the spot with openssl."""

import ssl
import subprocess
from pathlib import Path
from typing import Final

LOOPBACK: Final = "IP:127.0.0.1"
ALWAYS: Final = ("20200101000000Z", "20491231000000Z")
CERTIFICATES: Final = {
    "good": ("authority", LOOPBACK, ALWAYS),
    "expired": ("authority", LOOPBACK, ("20200101000000Z", "20200102000000Z")),
    "not valid yet": ("authority", LOOPBACK, ("20480101000000Z", "20491231000000Z")),
    "for another name": ("authority", "DNS:other.example", ALWAYS),
    "untrusted": ("stranger", LOOPBACK, ALWAYS),
    "self-signed": (None, LOOPBACK, ALWAYS),
}
"""By its name: who signs it, or None for itself; whom it is for; and from when to when it is valid."""
SETTINGS: Final = """
[ca]
default_ca = it
[it]
database = {folder}/database
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = leaf
[leaf]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[any]
commonName = supplied
"""


def authority(folder: Path) -> Path:
    """Return the certificate that a client has to trust, once `make` has been called for the folder."""
    return folder / "authority.pem"


def make(folder: Path) -> None:
    """Make two authorities, of which one is to be trusted, and every certificate, in an empty folder."""
    (folder / "settings").write_text(SETTINGS.format(folder=folder), "utf-8")
    (folder / "database").touch()
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "key.pem")
    for name in ("authority", "stranger"):
        options = ["-addext", "keyUsage=critical,keyCertSign"]
        _openssl("req", "-x509", *_key(folder), "-subj", f"/CN={name}", "-out", folder / f"{name}.pem", *options)
    for name, (signer, subject, (start, end)) in CERTIFICATES.items():
        request, certificate = folder / f"{name}.request", folder / f"{name}.pem"
        extension = ["-addext", f"subjectAltName={subject}"]
        if signer is None:
            _openssl("req", "-x509", *_key(folder), "-subj", f"/CN={name}", "-out", certificate, *extension)
            continue
        _openssl("req", "-new", *_key(folder), "-subj", f"/CN={name}", "-out", request, *extension)
        signing = ["-config", folder / "settings", "-cert", folder / f"{signer}.pem", "-keyfile", folder / "key.pem"]
        dates = ["-startdate", start, "-enddate", end]
        _openssl("ca", "-batch", "-notext", *signing, *dates, "-in", request, "-out", certificate)


def context(folder: Path, name: str) -> ssl.SSLContext:
    """Return what a server needs to speak TLS with one of the certificates."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / f"{name}.pem", folder / "key.pem")
    return made


def _key(folder: Path) -> list[object]:
    return ["-key", folder / "key.pem"]


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)  # noqa: S603, S607
