"""How values of others are shown: in one printable line, and not too long."""

from longcat.text import shorten


def test_a_long_text_is_cut_short() -> None:
    """It has 80 characters at most, unless another limit is given; the last three say that there was more."""
    assert shorten("x" * 80) == "x" * 80
    assert shorten("x" * 81) == "x" * 77 + "..."
    assert shorten("x" * 81, 10) == "xxxxxxx..."
