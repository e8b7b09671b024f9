"""What `download` does with what real servers send it, and with the files it finds."""

import asyncio
import encodings.idna  # noqa: F401 - Python imports it with the first name to look up, perhaps where it must not.
import errno
import gzip
import os
import re
import resource
import signal
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
import trio
from fakes import KEY, Driver, by_driver
from processes import Process, run_code
from servers import (
    SHARED,
    SOON,
    Script,
    Server,
    Step,
    call,
    chunks,
    contents,
    drive,
    endless,
    eventually,
    head,
    peak,
    read,
    refusing,
    reset,
    response,
    stall,
    tidy,
    trickle,
)

from longcat import AsyncLongCat, ConfigurationError, DownloadError, Image
from longcat.saving.partial_file import PartialFile
from longcat.saving.pictures.kinds import SUFFIXES
from longcat.testing import VirtualClock
from longcat.waiting import backoff

NOWHERE = "http://127.0.0.1:9"
"""A gateway that is not asked. It is on this machine, so that pictures may be, too."""
"""Enough for what has nothing to do with sending and sleeping."""
PIXELS = bytes(range(256)) * 400
PICTURE = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(PIXELS)) + b"IDAT" + PIXELS + b"crc!\0\0\0\0IENDcrc!"
HALF = len(PICTURE) // 2
PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
SERVED: Script = [read, response(PICTURE)]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and nothing is left open."""
    with tidy(monkeypatch):
        yield


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield an empty folder."""
    with tempfile.TemporaryDirectory() as name:  # Sooner made and removed than one of pytest's.
        yield Path(name)


def image(url: str, request_id: str = "cat-1") -> Image:
    """Return the image of a completed request."""
    return Image(request_id, url, (url,))


def bring(driver: Driver, source: Any, path: Any, clock: VirtualClock | None = None, **options: Any) -> Any:
    """Download with pauses that take no time, and return what `download` returns."""
    clock = clock or VirtualClock()
    return drive(driver, NOWHERE, lambda cat: cat.download(source, path, **options), clock=clock)


def refused(driver: Driver, source: Any, path: Any, clock: VirtualClock | None = None, **options: Any) -> DownloadError:
    """Download what can't be had, and return the error."""
    with pytest.raises(DownloadError) as caught:
        bring(driver, source, path, clock, **options)
    return caught.value


# --- The file. ---


def test_the_file_holds_the_bytes_that_were_served(driver: Driver, folder: Path) -> None:
    """An image is written to the path, byte for byte, and the path is returned."""
    with Server(SERVED) as server:
        path = bring(driver, image(server.url), folder / "cat.png")
    assert path == folder / "cat.png"
    assert contents(folder) == {"cat.png": PICTURE}


