"""Pictures in files of this machine."""

import hashlib
import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO

from attrs import define, frozen

from longcat.saving.file_names import MAX_NUMBERED, safe_name
from longcat.saving.files import check_folder, final_path, open_regular, whole_file
from longcat.saving.journal.request_table import SavedFile
from longcat.saving.pictures.kinds import SUFFIXES
from longcat.saving.stores.layout import LAYOUTS, Layout, place_in, stem_of
from longcat.saving.stores.store import Record, WholePicture


@frozen
class FolderStore:
    """A folder that pictures are saved in; or a file, for one picture.

    Attributes:
        path: the folder, which is there already; or the file.
        layout: how new pictures lie in the folder.
        must_be_folder: whether it is a folder even while none is there, as one that somebody has removed.
    """

    path: Path
    layout: Layout = "flat"
    must_be_folder: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        if self.must_be_folder:
            return True
        with suppress(OSError):  # It is raised when something is to be written there.
            return self.path.is_dir()
        return False

    def prepare(self) -> None:
        """Make the folder. Raises OSError, also when nothing can be written into it."""
        self.path.mkdir(parents=True, exist_ok=True)
        check_folder(self.path)

    def target(self, stem: str, number: int, count: int) -> "FileTarget":
        """Return where a picture is to be saved. See `PictureStore`."""
        several = f"-{number}" if count > 1 else ""
        if self.is_folder:
            return FileTarget(self.path, f"{stem}{several}", self.layout, in_folder=True)
        path = self.path.with_name(f"{self.path.stem}{several}{self.path.suffix}") if several else self.path
        return FileTarget(path, stem)

    def name(self, place: str) -> str:
        """Return what a picture is called within the folder."""
        path = Path(place)
        return path.relative_to(self.path).as_posix() if self.path in path.parents else path.name

    def place(self, name: str) -> str:
        """Return where a picture is that is called so within the folder."""
        return str(self.path / name if self.is_folder else self.path.with_name(name))

    def recall(self, saved: SavedFile) -> str | None:
        """Return what a picture is called within the folder, by its size alone. None: it is elsewhere, or altered."""
        path = Path(saved.place)
        with suppress(OSError, ValueError):
            name = (path.parent.resolve().relative_to(self.path.resolve()) / path.name).as_posix()
            if stem_of(name) is not None and path.stat().st_size == saved.size:
                return name
        return None

    def existing(self, name: str, count: int = 1) -> list[str]:
        """Return the files that so many pictures of one image, called so, would replace. Raises OSError and ValueError.

        In a file, a picture has any name. Of very many pictures, only the first ones are looked for.
        """
        numbers = range(1, min(count, MAX_NUMBERED) + 1)
        targets = (self.target(safe_name(name), number, count) for number in numbers)
        return [str(found) for target in targets if (found := target.existing()) is not None]

    def writing(
        self,
        name: str,
        media_type: str,  # noqa: ARG002 - a file has none.
        *,
        overwrite: bool = True,
        timeout: float | None = None,  # noqa: ARG002 - nor is it reached over a network.
    ) -> AbstractContextManager[IO[bytes]]:
        """Lend a file to write bytes to, as `whole_file` does."""
        return whole_file(self.path / name, overwrite=overwrite)

    def holds(self, name: str) -> bool:
        """Whether there is a file of this name in the folder."""
        return (self.path / name).is_file()

    def __str__(self) -> str:
        return str(self.path)


@define
class FileTarget:
    """The file that a picture is to be saved in.

    Attributes:
        path: the file to write; or a folder, in which the file is called `stem` and has the suffix of its kind.
        stem: that name.
        layout: where in the folder it lies.
        in_folder: whether the path is a folder.
    """

    path: Path
    stem: str
    layout: Layout = "flat"
    in_folder: bool = False

    @property
    def folder(self) -> Path:
        """The folder that the file will be in."""
        return self.path if self.in_folder else self.path.parent

    def existing(self) -> Path | None:
        """Return the file that this one would replace; in a folder, one of its name and any kind. None: there is none.

        A symbolic link that leads nowhere is a file, too.
        """
        files = map(self._in_folder, SUFFIXES) if self.in_folder else (self.path,)
        return next((file for file in files if os.path.lexists(file)), None)

    def check(self, *, overwrite: bool) -> None:
        """Raise OSError when no file can be written here, and FileExistsError when it would replace another."""
        old = self.existing()
        target = final_path(old or self.path) if old or not self.in_folder else None
        if old is not None and not overwrite:
            raise FileExistsError(old)
        if target is not None and not self.in_folder:
            self.path = target

    def find(self, saved: SavedFile) -> str | None:
        """Return the file, in any layout, if it was recorded and has the same bytes, which are read."""
        known = Path(saved.place)
        files = [self.path]
        if self.in_folder:
            files = [self._in_folder(known.suffix.lstrip("."), layout) for layout in LAYOUTS]
        file = next((file for file in files if file.resolve() == known.resolve()), None)
        return str(file) if file is not None and os.path.lexists(file) and is_unaltered(saved) else None

    def put(self, picture: WholePicture, record: Record, *, overwrite: bool, timeout: float) -> str:  # noqa: ARG002 - likewise.
        """Give the file its name. This blocks until the bytes are on the disk.

        It is recorded before that: a program that is killed in between leaves a record without a file, which `find`
        notices. In the other order, it would leave a file that the journal does not know.
        """
        path = self.path
        if self.in_folder:
            path = final_path(self._in_folder(picture.kind.suffix))
            path.parent.mkdir(parents=True, exist_ok=True)
        picture.file.sync()
        record(str(path.absolute()), picture.sha256, picture.size)
        try:
            picture.file.rename(path, overwrite=overwrite)
        except FileExistsError:  # The same picture is as good: another program may have taken over the request.
            if not is_unaltered(SavedFile(str(path), picture.sha256, picture.size)):
                raise
        return str(path)

    def _in_folder(self, suffix: str, layout: Layout | None = None) -> Path:
        return self.path / f"{place_in(layout or self.layout, self.stem)}.{suffix}"


def is_unaltered(saved: SavedFile) -> bool:
    """Whether a file of this machine still has the bytes that were recorded. Raises OSError and ValueError."""
    path = Path(saved.place)
    if path.stat().st_size != saved.size:
        return False
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == saved.sha256
