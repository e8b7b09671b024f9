"""How each kind of picture tells whether it is whole, cut at every byte."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from longcat.saving.pictures.kinds import SNIFFED_BYTES, is_whole, kind_of
from longcat.saving.pictures.reader import BYTES_PER_READ, MAX_READS


def saved(form: str, mode: str = "RGB", size: tuple[int, int] = (23, 17), **options: Any) -> bytes:
    """Return a small noisy picture as Pillow writes it."""
    noise = random.Random(1).randbytes(size[0] * size[1] * 4)  # noqa: S311 - no secret.
    picture = Image.frombytes("RGBA", size, noise).convert(mode)
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def frames(form: str, **options: Any) -> bytes:
    """Return a picture that moves."""
    more = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    return saved(form, size=(16, 16), save_all=True, append_images=more, **options)


def box(kind: bytes, *content: bytes, size: int | None = None, wide: bool = False) -> bytes:
    """Return a box, of its own size unless another one is given."""
    payload = b"".join(content)
    if wide:
        return b"\0\0\0\1" + kind + struct.pack(">Q", len(payload) + 16) + payload
    return struct.pack(">I", len(payload) + 8 if size is None else size) + kind + payload


def heic(layout: str) -> bytes:
    """Return boxes such as HEIC has them, in one of several orders; the codec's own bytes are noise."""
    data, thumbnail = b"\xaa" * 50, b"\xbb" * 20
    brand = box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(version: int, places: list[tuple[int, int]]) -> bytes:
        wide = ">I" if version == 2 else ">H"
        items = b"".join(
            struct.pack(wide, number)
            + (b"\0\0" if version else b"")
            + struct.pack(">HIHHII" if version else ">HIHII", *((0, 0, 1, 7) if version else (0, 0, 1)), place, length)
            for number, (place, length) in enumerate(places)
        )
        sizes = b"\x44\x42" if version else b"\x44\x40"
        iloc = box(b"iloc", bytes([version, 0, 0, 0]), sizes, struct.pack(wide, len(places)), items)
        return box(b"meta", bytes(4), box(b"hdlr", bytes(20)), iloc)

    if layout == "the data first":
        return brand + box(b"mdat", data) + meta(0, [(len(brand) + 8, 50)])
    version = {"version 0": 0, "version 1": 1}.get(layout, 2)
    start = len(brand) + len(meta(version, [(0, 0)] * 2))
    described = meta(version, [(start + 8, 50), (start + 8 + 50 + 8, 20)])
    if layout == "an open end":
        described = meta(version, [(start + 8, 50), (start + 8 + 50, 20)])
        return brand + described + box(b"mdat", data, thumbnail, size=0)
    if layout == "a wide box":
        described = meta(version, [(start + 16, 50), (start + 16 + 50 + 8, 20)])
        return brand + described + box(b"mdat", data, wide=True) + box(b"mdat", thumbnail)
    return brand + described + box(b"mdat", data) + box(b"mdat", thumbnail)


def jxl(*content: bytes) -> bytes:
    """Return a JPEG XL in its container."""
    return box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ") + b"".join(content)


def jp2(codestream: bytes, *, is_open: bool) -> bytes:
    """Return a JPEG 2000 in its container."""
    signature = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return signature + box(b"jp2h", bytes(22)) + box(b"jp2c", codestream, size=0 if is_open else None)


def open_tile(codestream: bytes) -> bytes:
    """Return the codestream with a last tile that does not say how long it is."""
    place = codestream.index(b"\xff\x90")
    return codestream[: place + 6] + bytes(4) + codestream[place + 10 :]


def tiff_with_directory(tag: int) -> bytes:
    """Return a TIFF with an empty directory below its own, at its end."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIIIHI", 1, tag, 4, 1, 26, 0, 0, 0)


def tiff_with_values(kind: int, size: int) -> bytes:
    """Return a TIFF that ends with nine values of one type, of so many bytes each."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 256, kind, 9, 26, 0) + bytes(9 * size)


def bmp(header: str, *values: int, size: int) -> bytes:
    """Return a BMP that does not tell its size, with this header and so many bytes of pixels."""
    about = struct.pack(f"<{header}", struct.calcsize(f"<{header}"), *values)
    return b"BM" + struct.pack("<III", 0, 0, 14 + len(about)) + about + bytes(size)


def upside_down(height: bytes) -> bytes:
    """Return the height of a BMP whose rows come the other way round."""
    return struct.pack("<i", -struct.unpack("<i", height)[0])


