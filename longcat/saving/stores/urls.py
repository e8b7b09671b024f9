"""The URLs of stores: what they name, and how they are shown, as they may hold a password."""

import re
from typing import Final
from urllib.parse import unquote

from attrs import field, frozen

from longcat.errors import ConfigurationError
from longcat.text import shorten

STORE_URL: Final = re.compile(r"([a-zA-Z][\w+.:-]+)://(.*)", re.DOTALL | re.ASCII)
"""A scheme has two letters at least: one letter is a disk of Windows."""
FILE: Final = frozenset({"file", "local"})
OBJECTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Schemes of stores that keep objects by their keys: there, a URL names a bucket and not a host."""
ONE_SLASH: Final = re.compile(rf"({'|'.join(sorted(OBJECTS | FILE | {'sftp', 'ssh', 'ftp', 'memory'}))}):/(?!/)")
"""What `pathlib` makes of a URL."""


@frozen
class StoreUrl:
    """The URL of a store.

    Attributes:
        scheme: in lower case.
        text: the URL as it was given, without a slash at its end.
        shown: the same without a password.
        secret: the password. Empty: there is none.
    """

    scheme: str
    text: str = field(repr=False)
    shown: str
    secret: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "StoreUrl | None":
        """Return the parts of a URL. None: the text is none, but a path.

        A URL has no query and no fragment, and is not several in one, as fsspec would have it. Raises
        ConfigurationError, which shows nothing that may be secret.
        """
        if found := ONE_SLASH.match(text):
            raise ConfigurationError(
                f"The output begins with {found[0]}, which is no URL. Write {found[0]}/ instead; in Python as a text,"
                " as a Path has one slash."
            )
        match = STORE_URL.fullmatch(text)
        if match is None:
            return None
        scheme, rest = match[1].lower(), match[2].rstrip("/")
        if ":" in scheme or "::" in rest:
            raise ConfigurationError("The output is several URLs in one. Name the place alone, as s3://bucket/prefix.")
        user, at, behind = rest.rpartition("@")
        name, _, secret = user.partition(":")
        if scheme in OBJECTS:
            bucket = rest.partition("/")[0]
            if ":" in bucket and not bucket.startswith("arn:"):
                raise ConfigurationError(
                    f"The {scheme}:// URL of the output has something before its bucket. Keys are taken from the"
                    " environment, and from the files that the tools of the storage write: leave them out."
                )
            name, secret, behind, at = "", "", rest, ""
        shown = f"{scheme}://{name}{at}{behind}"
        if "?" in rest or "#" in rest:
            raise ConfigurationError(
                f"{shorten(re.split('[?#]', shown)[0])} is followed by a query or a fragment. Leave it out."
            )
        if not behind.isprintable() or {".", ".."} & {*behind.split("/")} or not behind.strip("/"):
            raise ConfigurationError(f"{shorten(shown)} names no place. Write {scheme}:// and a plain path.")
        return cls(scheme, f"{scheme}://{rest}", shown, secret)

    def hide(self, text: str) -> str:
        """Return a text without the password."""
        for secret in {self.secret, unquote(self.secret)} - {""}:
            text = text.replace(secret, "...")
        return text
