"""What `longcat.decoding` makes of coded bodies, in every form that the RFCs allow and in some that they don't."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest

from longcat.decoding import MAX_STEP, CodingError, ContentDecoder, UnknownCodingError

TEXT = b"The cat sat on the mat. " * 4 + bytes(range(64))


def raw_deflate(data: bytes) -> bytes:
    """Return the data as some servers send `deflate`: without the header of RFC 1950."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def with_flags(data: bytes) -> bytes:
    """Return a gzip member whose header has everything that RFC 1952 allows in it."""
    fields = b"\x04\x00abcd" + b"name\0" + b"comment\0"
    head = b"\x1f\x8b\x08\x1f" + bytes(6) + fields
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    end = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return head + raw_deflate(data) + end


def decoded(header: str, pieces: Iterable[bytes]) -> bytes:
    """Return what a whole body decodes to."""
    decoder = ContentDecoder(header)
    plain = b"".join(step for piece in pieces for step in decoder.decode(piece))
    decoder.finish()
    return plain


GZIP = gzip.compress(TEXT, mtime=0)
MEMBERS = gzip.compress(TEXT[:70], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(TEXT[70:], mtime=0)
CODED = {
    "not coded": ("", TEXT),
    "identity": (" Identity ", TEXT),
    "gzip": ("gzip", GZIP),
    "in capitals": ("GZIP", GZIP),
    "x-gzip": ("X-GZip", GZIP),
    "with identity": ("gzip, identity", GZIP),
    "with tabs and empty elements": (",\tgzip ,, ", GZIP),
    "members": ("gzip", MEMBERS),
    "a member for each byte": ("gzip", b"".join(gzip.compress(bytes([byte]), mtime=0) for byte in TEXT)),
    "a full header": ("gzip", with_flags(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "raw deflate": ("Deflate", raw_deflate(TEXT)),
    "gzip called deflate": ("deflate", GZIP),
    "zlib called gzip": ("gzip", zlib.compress(TEXT)),
    "twice": ("deflate, gzip", gzip.compress(raw_deflate(TEXT), mtime=0)),
    "thrice": ("gzip,x-gzip,gzip", gzip.compress(gzip.compress(MEMBERS, mtime=0), mtime=0)),
}
each = pytest.mark.parametrize(("header", "body"), list(CODED.values()), ids=list(CODED))


@each
def test_a_body_is_decoded_however_it_arrives(header: str, body: bytes) -> None:
    """It comes whole, byte by byte, or in two pieces that part anywhere."""
    assert decoded(header, [body]) == TEXT
    assert decoded(header, (body[i : i + 1] for i in range(len(body)))) == TEXT
    assert all(decoded(header, [body[:cut], body[cut:]]) == TEXT for cut in range(0, len(body), 1 + len(body) // 100))


@pytest.mark.parametrize("name", [name for name in CODED if name not in {"not coded", "identity"}])
def test_a_cut_or_continued_body_is_an_error(name: str) -> None:
    """No beginning of a coded body passes for the whole, but one between two members; nor does one with an appendix."""
    header, body = CODED[name]
    decoder = ContentDecoder(header)
    ends = []
    for cut in range(1, len(body)):
        list(decoder.decode(body[cut - 1 : cut]))
        try:
            decoder.finish()
        except CodingError:
            continue
        ends.append(cut)
    assert len(ends) == {"members": 2, "a member for each byte": len(TEXT) - 1}.get(name, 0)
    for more in (b"\0", b"\x1f", b"\x1f\x8b", b"more of it", TEXT):
        with pytest.raises(CodingError):
            decoded(header, [body + more])
        with pytest.raises(CodingError):
            decoded(header, [body, more[:1], more[1:]])


@pytest.mark.parametrize(
    ("more", "words"), [(b"\x1f", "was cut"), (b"x", "goes on after its end"), (b"\x1f\x8b", "was cut")]
)
def test_an_appendix_is_told_from_another_member(more: bytes, words: str) -> None:
    """As long as a second gzip member may be on its way, the body was cut; anything else should not be there."""
    with pytest.raises(CodingError, match=words):
        decoded("gzip", [GZIP + more])


def spoilt(body: bytes, place: int, value: int) -> bytes:
    """Return the body with another byte at a place."""
    damaged = bytearray(body)
    damaged[place] = value
    return bytes(damaged)


DAMAGED = {
    "text": ("gzip", TEXT),
    "text called deflate": ("deflate", b"\xff" + TEXT),
    "the checksum": ("gzip", spoilt(GZIP, -8, GZIP[-8] ^ 1)),
    "the size": ("gzip", spoilt(GZIP, -1, 1)),
    "another method": ("gzip", spoilt(GZIP, 2, 7)),
    "reserved flags": ("gzip", spoilt(GZIP, 3, 0xE0)),
    "the header's checksum": ("gzip", spoilt(with_flags(TEXT), 14, 0)),
    "the second member": ("gzip", GZIP + spoilt(GZIP, -8, GZIP[-8] ^ 1)),
    "zlib's checksum": ("deflate", spoilt(zlib.compress(TEXT), -1, 0)),
    "a dictionary that we don't have": ("deflate", b"\x78\xbb" + zlib.compress(TEXT)[2:]),
    "deflate has no members": ("deflate", zlib.compress(TEXT) * 2),
    "once instead of twice": ("gzip, gzip", GZIP),
}


@pytest.mark.parametrize(("header", "body"), list(DAMAGED.values()), ids=list(DAMAGED))
def test_a_damaged_body_is_an_error(header: str, body: bytes) -> None:
    """Every checksum and every reserved bit counts."""
    with pytest.raises(CodingError):
        decoded(header, [body])


@pytest.mark.parametrize(
    "header",
    ["br", "ZSTD", "gzip, compress", "aws-chunked,gzip", "gzip;q=1", ", ".join(["gzip"] * 5)],
)
def test_a_coding_that_is_not_known_is_named(header: str) -> None:
    """The error says what the header says, also when that is more codings than anybody means."""
    with pytest.raises(UnknownCodingError, match=header) as caught:
        ContentDecoder(f" {header} ")
    assert caught.value.coding == header


def test_a_step_is_small_however_much_comes_out() -> None:
    """Neither 30 MB of zeros, nor what is packed thrice, takes memory; whoever stops has paid for one step alone."""
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(30)), packer.flush()])
    for header, body in (("gzip", bomb), ("gzip,gzip,gzip", gzip.compress(gzip.compress(bomb)))):
        tracemalloc.start()
        sizes = [len(step) for step in ContentDecoder(header).decode(body)]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (sum(sizes), max(sizes)) == (30_000_000, MAX_STEP)
        assert peak < 1_000_000


def test_what_stands_for_nothing_is_not_unpacked_to_the_end() -> None:
    """Empty members, packed twice, would be gigabytes of work for a body without a byte."""
    body = gzip.compress(gzip.compress(gzip.compress(b"", mtime=0) * 100_000))
    assert len(body) < 300
    with pytest.raises(CodingError, match="next to nothing"):
        decoded("gzip, gzip, gzip", [body])