def test_a_url_and_a_path_may_be_strings(driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL stands for an image, and a relative path is relative to the current folder."""
    monkeypatch.chdir(folder)
    with Server(SERVED) as server:
        assert bring(driver, f"{server.url}/a/cat.png?size=1", "cat.png") == Path("cat.png")
    assert contents(folder) == {"cat.png": PICTURE}


def test_the_bytes_gather_in_a_temporary_file_beside_the_target(driver: Driver, folder: Path) -> None:
    """Until the last byte is there, the folder holds a temporary file and no target."""
    seen: list[str] = []

    def look() -> None:
        eventually(lambda: any(contents(folder).values()))
        seen.extend(contents(folder))

    script: Script = [read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF], call(look), PICTURE[HALF:]]
    with Server(script) as server:
        bring(driver, image(server.url), folder / "cat.png")
    assert len(seen) == 1
    assert "cat.png" not in seen
    assert contents(folder) == {"cat.png": PICTURE}


def test_a_large_picture_is_not_held_in_memory(driver: Driver, folder: Path) -> None:
    """A picture of 12 MB goes to disk in small pieces."""
    size = 12_000_000
    with Server([read, response(PICTURE + bytes(size - len(PICTURE)))]) as server, peak(5_000_000):
        path = bring(driver, image(server.url), folder / "cat.png")
    assert path.stat().st_size == size


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077], ids=oct)
def test_permissions_follow_the_umask(sync_driver: Driver, folder: Path, umask: int) -> None:
    """The file has the permissions of any new file."""
    before = os.umask(umask)
    try:
        with Server(SERVED) as server:
            path = bring(sync_driver, image(server.url), folder / "cat.png")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


# --- A target that is there already. ---


def test_a_target_that_is_there_is_kept(sync_driver: Driver, folder: Path) -> None:
    """Nothing is asked for when the file is there already, and the message names it and the way out."""
    (folder / "cat.png").write_bytes(b"mine")
    with Server(SERVED) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png")
    assert "cat.png is there already" in str(error)
    assert "overwrite=True" in str(error)
    assert server.requests == []
    assert contents(folder) == {"cat.png": b"mine"}


def test_no_call_replaces_a_file_unless_it_is_told_to(driver: Driver, folder: Path) -> None:
    """The file that is there stays, whichever call saves the picture."""
    (folder / "cat.png").write_bytes(b"mine")
    with Server(SERVED) as server:
        picture = image(server.url)
        for ask in (
            lambda cat: cat.download(picture, folder / "cat.png"),
            lambda cat: cat.download_all(picture, folder, name="cat"),
            lambda cat: cat.save(picture, folder / "cat.png"),
        ):
            with pytest.raises(DownloadError, match="is there already"):
                drive(driver, server.url, ask)
    assert contents(folder) == {"cat.png": b"mine"}


def test_a_target_that_is_there_is_replaced_when_asked(sync_driver: Driver, folder: Path) -> None:
    """With `overwrite`, the new picture takes the place of the old file."""
    (folder / "cat.png").write_bytes(b"mine")
    with Server(SERVED) as server:
        bring(sync_driver, image(server.url), folder / "cat.png", overwrite=True)
    assert contents(folder) == {"cat.png": PICTURE}


def test_a_target_survives_a_download_that_would_have_replaced_it(driver: Driver, folder: Path) -> None:
    """With `overwrite`, the old file stays when the new one comes only by half."""
    (folder / "cat.png").write_bytes(b"mine")
    with Server([read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF]]) as server:
        refused(driver, image(server.url), folder / "cat.png", overwrite=True)
    assert contents(folder) == {"cat.png": b"mine"}


@pytest.mark.parametrize("in_folder", [False, True], ids=["file", "folder"])
def test_a_target_that_appears_meanwhile_is_kept(sync_driver: Driver, folder: Path, in_folder: bool) -> None:
    """A file that someone else makes during the download is not replaced."""
    appear = call(lambda: (folder / "cat-1.png").write_bytes(b"mine"))
    script: Script = [read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF], appear, PICTURE[HALF:]]
    with Server(script) as server:
        error = refused(sync_driver, image(server.url), folder if in_folder else folder / "cat-1.png")
    assert "cat-1.png is there already" in str(error)
    assert contents(folder) == {"cat-1.png": b"mine"}


# --- A target that is a folder. ---

JP2 = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14"
KINDS = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "webp": b"RIFF\x10\x20\x30\x0aWEBPVP8 ",
    "gif": b"GIF89a\1\0\1\0",
    "avif": b"\0\0\0\x20ftypavif",
    "heic": b"\0\0\0\x18ftypheic",
    "avci": b"\0\0\0\x18ftypavci",
    "tiff": b"II*\0\x08\0\0\0",
    "bmp": b"BM\x0a\x10\0\0\0\0\0\0\x36\0\0\0",
    "jxl": b"\xff\x0a\x7f",
    "jp2": JP2 + b"ftypjp2 \0\0\0\0jp2 ",
    "jpx": JP2 + b"ftypjpx \0\0\0\0jpx ",
    "jph": JP2 + b"ftypjph \0\0\0\0jph ",
    "j2k": b"\xff\x4f\xff\x51\0\x2f",
    "ico": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x68\4\0\0\x16\0\0\0",
}
OTHERS = {
    "gif": [b"GIF87a\1\0\1\0"],
    "avif": [
        b"\0\0\0\x20ftypavis",
        b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf",
        b"\0\0\0\x1cftypMA1B\0\0\0\0MA1Bmif1avif",
        b"\0\0\0\x1cftypmsf1\0\0\0\0avismsf1mif1",
    ],
    "heic": [
        b"\0\0\0\x18ftypheix",
        b"\0\0\0\x18ftypmif1",
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc",
        *(b"\0\0\0\x14ftyp%b" % brand for brand in (b"heim", b"heis", b"hevc", b"hevx", b"msf1", b"mif2")),
        b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif",  # What stands after the box is no brand.
    ],
    "tiff": [b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"],
    "jxl": [b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl "],
    "jp2": [JP2 + b"ftypjpx \0\0\0\0jp2 "],
}
SAMPLES = [*KINDS.items()] + [(kind, one) for kind in OTHERS for one in OTHERS[kind]]


def test_every_signature_has_a_sample() -> None:
    """The table of signatures holds the kinds that the samples below are of, and no other."""
    assert list(SUFFIXES) == list(KINDS)


@pytest.mark.in_turn
@pytest.mark.parametrize(("kind", "first"), SAMPLES)
def test_in_a_folder_the_file_is_named_after_request_and_kind(
    sync_driver: Driver, folder: Path, kind: str, first: bytes
) -> None:
    """The name is the request id, and the suffix is that of the kind, whatever the URL says."""
    with Server([read, response(first + bytes(100))]) as server:
        path = bring(sync_driver, image(f"{server.url}/some.jpeg"), folder)
    assert path == folder / f"cat-1.{kind}"
    assert contents(folder) == {f"cat-1.{kind}": first + bytes(100)}


UNSAFE = {
    "a slash": "../../cat",
    "an absolute path": "/etc/cat",
    "a backslash": r"..\cat",
    "nothing": "",
    "two dots": "..",
    "only dots": "....",
    "a hidden file": ".cat",
    "only slashes": "///",
    "spaces": "my cat",
    "shell": "cat;rm -rf $HOME `x` *?<>|\"'",
    "a colon": "C:cat",
    "a null byte": "cat\0cat",
    "a line break": "cat\ncat",
    "long": "c" * 1024,
    "unicode": "\u732b\U0001f408",
    "long unicode": "\u732b" * 1024,
    "long emoji": "\U0001f408" * 1024,
    "a right-to-left mark": "cat\u202egnp",
    "a lone surrogate": "cat\ud800",
}


@pytest.mark.in_turn
@pytest.mark.parametrize("request_id", list(UNSAFE.values()), ids=list(UNSAFE))
def test_an_unsafe_request_id_becomes_a_safe_name(sync_driver: Driver, folder: Path, request_id: str) -> None:
    """Whatever the id, the file is one plain, visible file in the folder."""
    (folder / "pictures").mkdir()
    with Server(SERVED) as server:
        path = bring(sync_driver, image(server.url, request_id), folder / "pictures")
    assert path.parent == folder / "pictures"
    assert re.fullmatch(r"\w[\w.-]*\.png", path.name)
    assert contents(folder / "pictures") == {path.name: PICTURE}
    assert contents(folder) == {}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/a/long.cat.png?x=1#y", "long.cat.png"),
        ("", "image.png"),
        ("/", "image.png"),
        ("/%2e%2e%2fcat", "2e_2e_2fcat-7ca41021.png"),
    ],
)
def test_in_a_folder_a_url_gives_the_name(sync_driver: Driver, folder: Path, address: str, name: str) -> None:
    """Without a request id, the file is named after the URL's path."""
    with Server(SERVED) as server:
        path = bring(sync_driver, server.url + address, folder)
    assert path == folder / name


def test_in_a_folder_a_file_that_is_there_is_kept(sync_driver: Driver, folder: Path) -> None:
    """The rule for a target that is there holds for the name in the folder too, and so does `overwrite`."""
    (folder / "cat-1.png").write_bytes(b"mine")
    with Server(SERVED) as server:
        refused(sync_driver, image(server.url), folder)
        assert contents(folder) == {"cat-1.png": b"mine"}
        bring(sync_driver, image(server.url), folder, overwrite=True)
    assert contents(folder) == {"cat-1.png": PICTURE}


def test_in_a_folder_a_file_of_another_kind_is_kept_too(sync_driver: Driver, folder: Path) -> None:
    """A picture of the request, of any kind, is reason enough to ask for nothing."""
    (folder / "cat-1.webp").write_bytes(b"mine")
    with Server(SERVED) as server:
        error = refused(sync_driver, image(server.url), folder)
    assert "cat-1.webp is there already" in str(error)
    assert server.requests == []
    assert contents(folder) == {"cat-1.webp": b"mine"}


# --- Several pictures. ---


def pictures(url: str, count: int, request_id: str = "cat") -> Image:
    """Return the image of a request that has several pictures."""
    urls = tuple(f"{url}/{number}" for number in range(1, count + 1))
    return Image(request_id, urls[0], urls)


def bring_all(driver: Driver, source: Any, path: Any, **options: Any) -> Any:
    """Download all pictures with pauses that take no time, and return what `download_all` returns."""
    return drive(driver, NOWHERE, lambda cat: cat.download_all(source, path, **options), clock=VirtualClock())


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("", ["cat-1.png", "cat-2.jpg", "cat-3.webp"]),
        ("dog.png", ["dog-1.png", "dog-2.png", "dog-3.png"]),
        ("dog", ["dog-1", "dog-2", "dog-3"]),
        ("dog.of.mine.png", ["dog.of.mine-1.png", "dog.of.mine-2.png", "dog.of.mine-3.png"]),
        (".png", [".png-1", ".png-2", ".png-3"]),
    ],
)
def test_each_of_several_pictures_has_a_file(driver: Driver, folder: Path, target: str, names: list[str]) -> None:
    """The number stands at the end of the name; in a folder, the suffix is that of each picture's own kind."""
    bodies = [KINDS[kind] + bytes(100 + number) for number, kind in enumerate(("png", "jpg", "webp"))]
    scripts: list[Script] = [[read, response(body)] for body in bodies]
    with Server(*scripts) as server:
        paths = bring_all(driver, pictures(server.url, 3), folder / target)
    assert [request.target for request in server.requests] == ["/1", "/2", "/3"]
    assert paths == [folder / name for name in names]
    assert contents(folder) == dict(zip(names, bodies, strict=True))


