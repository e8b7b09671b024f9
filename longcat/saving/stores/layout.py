"""The layouts of pictures in a store: beside each other, or in folders, so that a million of them are not in one."""

from hashlib import sha256
from typing import Final, Literal, TypeAlias, get_args

Layout: TypeAlias = Literal["flat", "hash"]
"""`flat`: all beside each other. `hash`: in two levels of 256 folders each, by the SHA-256 of the name: `d0/77/cat`."""
LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)


def place_in(layout: Layout, stem: str) -> str:
    """Return the path of a picture that is called so, from where the store begins. Neither has a suffix."""
    if layout == "flat":
        return stem
    digest = sha256(stem.encode()).hexdigest()
    return f"{digest[:2]}/{digest[2:4]}/{stem}"


def stem_of(name: str) -> str | None:
    """Return what a picture is called, from its path within a store. None: no layout has such a path.

    What was saved in one layout counts in the other, too.
    """
    place = name.rpartition(".")[0]
    stem = place.rpartition("/")[2]
    return stem if any(place_in(layout, stem) == place for layout in LAYOUTS) else None
