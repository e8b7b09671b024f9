"""Clients with a journal: what was done is not done again, and those who share a journal share the work."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fakes import Cat, Driver, Script, completed, leaving, says
from journals import Place

from longcat import (
    ConfigurationError,
    DownloadError,
    FixedPolling,
    GenerationFailed,
    Image,
    InsufficientBalanceError,
    LongCat,
    LongCatError,
    SubmitUnknown,
    WaitTimeout,
)
from longcat.saving.journal.request_table import RequestTable
from longcat.testing import FakeGateway, VirtualClock
from longcat.waiting.batch import Batch

ONE_SECOND = FixedPolling(1.0)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return the path of a journal that is not there yet."""
    return tmp_path / "cats.db"


def asked(gateway: FakeGateway) -> list[str | None]:
    """Return which requests were asked about, and forget it."""
    ids = [question.request_id for question in gateway.questions]
    gateway.questions.clear()
    return ids


def wait_all(
    driver: Driver, gateway: FakeGateway, journal: Place, *ids: str, **more: Any
) -> list[Image | LongCatError]:
    """Wait for requests with a client that is closed afterwards."""

    async def scenario(cat: Cat) -> list[Image | LongCatError]:
        return await cat.wait_all(ids, **more)

    return driver.run(scenario, gateway, journal=journal)


def test_what_is_done_is_not_asked_again(driver: Driver, place: Place) -> None:
    """The next client returns the same images without a question, and the same failures."""
    gateway = FakeGateway().request("good", 5).request("bad", 5, fails="no cats")
    first = wait_all(driver, gateway, place, "good", "bad")
    asked(gateway)
    second = wait_all(driver, gateway, place, "good", "bad")
    assert (asked(gateway), second[0], str(second[1])) == ([], first[0], str(first[1]))
    assert isinstance(second[1], GenerationFailed)


def test_every_way_to_wait_goes_by_the_journal(driver: Driver, place: Place) -> None:
    """`wait` and `watch` know what `wait_all` has found out; `status` asks, as it always does."""
    gateway = FakeGateway().request("r", 5)
    (image,) = wait_all(driver, gateway, place, "r")
    asked(gateway)

    async def scenario(cat: Cat) -> list[Image | None]:
        seen: list[Image | None] = [await cat.wait("r")]
        seen += [status.image async for status in cat.watch("r")]
        assert asked(gateway) == []
        return [*seen, (await cat.status("r")).image]

    assert driver.run(scenario, gateway, journal=place) == [image] * 3
    assert asked(gateway) == ["r"]


def test_what_is_open_is_asked_again(driver: Driver, journal: Path) -> None:
    """A time-out and an error are not the end of a request: the next client asks on."""
    gateway = FakeGateway().request("slow", 30).request("locked", 5, faults=[401])
    results = wait_all(driver, gateway, journal, "slow", "locked", timeout=10)
    assert {type(result) for result in results} >= {WaitTimeout}
    asked(gateway)
    results = wait_all(driver, gateway, journal, "slow", "locked")
    assert ([type(result) for result in results], set(asked(gateway))) == ([Image, Image], {"slow", "locked"})


def test_gateways_do_not_mix(driver: Driver, journal: Path) -> None:
    """The same id at another gateway is another request."""
    gateway = FakeGateway().request("r", 0)
    wait_all(driver, gateway, journal, "r")
    asked(gateway)
    with gateway.client(base_url="https://other.test", journal=journal) as cat:
        cat.wait("r")
    assert asked(gateway) == ["r"]


@pytest.mark.parametrize("leave", ["early", "by an error"])
def test_who_leaves_a_wait_gives_the_request_back(driver: Driver, journal: Path, leave: str) -> None:
    """A client that is still open, but waits no longer, keeps nobody from asking."""
    gateway = FakeGateway().request("r", 5).request("other", 0)

    async def scenario(cat: Cat) -> Image:
        if leave == "early":
            async with leaving(cat.as_completed(["other", "r"])) as outcomes:
                await anext(outcomes)
        else:
            with pytest.raises(WaitTimeout):
                await cat.wait("r", 1.0)
        with gateway.client(journal=journal) as another:
            return another.wait("r", 60.0)

    assert driver.run(scenario, gateway, journal=journal).request_id == "r"