def test_more_pictures_than_anyone_orders_are_not_saved(sync_driver: Driver, folder: Path) -> None:
    """An answer with a flood of addresses opens no file and asks none of them."""
    flood = Image("r", NOWHERE, (NOWHERE,) * 60_000)
    with pytest.raises(DownloadError, match=r"the request has 60000 pictures, more than 1000\. Download those"):
        bring_all(sync_driver, flood, folder)
    assert list(folder.iterdir()) == []


def test_the_path_of_several_pictures_is_that_of_the_first(driver: Driver, folder: Path) -> None:
    """`download` saves all pictures, and returns the first."""
    with Server(SERVED) as server:
        assert bring(driver, pictures(server.url, 2), folder) == folder / "cat-1.png"
    assert contents(folder) == {"cat-1.png": PICTURE, "cat-2.png": PICTURE}


@pytest.mark.parametrize("as_text", [False, True])
def test_all_of_one_picture_is_one_file_without_a_number(sync_driver: Driver, folder: Path, as_text: bool) -> None:
    """A list of one comes back from an image with one picture, and from a URL."""
    with Server(SERVED) as server:
        source = f"{server.url}/cat.png" if as_text else image(server.url, "cat")
        assert bring_all(sync_driver, source, folder) == [folder / "cat.png"]
    assert contents(folder) == {"cat.png": PICTURE}


@pytest.mark.in_turn
@pytest.mark.parametrize("request_id", ["../../cat", "/etc/cat", "..", "c" * 1024, "\u732b" * 1024, "cat\ud800"])
def test_an_unsafe_request_id_with_several_pictures_becomes_safe_names(
    sync_driver: Driver, folder: Path, request_id: str
) -> None:
    """Whatever the id, each picture is one plain, visible file in the folder."""
    with Server(SERVED) as server:
        paths = bring_all(sync_driver, pictures(server.url, 3, request_id), folder)
    assert contents(folder) == {path.name: PICTURE for path in paths}
    assert len({*paths}) == 3
    assert all(path.parent == folder and re.fullmatch(r"\w[\w.-]*\.png", path.name) for path in paths)


@pytest.mark.parametrize("cut", ["404", "503", "a page", "cut"])
def test_a_fault_in_one_of_several_pictures_names_it(driver: Driver, folder: Path, cut: str) -> None:
    """The error says which picture it was; those before it are there, and nothing is left of it or those after it."""
    faults: dict[str, Script] = {
        "404": [read, response(b"", status="404 Not Found")],
        "503": [read, response(b"", status="503 Service Unavailable")],
        "a page": [read, response(PAGE)],
        "cut": [read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF], reset],
    }
    with Server(SERVED, faults[cut]) as server, pytest.raises(DownloadError) as caught:
        bring_all(driver, pictures(server.url, 3), folder)
    assert caught.value.message.startswith("picture 2 of 3: ")
    assert caught.value.url.endswith("/2")
    assert "picture 2 of 3" in str(caught.value)
    assert contents(folder) == {"cat-1.png": PICTURE}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_file_in_the_way_of_any_picture_is_found_first(sync_driver: Driver, folder: Path, number: int) -> None:
    """Nothing is asked for when one of the files is there already, unless it may be overwritten."""
    (folder / f"cat-{number}.png").write_bytes(b"mine")
    with Server(SERVED) as server:
        with pytest.raises(DownloadError, match=rf"picture {number} of 3: .*cat-{number}\.png is there already"):
            bring_all(sync_driver, pictures(server.url, 3), folder)
        assert (server.requests, contents(folder)) == ([], {f"cat-{number}.png": b"mine"})
        bring_all(sync_driver, pictures(server.url, 3), folder, overwrite=True)
    assert contents(folder) == {f"cat-{number}.png": PICTURE for number in (1, 2, 3)}


def test_the_timeout_bounds_all_pictures_together(sync_driver: Driver, folder: Path) -> None:
    """What the first picture takes, the second has not."""
    clock = VirtualClock()
    late = call(lambda: setattr(clock, "now", clock.now + 60.0))
    with Server([read, late, response(PICTURE)]) as server:
        source = pictures(server.url, 3)
        with pytest.raises(DownloadError, match=r"picture 2 of 3"):
            drive(sync_driver, NOWHERE, lambda cat: cat.download_all(source, folder, timeout=60), clock=clock)
    assert contents(folder) == {"cat-1.png": PICTURE}


# --- A target that can't be. ---


@contextmanager
def unprivileged() -> Iterator[Path]:
    """Yield a folder of our own, as a user whom permissions bind: root is bound by none."""
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, *((nobody, nobody) if os.geteuid() == 0 else (-1, -1)))
        before = os.geteuid()
        os.seteuid(before or nobody)
        try:
            yield Path(name)
        finally:
            os.seteuid(before)
            Path(name).chmod(0o700)


@pytest.mark.parametrize("mode", [0o500, 0o000], ids=oct)
def test_a_folder_that_can_not_be_written_to_is_refused(driver: Driver, mode: int, tmp_path: Path) -> None:
    """A folder without the permission to write, or to look into, is a DownloadError that says so."""
    with Server(SERVED) as server:
        # What a download imports is imported by a user who may read Python's files.
        drive(driver, NOWHERE, lambda cat: cat.download(image(server.url), tmp_path / "first.png"))
    with Server(SERVED) as server, unprivileged() as folder:
        picture = image(server.url)
        drive(driver, NOWHERE, lambda cat: cat.download(picture, folder / "first.png"))
        folder.chmod(mode)
        with pytest.raises(DownloadError, match="Permission denied") as caught:
            drive(driver, NOWHERE, lambda cat: cat.download(picture, folder / "cat.png"))
        folder.chmod(0o700)
        assert contents(folder) == {"first.png": PICTURE}
    assert "Choose a folder" in str(caught.value)


def missing(folder: Path) -> Path:
    """Return a path in a folder that does not exist."""
    return folder / "no" / "cat.png"


def below_a_file(folder: Path) -> Path:
    """Return a path that treats a file as a folder."""
    (folder / "cats").touch()
    return folder / "cats" / "cat.png"


