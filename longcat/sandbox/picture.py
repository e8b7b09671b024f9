"""A long cat for every picture: drawn from a hash of its text, so the same text gives the same bytes."""

import colorsys
import functools
import hashlib
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

Colour = tuple[int, ...]
Where = tuple[float, float, float, float]

WIDTH, HEIGHT = 1024, 768
SCALE = 2  # Drawn twice as large, then halved: smooth edges.
GROUND = 590
MAX_SHOWN_ID = 60  # Characters of a request id; of a longer one, the middle is left out.
DARK = (52, 46, 56)
COATS = (((244, 164, 96), (255, 226, 190)), ((142, 148, 164), (206, 210, 220)), ((190, 146, 112), (236, 214, 190)))
"""The colours of the back and the belly."""


@dataclass(frozen=True)
class Look:
    """The form of a picture: its width and height in pixels, and its format in Pillow's words."""

    width: int = WIDTH
    height: int = HEIGHT
    format: str = "PNG"


PLAIN: Final = Look()


@functools.lru_cache(maxsize=32)
def draw(text: str, look: Look = PLAIN) -> bytes:
    """Return a picture of a long cat, with a text below. It takes a tenth of a second: call it in a thread."""
    seed = _seed(text)
    canvas = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), _tint(seed, 0.90))
    brush = ImageDraw.Draw(canvas)
    _oval(brush, (WIDTH / 2, 200, 92, 92), _tint(seed, 0.97))
    _oval(brush, (WIDTH / 2, 1170, 1250, 612), _tint(seed, 0.80))
    _cat(brush, seed)
    picture = canvas.reduce(SCALE)
    _write(picture, text, _tint(seed, 0.26))
    if (look.width, look.height) != picture.size:
        picture = ImageOps.pad(picture, (look.width, look.height), color=_tint(seed, 0.90))
    return _encoded(picture, look.format)


def draw_small(text: str, look: Look = PLAIN) -> bytes:
    """Return a small picture of coloured squares that come from the text. It takes less than a millisecond."""
    picture = Image.frombytes("RGB", (4, 2), _seed(text)[:24])
    return _encoded(picture.resize((look.width // 32, look.height // 32), Image.Resampling.NEAREST), look.format)


def _seed(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()


def _encoded(picture: Image.Image, image_format: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, image_format, compress_level=3)  # Only PNG knows the level; the others ignore it.
    return out.getvalue()


def _tint(seed: bytes, lightness: float) -> Colour:
    return tuple(round(part * 255) for part in colorsys.hls_to_rgb(seed[0] / 256, lightness, 0.45))


def _oval(brush: ImageDraw.ImageDraw, where: Where, colour: Colour) -> None:
    """Fill an ellipse: the middle and the radii are given."""
    x, y, rx, ry = where
    brush.ellipse([v * SCALE for v in (x - rx, y - ry, x + rx, y + ry)], fill=colour)


def _bar(brush: ImageDraw.ImageDraw, where: Where, colour: Colour) -> None:
    """Fill a rectangle with round ends: a corner, the width and the height are given."""
    x, y, wide, high = where
    box = [v * SCALE for v in (x, y, x + wide, y + high)]
    brush.rounded_rectangle(box, radius=min(wide, high) / 2 * SCALE, fill=colour)


def _cat(brush: ImageDraw.ImageDraw, seed: bytes) -> None:
    """Draw the cat; the seed says how long it is, and which coat it wears."""
    coat, belly = COATS[seed[1] % len(COATS)]
    length = 330 + seed[2] / 255 * 330
    left, right = 490 - length / 2, 490 + length / 2
    _bar(brush, (left, 220, 34, 240), coat)  # The tail.
    for x in (left, left + 76, right - 86, right - 10):
        _bar(brush, (x, 460, 48, GROUND - 460), coat)
    _bar(brush, (left, 382, length + 60, 140), coat)
    _bar(brush, (left + 40, 484, length - 60, 39), belly)
    x, y = right + 24, 352
    for side in (-1, 1):
        ear = [(x + side * 92, y - 10), (x + side * 84, y - 122), (x + side * 14, y - 72)]
        brush.polygon([(across * SCALE, down * SCALE) for across, down in ear], fill=coat)
    _oval(brush, (x, y, 104, 88), coat)
    _oval(brush, (x, y + 44, 50, 36), belly)
    _oval(brush, (x, y + 34, 12, 8), DARK)
    for side in (-1, 1):
        _oval(brush, (x + side * 44, y + 4, 15, 19), DARK)
        _oval(brush, (x + side * 44 + 5, y - 4, 5, 6), (255, 255, 255))
        for rise in (20, 36):
            _bar(brush, (x + side * 114 - 30, y + rise, 60, 4), DARK)


def _write(picture: Image.Image, request_id: str, colour: Colour) -> None:
    """Write the request id, as large as fits, and where the picture comes from.

    Characters outside ASCII are written as escapes, because the built-in font lacks most of them.
    """
    text = request_id.encode("ascii", "backslashreplace").decode("ascii")
    text = text if len(text) <= MAX_SHOWN_ID else f"{text[: MAX_SHOWN_ID // 2]}...{text[-MAX_SHOWN_ID // 2 :]}"
    brush = ImageDraw.Draw(picture)
    for line, y, size in ((text, 664, 40), ("drawn by the longcat sandbox, not by a model", 718, 20)):
        width = ImageFont.load_default(size).getlength(line or " ")
        font = ImageFont.load_default(min(size, size * (WIDTH - 96) / width))
        brush.text((WIDTH / 2, y), line, fill=colour, font=font, anchor="mm")