def test_who_leaves_while_a_thread_claims_a_request_gives_it_back(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that is made after the loop was left does not stay with a client that waits no longer."""
    left, claim, stop = threading.Event(), RequestTable.claim, Batch.stop

    def claim_late(table: RequestTable, request_id: str) -> bool:
        assert request_id == "other" or left.wait(60.0)
        return claim(table, request_id)

    def leave(batch: Batch[Any]) -> None:
        stop(batch)
        left.set()

    monkeypatch.setattr(RequestTable, "claim", claim_late)
    monkeypatch.setattr(Batch, "stop", leave)
    gateway = FakeGateway().request("r", 5).request("other", 0)
    with gateway.client(journal=journal) as cat, gateway.client(journal=journal) as another:
        with closing(cat.as_completed(["other", "r"])) as outcomes:
            assert next(outcomes).request_id == "other"
        assert another.wait("r", 60.0).request_id == "r"


def test_a_journal_that_is_none_is_refused(driver: Driver, journal: Path) -> None:
    """A file that is something else is left as it is."""
    journal.write_text("my diary")
    with pytest.raises(ConfigurationError, match=r"cats\.db"):
        wait_all(driver, FakeGateway(), journal)
    assert journal.read_text() == "my diary"


# --- Several at once. ---


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_those_who_share_a_journal_share_the_work(backend: str, place: Place) -> None:
    """Two clients that wait for the same requests both get every image, and each request is asked about by one."""
    clock = VirtualClock()
    ids = [f"r{i}" for i in range(16)]
    gateways = [FakeGateway(clock), FakeGateway(clock)]
    for gateway in gateways:
        for i, one in enumerate(ids):
            gateway.request(one, 10 + i)
    results: dict[int, Any] = {}

    async def run(number: int, order: Callable[[list[str]], Any]) -> None:
        async with gateways[number].async_client(journal=place, polling=ONE_SECOND, max_rate=5.0) as cat:
            results[number] = await cat.wait_all(order(ids))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, 0, list)
            tasks.start_soon(run, 1, reversed)

    anyio.run(main, backend=backend)
    first, second = (set(asked(gateway)) for gateway in gateways)
    assert (first & second, first | second) == (set(), set(ids))
    assert min(len(first), len(second)) > 0
    assert results[0] == results[1][::-1]


def test_who_waits_for_another_client_waits_no_longer_than_its_deadline(driver: Driver, journal: Path) -> None:
    """A request that another client has taken on ends in a time-out like any other."""
    gateway = FakeGateway().request("r", inf)

    async def scenario(cat: Cat) -> None:
        with gateway.client(journal=journal, polling=ONE_SECOND) as other:
            statuses = other.watch("r", None)
            next(statuses)
            with pytest.raises(WaitTimeout) as caught:
                await cat.wait("r", 20.0)
            assert caught.value.last_status is not None
            assert caught.value.elapsed == pytest.approx(20)

    driver.run(scenario, gateway, journal=journal)
    assert asked(gateway) == ["r"]


# --- Orders. ---


def order(driver: Driver, gateway: FakeGateway, journal: Place, folder: Path) -> list[str]:
    """Order two pictures under a name, wait for them, download them, and return their names."""

    async def scenario(cat: Cat) -> list[str]:
        image = await cat.generate("two cats", id="cats", num_images=2)
        return [path.name.rpartition("-")[2] for path in await cat.download_all(image, folder)]

    return driver.run(scenario, gateway, journal=journal)


def test_an_order_of_one_name_is_sent_once(driver: Driver, place: Place, tmp_path: Path) -> None:
    """The next client that sends it gets the same request, asks nothing, and downloads nothing."""
    gateway = FakeGateway().order(takes=30)
    for again in (False, True, True):
        assert order(driver, gateway, place, tmp_path) == ["1.png", "2.png"]
        assert (len(gateway.orders), len(gateway.downloads)) == (1, 2)
        assert (asked(gateway) == []) is again


def test_an_order_in_doubt_is_not_sent_again(driver: Driver, place: Place, tmp_path: Path) -> None:
    """After a fault that leaves the order's fate open, the next client says so, and sends nothing."""
    gateway = FakeGateway().order_faults(500)
    for _ in range(2):
        with pytest.raises(SubmitUnknown):
            order(driver, gateway, place, tmp_path)
        assert len(gateway.orders) == 1
    assert asked(gateway) == []


def test_an_order_that_was_refused_is_sent_again(driver: Driver, place: Place, tmp_path: Path) -> None:
    """A refusal is no doubt: the next client sends the order as if it were new."""
    gateway = FakeGateway().order_faults(402)
    with pytest.raises(InsufficientBalanceError):
        order(driver, gateway, place, tmp_path)
    assert order(driver, gateway, place, tmp_path) == ["1.png", "2.png"]
    assert len(gateway.orders) == 2


# --- Pictures. ---


def download(driver: Driver, gateway: FakeGateway, journal: Place, path: Path, *, overwrite: bool = False) -> Path:
    """Wait for the request `r` and download its picture, with a client that is closed afterwards."""

    async def scenario(cat: Cat) -> Path:
        image = await cat.wait("r")
        return await cat.download(image, path, overwrite=overwrite)

    return driver.run(scenario, gateway, journal=journal)


def test_a_picture_that_is_there_is_not_downloaded_again(driver: Driver, place: Place, tmp_path: Path) -> None:
    """By its name or by its folder, the file that the journal knows is the answer."""
    gateway = FakeGateway().request("r", 0)
    paths = [download(driver, gateway, place, path) for path in (tmp_path, tmp_path, tmp_path / "r.png")]
    assert (paths, gateway.downloads) == ([tmp_path / "r.png"] * 3, ["r"])
    assert paths[0].read_bytes() == gateway.picture("r")


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["gone", "altered"])
def test_a_picture_that_is_missing_is_downloaded_again(
    driver: Driver, journal: Path, tmp_path: Path, spoil: Any
) -> None:
    """A file that is gone, or is not what was downloaded, is missing."""
    gateway = FakeGateway().request("r", 0)
    path = download(driver, gateway, journal, tmp_path)
    spoil(path)
    assert download(driver, gateway, journal, tmp_path, overwrite=True).read_bytes() == gateway.picture("r")
    assert gateway.downloads == ["r", "r"]