def too_long(folder: Path) -> Path:
    """Return a path whose name no file system takes."""
    return folder / ("c" * 300 + ".png")


def with_a_null_byte(folder: Path) -> Path:
    """Return a path that no system call takes."""
    return folder / "cat\0.png"


def where_no_file_can_be(folder: Path) -> Path:
    """Return a path in a file system that has no room for files, even of root."""
    return folder / "/proc/cat.png"


@pytest.mark.parametrize("place", [missing, below_a_file, too_long, with_a_null_byte, where_no_file_can_be])
def test_an_impossible_path_is_refused(sync_driver: Driver, folder: Path, place: Callable[[Path], Path]) -> None:
    """A path where no file can be is a DownloadError, and no file is left anywhere."""
    path = place(folder)
    before = contents(folder)
    with Server(SERVED) as server:
        error = refused(sync_driver, image(server.url), path)
    assert "Choose a folder" in str(error)
    assert contents(folder) == before


def test_a_full_disk_is_named(sync_driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk has no space left, the error says to free some, and no part of the picture is left."""

    def fail(_: PartialFile) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(PartialFile, "sync", fail)
    with Server(SERVED) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png")
    assert "No space left on device). Free some space on the disk" in str(error)
    assert contents(folder) == {}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_the_way_is_refused(sync_driver: Driver, folder: Path, overwrite: bool) -> None:
    """A folder is not replaced by a file, not even when asked."""
    (folder / "cat-1.png").mkdir()
    with Server(SERVED) as server:
        refused(sync_driver, image(server.url), folder, overwrite=overwrite)
    assert (folder / "cat-1.png").is_dir()
    assert contents(folder) == {}


def test_a_pipe_in_the_way_is_refused(sync_driver: Driver, folder: Path) -> None:
    """What is no regular file, such as a pipe or a device, is not replaced by one, not even when asked."""
    os.mkfifo(folder / "cat.png")
    with Server(SERVED) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png", overwrite=True)
    assert "not a regular file" in str(error)
    assert server.requests == []
    assert (folder / "cat.png").is_fifo()


def test_a_link_stays_and_its_file_is_replaced(sync_driver: Driver, folder: Path) -> None:
    """The picture goes where a symbolic link leads."""
    (folder / "real.png").write_bytes(b"mine")
    (folder / "cat.png").symlink_to(folder / "real.png")
    with Server(SERVED) as server:
        bring(sync_driver, image(server.url), folder / "cat.png", overwrite=True)
    assert (folder / "cat.png").is_symlink()
    assert contents(folder) == {"cat.png": PICTURE, "real.png": PICTURE}


@pytest.mark.parametrize("size", [1000, 100_000], ids=["small pieces", "large pieces"])
def test_a_full_disk_leaves_nothing(driver: Driver, folder: Path, size: int) -> None:
    """When no more bytes go into the file, there is a DownloadError and no partial file."""
    parts = [PICTURE[start : start + size] for start in range(0, len(PICTURE), size)]
    script: list[Step] = [read, head(f"Content-Length: {len(PICTURE)}"), *parts]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Server(script) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_500, hard))
        try:
            error = refused(driver, image(server.url), folder / "cat.png")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in str(error)
    assert len(server.requests) == 1
    assert contents(folder) == {}


def test_a_disk_that_fills_with_the_last_bytes_leaves_nothing(driver: Driver, folder: Path) -> None:
    """When the last bytes, which wait in memory, don't go into the file, there is an error and no partial file."""
    body = PICTURE[:5000]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Server([read, response(body)]) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
        try:
            error = refused(driver, image(server.url), folder / "cat.png")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in str(error)
    assert contents(folder) == {}


# --- What is an image. ---


def test_the_content_type_does_not_make_an_image(sync_driver: Driver, folder: Path) -> None:
    """A page is refused although its header says that it is a PNG, and the message says what it is."""
    with Server([read, response(PAGE, "Content-Type: image/png")]) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png")
    assert "not an image but an HTML page" in str(error)
    assert error.url == server.url
    assert len(server.requests) == 1
    assert contents(folder) == {}


def test_the_content_type_does_not_unmake_an_image(sync_driver: Driver, folder: Path) -> None:
    """A PNG is accepted although its header says that it is text."""
    with Server([read, response(PICTURE, "Content-Type: text/plain")]) as server:
        bring(sync_driver, image(server.url), folder / "cat.png")
    assert contents(folder) == {"cat.png": PICTURE}


NO_IMAGES = {
    "empty": b"",
    "one byte": b"\x89",
    "JSON": b'{"error": "no such object"}',
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "video": b"\0\0\0\x20ftypmp42" + bytes(100),
    "a film": b"\0\0\0\x18ftypmp42\0\0\0\0isommp41",
    "Motion JPEG 2000": JP2 + b"ftypmjp2\0\0\0\0mjp2",
    "an icon without pictures": b"\0\0\1\0\0\0" + bytes(100),
    "sound": b"RIFF\x10\x20\x30\x40WAVEfmt " + bytes(100),
    "a PNG after a line break": b"\n" + PICTURE,
    "half a signature": PICTURE[:7],
    "a program": b"\x7fELF" + bytes(100),
}


@pytest.mark.in_turn
@pytest.mark.parametrize("body", list(NO_IMAGES.values()), ids=list(NO_IMAGES))
def test_what_does_not_begin_as_an_image_is_refused(sync_driver: Driver, folder: Path, body: bytes) -> None:
    """A body without the first bytes of an image is a DownloadError, and is not asked for again."""
    with Server([read, response(body)]) as server:
        error = refused(sync_driver, image(server.url), folder)
    assert "not an image" in str(error)
    assert len(server.requests) == 1
    assert contents(folder) == {}


def members(body: bytes) -> bytes:
    """Return a body as gzip in three members, one of them empty."""
    return b"".join(map(gzip.compress, (body[:HALF], b"", body[HALF:])))


FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "length": response,
    "chunked": lambda body: head("Transfer-Encoding: chunked") + chunks(*([body] if body else [])),
    "close": lambda body: head() + body,
    "HTTP/1.0": lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body,
    "packed": lambda body: response(gzip.compress(body), "Content-Encoding: gzip"),
    "packed in members": lambda body: response(members(body), "Content-Encoding: GZIP, identity"),
    "packed in members, close": lambda body: head("Content-Encoding: x-gzip") + members(body),
    "packed twice": lambda body: response(gzip.compress(zlib.compress(body)), "Content-Encoding: deflate,gzip"),
    "packed without a header": lambda body: response(zlib.compress(body)[2:-4], "Content-Encoding: Deflate"),
    "all of it": lambda body: response(body, f"Content-Range: bytes 0-{len(body) - 1}/{len(body)}"),
}


