"""An exchange that was judged before is judged by what came of it, and no other is."""

import json
from typing import Any

import pytest
from attrs import evolve
from exchanges import DOCUMENTED, GOOD, OURS

from longcat.contract import Exchange
from longcat.contract.checks import repeats
from longcat.contract.checks.judge import Judgement
from longcat.contract.checks.repeats import Judge
from longcat.contract.openapi.document import parse_document
from longcat.contract.openapi.spec import make_spec


def headers(schema: dict[str, Any], name: str) -> Judge:
    """Return what judges by a contract that documents a header of its answer."""
    response = {"description": "", "headers": {name: {"schema": schema}}}
    paths = {"/a": {"get": {"operationId": "a", "responses": {"200": response}}}}
    return Judge(make_spec(parse_document(json.dumps({"openapi": "3.1.0", "paths": paths}), "small")))


def seen(judgement: Judgement) -> list[Any]:
    """Return all that a judgement says, but for where it was."""
    return [*judgement.findings(), *judgement.gaps, judgement.outage, judgement.is_documented, judgement.operation]


ALL = [one.exchange for one in DOCUMENTED if one.spec is OURS]
BROKEN = [evolve(one, response_body=b'{"status": 5}') for one in ALL]


def test_the_same_is_said_of_one_that_was_judged_before() -> None:
    """Each exchange has its own source in what is found, and is judged as if it were the only one."""
    judge = Judge(OURS)
    for one in [*ALL, *BROKEN] * 2:
        again = evolve(one, source=f"{one.source} again", response_headers={**one.response_headers, "date": one.source})
        for exchange in (one, again):
            assert seen(judge.judge(exchange)) == seen(Judgement(OURS, exchange))


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
    judge = Judge(OURS)
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
    monkeypatch.setattr(repeats, "MOST", 2)
    judge = Judge(OURS)
    for number in range(5):
        judge.judge(evolve(GOOD, url=f"{GOOD.url}?number={number}"))
    judge.judge(evolve(GOOD, request_body=b" " * (repeats.LARGEST + 1)))
    assert [known.exchange.url[-1] for known in judge._known.values()] == ["3", "4"]
