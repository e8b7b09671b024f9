"""Pictures in shards: tar files with many pictures each, and a JSON object beside each, as webdataset reads them.

A shard is gathered in a temporary file, and put in its place whole when it has enough pictures. A program that is
killed before loses no more than the time that it took to fetch them: they are fetched anew, into another shard. No two
runs give a shard the same name.
"""

import io
import json
import os
import secrets
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from shutil import copyfileobj
from tarfile import BLOCKSIZE, TarInfo
from typing import IO, Any, Final

from attrs import define, field, frozen

from longcat.saving.journal.request_table import SavedFile
from longcat.saving.partial_file import PartialFile
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.store import PictureStore, Record, WholePicture
from longcat.saving.stores.store_errors import StoreError

MAX_SHARD_PICTURES: Final = 1000
MAX_SHARD_BYTES: Final = 256 * 1024 * 1024
MEDIA_TYPE: Final = "application/x-tar"
IN_SHARD: Final = "#"
"""What stands between a shard and the picture in it, in the place of a picture."""


@define(eq=False)
class Shard:
    """A tar file that pictures are gathered in.

    Attributes:
        name: what it is called in the store.
        file: has its bytes.
        size: how many of them are members that are complete.
        pictures: the name of each in the tar file, what is known of it, and what records where it is.
    """

    name: str
    file: PartialFile
    size: int = 0
    pictures: list[tuple[str, WholePicture, Record]] = field(factory=list)

    def add(self, stem: str, picture: WholePicture, info: Mapping[str, Any], record: Record) -> str:
        """Add a picture, and return its place in the store. When this raises OSError, it is as if it was not called."""
        text = json.dumps(info, ensure_ascii=False).encode(errors="surrogatepass")
        name = f"{stem}.{picture.kind.suffix}"
        self.file.file.seek(self.size)
        picture.file.file.seek(0)
        self._write(name, picture.size, picture.file.file)
        self._write(f"{stem}.json", len(text), io.BytesIO(text))
        self.size = self.file.file.tell()
        self.pictures.append((name, picture, record))
        return f"{self.name}{IN_SHARD}{name}"

    def _write(self, name: str, size: int, source: IO[bytes]) -> None:
        info = TarInfo(name)
        info.size = size
        self.file.file.write(info.tobuf())
        copyfileobj(source, self.file.file)
        self.file.file.write(bytes(-size % BLOCKSIZE))

    def copy_to(self, file: IO[bytes]) -> None:
        """Write the tar file."""
        self.file.file.seek(self.size)
        self.file.file.write(bytes(2 * BLOCKSIZE))  # Which is how a tar file ends.
        self.file.file.truncate()
        self.file.file.seek(0)
        copyfileobj(self.file.file, file)


@define(eq=False)
class ShardWriter:
    """Gathers pictures in shards, and puts these in their places. Threads may share it.

    Attributes:
        store: where the shards go.
        most_pictures: how many pictures make a shard full.
        most_bytes: how many bytes do.
    """

    store: PictureStore
    most_pictures: int = MAX_SHARD_PICTURES
    most_bytes: int = MAX_SHARD_BYTES
    _run: str = field(factory=lambda: secrets.token_hex(8), init=False)
    _count: int = field(default=0, init=False)
    _open: Shard | None = field(default=None, init=False)
    _full: deque[Shard] = field(factory=deque, init=False)
    _there: dict[str, bool] = field(factory=dict, init=False)
    """Whether a shard of this name is in its place."""
    _gathering: threading.Lock = field(factory=threading.Lock, init=False)
    _putting: threading.Lock = field(factory=threading.Lock, init=False)

    @property
    def folder(self) -> Path:
        """The folder in which pictures are gathered."""
        return Path(tempfile.gettempdir())

    @property
    def is_full(self) -> bool:
        """Whether there is a shard that nothing more goes into, and that is not in its place."""
        return bool(self._full)

    def add(self, stem: str, picture: WholePicture, info: Mapping[str, Any], record: Record) -> str:
        """Gather a picture, and return its name: that of its shard, which is not in its place yet, and its own."""
        with self._gathering:
            if self._open is None:
                self._open = Shard(f"pictures-{self._run}-{self._count:06}.tar", PartialFile(self.folder))
                self._count += 1
            name = self._open.add(stem, picture, info, record)
            if len(self._open.pictures) >= self.most_pictures or self._open.size >= self.most_bytes:
                self._close()
            return name

    def _close(self) -> None:
        if self._open is not None:
            self._full.append(self._open)
            self._open = None

    def close_shards(self, timeout: float, *, all_of_them: bool = False) -> None:
        """Put the shards in their places that are full, or all, each in so many seconds; their pictures are recorded.

        When it raises, everything is kept, and it may be called again. Raises OSError; JournalError as records do.
        """
        if not self._putting.acquire(timeout=timeout):
            raise StoreError("another shard is put in its place all the time", "Try again later.", transient=True)
        try:
            if all_of_them:
                with self._gathering:
                    self._close()
            while self._full:
                self._put(self._full[0], timeout)
                self._full.popleft().file.discard()
        finally:
            self._putting.release()

    def _put(self, shard: Shard, timeout: float) -> None:
        """Have the pictures recorded, then put their shard in its place.

        In this order, a program that is killed in between leaves records of a shard that is not there, which is asked
        for before any of them counts. In the other one, it would leave pictures that the journal does not know.
        """
        for name, picture, record in shard.pictures:
            place = self.store.place(f"{shard.name}{IN_SHARD}{name}")
            record(recorded(self.store, place), picture.sha256, picture.size)
        with self.store.writing(shard.name, MEDIA_TYPE, overwrite=False, timeout=timeout) as file:
            shard.copy_to(file)
        self._there[shard.name] = True

    def give_up(self) -> str | None:
        """Let go of the shard that could not be put in its place, and return its name. None: there is none."""
        if not self._full:
            return None
        shard = self._full.popleft()
        shard.file.discard()
        return shard.name

    def discard(self) -> None:
        """Let go of all that is gathered and not in its place."""
        self._close()
        while self.give_up() is not None:
            pass

    def is_there(self, name: str) -> bool:
        """Whether the shard of a picture is in its place. Asked once for each shard that another run has put there."""
        shard = name.partition(IN_SHARD)[0]
        if shard not in self._there:
            if shard.startswith(f"pictures-{self._run}-"):
                return False
            self._there[shard] = self.store.holds(shard)
        return self._there[shard]


