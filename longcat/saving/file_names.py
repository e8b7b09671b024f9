"""Makes names of files that every disk takes, and that stay different on disks that fold letters together."""

import re
from hashlib import sha256
from typing import Final
from unicodedata import normalize

RESERVED: Final = re.compile(r"(con|prn|aux|nul|clock|conin|conout|com\d|lpt\d)(\.|$)", re.ASCII)
"""Names of devices on Windows, which they also are with a suffix: `aux.png`."""
UNSAFE: Final = re.compile(r"[^\w.-]+|[\u115f\u1160\u3164\uffa0]+")
"""Characters that a file name must not have: all but letters, digits and `_.-`, and letters that can't be seen."""
MAX_NAME_BYTES: Final = 150
"""Bytes of a name. Disks take 255, of which a hash, a number and a suffix need some."""
MAX_NUMBERED: Final = 1000
"""For how many pictures of one order names are known before the pictures are there. The service makes a few."""


def safe_name(name: str) -> str:
    """Return a file name, without suffix, that is no path, not hidden, no device, and not too long.

    A name that is one already, and that no other name is taken for, stays as it is: `cat`, `кошка`. Every other one
    ends in its hash, so that all differ on every disk, whatever else is saved there: `Cat`, as there may be a `cat`;
    an accent that is a character of its own; `aux`.
    """
    safe = UNSAFE.sub("_", name).strip("._-").encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    if RESERVED.match(folded(safe)):
        safe = safe.replace(".", "_")
    elif name and safe == name == folded(name):
        return name
    return f"{safe or 'image'}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def folded(name: str) -> str:
    """Return what two names have in common that are one file on some disk: by case, accents, width or ligatures."""
    for _ in range(3):  # One may bring about another.
        name = normalize("NFKC", normalize("NFKC", name).upper().casefold())
    return name
