"""An exchange that was judged before is judged by what came of it, and no other is."""

import json
from typing import Any, ClassVar

import pytest
from attrs import evolve
from exchanges import COMPLETED, DOCUMENTED, GOOD, JSON, OURS, PROCESSING, URL, answered

from longcat.contract import Exchange, Spec
from longcat.contract.checks import repeats
from longcat.contract.checks.judge import Judgement
from longcat.contract.checks.repeats import CachingJudge
from longcat.contract.openapi.parsing import parse_document
from longcat.contract.openapi.spec import make_spec


def headers(schema: dict[str, Any], name: str) -> CachingJudge:
    """Return what judges by a contract that documents a header of its answer."""
    response = {"description": "", "headers": {name: {"schema": schema}}}
    paths = {"/a": {"get": {"operationId": "a", "responses": {"200": response}}}}
    return CachingJudge(make_spec(parse_document(json.dumps({"openapi": "3.1.0", "paths": paths}), "small")))


def seen(judgement: Judgement) -> list[Any]:
    """Return all that a judgement says, but for where it was."""
    return [*judgement.findings(), *judgement.gaps, judgement.outage, judgement.is_documented, judgement.operation]


ALL = [one.exchange for one in DOCUMENTED if one.spec is OURS]
BROKEN = [evolve(one, response_body=b'{"status": 5}') for one in ALL]


def test_the_same_is_said_of_one_that_was_judged_before() -> None:
    """Each exchange has its own source in what is found, and is judged as if it were the only one."""
    judge = CachingJudge(OURS)
    for one in [*ALL, *BROKEN] * 2:
        again = evolve(one, source=f"{one.source} again", response_headers={**one.response_headers, "date": one.source})
        for exchange in (one, again):
            assert seen(judge.judge(exchange)) == seen(Judgement(OURS, exchange))


def test_a_repeat_is_matched_once_however_often_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at an exchange that was judged by an earlier one, such as coverage, gets what was matched by then."""
    judge, asked, locate = CachingJudge(OURS), list[str](), Spec.locate
    first = judge.judge(GOOD)

    def counted(spec: Spec, url: str, *rest: Any) -> Any:
        asked.append(url)
        return locate(spec, url, *rest)

    monkeypatch.setattr(Spec, "locate", counted)
    again = judge.judge(evolve(GOOD, source="again"))
    assert again._result is first._result
    assert again.observation.exchange.source == "again"
    assert asked == [GOOD.url]


@pytest.mark.parametrize(
    "other",
    [
        evolve(GOOD, response_body=b"{}"),
        evolve(GOOD, status_code=418),
        evolve(GOOD, request_headers={}, origin="live"),
        evolve(GOOD, response_headers={**GOOD.response_headers, "deprecation": "@1"}),
        evolve(GOOD, origin="live", intent="wrong-key"),
    ],
)
def test_what_differs_is_judged_on_its_own(other: Exchange) -> None:
    """The judgement of one exchange says nothing of another that differs in anything that counts."""
    judge = CachingJudge(OURS)
    judge.judge(GOOD)
    assert list(judge.judge(other).findings()) == list(Judgement(OURS, other).findings()) != []


def test_a_header_that_the_contract_documents_counts() -> None:
    """A request id differs each time, and is looked at where the contract says what it is like."""
    judge = headers({"type": "string", "pattern": "^[0-9]+$"}, "X-Request-Id")
    plain = Exchange("GET", "https://a.test/a", {}, None, 200, {}, b"", "a test")
    for value, codes in (("1", []), ("2", []), ("x", ["header-changed"]), ("3", [])):
        exchange = evolve(plain, response_headers={"x-request-id": value})
        assert [one.code for one in judge.judge(exchange).findings()] == codes


def test_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judgements of the last few exchanges are kept, and none of large ones."""
    monkeypatch.setattr(repeats, "MAX_JUDGEMENTS", 2)
    judge = CachingJudge(OURS)
    for number in range(5):
        judge.judge(evolve(GOOD, request_headers={**GOOD.request_headers, "cookie": str(number)}))
    judge.judge(evolve(GOOD, request_body=b" " * (repeats.MAX_BODIES + 1)))
    assert [known.exchange.request_headers["cookie"] for known in judge._judgements.values()] == ["3", "4"]


def judged_alone(judge: CachingJudge, exchange: Exchange) -> bool:
    """Judge an exchange, and return whether it was not taken to be like one before. What is said is the same."""
    judgement = judge.judge(exchange)
    assert seen(judgement) == seen(Judgement(judge.spec, exchange))
    others = [one for one in judge._judgements.values() if one.exchange is not exchange]
    return all(judgement._result is not one._result for one in others)


@pytest.mark.parametrize(
    ("other", "alone"),
    [
        (answered({**PROCESSING, "progress": 0.5}), False),
        (answered({**PROCESSING, "request_id": "other"}), True),
        (answered({**PROCESSING, "progress": 5}), True),
        (answered({**PROCESSING, "new": 1}), True),
        (answered({**PROCESSING, "status": "queued"}), True),
        (answered(COMPLETED), False),
        (answered({**COMPLETED, "result_url": "ftp://pictures.test/abc.png"}), True),
        (answered({**COMPLETED, "result_url": "https://pictures.test/<ID>.png"}), True),
        (answered({**COMPLETED, "model_version": ""}), True),
        (answered([]), True),
        (answered(b"{"), True),
        (evolve(GOOD, response_headers={**JSON, "x-served-by": "b"}), True),
        (evolve(GOOD, request_body=b'{"request_id": "abc", "more": 1}'), True),
        (evolve(GOOD, url=f"{URL}?unknown=1"), False),
        (evolve(GOOD, url=URL.replace("https:", "http:")), True),
    ],
)
def test_values_of_their_kind_are_judged_once(other: Exchange, *, alone: bool) -> None:
    """Exchanges are alike whose values agree with the contract, and nothing is said of one that is not alike."""
    judge = CachingJudge(OURS)
    judge.judge(GOOD)
    judge.judge(answered({**COMPLETED, "request_id": "abc", "model_version": "v2"}))
    assert judged_alone(judge, other) is alone


class Headers(dict[str, str]):
    """Headers that note whose values are asked for."""

    asked: ClassVar[set[str]] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Note the name."""
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)


def test_all_headers_that_are_read_are_told_apart() -> None:
    """No judgement asks for the value of a header by which exchanges that are alike may differ."""
    known = {*repeats.READ, *(one.name.lower() for one in OURS.credentials)}
    for one in [*ALL, *BROKEN]:
        for code in (200, 304, 401, 403, 405, 429, 502):
            spied = evolve(one, status_code=code, request_headers=Headers(one.request_headers))
            seen(Judgement(OURS, evolve(spied, response_headers=Headers(one.response_headers))))
    assert Headers.asked - known == set()
