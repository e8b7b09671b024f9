"""Writing a file whole, and only what may be written; what killed programs leave; and what files are called."""

import os
import re
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longcat.saving import partial_file
from longcat.saving.file_names import folded, safe_name
from longcat.saving.files import output_file, whole_file
from longcat.saving.stores.folder import FolderStore


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_appears_whole(tmp_path: Path, *, overwrite: bool) -> None:
    """Until the block ends there is no such file; then there is, and nothing else."""
    path = tmp_path / "cat.txt"
    with whole_file(path, overwrite=overwrite) as file:
        file.write(b"one")
        assert not path.exists()
        file.write(b" two")
    assert (names(tmp_path), path.read_bytes()) == (["cat.txt"], b"one two")


def test_the_bytes_are_on_the_disk_before_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the whole file or none, so the disk must have it first."""
    synced: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(names(tmp_path)))
    with whole_file(tmp_path / "cat.txt") as file:
        file.write(b"cat")
    assert [before == ["cat.txt"] for before in synced] == [False]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The old file stands until the new one is complete."""
    path = tmp_path / "cat.txt"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert (names(tmp_path), path.read_bytes()) == (["cat.txt"], b"new")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_is_there_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
    """Without `overwrite`, not even a file that appears meanwhile is replaced, on a disk without hard links either."""
    if not links:

        def refuse(*_: Any) -> None:
            raise PermissionError("no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "cat.txt"

    def write() -> None:
        with whole_file(path, overwrite=False) as file:
            path.write_bytes(b"mine")
            file.write(b"new")

    with pytest.raises(FileExistsError):
        write()
    assert (names(tmp_path), path.read_bytes()) == (["cat.txt"], b"mine")
    with whole_file(tmp_path / "dog.txt", overwrite=False) as file:
        file.write(b"new")
    assert names(tmp_path) == ["cat.txt", "dog.txt"]


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """What was written before the error is gone, and the old file is there."""
    path = tmp_path / "cat.txt"
    path.write_bytes(b"old")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert (names(tmp_path), path.read_bytes()) == (["cat.txt"], b"old")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """No folder is made."""
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "cats" / "cat.txt"):
        raise AssertionError("not reached")


def test_what_a_link_leads_to_is_written(tmp_path: Path) -> None:
    """A symbolic link stays a link: the file that it leads to is replaced."""
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with whole_file(link) as file:
        file.write(b"new")
    assert (link.is_symlink(), real.read_bytes(), names(tmp_path)) == (True, b"new", ["link.txt", "real.txt"])


def test_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    """What only its owner might read is not opened to others by being written anew."""
    path = tmp_path / "cat.txt"
    path.touch(0o600)
    with whole_file(path) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    """A pipe is not replaced by a file, and neither is a device or a folder, by itself or at the end of a link."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, tmp_path):
        with pytest.raises(OSError, match="not a regular file"), whole_file(path):
            pass
    assert (pipe.is_fifo(), names(tmp_path)) == (True, ["link", "pipe"])


# --- What must not be written. ---


def special(folder: Path, kind: str) -> Path:
    """Return what is no regular file, in a folder or on this machine."""
    path = folder / "cat.png"
    match kind:
        case "a pipe":
            os.mkfifo(path)
        case "a link to a pipe":
            os.mkfifo(folder / "pipe")
            path.symlink_to(folder / "pipe")
        case "a socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(path))
        case "a folder":
            path.mkdir()
        case "a link to a device":
            path.symlink_to("/dev/full")
        case "a circle of links":
            path.symlink_to(folder / "other")
            (folder / "other").symlink_to(path)
        case "a link to what is open":
            path.symlink_to("/dev/fd/1")
        case _:
            return Path(kind)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        *("a pipe", "a link to a pipe", "a socket", "a folder", "a link to a device", "a circle of links"),
        *("a link to what is open", "/dev/null", "/dev/full", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"),
    ],
)
def test_what_is_no_file_is_refused_at_once(kind: str) -> None:
    """Neither a device, nor a pipe, nor what a process has open is written or replaced, and nobody waits for one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = special(folder, kind)
        before = names(folder)
        with pytest.raises(OSError, match=r"not a regular file|symbolic links"), whole_file(path):
            pass
        assert names(folder) == before