@pytest.mark.parametrize("frame", list(FRAMES.values()), ids=list(FRAMES))
@pytest.mark.parametrize("body", [b"", PAGE], ids=["empty", "page"])
def test_no_framing_hides_what_is_no_image(
    sync_driver: Driver, folder: Path, frame: Callable[[bytes], bytes], body: bytes
) -> None:
    """An empty body and a page are refused however they are sent."""
    with Server([read, frame(body)]) as server:
        error = refused(sync_driver, image(server.url), folder)
    assert "not an image" in str(error)
    assert contents(folder) == {}


@pytest.mark.parametrize("frame", list(FRAMES.values()), ids=list(FRAMES))
def test_every_framing_is_understood(driver: Driver, folder: Path, frame: Callable[[bytes], bytes]) -> None:
    """A picture arrives whole however it is sent, though packed for the way it has another length."""
    with Server([read, frame(PICTURE)]) as server:
        bring(driver, image(server.url), folder / "cat.png")
    assert contents(folder) == {"cat.png": PICTURE}


@pytest.mark.parametrize("size", [10, 31, 32, 33])
def test_a_tiny_image_is_accepted(sync_driver: Driver, folder: Path, size: int) -> None:
    """A body may be shorter than the bytes that are looked at, and may come byte by byte."""
    body = PICTURE[:size]
    single = chunks(*(bytes([byte]) for byte in body))
    with Server([read, head("Transfer-Encoding: chunked") + single]) as server:
        bring(sync_driver, image(server.url), folder)
    assert contents(folder) == {"cat-1.png": body}


def test_a_body_with_a_broken_encoding_is_refused(driver: Driver, folder: Path) -> None:
    """A body that can't be unpacked is a DownloadError."""
    with Server([read, response(PICTURE, "Content-Encoding: gzip")]) as server:
        refused(driver, image(server.url), folder / "cat.png")
    assert contents(folder) == {}


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", ", ".join(["gzip"] * 5)])
def test_a_coding_that_can_not_be_read_is_named(driver: Driver, folder: Path, coding: str) -> None:
    """It is an answer, which asking again won't change, and no byte of the body is waited for."""
    with Server([read, head(f"Content-Encoding: {coding}"), PICTURE[:HALF], stall]) as server:
        error = refused(driver, image(server.url), folder / "cat.png")
        assert server.deserted()
    assert f'content coding "{coding}' in str(error)
    assert not error.transient
    assert len(server.requests) == 1
    assert contents(folder) == {}


ENDLESS = b"\xff\x0a" + bytes(range(200))
"""A bare JPEG XL, whose kind can't tell where it ends."""
BELIEVED: dict[str, tuple[list[str], bytes, bool]] = {
    "nothing is known": ([], ENDLESS, True),
    "a part, by its range": (["Content-Range: bytes 0-201/999"], ENDLESS, False),
    "a later part": (["Content-Range: bytes 797-998/999"], ENDLESS, False),
    "a part of who knows how much": (["Content-Range: bytes 0-201/*"], ENDLESS, False),
    "all, by its range": (["Content-Range: BYTES 0-201/202"], ENDLESS, True),
    "all, by its range, though its kind does not think so": (["Content-Range: bytes 0-99/100"], PICTURE[:100], True),
    "all, by its kind, though its range does not think so": ([f"Content-Range: bytes 0-{HALF}/*"], PICTURE, True),
}


@pytest.mark.parametrize(("lines", "body", "taken"), list(BELIEVED.values()), ids=list(BELIEVED))
def test_what_says_that_it_is_all_is_believed(
    sync_driver: Driver, folder: Path, lines: list[str], body: bytes, taken: bool
) -> None:
    """Without a length, a full range or the picture's own end says so; a kind that can't tell is taken as it comes."""
    with Server([read, head(*lines), body]) as server:
        if taken:
            bring(sync_driver, image(server.url), folder / "cat")
        else:
            assert refused(sync_driver, image(server.url), folder / "cat").transient
    assert contents(folder) == ({"cat": body} if taken else {})


# --- Too large. ---


def test_an_announced_size_is_enough_to_refuse(driver: Driver, folder: Path) -> None:
    """When the announced length is too large, no byte of the body is waited for."""
    with Server([read, head(f"Content-Length: {len(PICTURE)}"), stall]) as server:
        error = refused(driver, image(server.url), folder / "cat.png", max_bytes=len(PICTURE) - 1)
        assert server.deserted()
    assert f"more than {len(PICTURE) - 1} bytes" in str(error)
    assert "max_bytes" in str(error)
    assert len(server.requests) == 1
    assert contents(folder) == {}


@pytest.mark.parametrize("start", [head(), head("Transfer-Encoding: chunked")], ids=["close", "chunked"])
def test_an_endless_body_is_cut_off(driver: Driver, folder: Path, start: bytes) -> None:
    """Without an announced length, reading ends soon after the limit."""
    more = chunks(bytes(65536), last=False)
    with Server(
        [read, start, chunks(PICTURE, last=False) if b"chunked" in start else PICTURE, endless(more)]
    ) as server:
        error = refused(driver, image(server.url), folder / "cat.png", max_bytes=1_000_000)
        assert server.deserted()
    assert "more than 1000000 bytes" in str(error)
    assert server.connections[0].sent < 20_000_000
    assert len(server.requests) == 1
    assert contents(folder) == {}


@pytest.mark.parametrize(
    "body",
    [response(PICTURE), head("Transfer-Encoding: chunked") + chunks(PICTURE[:HALF], PICTURE[HALF:])],
    ids=["length", "chunked"],
)
def test_the_limit_itself_is_not_too_large(sync_driver: Driver, folder: Path, body: bytes) -> None:
    """A picture of exactly `max_bytes` is accepted, and one byte less is not."""
    with Server([read, body]) as server:
        refused(sync_driver, image(server.url), folder / "cat.png", max_bytes=len(PICTURE) - 1)
        bring(sync_driver, image(server.url), folder / "cat.png", max_bytes=len(PICTURE))
    assert contents(folder) == {"cat.png": PICTURE}


def test_the_limit_counts_unpacked_bytes(sync_driver: Driver, folder: Path) -> None:
    """A small body that unpacks to a large one is too large."""
    packed = gzip.compress(PICTURE + bytes(5_000_000))
    with Server([read, response(packed, "Content-Encoding: gzip")]) as server:
        refused(sync_driver, image(server.url), folder / "cat.png", max_bytes=1_000_000)
    assert contents(folder) == {}


# --- Faults that pass, and faults that don't. ---

