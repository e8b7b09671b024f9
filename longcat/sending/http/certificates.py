"""The certificates that transports of our own trust. To read them takes longer than a call does."""

import ssl
from collections.abc import Callable, Iterable
from functools import cache

from longcat.errors import ConfigurationError
from longcat.sending.http.libraries import HttpLibrary
from longcat.url import Url


class TlsContexts:
    """The TLS settings of transports. Only HTTPS waits for the certificates to be read.

    Args:
        library: knows which certificates are trusted.
        urls: those that will be asked. If one of them is of HTTPS, the certificates are read at once.

    Raises ConfigurationError, here or in `of`, for certificates that can't be used.
    """

    def __init__(self, library: HttpLibrary, urls: Iterable[str]) -> None:
        self._read_certificates: Callable[[], ssl.SSLContext] = cache(library.ssl_context)
        self._trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for url in urls:
            self.of(Url.read(url).scheme, None)

    def of(self, scheme: str, proxy: str | None) -> ssl.SSLContext:
        """Return the settings for a scheme, and a proxy. Those for plain HTTP would accept no certificate."""
        encrypted = scheme == "https" or (proxy is not None and Url.read(proxy).scheme == "https")
        if not encrypted:
            return self._trusting_nobody
        try:
            return self._read_certificates()
        except (OSError, ValueError) as error:
            raise setup_error(error) from error


def setup_error(error: Exception) -> ConfigurationError:
    """Return the error which says that the environment does not let us make connections of our own."""
    return ConfigurationError(
        f"The HTTP client can't be set up: {error}. Check the environment's proxies and certificates."
    )