@frozen
class ShardStore:
    """A place for pictures in shards. What is saved there is there when its shard has been closed.

    Attributes:
        writer: gathers the pictures.
        info: what becomes the JSON object beside each picture.
    """

    writer: ShardWriter
    info: Mapping[str, Any] = field(factory=dict)
    is_folder: bool = field(default=True, init=False)

    def about(self, info: Mapping[str, Any]) -> "ShardStore":
        """Return the same place for the pictures of one order, beside which this information is put."""
        return ShardStore(self.writer, info)

    def prepare(self) -> None:
        """Make sure that shards can be saved there."""
        self.writer.store.prepare()

    def target(self, stem: str, number: int, count: int) -> "ShardTarget":
        """Return where a picture is to be saved. Its name has no dot: behind the first, webdataset sees the suffix."""
        if "." in stem:
            stem = f"{stem.replace('.', '_')}-{sha256(stem.encode()).hexdigest()[:8]}"
        return ShardTarget(self, f"{stem}-{number}" if count > 1 else stem)

    def name(self, place: str) -> str:
        """Return what a picture is called within the store: its shard, and its name in it."""
        return place.rpartition("/")[2]

    def place(self, name: str) -> str:
        """Return where a picture is that is called so within the store."""
        return self.writer.store.place(name)

    def recall(self, saved: SavedFile) -> str | None:
        """Return what a picture is called that is in a shard which is there. None: it is not."""
        name = self.name(saved.place)
        is_here = IN_SHARD in name and recorded(self.writer.store, self.place(name)) == saved.place
        return name if is_here and self.writer.is_there(name) else None

    def existing(self, name: str, count: int = 1) -> list[str]:  # noqa: ARG002 - see PictureStore.
        """Return nothing: a new shard replaces none."""
        return []

    def writing(
        self, name: str, media_type: str, *, overwrite: bool = True, timeout: float | None = None
    ) -> AbstractContextManager[IO[bytes]]:
        """Lend a file to write bytes to, beside the shards."""
        return self.writer.store.writing(name, media_type, overwrite=overwrite, timeout=timeout)

    def holds(self, name: str) -> bool:
        """Whether there is a file of this name beside the shards."""
        return self.writer.store.holds(name)

    def __str__(self) -> str:
        return str(self.writer.store)


@frozen
class ShardTarget:
    """The place of a picture in the shard that is gathered when the picture comes."""

    _store: ShardStore
    _stem: str

    @property
    def folder(self) -> Path:
        """The folder in which its bytes are gathered."""
        return self._store.writer.folder

    def check(self, *, overwrite: bool) -> None:
        """Do nothing: nothing is replaced."""

    def find(self, saved: SavedFile) -> str | None:
        """Return where the picture is, if its shard is in its place."""
        name = self._store.recall(saved)
        is_ours = name is not None and name.partition(IN_SHARD)[2].rpartition(".")[0] == self._stem
        return self._store.place(name) if name is not None and is_ours else None

    def put(self, picture: WholePicture, record: Record, *, overwrite: bool, timeout: float) -> str:  # noqa: ARG002
        """Gather the picture, and return where it will be. It is recorded when it is there."""
        return self._store.place(self._store.writer.add(self._stem, picture, self._store.info, record))


def recorded(store: PictureStore, place: str) -> str:
    """Return a place as it is recorded: a path with where it starts."""
    return os.path.abspath(place) if isinstance(store, FolderStore) else place  # noqa: PTH100 - it resolves no link.
