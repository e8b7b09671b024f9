"""Which kind of store a place is."""

from os import PathLike
from pathlib import Path

from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.store import PictureStore


def open_store(output: str | PathLike[str]) -> PictureStore:
    """Return the store at a place. Nothing is made there yet.

    Args:
        output: a file or a folder.
    """
    return FolderStore(Path(output))