BMP = saved("BMP")
J2K = saved("JPEG2000", no_jp2=True)
JPEG = saved("JPEG")
CODESTREAM = b"\xff\x0a" + bytes(range(60))
SIZES_IN_TIFF = {1: (1, 2, 6, 7), 2: (3, 8), 4: (4, 9, 11, 13), 8: (5, 10, 12, 16, 17, 18)}
"""The numbers of the types whose values have so many bytes."""
WHOLE = {
    "png": saved("PNG"),
    "apng": frames("PNG"),
    "jpg": JPEG,
    "progressive jpg": saved("JPEG", progressive=True, quality=95),
    "jpg with restarts": saved("JPEG", restart_marker_blocks=1, quality=90),
    "jpg with fill bytes": JPEG[:2] + b"\xff\xff" + JPEG[2:-2] + b"\xff\xff" + JPEG[-2:],
    "jpg with an empty comment": JPEG[:2] + b"\xff\xfe\0\2" + JPEG[2:],
    "jpg with a picture in its Exif data": JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(JPEG) + 2) + JPEG + JPEG[2:],
    "webp": saved("WEBP"),
    "lossless webp": saved("WEBP", lossless=True),
    "moving webp": frames("WEBP"),
    "gif": saved("GIF", "P"),
    "moving gif": frames("GIF", comment=b"a;b!c,d" * 60),
    "avif": saved("AVIF"),
    "moving avif": frames("AVIF"),
    "heic, version 0": heic("version 0"),
    "heic, version 1": heic("version 1"),
    "heic, version 2": heic("version 2"),
    "heic, an open end": heic("an open end"),
    "heic, a wide box": heic("a wide box"),
    "heic, the data first": heic("the data first"),
    "tiff": saved("TIFF"),
    "packed tiff": saved("TIFF", compression="tiff_lzw"),
    "tiff of JPEG": saved("TIFF", compression="jpeg"),
    "tiff of pages": frames("TIFF").rstrip(b"\0"),
    "big tiff": saved("TIFF", big_tiff=True),
    "tiff of strips": saved("TIFF", "L", (64, 64), strip_size=256, compression="tiff_adobe_deflate"),
    "tiff of a scanner": tiff_with_directory(330),
    "tiff with Exif data": tiff_with_directory(34665),
    "tiff with a place on earth": tiff_with_directory(34853),
    "tiff of a camera": tiff_with_directory(40965),
    **{
        f"tiff with values of type {kind}": tiff_with_values(kind, size)
        for size, kinds in SIZES_IN_TIFF.items()
        for kind in kinds
    },
    "bmp": BMP,
    "bmp with colours": saved("BMP", "P"),
    "bmp with a transparent part": saved("BMP", "RGBA"),
    "bmp that does not tell its size": BMP[:2] + bytes(4) + BMP[6:],
    "such a bmp with its uppermost row first": BMP[:2] + bytes(4) + BMP[6:22] + upside_down(BMP[22:26]) + BMP[26:],
    "bmp of OS/2": bmp("IHHHH", 5, 3, 1, 24, size=3 * 16),
    "bmp with packed pixels": bmp("IiiHHIIiiII", 5, 3, 1, 8, 1, 33, 0, 0, 0, 0, size=33),
    "jxl in a box": jxl(box(b"jxlc", CODESTREAM)),
    "jxl in parts": jxl(box(b"jxlp", bytes(4), CODESTREAM), box(b"jxlp", b"\x80\0\0\1", CODESTREAM)),
    "jp2": saved("JPEG2000"),
    "jp2 with an open end": jp2(J2K, is_open=True),
    "jp2 with an open tile": jp2(open_tile(J2K), is_open=True),
    "j2k": J2K,
    "j2k of tiles": saved("JPEG2000", no_jp2=True, tile_size=(8, 8)),
    "j2k with an open tile": open_tile(J2K),
    "ico": saved("ICO", sizes=[(8, 8), (16, 16)]),
    "ico of bitmaps": saved("ICO", sizes=[(8, 8), (16, 16)], bitmap_format="bmp"),
}
each = pytest.mark.parametrize("name", list(WHOLE))


def whole(data: bytes) -> bool | None:
    """Return whether the data are all of a picture. None: their kind can't tell, or they are none."""
    kind = kind_of(data[:SNIFFED_BYTES])
    return None if kind is None else is_whole(kind, io.BytesIO(data), len(data))