def test_a_file_that_the_journal_does_not_know_is_left_alone(driver: Driver, journal: Path, tmp_path: Path) -> None:
    """What somebody else put in the place is not replaced, and the request is given back."""
    gateway = FakeGateway().request("r", 0)
    (tmp_path / "r.png").write_text("mine")
    with pytest.raises(DownloadError, match="is there already"):
        download(driver, gateway, journal, tmp_path)
    assert (tmp_path / "r.png").read_text() == "mine"
    (tmp_path / "elsewhere").mkdir()
    assert download(driver, gateway, journal, tmp_path / "elsewhere").name == "r.png"


def test_a_dead_address_opens_the_request_again(driver: Driver, journal: Path, tmp_path: Path) -> None:
    """When the storage knows the picture no more, the next wait asks for a new address."""
    gateway = FakeGateway().request("r", 0)
    wait_all(driver, gateway, journal, "r")
    empty = FakeGateway()
    with pytest.raises(DownloadError, match="404"):
        download(driver, empty, journal, tmp_path)
    asked(gateway)
    assert (download(driver, gateway, journal, tmp_path).exists(), asked(gateway)) == (True, ["r"])


def test_a_dead_address_opens_a_request_whose_id_misleads(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that is forgotten is that of the gateway which gave it, whatever the form of the id says."""
    monkeypatch.delenv("LONGCAT_BASE_URL", raising=False)
    gateway, empty = FakeGateway().request("r", 0), FakeGateway()

    def save(storage: FakeGateway) -> Path:
        with LongCat("key", http_client=httpx.Client(transport=storage), clock=storage.clock, journal=journal) as cat:
            return cat.download(cat.wait("r", gateway="queue"), tmp_path / "cat.png")

    with LongCat("key", http_client=httpx.Client(transport=gateway), clock=gateway.clock, journal=journal) as cat:
        cat.wait("r", gateway="queue")
    with pytest.raises(DownloadError, match="404"):
        save(empty)
    assert (asked(gateway), save(gateway).exists(), asked(gateway)) == (["r"], True, ["r"])


def test_a_storage_that_fails_for_now_opens_nothing_again(driver: Driver, journal: Path, tmp_path: Path) -> None:
    """A fault that may pass does not spoil the address: the next wait returns it without a question."""
    script = Script(says(completed()), *[says(b"", 503)] * 4)

    async def scenario(cat: Cat) -> list[Image]:
        image = await cat.wait("r")
        with pytest.raises(DownloadError, match="503"):
            await cat.download(image, tmp_path)
        return [image, await cat.wait("r")]

    first, second = driver.run(scenario, script, journal=journal)
    assert first == second


def test_a_download_that_fails_gives_the_request_back(driver: Driver, journal: Path, tmp_path: Path) -> None:
    """The same client can try again at once, elsewhere, and so can another one, though the first is still open."""
    gateway = FakeGateway().request("r", 0)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    impossible = tmp_path / ("c" * 300 + ".png")

    async def scenario(cat: Cat) -> list[Path]:
        image = await cat.wait("r")
        with pytest.raises(DownloadError, match="Choose a folder"):
            await cat.download(image, impossible)
        with gateway.client(journal=journal) as other:
            paths = [other.download(image, tmp_path / "one")]
        return [*paths, await cat.download(image, tmp_path / "two")]

    paths = driver.run(scenario, gateway, journal=journal)
    assert (paths, gateway.downloads) == ([tmp_path / "one" / "r.png", tmp_path / "two" / "r.png"], ["r", "r"])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_waits_for_another_download_waits_no_longer_than_its_deadline(
    backend: str, journal: Path, tmp_path: Path
) -> None:
    """It ends in an error that may pass, and takes nothing away from the one who is downloading."""
    clock = VirtualClock()
    gateway = FakeGateway(clock, latency=30.0).request("r", 0)
    ends: list[tuple[str, float]] = []

    async def main() -> None:
        async with gateway.async_client(journal=journal) as cat, anyio.create_task_group() as tasks:
            image = await cat.wait("r", None)
            began = clock.now

            async def download(timeout: float) -> None:
                try:
                    path = await cat.download(image, tmp_path, timeout=timeout)
                    ends.append((path.name, clock.now - began))
                except DownloadError as error:
                    ends.append((error.message if error.transient else "", clock.now - began))

            tasks.start_soon(download, 300.0)
            await clock.asleep(1.0)
            tasks.start_soon(download, 5.0)
            await clock.asleep(10.0)
            tasks.start_soon(download, 300.0)

    anyio.run(main, backend=backend)
    names, moments = zip(*ends, strict=True)
    assert names == ("another download of it was under way all the time", "r.png", "r.png")
    assert moments[:2] == pytest.approx((6.0, 30.0))
    assert gateway.downloads == ["r"]


def test_what_a_killed_program_left_behind_is_cleared_away(
    driver: Driver, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary file that a dead program left is removed by the next one that downloads into that folder."""
    gateway = FakeGateway().request("r", 0)
    with monkeypatch.context() as patch:
        patch.setattr("longcat.saving.partial_file.PartialFile.rename", lambda *_, **__: None)
        patch.setattr("longcat.saving.partial_file.PartialFile.discard", lambda part: part.file.close())
        download(driver, gateway, journal, tmp_path)
    (part,) = tmp_path.glob(".longcat-*.part")
    part.write_bytes(b"half")
    download(driver, gateway, journal, tmp_path)
    assert ([*tmp_path.glob(".longcat-*")], (tmp_path / "r.png").read_bytes()) == ([], gateway.picture("r"))


def test_a_first_name_that_a_killed_program_left_is_cleared_away(
    driver: Driver, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two steps of a renaming, a picture has both names; the next program takes the first away."""
    gateway = FakeGateway().request("r", 0)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
        download(driver, gateway, journal, tmp_path)
    assert len([*tmp_path.glob(".longcat-*")]) == 1
    download(driver, gateway, journal, tmp_path)
    assert ([*tmp_path.glob(".longcat-*")], gateway.downloads) == ([], ["r"])


# --- Several pictures. ---


def download_all(
    driver: Driver, gateway: FakeGateway, journal: Place, path: Path, ids: str = "abc", **more: Any
) -> list[Path]:
    """Download the pictures of several requests as if they were those of the request `r`."""

    async def scenario(cat: Cat) -> list[Path]:
        urls = [(await cat.wait(one)).url for one in ids]
        return await cat.download_all(Image("r", urls[0], tuple(urls)), path, **more)

    return driver.run(scenario, gateway, journal=journal)


def scripted(*missing: str) -> FakeGateway:
    """Return a gateway that has three requests; the pictures of some are missing."""
    gateway = FakeGateway()
    for one in "abc":
        gateway.request(one, 0, picture=b"gone" if one in missing else None)
    return gateway


@pytest.mark.parametrize("name", ["", "cat.png"], ids=["folder", "file"])
def test_pictures_that_are_there_are_not_downloaded_again(
    driver: Driver, journal: Path, tmp_path: Path, name: str
) -> None:
    """Of several pictures of a request, only those that are missing are downloaded."""
    gateway, target = scripted(), tmp_path / name
    expected = [tmp_path / f"{'cat' if name else 'r'}-{number}.png" for number in (1, 2, 3)]
    for again, downloads in ([], "abc"), ([], "abc"), ([1], "abcb"), ([0, 2], "abcbac"):
        for index in again:
            expected[index].unlink()
        assert download_all(driver, gateway, journal, target) == expected
        assert "".join(gateway.downloads) == downloads
    assert [path.read_bytes() for path in expected] == [gateway.picture(one) for one in "abc"]
    assert [*tmp_path.glob(".longcat-*")] == []


def test_pictures_before_a_fault_stay(driver: Driver, journal: Path, tmp_path: Path) -> None:
    """The second of three pictures that can't be had is named; the first stays, and is not downloaded again."""
    with pytest.raises(DownloadError, match=r"picture 2 of 3: it is not an image"):
        download_all(driver, scripted("b"), journal, tmp_path)
    assert [path.name for path in tmp_path.glob("r-*")] == ["r-1.png"]
    gateway = scripted()
    assert [path.name for path in download_all(driver, gateway, journal, tmp_path)] == ["r-1.png", "r-2.png", "r-3.png"]
    assert gateway.downloads == ["b", "c"]


def test_a_dead_address_of_one_picture_forgets_no_other(driver: Driver, journal: Path, tmp_path: Path) -> None:
    """When the storage has lost the last of two pictures, the request is asked about again, and the first one stays."""
    gateway = FakeGateway().request("a", 0).request("r", 0)
    wait_all(driver, gateway, journal, "r")

    async def scenario(cat: Cat) -> None:
        image = await cat.wait("r")
        with pytest.raises(DownloadError, match=r"picture 2 of 2: the storage answered 404"):
            await cat.download(Image("r", image.url, (image.url, f"{image.url}-no")), tmp_path)
        asked(gateway)
        await cat.wait("r")
        assert asked(gateway) == ["r"]
        again = await cat.download_all(Image("r", image.url, (image.url, image.url)), tmp_path)
        assert [path.name for path in again] == ["r-1.png", "r-2.png"]

    driver.run(scenario, gateway, journal=journal)
    assert gateway.downloads == ["r", "r"]


def test_a_file_in_the_way_of_a_later_picture_is_found_first(driver: Driver, journal: Path, tmp_path: Path) -> None:
    """Nothing is downloaded when the third of three files is there already, and is somebody else's."""
    gateway = scripted()
    (tmp_path / "r-3.webp").write_text("mine")
    with pytest.raises(DownloadError, match=r"picture 3 of 3: .*r-3\.webp is there already"):
        download_all(driver, gateway, journal, tmp_path)
    assert (gateway.downloads, (tmp_path / "r-3.webp").read_text()) == ([], "mine")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_pictures_are_downloaded_by_one_of_two(backend: str, place: Place, tmp_path: Path) -> None:
    """Of two clients that want the same pictures in the same folder, one downloads all of them, and both have them."""
    clock = VirtualClock()
    gateways = [FakeGateway(clock, latency=3.0).request("r", 0) for _ in range(2)]
    results: list[list[str]] = []

    async def run(gateway: FakeGateway) -> None:
        async with gateway.async_client(journal=place) as cat:
            url = (await cat.wait("r")).url
            paths = await cat.download_all(Image("r", url, (url, url, url)), tmp_path)
            results.append([path.name for path in paths])

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for gateway in gateways:
                tasks.start_soon(run, gateway)

    anyio.run(main, backend=backend)
    assert results == [["r-1.png", "r-2.png", "r-3.png"]] * 2
    assert sorted(len(gateway.downloads) for gateway in gateways) == [0, 3]


def test_what_a_program_killed_between_two_pictures_left_is_cleared_away(
    driver: Driver, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that was half downloaded is gone, or overwritten, once the pictures are complete."""
    gateway = scripted("b")
    with monkeypatch.context() as patch:
        # As of a program that is dead.
        patch.setattr("longcat.saving.files.PartialFile.discard", lambda part: part.file.close())
        with pytest.raises(DownloadError):
            download_all(driver, gateway, journal, tmp_path)
    assert len([*tmp_path.glob(".longcat-*")]) == 1
    download_all(driver, scripted(), journal, tmp_path)
    assert [*tmp_path.glob(".longcat-*")] == []
    assert sorted(path.name for path in tmp_path.glob("r*")) == ["r-1.png", "r-2.png", "r-3.png"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_picture_is_downloaded_by_one_of_two(backend: str, journal: Path, tmp_path: Path) -> None:
    """Of two clients that want the same picture in the same place, one downloads it, and both have it."""
    clock = VirtualClock()
    gateways = [FakeGateway(clock, latency=3.0).request("r", 0) for _ in range(2)]
    paths: list[Path] = []

    async def run(gateway: FakeGateway) -> None:
        async with gateway.async_client(journal=journal) as cat:
            image = await cat.wait("r")
            paths.append(await cat.download(image, tmp_path))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for gateway in gateways:
                tasks.start_soon(run, gateway)

    anyio.run(main, backend=backend)
    assert (paths, [*chain(*(gateway.downloads for gateway in gateways))]) == ([tmp_path / "r.png"] * 2, ["r"])


@pytest.mark.parametrize("spelling", ["sub/../cats", "link", "link/r.png"])
def test_another_name_of_the_place_is_the_same_place(
    driver: Driver, journal: Path, tmp_path: Path, spelling: str
) -> None:
    """By a detour or a symbolic link, the picture is found where it is."""
    for folder in ("cats", "sub"):
        (tmp_path / folder).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "cats")
    gateway = FakeGateway().request("r", 0)
    first = download(driver, gateway, journal, tmp_path / "cats")
    again = download(driver, gateway, journal, tmp_path / spelling)
    assert (again.samefile(first), gateway.downloads) == (True, ["r"])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_picture_is_downloaded_once_by_two_tasks_of_one_client(
    backend: str, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two downloads of one client don't write the same file: the second one finds what the first one downloaded.

    The disk is slow, which is no reason for the second one to give up: no virtual time passes while a thread works.
    """
    sync = os.fsync

    def slow_sync(file: int) -> None:
        time.sleep(0.2)
        sync(file)

    monkeypatch.setattr(os, "fsync", slow_sync)
    gateway = FakeGateway(latency=3.0).request("r", 0)
    paths: list[Path] = []

    async def main() -> None:
        async with gateway.async_client(journal=journal) as cat, anyio.create_task_group() as tasks:
            image = await cat.wait("r")

            async def download() -> None:
                paths.append(await cat.download(image, tmp_path))

            tasks.start_soon(download)
            tasks.start_soon(download)

    anyio.run(main, backend=backend)
    assert (paths, gateway.downloads) == ([tmp_path / "r.png"] * 2, ["r"])
    assert paths[0].read_bytes() == gateway.picture("r")
