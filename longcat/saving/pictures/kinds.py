"""The kinds of pictures that are saved, known by their first bytes and not by what a server calls them."""

import re
from collections.abc import Callable, Mapping
from typing import IO, Final

from attrs import frozen

from longcat.saving.pictures.boxes import SIGNATURE_BOX, brands, check_heif, check_jp2, check_jpeg_xl
from longcat.saving.pictures.reader import CutPictureError, PictureReader
from longcat.saving.pictures.sizes import check_bmp, check_ico, check_tiff, check_webp
from longcat.saving.pictures.streams import check_gif, check_jpeg, check_jpeg_2000, check_png

MEDIA_TYPES: Final = {"jpg": "jpeg", "j2k": "j2c", "ico": "vnd.microsoft.icon"}
"""Media types of images that differ from the suffix."""
SNIFFED_BYTES: Final = 512
"""How many bytes tell what kind of picture it is; of most kinds a dozen would do."""
HEIC: Final = "heic"
CODECS: Final[Mapping[bytes, str]] = {
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIC),
    **dict.fromkeys((b"avci", b"avcs"), "avci"),
}
"""The suffix of files whose brand names a codec (ISO/IEC 23008-12, annexes B, D and E; AVIF, section 6)."""
CONTAINER_BRANDS: Final = frozenset({b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"1pic"})
"""Brands of the same container that name none."""


@frozen
class PictureKind:
    """One kind of picture.

    Attributes:
        suffix: that of its files, without a dot.
        matches: whether a file that begins with these bytes, `SNIFFED_BYTES` of them or all, is of this kind.
        check: raises CutPictureError when a file of this kind is not whole. None: the kind itself can't tell.
    """

    suffix: str
    matches: Callable[[bytes], object]
    check: Callable[[PictureReader], None] | None

    @property
    def media_type(self) -> str:
        """Its media type in HTTP."""
        return f"image/{MEDIA_TYPES.get(self.suffix, self.suffix)}"


def _begins(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(pattern, re.DOTALL).match


def _has_codec(suffix: str) -> Callable[[bytes], object]:
    """Return whether a file in the container of HEIF has a codec whose files have this suffix.

    The first brand that names a codec counts, as the major brand often names the container alone.
    """

    def matches(head: bytes) -> bool:
        found = brands(head)
        usual = HEIC if not CONTAINER_BRANDS.isdisjoint(found) else None
        return suffix == next((CODECS[brand] for brand in found if brand in CODECS), usual)

    return matches


def _is_jp2(brand: bytes) -> Callable[[bytes], object]:
    return lambda head: head.startswith(b"\0\0\0\x0cjP  \r\n\x87\n") and brand in brands(head, SIGNATURE_BOX)


def _is_ico(head: bytes) -> bool:
    """Whether it has the list of an icon's pictures, too. Its signature, 00 00 01 00, alone says little."""
    count, size, place = (int.from_bytes(head[start:end], "little") for start, end in ((4, 6), (14, 18), (18, 22)))
    return head.startswith(b"\0\0\1\0") and count > 0 and size > 0 and place >= 6 + 16 * count


KINDS: Final = (
    PictureKind("png", _begins(rb"\x89PNG\r\n\x1a\n"), check_png),
    PictureKind("jpg", _begins(rb"\xff\xd8\xff"), check_jpeg),
    PictureKind("webp", _begins(rb"RIFF....WEBP"), check_webp),
    PictureKind("gif", _begins(rb"GIF8[79]a"), check_gif),
    PictureKind("avif", _has_codec("avif"), check_heif),
    PictureKind(HEIC, _has_codec(HEIC), check_heif),
    PictureKind("avci", _has_codec("avci"), check_heif),
    PictureKind("tiff", _begins(rb"II\*\x00|MM\x00\*|II\+\x00\x08\x00\x00\x00|MM\x00\+\x00\x08\x00\x00"), check_tiff),
    PictureKind("bmp", _begins(rb"BM....\x00\x00\x00\x00"), check_bmp),
    PictureKind("jxl", _begins(rb"\x00\x00\x00\x0cJXL \r\n\x87\n"), check_jpeg_xl),
    PictureKind("jxl", _begins(rb"\xff\x0a"), None),
    PictureKind("jp2", _is_jp2(b"jp2 "), check_jp2),
    PictureKind("jpx", _is_jp2(b"jpx "), check_jp2),
    PictureKind("jph", _is_jp2(b"jph "), check_jp2),
    PictureKind("j2k", _begins(rb"\xff\x4f\xff\x51"), check_jpeg_2000),
    PictureKind("ico", _is_ico, check_ico),
)
"""The kinds that the service documents (PNG, JPEG, WebP), and those that it might come to send."""
SUFFIXES: Final = tuple(dict.fromkeys(kind.suffix for kind in KINDS))


def kind_of(head: bytes) -> PictureKind | None:
    """Return the kind of a file that begins with these bytes. None: it is no picture of a known kind."""
    return next((kind for kind in KINDS if kind.matches(head)), None)


def is_whole(kind: PictureKind, file: IO[bytes], size: int) -> bool | None:
    """Return whether a file of a kind, of so many bytes, is all of a picture. None: its kind can't tell."""
    if kind.check is None:
        return None
    try:
        kind.check(PictureReader(file, size))
    except CutPictureError:
        return False
    return True
