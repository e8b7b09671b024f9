"""What is written to cassettes: whole, for people, and so that vcrpy can play it."""

import gzip
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_recording._vcr import load_cassette  # pytest-recording has no public function for it.
from recordings import ANSWER, EXCHANGE, PLAIN, QUESTION, URL, WHEN, found, only, saved
from vcr.persisters.filesystem import FilesystemPersister  # type: ignore[import-untyped]
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from longcat.contract.model import Exchange, Inconclusive
from longcat.contract.traffic.cassette import write
from longcat.contract.traffic.recordings import Provenance, provenance


def test_what_a_cassette_looks_like(tmp_path: Path) -> None:
    """A cassette is YAML for people: its origin first, headers in order, text as text."""
    assert saved(tmp_path / "a.yaml", evolve(EXCHANGE, intent="wrong-key")) == (
        "version: 1\n"
        "about:\n"
        "  origin: live\n"
        "  recorded: '2026-01-02T03:04:05Z'\n"
        "  command: longcat contract record\n"
        f"  spec: {'d' * 64}\n"
        "interactions:\n"
        "- question: probe, unknown\n"
        "  intent: wrong-key\n"
        "  request:\n"
        "    method: POST\n"
        f"    uri: {URL}\n"
        "    headers:\n"
        "      content-type:\n"
        "      - application/json\n"
        "      ocp-apim-subscription-key:\n"
        "      - REMOVED\n"
        '    body: \'{"request_id": "X"}\'\n'
        "  response:\n"
        "    status:\n"
        "      code: 200\n"
        "      message: OK\n"
        "    headers:\n"
        "      content-type:\n"
        "      - application/json\n"
        "    body:\n"
        '      string: \'{"status": "processing"}\'\n'
    )


def test_about(tmp_path: Path) -> None:
    """Where a cassette comes from can be read back, in UTC."""
    path = tmp_path / "new" / "a.yaml"
    there = WHEN.astimezone(timezone(timedelta(hours=5)))
    write(path, [], Provenance("sandbox", there, "make record", "d"))
    assert provenance(path) == Provenance("sandbox", WHEN, "make record", "d")
    assert found(path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN, "does not say where it comes from: origin, recorded, command, spec is missing"),
        (
            "about: {origin: live, recorded: x, command: c, spec: s}",
            "does not say when it was recorded, but something else",
        ),
        ("about: {origin: live", "is not YAML: "),
        ("", "is empty"),
    ],
)
def test_no_about(tmp_path: Path, text: str, message: str) -> None:
    """A cassette that does not say where it comes from is no evidence."""
    path = tmp_path / "a.yaml"
    path.write_text(text)
    problem = provenance(path)
    assert isinstance(problem, Inconclusive)
    assert (problem.what, problem.why[: len(message)]) == (str(path), message)
    assert provenance(tmp_path / "b") == Inconclusive(str(tmp_path / "b"), "No such file or directory")


def test_about_may_be_sorted(tmp_path: Path) -> None:
    """The origin is known before the first exchange even when a tool has sorted the fields."""
    path = tmp_path / "a.yaml"
    data = yamlserializer.deserialize(saved(path, EXCHANGE))
    path.write_text(yamlserializer.serialize(data))
    assert only(found(path)).origin == "live"


# Names and values that mean nothing, so that nothing in them is taken for a secret.
PLAIN_TEXT = st.text(st.sampled_from("xyzXYZ 0129._-/\u00e9\u2028\U0001f408#'\"{}[],\n\t\r\0\x85\ufeff"), max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(["accept", "content-type", "host", "x-a", "y"]),
    st.sampled_from(["", "a", "null", "1", "é", "a: b"]),
)
BODIES = st.none() | PLAIN_TEXT.map(str.encode) | st.binary(max_size=30) | st.just(ANSWER) | st.just(b"null")


@given(
    exchanges=st.lists(
        st.builds(
            Exchange,
            method=st.sampled_from(["GET", "POST", "PROPFIND"]),
            url=st.sampled_from([URL, "http://a/?x=y#z", "https://a:1/\u00e9"]),
            request_headers=HEADERS,
            request_body=BODIES,
            status_code=st.sampled_from([100, 200, 404, 520, 999]),
            response_headers=HEADERS,
            response_body=BODIES,
            source=st.sampled_from(["probe, a: b", "c"]),
            origin=st.just("live"),
            intent=st.sampled_from([None, "wrong-key", "unknown-request"]),
        ),
        max_size=3,
    )
)
@settings(
    derandomize=True, database=None, deadline=None, max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_written_and_read_back(tmp_path: Path, exchanges: list[Exchange]) -> None:
    """What is written is read back as it was, the intent and every byte of the bodies included."""
    path = tmp_path / "a.yaml"
    saved(path, *exchanges)
    expected = [evolve(one, source=f"{path}#{n} {one.source}", recorded=WHEN) for n, one in enumerate(exchanges, 1)]
    assert found(path) == expected
    again = saved(path.with_name("b.yaml"), *expected)
    assert again == path.read_text("utf-8")


def test_compression_is_undone_once(tmp_path: Path) -> None:
    """A client decodes a body and leaves the header, which a player would believe: it is not written."""
    headers = {"content-encoding": "gzip", "content-length": "44", "date": "now", "cf-ray": "1"}
    for body in (ANSWER, gzip.compress(ANSWER)):
        saved(tmp_path / "a.yaml", evolve(EXCHANGE, response_headers=headers, response_body=body))
        exchange = only(found(tmp_path / "a.yaml"))
        assert exchange.response_body == ANSWER
        assert set(exchange.response_headers) == {"content-length"}


def test_vcrpy_reads_it(tmp_path: Path) -> None:
    """Both vcrpy and pytest-recording load a cassette, and find in it what was written."""
    path = tmp_path / "a.yaml"
    binary_answer = evolve(
        EXCHANGE, intent="unknown-request", request_body=None, response_body=b"\xff", status_code=520
    )
    saved(path, EXCHANGE, binary_answer, evolve(EXCHANGE, response_body=None))
    for requests, responses in (
        FilesystemPersister.load_cassette(path, yamlserializer),
        load_cassette(str(path), yamlserializer),
    ):
        assert [request.body for request in requests] == [QUESTION, None, QUESTION]
        assert {(request.method, request.uri) for request in requests} == {("POST", URL)}
        assert [response["body"]["string"] for response in responses] == [ANSWER, b"\xff", b""]
        assert [response["status"]["code"] for response in responses] == [200, 520, 200]


def test_all_or_nothing(tmp_path: Path) -> None:
    """A cassette that could not be written whole leaves the one before, and nothing else."""
    path = tmp_path / "a.yaml"
    before = saved(path, EXCHANGE)

    def broken() -> Iterator[Exchange]:
        yield EXCHANGE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, broken(), Provenance("live", WHEN, "", ""))
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]
