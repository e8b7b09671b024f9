"""Another contract is judged as well: nothing is made for one API alone."""

import json
from typing import Any

import pytest
from attrs import evolve
from exchanges import JSON, MADE_UP, answered, kinds

from longcat.contract import Exchange

BOOK: dict[str, Any] = {
    "book_id": 7,
    "title": "Mira",
    "pages": 12,
    "size": {"height": 20, "width": 12},
    "tags": ["old"],
    "subject": None,
}
FLAT = {name: value for name, value in BOOK.items() if name != "size"} | BOOK["size"]
REFUSED = {"code": 1, "message": "no"}
TOKEN = {"authorization": "[key]"}
ETAG = {**JSON, "etag": "some"}


def ask(method: str, path: str, answer: Exchange, request: Any = None, headers: dict[str, str] = TOKEN) -> Any:
    """Return what is found about a recorded exchange with the made-up library: the finding, or a list of them."""
    content = None if request is None else json.dumps(request).encode()
    asked = Exchange(
        method=method,
        url=path if "://" in path else f"{MADE_UP.server}{path}",
        request_headers=headers if request is None else JSON | headers,
        request_body=content,
        status_code=answer.status_code,
        response_headers=answer.response_headers,
        response_body=answer.response_body,
        source="a test",
        origin=answer.origin,
    )
    found = kinds(asked, MADE_UP)
    return found[0] if len(found) == 1 else found


NOTHING: list[Any] = []
GOOD = answered(BOOK, headers=ETAG)
NOT_FOUND = answered(REFUSED, 404)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (GOOD, NOTHING),
        (answered(BOOK | {"book_id": 8}, headers=ETAG), ("answer-mismatched", "/book_id")),
        (answered(BOOK | {"pages": 0}, headers=ETAG), ("value-out-of-range", "/pages")),
        (answered(BOOK | {"tags": ["a", 3, 4]}, headers=ETAG), ("type-changed", "/tags/1")),
        (answered(BOOK | {"tags": ["a", "a"]}, headers=ETAG), ("constraint-broken", "/tags")),
        (answered(BOOK | {"extra": {"any": "thing"}}, headers=ETAG), NOTHING),
        (answered(BOOK | {"sequel": BOOK | {"new": 1}}, headers=ETAG), ("field-new", "/sequel/new")),
        (answered(FLAT, headers=ETAG), ("field-moved", "/height")),
        (answered(BOOK), ("header-missing", "header:etag")),
        (answered(BOOK, headers=JSON | {"etag": "1"}), ("header-changed", "header:etag")),
        (answered(BOOK, headers=ETAG | {"x-sunset-policy": "none yet"}), NOTHING),
        (answered(b"Mira", headers={"content-type": "text/plain", "etag": "some"}), NOTHING),
        (answered(b"M" * 101, headers={"content-type": "text/plain", "etag": "some"}), ("value-out-of-range", "")),
        (NOT_FOUND, NOTHING),
        (answered(REFUSED, 409), NOTHING),
        (answered(REFUSED | {"code": "1"}, 404), ("type-changed", "/code")),
        (answered(REFUSED, 400), NOTHING),
        (evolve(answered(REFUSED, 400), origin="live"), ("request-refused", "status")),
        (answered(BOOK, 202), ("status-undocumented", "status")),
    ],
)
def test_a_good_question(answer: Exchange, expected: object) -> None:
    """Compositions, references, recursion, headers, several media types and ranges of codes are understood."""
    assert ask("GET", "/shelves/a/books/7?edition=1", answer) == expected


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        ("https://mirror.books.test/shelves/a/books/7?edition=1", GOOD, NOTHING),
        ("/shelves/a%2Fb/books/7?edition=1", GOOD, NOTHING),
        ("/shelves/a/books/x?edition=1", GOOD, ("validation-lost", "path:book_id")),
        ("/shelves/a/books/x?edition=1", NOT_FOUND, NOTHING),
        ("/shelves/a/books/7?edition=0", GOOD, ("validation-lost", "query:edition")),
        ("/shelves/a/books/7?edition=0", answered(REFUSED, 422), NOTHING),
        ("/shelves/a/books/7", GOOD, ("validation-lost", "query:edition")),
        ("/shelves/a/books/7?edition=1&language=fr", GOOD, ("validation-lost", "query:language")),
        ("/shelves/a/books/7?edition=1&language=de", GOOD, NOTHING),
        ("/nothing", answered(b"Not found", 404, headers={}), NOTHING),
        ("/nothing", answered({}), ("path-new", "status")),
    ],
)
def test_servers_paths_and_parameters(path: str, answer: Exchange, expected: object) -> None:
    """Each server's base path counts, and parameters are held against their schemas."""
    assert ask("GET", path, answer) == expected