CUTS: dict[str, Script] = {
    "no answer": [read],
    "reset": [read, reset],
    "half a head": [read, b"HTTP/1.1 200 OK\r\nContent-Le"],
    "no HTTP": [read, b"SSH-2.0-OpenSSH_9.9\r\n"],
    "a short body": [read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF]],
    "no body": [read, head(f"Content-Length: {len(PICTURE)}")],
    "one byte short": [read, head(f"Content-Length: {len(PICTURE) + 1}"), PICTURE],
    "cut chunks": [read, head("Transfer-Encoding: chunked"), chunks(PICTURE[:HALF], last=False)],
    "a cut chunk": [read, head("Transfer-Encoding: chunked"), chunks(PICTURE)[:HALF]],
    "no last chunk": [read, head("Transfer-Encoding: chunked"), chunks(PICTURE, last=False)],
    "no length": [read, head(), PICTURE[:HALF]],
    "no length, cut in the signature": [read, head(), PICTURE[:7]],
    "no length, no body": [read, head()],
    "no length, one byte short": [read, head(), PICTURE[:-1]],
    "HTTP/1.0": [read, b"HTTP/1.0 200 OK\r\n\r\n", PICTURE[:HALF]],
    "a part of it": [read, response(PICTURE[:HALF], f"Content-Range: bytes 0-{HALF - 1}/{len(PICTURE)}")],
    "cut between two members": [read, head("Content-Encoding: gzip"), gzip.compress(PICTURE[:HALF])],
    "more than members": [read, response(gzip.compress(PICTURE) + b"more", "Content-Encoding: gzip")],
    "a damaged parcel": [read, response(gzip.compress(PICTURE)[:-1] + b"\xff", "Content-Encoding: gzip")],
    "a cut parcel": [read, response(gzip.compress(PICTURE)[:-20], "Content-Encoding: gzip")],
    "reset in the body": [read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF], reset],
    "408": [read, response(b"", status="408 Request Timeout")],
    "429": [read, response(b"", status="429 Too Many Requests")],
    "500": [read, response(PAGE, status="500 Internal Server Error")],
    "503": [read, response(PICTURE, status="503 Service Unavailable")],
    "522": [read, response(PAGE, status="522 Connection Timed Out")],
}


@by_driver(
    CUTS,
    "case",
    *("no answer", "a short body", "cut chunks", "a damaged parcel", "reset in the body", "503"),
    both_libraries=True,
)
def test_a_fault_that_may_pass_is_tried_again(driver: Driver, folder: Path, case: Script) -> None:
    """After a fault, the whole picture is asked for again, and nothing of the first try is in the file."""
    with Server(case, case, SERVED) as server:
        bring(driver, image(server.url), folder / "cat.png")
    assert len(server.requests) == 3
    assert contents(folder) == {"cat.png": PICTURE}


@pytest.mark.usefixtures("no_jitter")
@pytest.mark.parametrize("cut", ["no answer", "a short body", "cut chunks", "503"])
def test_a_fault_that_stays_is_an_error(driver: Driver, folder: Path, cut: str) -> None:
    """After four tries with growing pauses there is a DownloadError that may be tried again, and no file."""
    clock = VirtualClock()
    with Server(CUTS[cut]) as server:
        error = refused(driver, image(server.url), folder / "cat.png", clock)
        assert len(server.requests) == 4
    assert error.transient
    assert clock.sleeps == [0.5, 1.0, 2.0]
    assert contents(folder) == {}


@pytest.fixture
def _long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pauses after faults be a hundred times as long: next to them, no answer takes long."""
    for name in ("BACKOFF_FIRST", "BACKOFF_LONGEST"):
        monkeypatch.setattr(backoff, name, 100 * getattr(backoff, name))


@pytest.mark.usefixtures("_long_pauses")
def test_a_fault_after_which_there_is_no_time_for_another_try_is_told_at_once(driver: Driver, folder: Path) -> None:
    """The error names that fault, and not that the time is up."""
    clock = VirtualClock()
    with Server(CUTS["503"]) as server:
        error = refused(driver, image(server.url), folder / "cat.png", clock, timeout=20)
    assert (clock.sleeps, error.status_code) == ([], 503)


def asks_for(seconds: str) -> Script:
    """Return what a storage does that asks to be left alone for a while."""
    return [read, response(b"", f"Retry-After: {seconds}", status="429 Too Many Requests")]


def test_a_storage_is_left_alone_as_long_as_it_asks(driver: Driver, folder: Path) -> None:
    """The next try comes after the time in `Retry-After`."""
    clock = VirtualClock()
    with Server(asks_for("70"), SERVED) as server:
        bring(driver, image(server.url), folder / "cat.png", clock)
    assert clock.sleeps == [70.0]


@pytest.mark.parametrize("seconds", ["86400", "9" * 400])
def test_a_pause_that_outlasts_the_deadline_ends_a_download_at_once(driver: Driver, folder: Path, seconds: str) -> None:
    """The error tells for how long the storage wants to be left alone."""
    clock = VirtualClock()
    with Server(asks_for(seconds)) as server:
        error = refused(driver, image(server.url), folder / "cat.png", clock)
        assert len(server.requests) == 1
    assert (clock.sleeps, error.transient, error.retry_after) == ([], True, 3600.0)
    assert f"left alone for {min(int(seconds), 10**9)} s" in str(error)


def test_a_refused_connection_is_an_error(driver: Driver, folder: Path) -> None:
    """A storage that refuses connections is asked four times, then there is a DownloadError."""
    clock = VirtualClock()
    with refusing() as url:
        error = refused(driver, image(url), folder / "cat.png", clock)
    assert error.transient
    assert len(clock.sleeps) == 3
    assert contents(folder) == {}


@pytest.mark.in_turn
@pytest.mark.parametrize("code", [204, 206, 304, 400, 401, 403, 404, 410, 451])
def test_a_refusal_is_final(sync_driver: Driver, folder: Path, code: int) -> None:
    """An answer that asking again won't change is a DownloadError with the status code, after one request."""
    with Server([read, response(b"" if code in {204, 304} else PICTURE, status=f"{code} No")]) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png")
    assert error.status_code == code
    assert not error.transient
    assert str(code) in str(error)
    assert len(server.requests) == 1
    assert contents(folder) == {}


# --- Time. ---

SLOW: dict[str, Script] = {
    "a stalled answer": [read, stall],
    "a stalled picture": [read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF], stall],
    "a trickling head": [read, trickle(head(), b"x")],
    "a trickling picture": [read, head(f"Content-Length: {len(PICTURE)}"), trickle(PICTURE, PICTURE)],
}


@pytest.mark.parametrize("script", list(SLOW.values()), ids=list(SLOW))
def test_the_timeout_bounds_the_download(driver: Driver, folder: Path, script: Script) -> None:
    """When the time is over there is a DownloadError that may be tried again, and no file is left."""
    started = time.monotonic()
    with Server(script) as server:
        with pytest.raises(DownloadError) as caught:
            drive(
                driver,
                NOWHERE,
                lambda cat: cat.download(image(server.url), folder / "cat.png", timeout=0.1),
                http=None,
            )
        elapsed = time.monotonic() - started
    assert 0.1 <= elapsed < SOON
    assert caught.value.transient
    assert contents(folder) == {}


