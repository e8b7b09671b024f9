"""A long cat for every request: drawn from a hash of the request id, so the same id gives the same bytes."""

import colorsys
import functools
import hashlib
import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SIZE = (1024, 768)
_SCALE = 2  # Drawn twice as large, then halved: smooth edges.
_GROUND = 590
_CAPTION = "drawn by the longcat sandbox, not by a model"

Colour = tuple[int, int, int]

# Coat, belly, stripes.
_COATS: Sequence[tuple[Colour, Colour, Colour]] = (
    ((244, 164, 96), (255, 226, 190), (214, 122, 56)),
    ((250, 243, 230), (255, 255, 250), (232, 214, 188)),
    ((142, 148, 164), (206, 210, 220), (108, 114, 132)),
    ((104, 98, 118), (240, 238, 242), (80, 74, 94)),
    ((190, 146, 112), (236, 214, 190), (150, 106, 76)),
    ((232, 206, 170), (250, 238, 220), (196, 156, 116)),
)
_DARK: Colour = (52, 46, 56)
_PINK: Colour = (240, 150, 160)


class _Painter:
    """Draws in the picture's own coordinates on a canvas that is larger."""

    def __init__(self, canvas: Image.Image) -> None:
        self._draw = ImageDraw.Draw(canvas)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self._draw.ellipse([v * _SCALE for v in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    def bar(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle whose shorter sides are half circles."""
        box = [v * _SCALE for v in (left, top, right, bottom)]
        self._draw.rounded_rectangle(box, radius=min(right - left, bottom - top) / 2 * _SCALE, fill=colour)

    def shape(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        self._draw.polygon([(x * _SCALE, y * _SCALE) for x, y in points], fill=colour)

    def line(self, points: Sequence[tuple[float, float]], width: float, colour: Colour) -> None:
        """Draw a line with round joints and round ends."""
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * _SCALE), joint="curve")
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, colour)


@functools.lru_cache(maxsize=32)
def draw(request_id: str) -> bytes:
    """Return a PNG that shows a long cat and the request id. It takes a tenth of a second: call it in a thread."""
    seed = hashlib.sha256(request_id.encode("utf-8", "backslashreplace")).digest()
    hue = seed[0] / 256
    canvas = _landscape(hue)
    _cat(_Painter(canvas), seed)
    picture = canvas.reduce(_SCALE)
    _caption(picture, request_id, _tint(hue, 0.26, 0.45))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _tint(hue: float, lightness: float, saturation: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _landscape(hue: float) -> Image.Image:
    """Paint a soft sky with a sun, two hills and the meadow that carries the text."""
    size = (SIZE[0] * _SCALE, SIZE[1] * _SCALE)
    fade = Image.linear_gradient("L").resize(size)
    sky = Image.new("RGB", size, _tint(hue, 0.78, 0.62))
    canvas = Image.composite(Image.new("RGB", size, _tint(hue + 0.08, 0.95, 0.75)), sky, fade)
    painter = _Painter(canvas)
    painter.oval(470, 200, 92, 92, _tint(hue + 0.12, 0.90, 0.85))
    painter.oval(470, 200, 72, 72, _tint(hue + 0.12, 0.96, 0.9))
    for x, y, width in ((300, 118, 150), (760, 96, 190), (560, 258, 130)):
        cloud = _tint(hue + 0.05, 0.94, 0.6)
        painter.bar(x, y, x + width, y + 34, cloud)
        painter.oval(x + width * 0.42, y + 5, width * 0.2, 28, cloud)
        painter.oval(x + width * 0.64, y + 14, width * 0.15, 20, cloud)
    painter.oval(210, 720, 520, 250, _tint(hue + 0.04, 0.83, 0.42))
    painter.oval(860, 760, 560, 260, _tint(hue + 0.02, 0.79, 0.40))
    painter.oval(512, 1170, 1250, 612, _tint(hue, 0.87, 0.45))
    return canvas


def _cat(painter: _Painter, seed: bytes) -> None:
    """Draw the cat; the seed says how long it is, which coat it wears and whether it sleeps."""
    coat, belly, stripe = _COATS[seed[1] % len(_COATS)]
    length = 330 + seed[2] / 255 * 330
    left, right = 490 - length / 2, 490 + length / 2
    painter.oval(505, _GROUND + 4, length / 2 + 90, 17, _tint(seed[0] / 256, 0.78, 0.35))
    steps = [i / 24 for i in range(25)]
    curl = [(left + 34 - 90 * math.sin(t * 2.6), 430 - 210 * t + 26 * math.cos(t * 5)) for t in steps]
    painter.line(curl, 34, coat)
    painter.line(curl[-5:], 34, belly)
    for x in (left + 72, right - 62):
        painter.bar(x - 22, 470, x + 22, _GROUND - 6, stripe)
    painter.bar(left, 382, right + 20, 522, coat)
    for n in range(round(length / 74)):
        x = left + 70 + n * 62
        if x < right - 110:
            painter.bar(x, 388, x + 20, 430 + 14 * (n % 2), stripe)
    painter.bar(left + 40, 484, right - 20, 523, belly)
    for x in (left + 30, right - 14):
        painter.bar(x - 24, 460, x + 24, _GROUND, coat)
        painter.oval(x + 5, _GROUND - 11, 29, 15, belly)
    _face(painter, right + 24, 352, (coat, belly, stripe), asleep=seed[3] % 3 == 0)


def _face(painter: _Painter, x: float, y: float, colours: tuple[Colour, Colour, Colour], *, asleep: bool) -> None:
    coat, belly, stripe = colours
    arc = [(math.cos(math.pi * i / 12), math.sin(math.pi * i / 12)) for i in range(13)]
    for side in (-1, 1):
        painter.shape([(x + side * 92, y - 10), (x + side * 84, y - 122), (x + side * 14, y - 72)], coat)
        painter.shape([(x + side * 80, y - 36), (x + side * 76, y - 98), (x + side * 34, y - 66)], _PINK)
    painter.oval(x, y, 104, 88, coat)
    for dx, depth in ((-24, 40), (0, 50), (24, 40)):
        painter.bar(x + dx - 6, y - 84, x + dx + 6, y - 84 + depth, stripe)
    painter.oval(x, y + 44, 50, 36, belly)
    for side in (-1, 1):
        eye = x + side * 44
        if asleep:
            painter.line([(eye + 20 * dx, y + 2 + 13 * dy) for dx, dy in arc], 6, _DARK)
        else:
            painter.oval(eye, y + 4, 15, 19, _DARK)
            painter.oval(eye + 5, y - 4, 5, 6, (255, 255, 255))
        painter.oval(x + side * 76, y + 36, 16, 10, _PINK)
        for rise in (-8, 10):
            painter.line([(x + side * 84, y + 28 + rise / 2), (x + side * 142, y + 24 + rise * 1.6)], 3, _DARK)
        painter.line([(x + side * 13 + 13 * dx, y + 46 + 12 * dy) for dx, dy in arc], 5, _DARK)
    painter.shape([(x - 12, y + 28), (x + 12, y + 28), (x, y + 44)], _PINK)


def _caption(picture: Image.Image, request_id: str, colour: Colour) -> None:
    """Write the request id, as large as fits, and where the picture comes from.

    Characters outside ASCII are written as escapes, because the built-in font lacks most of them.
    """
    draw = ImageDraw.Draw(picture)
    room = SIZE[0] - 96
    text = request_id.encode("ascii", "backslashreplace").decode("ascii")
    for size in (44, 40, 36, 32, 28, 24):
        font = _font(size)
        if font.getlength(text) <= room:
            break
    whole, keep = text, 48
    while font.getlength(text) > room:
        keep -= 1
        text = f"{whole[:keep]}...{whole[-keep:]}"
    draw.text((SIZE[0] / 2, 664), text, fill=colour, font=font, anchor="mm")
    draw.text((SIZE[0] / 2, 718), _CAPTION, fill=colour, font=_font(20), anchor="mm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