@pytest.mark.parametrize(
    ("headers", "query", "answer", "expected"),
    [
        ({}, "", GOOD, ("auth-lost", "status")),
        ({}, "", answered(REFUSED, 401), NOTHING),
        ({}, "&key=k", GOOD, NOTHING),
        (TOKEN, "", answered(REFUSED, 401), ("auth-changed", "status")),
    ],
)
def test_ways_to_be_let_in(headers: dict[str, str], query: str, answer: Exchange, expected: object) -> None:
    """Any of several credentials is enough, and one may travel in the URL."""
    path = f"/shelves/a/books/7?edition=1{query}"
    assert ask("GET", path, evolve(answer, origin="live"), headers=headers) == expected


def test_a_token_may_have_been_taken_out_of_a_recording() -> None:
    """Browsers save traffic without `Authorization`. Where nobody knows better, that is no request without a key."""
    url = f"{MADE_UP.server}/shelves/a/books/7?edition=1"
    assert kinds(Exchange("GET", url, {}, None, 200, ETAG, json.dumps(BOOK).encode(), "a test"), MADE_UP) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answered(b"", 204, headers={}), NOTHING),
        (answered(b"Bye.", 204), ("body-new", "")),
        (answered(b"Bye.", 200), ("status-changed", "status")),
        (NOT_FOUND, NOTHING),
    ],
)
def test_an_answer_without_a_body(answer: Exchange, expected: object) -> None:
    """A success may have no body, and `default` stands for errors."""
    assert ask("DELETE", "/shelves/a/books/7", answer) == expected


def test_another_method() -> None:
    """A path may have several methods; any other one is new."""
    assert ask("PATCH", "/shelves/a/books/7", answered(BOOK)) == ("method-new", "status")
    assert ask("HEAD", "/shelves/a/books/7?edition=1", answered(b"", headers={})) == NOTHING
    assert ask("PUT", "/shelves/a/books/7", answered(REFUSED, 405, headers=JSON | {"allow": "GET, DELETE"})) == NOTHING


@pytest.mark.parametrize(
    ("request_body", "answer", "expected"),
    [
        ({"title": "Mira"}, answered({"ticket": "a"}, 201), NOTHING),
        ({"title": "Mira", "more": 1}, answered(BOOK, 201), NOTHING),
        ({"title": "Mira"}, answered(BOOK | {"title": "Mary"}, 201), NOTHING),
        ({"title": "Mira"}, answered({"Ticket": "a"}, 201), ("field-renamed", "/Ticket")),
        ({"title": "Mira"}, answered({"ticket": "a"}, 200), ("status-undocumented", "status")),
        ({"title": "Mira"}, evolve(answered(REFUSED, 401), origin="live"), ("auth-changed", "status")),
        ({"title": ""}, answered({"ticket": "a"}, 201), ("validation-lost", "request:/title")),
        ({"title": "Mira", "pages": "5"}, answered({"ticket": "a"}, 201), ("validation-lost", "request:/pages")),
        ({"pages": 5}, answered(REFUSED, 422), NOTHING),
        ({"pages": 5}, answered(REFUSED, 400), ("status-undocumented", "status")),
    ],
)
def test_a_body_for_anybody(request_body: Any, answer: Exchange, expected: object) -> None:
    """An operation that needs no key, takes a composed body, and has its own code for a bad one."""
    assert ask("POST", "/books", answer, request_body, headers={}) == expected


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"content-type": "image/png"}, b"\x89PNG", NOTHING),
        ({"content-type": "image/png", "content-length": "9"}, b"\x89PNG", ("body-cut", "")),
        ({"content-type": "image/png", "content-length": "9", "content-encoding": "gzip"}, b"\x89PNG", NOTHING),
        ({"content-type": "text/html"}, b"<html>", ("content-type-changed", "header:content-type")),
    ],
)
def test_a_picture(headers: dict[str, str], body: bytes, expected: object) -> None:
    """A body may be of a range of types, and have no schema."""
    assert ask("GET", "/covers/a.png", answered(body, headers=headers)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([{"kind": "text", "text": "a"}, {"kind": "film", "url": "https://a.test"}], NOTHING),
        ([{"kind": "text", "text": 5}], ("type-changed", "/0/text")),
        ([{"kind": "Film", "url": "https://a.test"}], ("value-recased", "/0/kind")),
        ([{"kind": "song", "url": "https://a.test"}], ("value-undocumented", "/0/kind")),
        ([{"kind": "text", "text": "a", "by": "x"}] * 200, ("field-new", "/0/by")),
        ([{"kind": "text", "link": "a"}], ("field-renamed", "/0/link")),
        ({"items": [], "total": 0}, ("enveloped", "/items")),
    ],
)
def test_a_list(body: Any, expected: object) -> None:
    """Items are told apart by a word even without a discriminator, and what is wrong with all is said once."""
    headers = {"content-type": "application/vnd.books+json", "deprecation": "@1767225600"}
    assert ask("GET", "/books/7/chapters", answered(body, 206, headers=headers)) == expected
