"""Writing a file whole."""

import os
from pathlib import Path
from typing import Any

import pytest

from longcat.saving.files import whole_file


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
