"""How values of others are shown: in one printable line, and not too long."""

import pytest

from longcat.text import abbreviate, missing_package, shorten, words_of
from longcat.text.hiding import hiding


def test_a_long_text_is_cut_short() -> None:
    """It has 80 characters at most, unless another limit is given; the last three say that there was more."""
    assert shorten("x" * 80) == "x" * 80
    assert shorten("x" * 81) == "x" * 77 + "..."
    assert shorten("x" * 81, 10) == "xxxxxxx..."


@pytest.mark.parametrize(
    ("limit", "shown"), [(26, "abcdefghijklmnopqrstuvwxyz"), (25, "abcdefghijk...pqrstuvwxyz"), (8, "abc...yz")]
)
def test_a_long_name_is_cut_in_its_middle(limit: int, shown: str) -> None:
    """Of an id, the end tells as much as the beginning."""
    assert (abbreviate("abcdefghijklmnopqrstuvwxyz", limit), len(shown)) == (shown, limit)


def test_a_secret_is_hidden_whole_however_it_is_written() -> None:
    """Of two forms that begin alike, as with a backslash and as JSON writes it, the longer one is looked for first."""
    hide = hiding("a\\", "***")
    assert (hide("x a\\ y"), hide("x a\\\\ y"), hide("x a%5C y")) == ("x *** y",) * 3


@pytest.mark.parametrize("name", ["X-Api-Key", "x_api_key", "xApiKey", "XAPIKey"])
def test_the_words_of_a_name(name: str) -> None:
    """However a name joins its words, they are the same."""
    assert "".join(words_of(name)) == "xapikey"
    assert words_of(name)[-1] == "key"


@pytest.mark.parametrize(("module", "package"), [("PIL.Image", "pillow"), ("jsonschema_rs", "jsonschema-rs")])
def test_a_missing_package(module: str, package: str) -> None:
    """The package is named as it is installed, and the extra that has it."""
    sentence = f"It needs the package {package}, which is not installed. Run: pip install 'longcat-image[some]'"
    assert missing_package("It", module, "some") == sentence