@each
def test_a_picture_is_whole_from_its_last_byte_on(name: str) -> None:
    """All of it is, no beginning of it is, wherever it is cut; of a large one, every place near its ends is tried."""
    data = WHOLE[name]
    cuts = {*range(0, len(data), 1 + len(data) // 300), *range(min(120, len(data))), *range(len(data))[-60:]}
    assert whole(data) is True
    assert [cut for cut in cuts if whole(data[:cut])] == []


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0\0", b"\n", JPEG, b"<!-- served by cache 7 -->"])
@pytest.mark.parametrize("name", ["png", "jpg", "gif", "webp", "bmp", "tiff", "j2k", "ico"])
def test_what_follows_the_end_is_no_matter(name: str, more: bytes) -> None:
    """Phones put a second picture behind a JPEG, and programs pad files."""
    assert whole(WHOLE[name] + more) is True


def test_a_kind_without_an_end_can_not_tell() -> None:
    """A bare JPEG XL says nowhere how long it is."""
    assert [whole(CODESTREAM[:cut]) for cut in (2, 30, 62)] == [None] * 3


def broken() -> Iterator[bytes]:
    """Yield pictures with wrong bytes in them, and those that are made to take time."""
    chance = random.Random(2)  # noqa: S311 - no secret.
    for data in WHOLE.values():
        for _ in range(10):
            spoilt = bytearray(data)
            for _ in range(chance.choice((1, 3, 30))):
                spoilt[chance.randrange(8, len(spoilt))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            yield bytes(spoilt)


def test_a_damaged_picture_is_whole_or_not() -> None:
    """Whatever stands in it, the check comes to an end and raises nothing."""
    assert {whole(data) for data in broken()} <= {True, False, None}


def loop_of_tiff(wide: bool) -> bytes:
    """Return a TIFF whose directory leads to itself, and to itself below it."""
    entry = struct.pack("<HHII", 330, 4, 1, 8)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + struct.pack("<I", 8) + bytes(4 * wide)


ENDLESS: dict[str, Callable[[int], bytes]] = {
    "chunks of a PNG": lambda size: WHOLE["png"][:8] + bytes(size),
    "blocks of a GIF": lambda size: WHOLE["gif"][:10] + b"\0\0\0" + b"!\1\0" * (size // 3),
    "ends of a GIF": lambda size: WHOLE["gif"][:10] + bytes(size),
    "fill bytes of a JPEG": lambda size: b"\xff\xd8" + b"\xff" * size,
    "fill bytes in a JPEG": lambda size: b"\xff\xd8\xff\xda\0\2" + b"\xff" * size,
    "restarts of a JPEG": lambda size: b"\xff\xd8\xff\xda\0\2" + b"\xff\xd0" * (size // 2),
    "scans of a JPEG": lambda size: b"\xff\xd8" + b"\xff\xda\0\2" * (size // 4),
    "boxes": lambda size: box(b"ftyp", b"heic\0\0\0\0") + box(b"free") * (size // 8),
    "items": lambda size: (
        box(b"ftyp", b"heic\0\0\0\0")
        + box(b"meta", bytes(4), box(b"iloc", b"\0\0\0\0\0\0\xff\xff", b"\0\0\0\0\xff\xff" * (size // 6)))
    ),
    "segments of a JPEG 2000": lambda size: b"\xff\x4f\xff\x51\0\2" + b"\xff\x52\0\2" * (size // 4),
    "values of a TIFF": lambda size: b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 273, 1, size, 26, 0) + bytes(size),
    "a circle of directories": lambda _: loop_of_tiff(wide=True),
}


@pytest.mark.parametrize("build", list(ENDLESS.values()), ids=list(ENDLESS))
def test_a_check_has_a_bound(build: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is all small parts is given up after some number of them."""
    monkeypatch.setattr("longcat.saving.pictures.reader.MAX_READS", MAX_READS // 1000)
    data = build(100_000)
    kind = kind_of(data[:SNIFFED_BYTES])
    assert kind is not None
    file = Counted(data)
    is_whole(kind, file, len(data))
    assert file.reads <= 1 + MAX_READS // 1000 + len(data) // BYTES_PER_READ


class Counted(io.BytesIO):
    """A file that counts how often it is read."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Count, and read."""
        self.reads += 1
        return super().read(size)


def test_the_checksums_of_a_picture_are_not_its_end() -> None:
    """Whether a picture is sound is not asked: a PNG with a wrong checksum is whole."""
    data = bytearray(WHOLE["png"])
    assert zlib.crc32(b"IEND") == int.from_bytes(data[-4:], "big")
    data[-1] ^= 1
    assert whole(bytes(data)) is True