def test_a_report_may_go_to_what_is_no_file(tmp_path: Path) -> None:
    """It is written into a pipe that is read, or to `/dev/stdout`; a pipe that nobody reads is an error at once."""
    pipe, plain = tmp_path / "pipe", tmp_path / "plain"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device or address"), output_file(pipe):
        pass
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (pipe, plain):
        with output_file(path) as file:
            file.write(b"report")
    assert (os.read(reader, 100), plain.read_bytes()) == (b"report", b"report")
    os.close(reader)
    with plain.open("ab") as stream, output_file(Path(f"/dev/fd/{stream.fileno()}")) as file:
        file.write(b" 2")
    assert plain.read_bytes() == b"report 2"
    with pytest.raises(OSError, match="not a regular file"), output_file(tmp_path):
        pass


def test_a_link_that_leads_nowhere_stands_for_the_file(tmp_path: Path) -> None:
    """What it leads to is made, wherever the link was relative to; and it is in the way of what may replace nothing."""
    (tmp_path / "there").mkdir()
    link = tmp_path / "cat.txt"
    link.symlink_to("there/real.txt")
    assert FolderStore(link).existing("cat") == [str(link)]
    with whole_file(link) as file:
        file.write(b"new")
    assert (link.is_symlink(), (tmp_path / "there" / "real.txt").read_bytes()) == (True, b"new")


def test_a_temporary_file_is_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put where it is to be, a link, a pipe or a file, is neither opened nor replaced: it is an error."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    place, other = tmp_path / f".longcat-{partial_file.HOST}-{'0' * 16}.part", tmp_path / "other"
    other.write_bytes(b"mine")
    put: list[Callable[[], object]] = [
        *(lambda: place.symlink_to(other), lambda: os.mkfifo(place), lambda: os.link(other, place), place.mkdir)
    ]
    for make in put:
        make()
        with pytest.raises(FileExistsError):
            partial_file.PartialFile(tmp_path)
        assert other.read_bytes() == b"mine"
        (place.rmdir if place.is_dir() else place.unlink)()


def test_a_temporary_file_that_was_replaced_gets_no_name(tmp_path: Path) -> None:
    """Another program's file, put in the place of ours while we wrote, does not become the picture."""
    part = partial_file.PartialFile(tmp_path)
    part.path.unlink()
    part.path.write_bytes(b"not ours")
    with pytest.raises(OSError, match="replaced the temporary file"):
        part.rename(tmp_path / "cat.png", overwrite=True)
    part.discard()
    assert names(tmp_path) == []


# --- What killed programs leave. ---


def test_what_dead_programs_left_is_swept(tmp_path: Path) -> None:
    """A temporary file without a lock is removed: at once if it is of this host, after a day if of another one."""
    dead, foreign = f".longcat-{partial_file.HOST}-{'0' * 16}.part", f".longcat-{'f' * 8}-{'0' * 16}.part"
    earlier = f".longcat-{'0' * 16}.part"
    kept = ["cat.part", ".longcat-journal.db", f".longcat-{'0' * 16}.part.txt", f".longcat-{'0' * 15}.part", ".part"]
    for name in (dead, foreign, earlier, *kept):
        (tmp_path / name).write_bytes(b"half")
    pipe = tmp_path / f".longcat-{partial_file.HOST}-{'1' * 16}.part"
    os.mkfifo(pipe)
    link = tmp_path / f".longcat-{partial_file.HOST}-{'2' * 16}.part"
    link.symlink_to(tmp_path / "cat.part")
    kept += [pipe.name, link.name]
    partial_file.sweep(tmp_path)
    assert names(tmp_path) == sorted([foreign, earlier, *kept])
    for name in (foreign, earlier):
        os.utime(tmp_path / name, (0, time.time() - partial_file.OLD - 60))
    partial_file.sweep(tmp_path)
    assert names(tmp_path) == sorted(kept)
    partial_file.sweep(tmp_path / "not there")


