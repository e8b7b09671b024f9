"""Pictures in a store that is reached over a network, and named by a URL."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from attrs import field, frozen

from longcat.clock import monotonic
from longcat.saving.journal.requests import SavedFile
from longcat.saving.names import safe_name
from longcat.saving.parts import PartialFile
from longcat.saving.pictures.kinds import SUFFIXES
from longcat.saving.stores.drivers import BLOCK, Driver, ObjectBody, StoredObject
from longcat.saving.stores.faults import StoreError, fault_of, is_conflict
from longcat.saving.stores.layout import Layout
from longcat.saving.stores.store import Record, WholePicture
from longcat.saving.stores.urls import StoreUrl

MOST_SECONDS: Final = 300.0
"""How long one request to the store takes at most, where nobody sets another bound."""
MARK: Final = ".longcat"
"""An object that is written to see whether anything can be. It stays, as whoever may write may not always delete."""


@frozen
class RemoteStore:
    """A place behind a URL: a prefix, below which any number of pictures are saved; or the place of one.

    Bytes are gathered in a temporary folder of this machine, and put when they were checked.

    Attributes:
        url: where it is.
        is_folder: whether it is a prefix.
        layout: how pictures lie below the prefix.
    """

    url: StoreUrl
    is_folder: bool
    layout: Layout
    _driver: Driver
    _key: str
    """What the driver calls the place."""
    _folder: Path = field(factory=lambda: Path(tempfile.gettempdir()), init=False)

    def target(self, stem: str, number: int = 1, count: int = 1) -> "RemoteTarget":
        """Return where a picture is to be saved. See `PictureStore`."""
        several = f"-{number}" if count > 1 else ""
        if self.is_folder:
            return RemoteTarget(self, self.layout.place(f"{stem}{several}"), None)
        name, _, suffix = self.url.shown.rpartition("/")[2].rpartition(".")
        return RemoteTarget(self, f"{name}{several}", suffix)

    def name(self, place: str) -> str:
        """Return what a picture is called within the store."""
        return self.layout.end_of(place) if self.is_folder else place.rpartition("/")[2]

    def place(self, name: str) -> str:
        """Return the URL of a picture that is called so within the store."""
        return f"{self.url.shown if self.is_folder else self.url.shown.rpartition('/')[0]}/{name}"

    def recall(self, saved: SavedFile) -> str | None:
        """Return what a picture is called. Nobody is asked: it was recorded when it was there."""
        name = self.name(saved.place)
        return name if self.place(name) == saved.place else None

    def existing(self, name: str, count: int = 1) -> list[str]:
        """Return what is there at the place of one picture. Below a prefix, it is seen when a picture is to be put."""
        if self.is_folder:
            return []
        targets = [self.target(safe_name(name), number, count) for number in range(1, count + 1)]
        places = [f"{target.stem}.{target.suffix}" for target in targets]
        return [self.place(one) for one in places if self.stat(one, MOST_SECONDS) is not None]

    @contextmanager
    def writing(
        self, name: str, media_type: str, *, overwrite: bool = True, timeout: float | None = None
    ) -> Iterator[IO[bytes]]:
        """Lend a file to write bytes to, and put it when the block ends. Raises OSError."""
        seconds = MOST_SECONDS if timeout is None else timeout
        part = PartialFile(self._folder)
        try:
            yield part.file
            part.file.flush()
            part.file.seek(0)
            digest = sha256()
            while block := part.file.read(BLOCK):
                digest.update(block)
            body = ObjectBody(part.path, media_type, digest.hexdigest())
            self.put(body, name, overwrite=overwrite, timeout=seconds)
        finally:
            part.discard()

    def holds(self, name: str) -> bool:
        """Whether there is an object of this name. Raises StoreError."""
        return self.stat(name, MOST_SECONDS) is not None

    def prepare(self) -> None:
        """Raise StoreError unless something can be written here."""
        with self.writing(MARK, "text/plain") as file:
            file.write(b"Pictures are saved here by longcat.\n")

    def put(self, body: ObjectBody, name: str, *, overwrite: bool, timeout: float) -> None:
        """Put an object. One that is there already with the same bytes is as good; another raises FileExistsError.

        Raises StoreError when the store does not take it.
        """
        end = monotonic() + min(timeout, MOST_SECONDS)
        key = self._key_of(name)
        with self._translated(name):
            try:
                self._driver.put(body, key, overwrite=overwrite, timeout=end - monotonic())
            except Exception as error:
                if not is_conflict(error) or not self._is_there(body, key, end):
                    raise

    def _is_there(self, body: ObjectBody, key: str, end: float) -> bool:
        """Whether an object has the bytes that are to be put."""
        found = self._driver.stat(key, end - monotonic())
        if found is None or found.size != body.path.stat().st_size:
            return False
        known = found.sha256 if found.sha256 is not None else self._driver.read_hash(key, end - monotonic())
        return known == body.sha256

    def stat(self, name: str, timeout: float) -> StoredObject | None:
        """Return what is known of an object. None: there is none. Raises StoreError.

        After a fault that may pass it is asked once more: the connection may have ended a while ago.
        """
        try:
            return self._stat(name, timeout)
        except StoreError as error:
            if not error.transient:
                raise
        return self._stat(name, timeout)

    def _stat(self, name: str, timeout: float) -> StoredObject | None:
        with self._translated(name):
            return self._driver.stat(self._key_of(name), timeout)

    @property
    def folder(self) -> Path:
        """The folder in which bytes are gathered."""
        return self._folder

    def _key_of(self, name: str) -> str:
        return f"{self._key if self.is_folder else self._key.rpartition('/')[0]}/{name}"

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except (StoreError, MemoryError):
            raise
        except Exception as error:
            raise fault_of(error, self.place(name), self.url) from error

    def __str__(self) -> str:
        return self.url.shown


@frozen
class RemoteTarget:
    """The object that a picture is to be saved as.

    Attributes:
        stem: its path within the store, without a suffix.
        suffix: that of its name. None: that of the picture's kind.
    """

    _store: RemoteStore
    stem: str
    suffix: str | None

    @property
    def folder(self) -> Path:
        """The folder in which its bytes are gathered."""
        return self._store.folder

    def check(self, *, overwrite: bool) -> None:
        """Do nothing: the store says whether there is such an object when this one is put."""

    def find(self, saved: SavedFile) -> str | None:
        """Return the URL, if the store has an object of the size there that was recorded, and no other hash of it."""
        names = [f"{self.stem}.{suffix}" for suffix in ((self.suffix,) if self.suffix is not None else SUFFIXES)]
        name = next((name for name in names if self._store.place(name) == saved.place), None)
        found = self._store.stat(name, MOST_SECONDS) if name is not None else None
        if found is None or found.size != saved.size or found.sha256 not in {None, saved.sha256}:
            return None
        return saved.place

    def put(self, picture: WholePicture, record: Record, *, overwrite: bool, timeout: float) -> str:
        """Put the picture, then have it recorded.

        A program that is killed in between leaves an object that the journal does not know. The next one puts the same
        bytes again, and the store says that they are there.
        """
        suffix = self.suffix if self.suffix is not None else picture.kind.suffix
        name = f"{self.stem}.{suffix}"
        picture.file.file.flush()
        body = ObjectBody(picture.file.path, picture.kind.media_type, picture.sha256)
        self._store.put(body, name, overwrite=overwrite, timeout=timeout)
        place = self._store.place(name)
        record(place, picture.sha256, picture.size)
        return place
