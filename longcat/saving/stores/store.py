"""The interface of a place for pictures, whichever kind it is of."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from attrs import frozen

from longcat.saving.journal.request_table import SavedFile
from longcat.saving.partial_file import PartialFile
from longcat.saving.pictures.kinds import PictureKind

Record: TypeAlias = Callable[[str, str, int], object]
"""Records in the journal where a picture is, the SHA-256 of its bytes in hex, and how many there are."""


@frozen
class WholePicture:
    """A picture that has come, and was checked.

    Attributes:
        file: has its bytes.
        kind: which kind of picture it is.
        sha256: the SHA-256 of its bytes, in hex.
        size: how many bytes it has.
    """

    file: PartialFile
    kind: PictureKind
    sha256: str
    size: int


class PictureTarget(Protocol):
    """The place where one picture is to be saved. Every method may raise OSError, ValueError and RuntimeError."""

    @property
    def folder(self) -> Path:
        """The folder in which its bytes are gathered."""

    def check(self, *, overwrite: bool) -> None:
        """Raise FileExistsError when there is such a picture that may not be replaced, as far as that is seen at once.

        This asks nobody over a network.
        """

    def find(self, saved: SavedFile) -> str | None:
        """Return where the picture is. None: it is not as it was recorded, or elsewhere. This may block."""

    def put(self, picture: WholePicture, record: Record, *, overwrite: bool, timeout: float) -> str:
        """Save the picture, whole or not at all, have it recorded, and return where it is. This may block.

        A store that is reached over a network does it in `timeout` seconds.

        Raises FileExistsError when there is such a picture that may not be replaced.
        """


class PictureStore(Protocol):
    """A place for pictures."""

    @property
    def is_folder(self) -> bool:
        """Whether it holds any number of pictures by their names, and is not the place of one."""

    def prepare(self) -> None:
        """Make sure that pictures can be saved here, as far as that can be known. Raises OSError and ValueError."""

    def target(self, stem: str, number: int, count: int) -> PictureTarget:
        """Return where a picture is to be saved.

        Args:
            stem: what it is called where it has no name yet, without a suffix: as `safe_name` returns it.
            number: which of several pictures it is, from 1.
            count: how many these are. With several, the name of each ends in its number.
        """

    def name(self, place: str) -> str:
        """Return what a picture that `put` saved is called within the store: its path from here, with slashes."""

    def place(self, name: str) -> str:
        """Return where a picture is that is called so within the store."""

    def recall(self, saved: SavedFile) -> str | None:
        """Return what a picture is called within the store, without reading it. None: it is elsewhere, or altered."""

    def existing(self, name: str, count: int = 1) -> list[str]:
        """Return those that so many pictures of one image, called so, would replace, as far as that is seen at once.

        Raises OSError and ValueError.
        """

    def writing(
        self, name: str, media_type: str, *, overwrite: bool = True, timeout: float | None = None
    ) -> AbstractContextManager[IO[bytes]]:
        """Lend a file to write bytes to. It is in the store, whole, when the block ends.

        Args:
            name: what it is called within the store.
            media_type: what kind of bytes they are.
            overwrite: whether a file of this name may be replaced. False: FileExistsError is raised.
            timeout: seconds for a store that is reached over a network, which is asked once. None: it is asked again
                for a minute, while that may help.

        Raises OSError when it can't be written.
        """

    def holds(self, name: str) -> bool:
        """Whether there is a file of this name within the store. This may block, and raise OSError."""