@pytest.mark.usefixtures("_long_pauses")
def test_the_timeout_bounds_all_tries_together(driver: Driver, folder: Path) -> None:
    """The pauses between tries count, and are cut short by the timeout."""
    clock = VirtualClock()
    with Server([read]) as server:
        refused(driver, image(server.url), folder / "cat.png", clock, timeout=60)
        assert len(server.requests) in {2, 3}
    assert sum(clock.sleeps) <= 60
    assert contents(folder) == {}


def test_no_time_is_an_error(sync_driver: Driver, folder: Path) -> None:
    """With a timeout of 0 there is a DownloadError."""
    with Server(SERVED) as server, pytest.raises(DownloadError):
        drive(sync_driver, NOWHERE, lambda cat: cat.download(image(server.url), folder / "cat.png", timeout=0))
    assert contents(folder) == {}


def test_time_that_runs_out_between_redirects_is_an_error(sync_driver: Driver, folder: Path) -> None:
    """When a redirect comes with the last moment of the timeout, there is a DownloadError."""
    clock = VirtualClock()
    late = call(lambda: setattr(clock, "now", 100.0))
    with Server([read, late, response(b"", "Location: /cat.png", status="302 Found")], SERVED) as server:
        refused(sync_driver, image(server.url), folder / "cat.png", clock, timeout=99)
        assert len(server.requests) == 1
    assert contents(folder) == {}


# --- Redirects. ---


def redirect(location: str, code: int = 302) -> bytes:
    """Return a redirect to the location."""
    return response(b"moved", f"Location: {location}", status=f"{code} Moved")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b/cat.png", "/b/cat.png"),
        ("dog.png?x=1", "/a/dog.png?x=1"),
        ("../b/cat.png", "/b/cat.png"),
        ("?x=1", "/a/cat.png?x=1"),
        ("http://HERE/c.png", "/c.png"),
        ("//HERE/c.png", "/c.png"),
    ],
)
def test_a_location_is_understood(sync_driver: Driver, folder: Path, location: str, target: str) -> None:
    """A redirect may be relative or absolute. `HERE` stands for the server's host and port."""
    with Server() as server:
        here = server.url.removeprefix("http://")
        server.scripts = [[read, redirect(location.replace("HERE", here))], SERVED]
        bring(sync_driver, image(f"{server.url}/a/cat.png"), folder / "cat.png")
    assert [request.target for request in server.requests] == ["/a/cat.png", target]
    assert contents(folder) == {"cat.png": PICTURE}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed(sync_driver: Driver, folder: Path, code: int) -> None:
    """Whatever the code, a redirect leads to the picture."""
    with Server([read, redirect("/b/cat.png", code)], SERVED) as server:
        bring(sync_driver, image(server.url), folder / "cat.png")
    assert [request.target for request in server.requests] == ["/", "/b/cat.png"]


def test_a_redirect_to_another_host_is_followed(driver: Driver, folder: Path) -> None:
    """A redirect may lead to another server."""
    with Server(SERVED) as other, Server([read, redirect(f"{other.url}/cat.png")]) as server:
        bring(driver, image(server.url), folder / "cat.png")
    assert contents(folder) == {"cat.png": PICTURE}


FORBIDDEN = {
    "file": "file:///etc/hostname",
    "ftp": "ftp://127.0.0.1/cat.png",
}
MALFORMED = {
    "javascript": "javascript:alert(1)",
    "data": "data:image/png;base64,iVBORw0KGgo=",
    "no host": "http://",
    "no host but a path": "http:///cat.png",
    "a bracket": "http://[::1/cat.png",
    "a large port": "http://127.0.0.1:99999/cat.png",
    "no port": "http://127.0.0.1:port/cat.png",
    "a space": "http://127.0.0.1 /cat.png",
    "a percent sign": "http://%zz/cat.png",
    "a long label": f"http://{'a' * 64}.invalid/cat.png",
    "an empty label": "http://a..invalid/cat.png",
    "a wrong A-label": "http://xn--a.invalid/cat.png",
}


@pytest.mark.parametrize("location", list(FORBIDDEN.values()), ids=list(FORBIDDEN))
def test_a_redirect_out_of_the_web_is_an_error(sync_driver: Driver, folder: Path, location: str) -> None:
    """A redirect to what is not http(s) is a DownloadError that shows it, and is not tried again."""
    with Server([read, redirect(location)]) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png")
    assert f'"{location}" is not http:// or https://' in str(error)
    assert len(server.requests) == 1
    assert contents(folder) == {}


@pytest.mark.parametrize("location", list(MALFORMED.values()), ids=list(MALFORMED))
def test_a_malformed_redirect_is_an_error(sync_driver: Driver, folder: Path, location: str) -> None:
    """A redirect to what is no URL of a host is a DownloadError."""
    with Server([read, redirect(location)]) as server:
        refused(sync_driver, image(server.url), folder / "cat.png", timeout=10)
    assert contents(folder) == {}


@pytest.mark.parametrize("header", [[], ["Location:"], ["Location: "]], ids=["none", "empty", "blank"])
def test_a_redirect_without_a_location_is_an_error(sync_driver: Driver, folder: Path, header: list[str]) -> None:
    """A redirect that does not say where to is a DownloadError with the status code."""
    with Server([read, response(PICTURE, *header, status="302 Found")]) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png")
    assert error.status_code == 302
    assert len(server.requests) == 1


def test_redirects_in_a_circle_are_an_error(sync_driver: Driver, folder: Path) -> None:
    """After the sixth redirect there is a DownloadError, and the circle is not tried again."""
    with Server([read, redirect("/cat.png")]) as server:
        error = refused(sync_driver, image(server.url), folder / "cat.png")
    assert "redirects more than 5 times" in str(error)
    assert not error.transient
    assert len(server.requests) == 6
    assert contents(folder) == {}


def test_five_redirects_are_followed(sync_driver: Driver, folder: Path) -> None:
    """Five redirects are no circle."""
    hops: list[Script] = [[read, redirect(f"/{number}")] for number in range(5)]
    with Server(*hops, SERVED) as server:
        bring(sync_driver, image(server.url), folder / "cat.png")
    assert [request.target for request in server.requests] == ["/", "/0", "/1", "/2", "/3", "/4"]


def test_a_redirect_with_a_large_body_is_not_read_whole(driver: Driver, folder: Path) -> None:
    """The body of a redirect is not worth reading for ever."""
    with Server([read, head("Location: /cat.png", status="302 Found"), endless(bytes(65536))], SERVED) as server:
        bring(driver, image(server.url), folder / "cat.png")
        assert server.connections[0].sent < 20_000_000
    assert contents(folder) == {"cat.png": PICTURE}


# --- The key stays at home. ---


