"""That URLs are read as the HTTP libraries read them."""

from contextlib import suppress
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat.url import Url

HOSTS = ("gateway.test", "GATEWAY.test.", "bücher.example", "xn--bcher-kva.example", "127.0.0.1", "999.1.1.1", "[::1]",
         "[::g]", "[::1", "a b", "a%20b", "a_b", "", "\uff41.test", "\u0660.test", "xn--a", "a..b")  # fmt: skip
PARTS = st.tuples(
    st.sampled_from(("http://", "https://", "FTP://", "//", "socks5h://", "", "http:/", "1http://")),
    st.sampled_from(("", "user@", "user:pa:ss@", "a@b@")),
    st.one_of(st.sampled_from(HOSTS), st.text(max_size=8)),
    st.sampled_from(("", ":", ":80", ":443", ":08080", ":65536", ":-1", ":x", ":\uff11", ":1:2")),
    st.sampled_from(("", "/", "/p/q", "?q=@:/", "#f@x:1", "\n", "\\x", "/" + "a" * 65536)),
)


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@given(parts=PARTS)
def test_a_url_is_read_as_the_http_libraries_read_it(library: Any, parts: tuple[str, ...]) -> None:
    """The scheme, the host, the port and what is no URL at all are the same."""
    text = "".join(parts)
    assert _read(text) == _read_by(library, text)


def _read(text: str) -> tuple[str, str, str, int | None] | None:
    with suppress(ValueError):
        url = Url.read(text)
        return url.scheme, url.host, url.netloc, url.port
    return None


def _read_by(library: Any, text: str) -> tuple[str, str, str, int | None] | None:
    with suppress(library.InvalidURL, ValueError):
        url = library.URL(text)
        return url.scheme, url.host, url.netloc.decode("ascii"), url.port
    return None