def test_what_a_living_program_writes_is_left_alone(tmp_path: Path) -> None:
    """However old it is, and whoever looks: a file that is being written has a lock, which a kill drops."""
    part = partial_file.PartialFile(tmp_path)
    os.utime(part.path, (0, 0))
    partial_file.sweep(tmp_path)
    assert part.path.exists()
    part.file.close()  # As at a kill.
    partial_file.sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_strangers_file_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another user is none of ours, whatever its name."""
    (tmp_path / f".longcat-{partial_file.HOST}-{'0' * 16}.part").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    partial_file.sweep(tmp_path)
    assert len(names(tmp_path)) == 1


def test_a_file_that_is_swept_before_it_is_locked_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making and the locking of a temporary file, a sweep may take it away; then there is another one."""
    lock = partial_file.is_free
    swept: list[bool] = []

    def late(descriptor: int) -> bool | None:
        if not swept:
            swept.append(True)
            monkeypatch.setattr(partial_file, "is_free", lock)
            partial_file.sweep(tmp_path)
        return lock(descriptor)

    monkeypatch.setattr(partial_file, "is_free", late)
    part = partial_file.PartialFile(tmp_path)
    assert (part.path.exists(), len(names(tmp_path))) == (True, 1)
    part.discard()


def test_a_disk_without_locks_keeps_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can tell whether a program lives, a file is left alone for a day."""
    monkeypatch.setattr(partial_file, "is_free", lambda _: None)
    part = partial_file.PartialFile(tmp_path)
    partial_file.sweep(tmp_path)
    assert part.path.exists()
    os.utime(part.path, (0, time.time() - partial_file.OLD - 60))
    partial_file.sweep(tmp_path)
    assert names(tmp_path) == []
    part.discard()


# --- Names. ---

ALIKE = [
    ["Cat", "cat", "CAT", "cAT", "\uff43\uff41\uff54", "c\u200bat", "cat\u202e", "ca\u115ft", "cat.", "cat ", " cat"],
    ["strasse", "stra\u00dfe", "STRASSE", "stra\u1e9ee", "\u017ftrasse"],
    ["caf\u00e9", "cafe\u0301", "CAF\u00c9", "cafe"],
    ["\u0131d", "id", "ID", "\u0130d", "i\u0307d"],
    ["file", "\ufb01le"],
    ["\u212aelvin", "kelvin"],
    ["\u03c3\u03c2", "\u03c3\u03c3", "\u03a3\u03a3"],
    ["\uac00", "\u1100\u1161"],
    ["a:b", "a/b", "a\\b", "a?b", "a_b", "a b", "a::$DATA"],
    ["c" * 151, "c" * 152, "c" * 1024, "\u732b" * 100, "\u732b" * 101],
]


def on_a_disk(name: str) -> str:
    """Return what a disk may make of a name that folds the most together."""
    return "".join(one for one in folded(name) if one not in "\u115f\u1160\u200b").rstrip(". ")


@pytest.mark.parametrize("alike", ALIKE, ids=[ascii(group[0])[:12] for group in ALIKE])
def test_names_stay_different_on_every_disk(alike: list[str]) -> None:
    """What differs in case, accents, width, invisible characters or the end only gets names that differ elsewhere."""
    found = [on_a_disk(f"{safe_name(name)}.png") for name in alike]
    assert len({*found}) == len(alike)
    assert all(len(name.encode()) < 200 for name in found)


@pytest.mark.parametrize(
    "name",
    [
        *[
            "CON",
            "con",
            "nul",
            "Aux",
            "prn",
            "COM1",
            "com9",
            "LPT1",
            "CONIN$",
            "conout$",
            "AUX.txt",
            "nul.tar.gz",
            "con.",
            "aux:x",
            ".con",
            "clock$",
            "com0",
        ],
        *("lpt\u00b9", "COM\u00b2", "con "),
    ],
)
def test_no_name_is_a_device_on_windows(name: str) -> None:
    """Neither by itself, nor with a suffix, is a name one of those that Windows keeps for devices."""
    first = f"{safe_name(name)}.png".split(".", maxsplit=1)[0].rstrip(" ").upper()
    devices = {"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"}
    assert first not in devices | {
        f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789\u00b9\u00b2\u00b3"
    }
    assert re.fullmatch(r"\w[\w.-]*", safe_name(name))


@pytest.mark.parametrize(
    "name", ["cat", "cat-1", "019d.a_b-c", "\u043a\u043e\u0448\u043a\u0430", "\u732b", "caf\u00e9"]
)
def test_a_plain_name_stays_as_it_is(name: str) -> None:
    """What is safe everywhere, and what no other name is taken for, is not changed."""
    assert safe_name(name) == name
