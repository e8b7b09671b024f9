"""`longcat contract coverage`: what counts as seen of a contract, from where and when last, and how it is told.

The frame: one GET `/a` at https://api.example.com/v1, answered with 200 and JSON.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from contract_file import read_yaml

from longcat.cli.run import run as main
from longcat.contract import Exchange
from longcat.contract.checks.judge import Judgement
from longcat.contract.coverage import FORMATS, CoverageContext, collect, items, results
from longcat.contract.coverage.collect import Coverage
from longcat.contract.coverage.results import CoverageResult
from longcat.contract.coverage.summary import percent
from longcat.contract.model import Inconclusive, Origin
from longcat.contract.openapi.spec import make_spec
from longcat.contract.reports.verdict import Tally

SERVER: Final = "https://api.example.com/v1"
NOW: Final = datetime(2030, 1, 31, tzinfo=UTC)
TEXT: Final = {"type": "string"}
Run: TypeAlias = Callable[..., tuple[int, str, str]]
HOSTILE: Final = "<script>alert(1)</script>|`x`\x1b[31m\x00]]>&\"'\u202e\n# no heading ${{ secrets }}"


def obj(required: Iterable[str] = (), /, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


def answer(schema: Any, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    """Return a documented answer."""
    return {"description": "An answer.", "content": {media_type: {"schema": schema}}, **more}


def operation(*, responses: Any = None, **more: Any) -> dict[str, Any]:
    """Return a documented operation."""
    return {"operationId": "get_a", "responses": responses or {"200": answer(True)}, **more}


def document(paths: Any, **more: Any) -> dict[str, Any]:
    """Return a contract."""
    info = {"title": "An API", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "servers": [{"url": SERVER}], "paths": paths} | more


def exchange(body: Any = None, path: str = "/a", **more: Any) -> Exchange:
    """Return an exchange: without a body, it was not recorded."""
    usual = {
        "method": "GET",
        "url": f"{SERVER}{path}",
        "request_headers": {},
        "request_body": None,
        "status_code": 200,
        "response_headers": {"content-type": "application/json"},
        "response_body": None if body is None else json.dumps(body).encode(),
        "source": "a test",
        "recorded": NOW,
    }
    return Exchange(**(usual | more))


def covered(spec: Mapping[str, Any], *seen: Exchange | Inconclusive, **more: Any) -> CoverageContext:
    """Return what comes of a contract and of what was seen."""
    made = make_spec(dict(spec))
    coverage, tally = Coverage(made), Tally()
    for one in seen:
        for gap in coverage.note(one if isinstance(one, Inconclusive) else Judgement(made, one)):
            tally.note(gap)
    days = more.get("stale_after")
    result = CoverageResult(coverage, None if days is None else NOW - timedelta(days=days))
    return CoverageContext(result, "openapi.yaml", "recordings", tally, NOW, **more)


def report(context: CoverageContext, kind: str) -> str:
    """Return a report."""
    return "".join(FORMATS[kind](context))


def found(context: CoverageContext) -> list[dict[str, Any]]:
    """Return all items, as JSON has them."""
    listed: list[dict[str, Any]] = json.loads(report(context, "json"))["items"]
    return listed


def places(context: CoverageContext, state: str, part: str = "200") -> list[str]:
    """Return the places in a body with a state, in order; of a value with the value."""
    inside = [one for one in found(context) if one["part"] == part and one["state"] == state]
    named = [f"{one['place']}={one['name']}" if one["kind"] == "value" else one["place"] for one in inside]
    return sorted(filter(None, named))


def states(context: CoverageContext, kind: str = "") -> dict[str, str]:
    """Return the states of all items, or of those of a kind, by their names."""
    return {one["name"]: one["state"] for one in found(context) if one["kind"] == kind or not kind}


def of_answers(schema: Any, *bodies: Any, **components: Any) -> CoverageContext:
    """Return what comes of answers, each in an exchange of its own."""
    spec = document({"/a": {"get": operation(responses={"200": answer(schema)})}}, components={"schemas": components})
    return covered(spec, *map(exchange, bodies))


# --- What counts as seen.


TABLE: Final = read_yaml(Path(__file__).parent / "coverage.yaml")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["it"])
def test_what_counts(row: dict[str, Any]) -> None:
    """Each row of the table."""
    paths = {"/a": {"get": operation(responses={"200": answer(row["schema"])})}}
    spec = document(paths, components={"schemas": row.get("components", {})}, openapi=row.get("openapi", "3.1.0"))
    context = covered(spec, *map(exchange, row["answers"]))
    assert places(context, "seen") == sorted(row.get("seen", []))
    assert places(context, "never") == sorted(row.get("never", []))


class TestMessages:
    """What is around the values: operations, answers, parameters and bodies."""

    def test_status_codes(self) -> None:
        """The code, its range or the default that stands for an answer counts, and no other."""
        codes = ("200", "4XX", "404", "default")
        spec = document({"/a": {"get": operation(responses={code: answer(obj(a=TEXT)) for code in codes})}})
        context = covered(spec, exchange({"a": ""}, status_code=422), exchange({"a": ""}, status_code=302))
        assert states(context, "status") == {"200": "never", "4XX": "seen", "404": "never", "default": "seen"}
        assert places(context, "seen", "4XX") == ["/a"]
        assert places(context, "never", "404") == ["/a"]

    def test_an_undocumented_answer(self) -> None:
        """It shows that the operation was called, and none of its answers."""
        context = covered(document({"/a": {"get": operation()}}), exchange({}, status_code=418))
        assert states(context) == {"GET /a": "seen", "200": "never"}

    def test_another_operation_and_another_host(self) -> None:
        """Each method of each path is an operation. What is of no operation is left out, and told."""
        spec = document({"/a": {"get": operation(), "post": operation()}, "/b": {"get": operation()}})
        elsewhere = exchange({}, url="https://other.example/x", origin="unknown")
        context = covered(spec, exchange({}), elsewhere)
        assert states(context, "operation") == {"GET /a": "seen", "POST /a": "never", "GET /b": "never"}
        assert context.tally.left_out == 1

    def test_an_outage(self) -> None:
        """Where a CDN answered, the operation was not seen."""
        page = exchange(status_code=502, response_body=b"<html>", response_headers={"content-type": "text/html"})
        context = covered(document({"/a": {"get": operation()}}), page)
        assert (states(context, "operation"), int(context.verdict)) == ({"GET /a": "never"}, 3)

    def test_parameters(self) -> None:
        """Those of the path, the query, the headers and the cookies, each when it was sent with a value that fits."""
        named = [
            ("path", "id"),
            ("query", "page"),
            ("query", "sort"),
            ("header", "X-Trace"),
            ("cookie", "s"),
        ]
        schemas = {"page": {"type": "integer"}, "sort": {"enum": ["up", "down"]}}
        listed = [
            {"in": place, "name": name, "required": place == "path", "schema": schemas.get(name, TEXT)}
            for place, name in [*named, ("header", "Accept")]
        ]
        spec = document({"/a/{id}": {"get": operation(parameters=listed)}})
        sent = {"x-trace": "1", "cookie": "x=2; s=1"}
        context = covered(
            spec, exchange({}, "/a/7?sort=up", request_headers=sent), exchange({}, "/a/7?page=x&sort=&unknown=1")
        )
        expected = {"path id": "seen", "query page": "never", "query sort": "seen", "header X-Trace": "seen"}
        assert states(context, "parameter") == {**expected, "cookie s": "seen"}
        assert states(context, "value") == {'"up"': "seen", '"down"': "never"}

    @pytest.mark.parametrize(
        ("query", "values"),
        [
            ("ids=1,2", ["1", "2"]),
            ("ids=1&ids=2", ["1", "2"]),
            ("ids[]=2&filter[sort]=up", ["2", '"up"']),
            ("filter[sort]=down", []),
        ],
    )
    def test_parameters_in_every_style(self, query: str, values: list[str]) -> None:
        """A list or an object is read as the check of recordings reads it, and what is in it counts as well."""
        listed = [
            {"in": "query", "name": "ids", "schema": {"type": "array", "items": {"enum": [1, 2]}}},
            {"in": "query", "name": "filter", "style": "deepObject", "schema": obj(sort={"enum": ["up"]})},
        ]
        context = covered(document({"/a": {"get": operation(parameters=listed)}}), exchange({}, f"/a?{query}"))
        assert [name for name, state in states(context, "value").items() if state == "seen"] == values

    def test_a_form_as_a_request(self) -> None:
        """Its fields count, each with its value as the schema has it."""
        schema = obj(n={"type": "integer"}, s={"enum": ["on", "off"]})
        body = {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}
        spec = document({"/a": {"post": operation(requestBody=body)}})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        asked = exchange({}, method="POST", request_headers=headers, request_body=b"n=7&s=on")
        assert places(covered(spec, asked), "seen", "request body") == ["/n", "/s", '/s="on"']

    def test_headers_of_an_answer(self) -> None:
        """They count as parameters do."""
        headers = {name: {"schema": {"type": "integer"}} for name in ("X-Left", "X-Limit", "Content-Type")}
        spec = document({"/a": {"get": operation(responses={"200": answer(True, headers=headers)})}})
        context = covered(spec, exchange({}, response_headers={"x-left": "7", "x-limit": "many"}))
        assert states(context, "header") == {"header x-left": "seen", "header x-limit": "never"}

    def test_the_body_of_a_request(self) -> None:
        """Its fields count as those of an answer do, but for those that only an answer has."""
        body = {"content": {"application/json": {"schema": obj(a=TEXT, b=TEXT, id={"readOnly": True, **TEXT})}}}
        spec = document({"/a": {"post": operation(requestBody=body)}})
        headers = {"content-type": "application/json"}
        asked = exchange({}, method="POST", request_headers=headers, request_body=b'{"a": ""}')
        assert places(covered(spec, asked), "seen", "request body") == ["/a"]
        assert places(covered(spec, asked), "never", "request body") == ["/b"]

    @pytest.mark.parametrize(
        ("media_type", "text"),
        [
            ("text/event-stream", ': hello\n\ndata: {"a": ""}\n\ndata: {"b": ""}\n\ndata: [DONE]\n\n'),
            ("application/x-ndjson", '{"a": ""}\n{"b": ""}\n'),
            ("application/problem+json", '{"a": "", "b": ""}'),
            ("application/x-www-form-urlencoded", "a=&b="),
        ],
    )
    def test_other_media_types(self, media_type: str, text: str) -> None:
        """What is judged counts: the events of a stream, rows of JSON, forms."""
        spec = document({"/a": {"get": operation(responses={"200": answer(obj(a=TEXT, b=TEXT, c=TEXT), media_type)})}})
        seen = exchange(response_body=text.encode(), response_headers={"content-type": media_type})
        assert places(covered(spec, seen), "seen") == ["/a", "/b"]

    def test_what_is_not_judged(self) -> None:
        """The fields of XML are no items, as they could never be seen."""
        spec = document({"/a": {"get": operation(responses={"200": answer(obj(a=TEXT), "application/xml")})}})
        seen = exchange(response_body=b"<a/>", response_headers={"content-type": "application/xml"})
        assert states(covered(spec, seen)) == {"GET /a": "seen", "200": "seen"}

    def test_media_types_of_one_schema(self) -> None:
        """They are one body: whoever answers in one of them has shown its fields."""
        schema = {"schema": {"$ref": "#/components/schemas/P"}}
        content = dict.fromkeys(("text/json", "application/json", "application/*+json"), schema)
        responses = {"200": {"description": "An answer.", "content": content}}
        spec = document({"/a": {"get": operation(responses=responses)}}, components={"schemas": {"P": obj(a=TEXT)}})
        context = covered(spec, exchange({"a": ""}))
        assert places(context, "seen") == ["/a"]
        assert places(context, "never") == []

    def test_placeholders(self) -> None:
        """What a recorder put in the place of a value shows nothing of it, unless the contract lists that word."""
        schema = obj(login=TEXT, title=TEXT, kind={"enum": ["<any>"]})
        spec = document({"/a": {"get": operation(responses={"200": answer(schema)})}})
        body = {"login": "<LOGIN>", "title": "a secret", "kind": "<any>"}
        assert places(covered(spec, exchange(body)), "never") == ["/login"]
        assert places(covered(spec, exchange(body, origin="live")), "never") == []


class TestEvidence:
    """How often, from where, and when last."""

    def test_origins(self) -> None:
        """Each item knows in how many exchanges it was seen, from each origin, and when last."""
        kinds: list[tuple[Origin, int | None]] = [("live", 9), ("live", 3), ("sandbox", None), ("documentation", 1)]
        seen = [
            exchange([{"a": ""}, {"a": ""}], origin=origin, recorded=None if age is None else NOW - timedelta(days=age))
            for origin, age in kinds
        ]
        schema = {"type": "array", "items": obj(a=TEXT)}
        context = covered(document({"/a": {"get": operation(responses={"200": answer(schema)})}}), *seen)
        field = next(one for one in found(context) if one["kind"] == "field")
        assert (field["times"], field["last"]) == (4, "2030-01-30T00:00:00Z")
        assert field["origins"] == {
            "live": {"times": 2, "last": "2030-01-28T00:00:00Z"},
            "documentation": {"times": 1, "last": "2030-01-30T00:00:00Z"},
            "sandbox": {"times": 1, "last": None},
        }

    @pytest.mark.parametrize(("age", "state"), [(29, "seen"), (31, "stale"), (None, "stale")])
    def test_stale(self, age: int | None, state: str) -> None:
        """What was last seen too long ago, or nobody knows when, does not count, and is told as stale."""
        spec = document({"/a": {"get": operation()}})
        old = exchange({}, recorded=None if age is None else NOW - timedelta(days=age))
        context = covered(spec, old, stale_after=30, fail_under=1)
        assert states(context, "operation") == {"GET /a": state}
        assert int(context.verdict) == (0 if state == "seen" else 1)
        assert ("\nStale:\n  GET /a" in report(context, "table")) is (state == "stale")

    def test_odd_times(self) -> None:
        """A time at the end of the calendar, in a zone of its own, is a time like others."""
        first = datetime.fromisoformat("0001-01-01T00:00:00+14:00")
        context = covered(document({"/a": {"get": operation()}}), exchange({}, recorded=first))
        assert found(context)[0]["last"] == "0001-01-01T00:00:00+14:00"
        assert "from a source that is not named, last on" in report(context, "html")

    def test_the_last_time_counts(self) -> None:
        """What was seen again is not stale, whatever the order of the recordings."""
        seen = [exchange({}, recorded=NOW - timedelta(days=age)) for age in (90, 2, 60)]
        context = covered(document({"/a": {"get": operation()}}), *seen, stale_after=30)
        assert states(context, "operation") == {"GET /a": "seen"}


class TestPercent:
    """What the percentage is of, and the exit code."""

    def test_every_item_counts_one(self) -> None:
        """Those below what was never seen are among them."""
        paths = {
            path: {"get": operation(responses={"200": answer(obj(a=TEXT, b={"enum": [1, 2]}))})}
            for path in ("/a", "/b")
        }
        context = covered(document(paths), exchange({"b": 2}))
        assert (context.result.totals.seen.total(), context.result.totals.all.total()) == (4, 12)

    @pytest.mark.parametrize(("limit", "code"), [(None, 0), (66.6, 0), (66.7, 1), (100, 1)])
    def test_fail_under(self, limit: float | None, code: int) -> None:
        """Two of three are 66.67 %. It fails when less was seen than is asked for."""
        spec = document({"/a": {"get": operation(responses={"200": answer(obj(a=TEXT))})}})
        assert int(covered(spec, exchange({}), fail_under=limit).verdict) == code

    @pytest.mark.parametrize("limit", [None, 50])
    def test_nothing_seen(self, limit: float | None) -> None:
        """Without an exchange of this contract nobody can tell."""
        context = covered(document({"/a": {"get": operation()}}), fail_under=limit)
        assert int(context.verdict) == 3
        assert "Nothing was seen of this contract." in report(context, "table")

    def test_something_unreadable(self) -> None:
        """It is told, and nobody can tell, unless too little was seen."""
        spec, broken = document({"/a": {"get": operation()}}), Inconclusive("x.yaml#2", "is cut")
        assert int(covered(spec, exchange({}), broken).verdict) == 3
        assert int(covered(spec, exchange({}, status_code=418), broken, fail_under=100).verdict) == 1
        assert "Is cut: x.yaml#2." in report(covered(spec, exchange({}), broken), "table")


class TestLimits:
    """What a large contract, or one of a stranger, may cost."""

    def test_schemas_that_refer_to_each_other(self) -> None:
        """Of one body only so many items count, those nearest to its top, and the report says so."""
        names = [f"S{number}" for number in range(30)]
        schemas = {name: obj(**{one: {"$ref": f"#/components/schemas/{one}"} for one in names}) for name in names}
        context = of_answers({"$ref": "#/components/schemas/S0"}, {"S1": {"S2": {}}}, **schemas)
        assert context.result.totals.all[items.ItemKind.FIELD] == items.MAX_BODY_ITEMS
        assert places(context, "seen") == ["/S1", "/S1/S2"]
        assert "1 body has more than 2,000 items" in report(context, "table")

    def test_long_names(self) -> None:
        """They are cut short in what is shown, and told apart in what is counted."""
        context = of_answers(obj(**{"x" * 10_000 + end: TEXT for end in "ab"}), {"x" * 10_000 + "a": ""})
        assert context.result.totals.seen[items.ItemKind.FIELD] == 1
        assert all(len(report(context, kind)) < 20_000 for kind in ("table", "markdown", "html"))

    def test_a_long_chain_of_schemas(self) -> None:
        """Neither a schema nor a value that is nested deeply ends the run."""
        schemas = {f"S{number}": obj(a={"$ref": f"#/components/schemas/S{number + 1}"}) for number in range(300)}
        value: Any = {}
        for _ in range(90):
            value = {"a": value}
        context = of_answers({"$ref": "#/components/schemas/S0"}, value, **schemas, S300=TEXT)
        assert len(places(context, "seen")) == items.MAX_ITEM_DEPTH

    def test_a_large_contract(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is in something that was never seen is counted, and not listed."""
        monkeypatch.setattr(results, "MAX_LISTED", 5)
        paths = {path: {"get": operation(responses={"200": answer(obj(a=TEXT))})} for path in ("/a", "/b")}
        context = covered(document(paths), exchange({"a": ""}))
        listed = [(one["path"], one["kind"], one["unlisted"]) for one in found(context)]
        assert listed == [("/a", "operation", 0), ("/a", "status", 0), ("/a", "field", 0), ("/b", "operation", 2)]
        assert context.result.totals.all.total() == 6

    def test_a_defect_of_the_contract(self) -> None:
        """It costs what is behind it, and the report says how often that was so."""
        broken = {"200": {"$ref": "#/components/responses/Gone"}}
        context = covered(
            document({"/a": {"get": operation()}, "/b": {"get": operation(responses=broken)}}), exchange({})
        )
        assert states(context, "operation") == {"GET /a": "seen", "GET /b": "never"}
        assert "can't be read" in report(context, "table")

    def test_a_fault_of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It costs what is left of one exchange, and is told. An interrupt ends the run."""

        def broken(*_: object) -> None:
            raise next(faults)

        faults = iter([ZeroDivisionError("secret"), KeyboardInterrupt()])
        monkeypatch.setattr(collect, "values_in", broken)
        spec = document({"/a": {"get": operation()}})
        context = covered(spec, exchange({}))
        assert (states(context)["200"], int(context.verdict)) == ("seen", 3)
        assert "ZeroDivisionError" in report(context, "table")
        assert "secret" not in report(context, "table")
        with pytest.raises(KeyboardInterrupt):
            covered(spec, exchange({}))


class TestReports:
    """Each format says the same, and nothing in a contract or an answer can break out of one."""

    @pytest.mark.parametrize("kind", FORMATS)
    def test_what_was_never_seen_is_named(self, kind: str) -> None:
        """With its place, and so are the origin and the last day of what was seen."""
        text = report(of_answers(obj(seen_once=TEXT, never_there=TEXT), {"seen_once": "secret-of-traffic"}), kind)
        for words in ("never.{0,6}there", "2030-01-31", "unknown"):
            assert re.search(words, text), words
        assert "secret-of-traffic" not in text

    @pytest.mark.parametrize("kind", FORMATS)
    def test_hostile_names(self, kind: str) -> None:
        """They can't run, colour a terminal, or end a cell or a tag."""
        schema = obj(**{HOSTILE: {"enum": [HOSTILE]}, "b": {"anyOf": [obj(title=TEXT) | {"title": HOSTILE}]}})
        parameters = [{"in": "query", "name": HOSTILE, "schema": TEXT}]
        spec = document({"/a": {"get": operation(parameters=parameters, responses={"200": answer(schema, HOSTILE)})}})
        text = report(covered(spec, exchange({}), Inconclusive(HOSTILE, HOSTILE)), kind)
        text.encode()
        assert not set("\x1b\x00\u202e") & set(text)
        assert "<script>" not in text or kind in {"table", "json"}
        assert "\n# no heading" not in text

    def test_table(self) -> None:
        """Figures by kind, operations, what was never seen of them, and operations that never were."""
        paths = {"/a": {"get": operation(responses={"200": answer(obj(a=TEXT, b=TEXT))})}, "/b": {"get": operation()}}
        text = report(covered(document(paths), exchange({"a": ""}, origin="live")), "table")
        assert text.endswith(
            "Never seen of these operations:\n"
            "  GET /a 200 application/json /b\n"
            "\n"
            "Operations never seen:\n"
            "  GET /b, and 1 in it\n"
            "\n"
            "Seen: 3 of 6 items, 50 %.\n"
            "Evidence: 1 exchange from the live service, last on 2030-01-31.\n"
        )
        assert re.search(r"^fields +█{10}░{10} +1 +2 +50 % +0$", text, re.MULTILINE)
        assert re.search(r"^GET /a +1/1 +0/0 +1/2 +0/0 +0/0 +1 +2030-01-31 +live 1$", text, re.MULTILINE)

    def test_the_page_is_well_formed(self) -> None:
        """Every element is closed, nothing runs or loads, and every filter is there."""
        text = report(of_answers(obj(a={"enum": ["x"]}, b=obj(c=TEXT)), {"a": "x"}), "html")
        checker = Checker()
        checker.feed(text)
        assert checker.open == []
        assert not {"script", "link", "img", "iframe"} & checker.elements
        for name in ("state-never", "state-stale", "origin-live", "method-get"):
            assert f'id="{name}"' in text
            assert f"#{name}:checked" in text

    def test_methods_that_openapi_has_no_word_for(self) -> None:
        """A contract of OpenAPI 3.2 may have any: they come last, and none breaks out of the page."""
        others = {name: operation() for name in ("COPY", "</STYLE><SCRIPT>")}
        spec = document({"/a": {"additionalOperations": others, "get": operation()}}, openapi="3.2.0")
        context = covered(spec)
        assert [one.method for one, _ in context.result.operations()] == ["GET", "</STYLE><SCRIPT>", "COPY"]
        assert "<script>" not in report(context, "html").lower()

    def test_each_method_has_a_filter_of_its_own(self) -> None:
        """Also methods that differ in signs only, one with a space in it, and one that is called as all of them are."""
        methods = ("A-B", "A.B", "A B", "É", "È", "ANY")
        spec = document({"/a": {"additionalOperations": {name: operation() for name in methods}}}, openapi="3.2.0")
        text = report(covered(spec), "html")
        filters = re.findall('id="method-([^"]*)"', text)
        assert len(set(filters)) == len(filters) == 1 + len(methods)
        assert re.findall(r"#method-(\S*):checked\) .tree > .item:not\(.method-\1\)", text) == filters[1:]
        assert sorted(re.findall('<li class="item counts operation [^"]*method-([^" ]*)"', text)) == sorted(filters[1:])

    @pytest.mark.parametrize(("number", "words"), [(99.99, "99.9 %"), (100.0, "100 %"), (0.04, "0 %")])
    def test_percentages_are_not_rounded_up(self, number: float, words: str) -> None:
        """100 % is all."""
        assert percent(number) == words


