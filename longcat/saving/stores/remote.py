"""Pictures in a store that is reached over a network, and named by a URL."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import IO, Final

from attrs import frozen

from longcat.saving.file_names import safe_name
from longcat.saving.journal.request_table import SavedFile
from longcat.saving.partial_file import PartialFile
from longcat.saving.stores.drivers import READ_TIMEOUT, ObjectBody, StorageDriver, StoredObject
from longcat.saving.stores.layout import Layout, place_in, stem_of
from longcat.saving.stores.retries import retry
from longcat.saving.stores.store import Record, WholePicture
from longcat.saving.stores.store_errors import StoreError, fault_of, is_conflict
from longcat.saving.stores.urls import StoreUrl

MAX_UPLOAD_SECONDS: Final = 300.0
"""How long one upload takes at most, where nobody sets another bound."""
UPLOAD_PATIENCE: Final = 60.0
"""Seconds for which a file is put again after faults that may pass, where nobody sets another bound."""
QUICK_PATIENCE: Final = 5.0
"""Seconds for which a question is asked again, and a probe is put again: someone is waiting at a shell."""
PROBE: Final = ".longcat-probe"
"""An object that is written to see whether anything can be, and deleted by those who may."""


@frozen
class RemoteStore:
    """A place behind a URL: a prefix, below which any number of pictures are saved; or the place of one.

    Bytes are gathered in a temporary folder of this machine, and put when they were checked.

    Attributes:
        url: where it is.
        is_folder: whether it is a prefix.
        layout: how new pictures lie below the prefix.
    """

    url: StoreUrl
    is_folder: bool
    layout: Layout
    _driver: StorageDriver
    _key: str
    """What the driver calls the place."""

    def target(self, stem: str, number: int, count: int) -> "RemoteTarget":
        """Return where a picture is to be saved. See `PictureStore`."""
        suffix = None
        if not self.is_folder:
            stem, _, suffix = self.url.shown.rpartition("/")[2].rpartition(".")
        return RemoteTarget(self, f"{stem}-{number}" if count > 1 else stem, suffix)

    def name(self, place: str) -> str:
        """Return what a picture is called within the store."""
        return place.removeprefix(self.place(""))

    def place(self, name: str) -> str:
        """Return the URL of a picture that is called so within the store."""
        return f"{self.url.shown if self.is_folder else self.url.shown.rpartition('/')[0]}/{name}"

    def recall(self, saved: SavedFile) -> str | None:
        """Return what a picture is called. Nobody is asked: it was recorded when it was there."""
        name = self.name(saved.place)
        return name if self.place(name) == saved.place and stem_of(name) is not None else None

    def existing(self, name: str, count: int = 1) -> list[str]:
        """Return what is there at the place of one picture. Below a prefix, it is seen when a picture is to be put."""
        if self.is_folder:
            return []
        targets = [self.target(safe_name(name), number, count) for number in range(1, count + 1)]
        names = [f"{target.stem}.{target.suffix}" for target in targets]
        try:
            return [self.place(one) for one in names if retry(partial(self.stat, one), QUICK_PATIENCE) is not None]
        except StoreError as error:
            if not error.denied:
                raise
        return []  # Who may write need not be allowed to see what is there, or that it is not.

    @contextmanager
    def writing(
        self, name: str, media_type: str, *, overwrite: bool = True, timeout: float | None = None
    ) -> Iterator[IO[bytes]]:
        """Lend a file to write bytes to, and put it when the block ends; see `PictureStore`."""
        part = PartialFile(self.folder)
        try:
            yield part.file
            part.file.flush()
            with part.path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            body = ObjectBody(part.path, media_type, digest, part.path.stat().st_size)
            seconds = MAX_UPLOAD_SECONDS if timeout is None else timeout
            put = partial(self.put, body, name, overwrite=overwrite, timeout=seconds)
            retry(put, UPLOAD_PATIENCE if timeout is None else 0.0)
        finally:
            part.discard()

    def holds(self, name: str) -> bool:
        """Whether there is an object of this name. Raises StoreError."""
        try:
            return retry(partial(self.stat, name), QUICK_PATIENCE) is not None
        except StoreError as error:
            if not error.denied:
                raise
        # S3 answers so about what is missing to someone who may not list. One who may not read at all is told so.
        self._probe(read=True)
        return False

    def prepare(self) -> None:
        """Raise StoreError unless something can be written here."""
        retry(partial(self._probe, read=False), QUICK_PATIENCE)

    def _probe(self, *, read: bool) -> None:
        with self.writing(PROBE, "text/plain", timeout=READ_TIMEOUT) as file:
            file.write(b"longcat can save pictures here.\n")
        try:
            if read:
                self.stat(PROBE)
        finally:
            with suppress(Exception):  # Whoever may write may not always delete.
                self._driver.delete(self._key_of(PROBE))

    def put(self, body: ObjectBody, name: str, *, overwrite: bool, timeout: float) -> None:
        """Put an object. One that is there already with the same bytes is as good; another raises FileExistsError.

        So it is no matter whether the answer to an earlier try was lost. Raises StoreError when the store does not
        take it.
        """
        key = self._key_of(name)
        with self._translated(name):
            try:
                self._driver.put(body, key, overwrite=overwrite, timeout=min(timeout, MAX_UPLOAD_SECONDS))
            except Exception as error:
                if not is_conflict(error) or not body.is_in(self._driver.stat(key, read=True)):
                    raise

    def stat(self, name: str) -> StoredObject | None:
        """Return what is known of an object. None: there is none. Raises StoreError."""
        with self._translated(name):
            return self._driver.stat(self._key_of(name), read=False)

    @property
    def folder(self) -> Path:
        """The folder in which bytes are gathered."""
        return Path(tempfile.gettempdir())

    def _key_of(self, name: str) -> str:
        return f"{self._key if self.is_folder else self._key.rpartition('/')[0]}/{name}"

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:
            raise fault_of(error, self.place(name), self.url) from error

    def __str__(self) -> str:
        return self.url.shown


@frozen
class RemoteTarget:
    """The object that a picture is to be saved as.

    Attributes:
        stem: what it is called, without a suffix.
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
        name = self._store.recall(saved)
        if name is None or stem_of(name) != self.stem or self.suffix not in {None, name.rpartition(".")[2]}:
            return None
        found = retry(partial(self._store.stat, name), QUICK_PATIENCE)
        if found is None or found.size != saved.size or found.sha256 not in {None, saved.sha256}:
            return None
        return saved.place

    def put(self, picture: WholePicture, record: Record, *, overwrite: bool, timeout: float) -> str:
        """Put the picture, then have it recorded.

        A program that is killed in between leaves an object that the journal does not know. The next one puts the same
        bytes again, and the store says that they are there.
        """
        stem = place_in(self._store.layout, self.stem) if self._store.is_folder else self.stem
        name = f"{stem}.{self.suffix or picture.kind.suffix}"
        picture.file.file.flush()
        body = ObjectBody(picture.file.path, picture.kind.media_type, picture.sha256, picture.size)
        self._store.put(body, name, overwrite=overwrite, timeout=timeout)
        place = self._store.place(name)
        record(place, picture.sha256, picture.size)
        return place
