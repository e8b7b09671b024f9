"""The URLs of stores: what they name, and how they are shown, as they may hold a password."""

import re
from typing import Final
from urllib.parse import unquote

from attrs import field, frozen

from longcat.errors import ConfigurationError
from longcat.text import shorten

URL: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://(.*)", re.DOTALL)
"""A scheme has two letters at least: one letter is a disk of Windows."""
FILE: Final = frozenset({"file", "local"})
OBJECTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl"})
"""Schemes of stores that keep objects by their keys: there, a URL names a bucket and not a host."""


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
        """Return the parts of a URL. None: the text is none, but a path. Raises ConfigurationError, never showing it.

        A URL has no query and no fragment, and is not several in one, as fsspec would have it.
        """
        match = URL.fullmatch(text)
        if match is None:
            return None
        scheme, rest = match[1].lower(), match[2].rstrip("/")
        user, at, behind = rest.rpartition("@")
        name, colon, secret = user.partition(":")
        if scheme in OBJECTS:
            bucket = rest.partition("/")[0]
            if ":" in bucket and not bucket.startswith("arn:"):
                raise ConfigurationError(
                    f"The {scheme}:// URL of the output has something before its bucket. Keys are taken from the"
                    " environment, and from the files that the tools of the storage write: leave them out."
                )
            name, colon, secret, behind, at = "", "", "", rest, ""
        shown = f"{scheme}://{name}{at}{behind}" if at and colon else f"{scheme}://{rest}"
        if "?" in behind or "#" in behind or "::" in behind or not behind.isprintable():
            raise ConfigurationError(
                f"{shorten(shown)} has a query, a fragment or something else that names no place. Leave it out."
            )
        if not behind.strip("/"):
            raise ConfigurationError(f"{shorten(shown)} names no place. Write what comes behind {scheme}://.")
        return cls(scheme, f"{scheme}://{rest}", shown, secret)

    def hide(self, text: str) -> str:
        """Return a text without the password."""
        for secret in (self.secret, unquote(self.secret)):
            text = text.replace(secret, "...") if secret else text
        return text
