"""How pictures lie in a store: beside each other, or in folders, so that a million of them are not in one."""

from enum import StrEnum
from hashlib import sha256
from typing import Literal, TypeAlias

LayoutName: TypeAlias = Literal["flat", "hash"]
FormatName: TypeAlias = Literal["files", "webdataset"]


class Layout(StrEnum):
    """How pictures lie in a store."""

    FLAT = "flat"
    """All beside each other."""
    HASH = "hash"
    """In two levels of 256 folders each, which the SHA-256 of a picture's name tells: `d0/77/cat.png`."""

    def place(self, stem: str) -> str:
        """Return the path of a picture that is called so, from where the store begins."""
        if self is Layout.FLAT:
            return stem
        digest = sha256(stem.encode()).hexdigest()
        return f"{digest[:2]}/{digest[2:4]}/{stem}"

    def end_of(self, path: str) -> str:
        """Return the end of a path that this layout makes: the name of a picture, with the folders that it is in."""
        return "/".join(path.split("/")[-(1 if self is Layout.FLAT else 3) :])