def test_the_key_is_not_sent_for_a_picture(driver: Driver, folder: Path) -> None:
    """Neither the picture's host nor the target of a redirect gets the key, not even when it is the gateway itself."""
    with Server([read, redirect("/2")], [read, redirect("/3")], SERVED) as server:
        drive(driver, server.url, lambda cat: cat.download(image(f"{server.url}/1"), folder / "cat.png"), http=None)
    assert [request.target for request in server.requests] == ["/1", "/2", "/3"]
    for request in server.requests:
        assert KEY not in request.text
        assert "subscription" not in request.text.lower()


def test_a_picture_is_asked_for_like_anyone_would(driver: Driver, folder: Path) -> None:
    """The request is a GET without a body, and has none but the usual headers."""
    with Server(SERVED) as server:
        bring(driver, image(f"{server.url}/cat.png?signature=1"), folder / "cat.png")
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("GET", "/cat.png?signature=1", b"")
    usual = {"accept", "accept-encoding", "connection", "host", "user-agent"}
    assert {name for name, _ in request.headers} <= usual


def test_the_gateway_s_cookies_are_not_sent_for_a_picture(driver: Driver, folder: Path) -> None:
    """A cookie that the gateway set, such as its CDN's, stays between us and the gateway."""
    done = b'{"status": "completed", "progress": 1, "request_id": "cat-1", "result_url": "http://a.invalid/b.png"}'
    gateway = Server([read, response(done, "Set-Cookie: visitor=secret; Path=/", "Content-Type: application/json")])
    with gateway, Server(SERVED) as storage:
        drive(
            driver,
            gateway.url,
            lambda cat: cat.status("cat-1"),
            lambda cat: cat.download(image(storage.url), folder / "cat.png"),
        )
    assert storage.requests[0].values("cookie") == []


@pytest.mark.parametrize(
    ("http", "header"),
    [
        ({"headers": {"Authorization": "Bearer secret"}}, "authorization"),
        ({"auth": ("me", "secret")}, "authorization"),
        ({"cookies": {"visitor": "secret"}}, "cookie"),
        ({"headers": {"X-Team-Key": "secret"}}, "x-team-key"),
        ({"params": {"key": "secret"}}, "key"),
    ],
    ids=["authorization", "auth", "cookies", "header", "query"],
)
def test_what_the_http_client_adds_for_the_gateway_is_not_sent_for_a_picture(
    driver: Driver, folder: Path, http: dict[str, Any], header: str
) -> None:
    """Headers, cookies and a login of the caller's HTTP client are meant for the gateway, not for any host it names."""
    with Server([read, redirect("/cat.png")], SERVED) as server:
        picture = image(server.url)
        drive(driver, NOWHERE, lambda cat: cat.download(picture, folder / "cat.png"), http={**SHARED, **http})
    for request in server.requests:
        assert request.values(header) == []
        assert "secret" not in request.text


# --- What can't be downloaded. ---


@pytest.mark.parametrize(
    "source", [None, 5, b"http://127.0.0.1/cat.png", ["http://127.0.0.1/cat.png"], Path("cat.png")]
)
def test_what_is_neither_image_nor_url_is_refused(sync_driver: Driver, folder: Path, source: object) -> None:
    """Only an Image or a URL can be downloaded; the message says what was passed instead."""
    with pytest.raises(ConfigurationError, match=type(source).__name__):
        bring(sync_driver, source, folder / "cat.png")
    assert contents(folder) == {}


NO_URLS = {
    "empty": "",
    "a path": "/etc/hostname",
    "a name": "cat.png",
    "no scheme": "127.0.0.1/cat.png",
    "no scheme but slashes": "//127.0.0.1/cat.png",
    **FORBIDDEN,
    **MALFORMED,
    "a line break": "http://127.0.0.1/cat\n.png",
    "a null byte": "http://127.0.0.1/cat\0.png",
    "very long": "http://127.0.0.1/" + "a" * 70000,
}


@pytest.mark.parametrize("url", list(NO_URLS.values()), ids=list(NO_URLS))
def test_what_is_no_http_url_is_refused(sync_driver: Driver, folder: Path, url: str) -> None:
    """A URL that is not http(s), or is none, is one of our errors, which shows it cut short."""
    for source in (image(url), url):
        with pytest.raises((DownloadError, ConfigurationError)) as caught:
            bring(sync_driver, source, folder, timeout=10)
        assert len(str(caught.value)) < 1000
    assert contents(folder) == {}


# --- Interrupted. ---

HALTED: Script = [read, head(f"Content-Length: {len(PICTURE)}"), PICTURE[:HALF], stall]


async def partial_in(folder: Path) -> None:
    """Wait until a file is growing in the folder."""
    assert await anyio.to_thread.run_sync(eventually, lambda: any(contents(folder).values()))


def test_a_cancelled_asyncio_task_leaves_nothing(folder: Path) -> None:
    """A task that is cancelled halfway ends at once, without a file or a connection."""

    async def main(url: str) -> None:
        async with AsyncLongCat(KEY, NOWHERE) as cat:
            task = asyncio.create_task(cat.download(url, folder / "cat.png"))
            await partial_in(folder)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(asyncio.all_tasks()) == 1
            assert contents(folder) == {}

    with Server(HALTED) as server:
        asyncio.run(main(server.url))
        assert server.deserted()


def test_a_cancelled_trio_scope_leaves_nothing(folder: Path) -> None:
    """A download in a cancel scope that is cancelled halfway ends at once, without a file or a connection."""

    async def main(url: str) -> None:
        async with AsyncLongCat(KEY, NOWHERE) as cat, trio.open_nursery() as nursery:
            nursery.start_soon(cat.download, url, folder / "cat.png")
            await partial_in(folder)
            nursery.cancel_scope.cancel()
        assert contents(folder) == {}

    with Server(HALTED) as server:
        trio.run(main, server.url)
        assert server.deserted()


INTERRUPTED = {
    "sync": "with LongCat('test-key', 'http://127.0.0.1:9') as cat: cat.download(url, path)",
    "async": """
async def main():
    async with AsyncLongCat('test-key', 'http://127.0.0.1:9') as cat:
        await cat.download(url, path)
anyio.run(main, backend=backend)
""",
}
PROGRAM = """
import signal
import anyio.to_thread
from longcat import AsyncLongCat, LongCat
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    exec(download)
except KeyboardInterrupt:
    say("KeyboardInterrupt")
"""


def test_ctrl_c_leaves_nothing(driver: Driver, folder: Path) -> None:
    """A program that is interrupted halfway ends with KeyboardInterrupt, and leaves no partial file."""
    download = INTERRUPTED.get(driver.name, INTERRUPTED["async"])
    with Server(HALTED) as server:
        names = {"download": download, "url": server.url, "path": str(folder / "cat.png"), "backend": driver.name}
        with Process(run_code, PROGRAM, names) as process:
            assert eventually(lambda: any(contents(folder).values()))
            os.kill(process.pid, signal.SIGINT)
            assert process.finish() == ["KeyboardInterrupt"]
    assert contents(folder) == {}