class Checker(HTMLParser):
    """Keeps the elements that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        """Open an element."""
        self.elements.add(tag)
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close one, which must be the last that was opened."""
        assert self.open.pop() == tag


class TestCommand:
    """`longcat contract coverage`."""

    @pytest.fixture
    def run(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
        """Return a function that runs it at the root of this repository."""
        monkeypatch.chdir(Path(__file__).parents[2])

        def run(*arguments: object) -> tuple[int, str, str]:
            try:
                code = main(["contract", "coverage", *map(str, arguments)])
            except SystemExit as exit_:
                code = int(exit_.code or 0)
            return code, *capsys.readouterr()

        return run

    def test_our_own_recordings(self, run: Run) -> None:
        """Without a path, the cassettes are read, and the contract that came with longcat is the one."""
        code, out, _ = run()
        assert code == 0
        assert re.search(r"^operations +█{20} +3 +3 +100 % +0$", out, re.MULTILINE)
        assert "from the vendor's documentation, replayed, last on" in out

    def test_into_a_file(self, run: Run, tmp_path: Path) -> None:
        """The summary goes to stderr then."""
        code, out, err = run("cassettes", "--format", "json", "--output", tmp_path / "x.json", "--fail-under", 99)
        assert (code, out) == (1, "")
        assert json.loads((tmp_path / "x.json").read_text("utf-8"))["exit_code"] == 1
        assert "less than --fail-under 99" in err

    def test_on_a_terminal(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tables are as wide as it is."""
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        assert "│ operations" in re.sub(r"\x1b\[[0-9;]*m", "", run()[1])

    @pytest.mark.parametrize(
        "wrong",
        [
            ("nowhere",),
            ("--fail-under", 101),
            ("--fail-under", "nan"),
            ("--fail-under", "all"),
            ("--stale-after", 0),
            ("--stale-after", "x"),
            ("--spec", "x"),
        ],
    )
    def test_used_wrongly(self, run: Run, wrong: tuple[object, ...]) -> None:
        """The exit code is 2, and nothing is printed as a result."""
        code, out, err = run(*wrong)
        assert (code, out) == (2, "")
        assert str(wrong[-1]) in err

    def test_another_server(self, run: Run, tmp_path: Path) -> None:
        """What was recorded with a server that the contract does not name counts when it is named."""
        (tmp_path / "spec.json").write_text(json.dumps(document({"/a": {"get": operation()}})), "utf-8")
        request, response = {"method": "GET", "uri": "https://staging.example/v1/a"}, {"status": {"code": 200}}
        recording = {"interactions": [{"request": request, "response": response}]}
        (tmp_path / "x.json").write_text(json.dumps(recording), "utf-8")
        arguments = (tmp_path / "x.json", "--spec", tmp_path / "spec.json")
        code, out, _ = run(*arguments)
        assert (code, "1 exchange with 1 other host is not of this contract." in out) == (3, True)
        assert run(*arguments, "--server", "https://staging.example/v1", "--fail-under", 100)[0] == 0

    def test_nothing_to_read(self, run: Run, tmp_path: Path) -> None:
        """A file without recordings can't be told from one that was not read."""
        (tmp_path / "x.yaml").write_text("a: 1\n")
        assert run(tmp_path / "x.yaml")[0] == 3
