"""How values of others are shown: in one printable line, and not too long."""

from longcat.text import hiding, shorten


def test_a_long_text_is_cut_short() -> None:
    """It has 80 characters at most, unless another limit is given; the last three say that there was more."""
    assert shorten("x" * 80) == "x" * 80
    assert shorten("x" * 81) == "x" * 77 + "..."
    assert shorten("x" * 81, 10) == "xxxxxxx..."


def test_a_secret_is_hidden_whole_however_it_is_written() -> None:
    """Of two forms that begin alike, as with a backslash and as JSON writes it, the longer one is looked for first."""
    hide = hiding("a\\", "***")
    assert (hide("x a\\ y"), hide("x a\\\\ y"), hide("x a%5C y")) == ("x *** y",) * 3
