"""What a web page can do to a sandbox that runs on its reader's machine: nothing."""

from collections.abc import Iterator

import httpx
import pytest
from servers import LIMIT

from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, Settings, create_app, running

KEY = {"Ocp-Apim-Subscription-Key": EXAMPLE_KEY}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[httpx.Client]:
    """Return a client of a sandbox on a socket."""
    with running(Settings(duration=0)) as url, httpx.Client(base_url=url, timeout=LIMIT) as http:
        yield http


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:80", "LOCALHOST", "localhost.", "cats.localhost:80", "[::1]:80", "sandbox"]
)
def test_names_of_this_machine(sandbox: httpx.Client, host: str) -> None:
    """An address, and a name that no public name server is asked for, are answered."""
    assert sandbox.get("/sandbox/requests", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "EVIL.EXAMPLE:80", "127.0.0.1.evil.example", "localhost.example", "[:::"]
)
@pytest.mark.parametrize("path", ["/sandbox/requests", "/sandbox/faults", "/longcat-image-request-result", "/nowhere"])
def test_names_of_strangers(sandbox: httpx.Client, host: str, path: str) -> None:
    """A page whose name a stranger's name server leads to this machine is answered nothing, whatever it asks."""
    assert sandbox.post(path, headers={"Host": host, **KEY}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/sandbox/requests", "/sandbox/faults", "/longcat-image-request-result"])
def test_posts_of_other_sites(sandbox: httpx.Client, headers: dict[str, str], path: str) -> None:
    """What a browser sends for another site's page is refused, and changes nothing."""
    before = sandbox.get("/sandbox/requests").json()
    answer = sandbox.post(path, json={}, headers=headers | KEY)
    assert (answer.status_code, sandbox.get("/sandbox/requests").json()) == (403, before)


def test_its_own_pages_and_pictures(sandbox: httpx.Client) -> None:
    """A page of the sandbox's own origin may post, and any page may show a picture."""
    own = {"Origin": str(sandbox.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert sandbox.post("/sandbox/requests", json={}, headers=own).status_code == 201
    sandbox.post("/longcat-image-request-result", json={"request_id": EXAMPLE_ID}, headers=KEY)
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert sandbox.get(f"/results/{EXAMPLE_ID}.png", headers=embedded).status_code == 200


@pytest.mark.parametrize(("path", "most"), [("requests", 20), ("faults", 1000)])
def test_what_it_keeps_is_bounded(sandbox: httpx.Client, path: str, most: int) -> None:
    """A list of faults is kept with every request, so it may not be long."""
    codes = [
        sandbox.post(f"/sandbox/{path}", json={"fault": ",".join(["slow:1:0"] * count)}).status_code
        for count in (most, most + 1)
    ]
    assert codes == [200 if path == "faults" else 201, 400]


@pytest.mark.anyio
async def test_elsewhere_it_may_have_any_name() -> None:
    """Where other machines reach it, it can't know what it is called; pages of other sites are still refused."""
    transport = httpx.ASGITransport(create_app(local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://cats.example") as http:
        codes = [
            (await http.get("/sandbox/requests")).status_code,
            (await http.post("/sandbox/requests", headers={"Origin": "https://evil.example"})).status_code,
        ]
    assert codes == [200, 403]
