"""JSON pointers."""

import pytest

from longcat.text import pointer

DOCUMENT = {"a/b": [{"c~d": 1}, {"": 2}], "0": "text"}


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ([], "", DOCUMENT),
        (["a/b", 0, "c~d"], "/a~1b/0/c~0d", 1),
        (["a/b", 1, ""], "/a~1b/1/", 2),
        (["0"], "/0", "text"),
    ],
)
def test_a_pointer_leads_to_its_place(path: list[str | int], text: str, value: object) -> None:
    """A path, its pointer and the names in it belong together."""
    assert (pointer.join(path), pointer.split(text)) == (text, [str(part) for part in path])
    assert pointer.at(DOCUMENT, text) == value
    if path:
        assert (pointer.parent(text), pointer.last_name(text)) == (pointer.join(path[:-1]), str(path[-1]))


@pytest.mark.parametrize("text", ["/b", "/a~1b/2", "/a~1b/one", "/0/1", "/a~1b/0/c~0d/e"])
def test_a_pointer_to_nowhere_is_an_error(text: str) -> None:
    """The error names the pointer."""
    with pytest.raises(LookupError, match=text):
        pointer.at(DOCUMENT, text)
