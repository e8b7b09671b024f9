"""How a drift is confined to one of the documented calls, and reaches into the objects of its bodies."""

import json
from typing import Any

import pytest

from longcat.sandbox.calls import CALLS, ORDER, RESULT, STATUS, EmulatedCall, call_at
from longcat.sandbox.drifts import request_changes
from longcat.sandbox.drifts.places import PlacedChange
from longcat.sandbox.drifts.request_changes import ReceivedRequest
from longcat.sandbox.drifts.response_changes import response_change
from longcat.sandbox.mutator import SentResponse

DONE = {
    "request_id": "a",
    "status": "COMPLETED",
    "output": {"media_url": ["http://a.test/1"], "media_type": "image/png"},
}


def sent(body: Any, status: int = 200) -> SentResponse:
    """Return a response."""
    return SentResponse(status, (), json.dumps(body).encode())


def received(call: EmulatedCall, *, path: str | None = None, method: str | None = None) -> ReceivedRequest:
    """Return a request with the right key for a call, perhaps on another path or by another method."""
    headers = {"ocp-apim-subscription-key": "key"}
    return ReceivedRequest("key", method or call.method, path or f"{call.path}", "", headers, b"")


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/longcat-image-request-result", RESULT),
        ("/longcat-image-498/v1/longcat-image-request", ORDER),
        ("/v2/requests/status/abc", STATUS),
        ("/v2/requests/status", None),
        ("/longcat-image-request-result/", None),
        ("/", None),
    ],
)
def test_call_of_a_path(path: str, call: EmulatedCall | None) -> None:
    """A path belongs to one call, or to none."""
    assert call_at(path) is call


@pytest.mark.parametrize(
    ("operations", "output"),
    [
        ({"drop": ["output.media_type"]}, {"media_url": ["http://a.test/1"]}),
        ({"set": {"output.media_url": "null"}}, {"media_url": None, "media_type": "image/png"}),
        ({"add": {"output.size": 1}}, {**DONE["output"], "size": 1}),  # type: ignore[dict-item]
        ({"add": {"nothing.size": 1}}, DONE["output"]),
    ],
)
def test_fields_within_objects(operations: dict[str, Any], output: Any) -> None:
    """A name with a dot means the field of an object; where there is no such object, nothing is changed."""
    assert response_change(operations)(sent(DONE)).fields == DONE | {"output": output}


@pytest.mark.parametrize(
    ("call", "where", "path", "answer", "matches"),
    [
        (STATUS, "completed", STATUS.path, ("COMPLETED", 200), True),
        (STATUS, "completed", STATUS.path, ("PROCESSING", 200), False),
        (STATUS, "completed", ORDER.path, ("COMPLETED", 202), False),
        (STATUS, "open", STATUS.path, ("QUEUED", 200), True),
        (STATUS, "open", STATUS.path, ("PROCESSING", 200), True),
        (STATUS, "queued,failed", STATUS.path, ("ERROR", 200), True),
        (STATUS, "queued,failed", STATUS.path, ("PROCESSING", 200), False),
        (STATUS, "failed", STATUS.path, ("ERROR", 200), True),
        (STATUS, "answers", STATUS.path, ("FAILED", 200), True),
        (STATUS, "404", STATUS.path, ("?", 404), True),
        (STATUS, "errors", STATUS.path, ("?", 404), True),
        (STATUS, "errors", RESULT.path, ("?", 404), False),
        (STATUS, "errors", "/nowhere", ("?", 404), True),
        (STATUS, "404", "/nowhere", ("?", 404), False),
        (ORDER, "queued", ORDER.path, ("QUEUED", 202), True),
        (RESULT, "errors", STATUS.path, ("?", 404), False),
        (RESULT, "all", ORDER.path, ("QUEUED", 202), False),
        (RESULT, "all", RESULT.path, ("processing", 200), True),
    ],
)
def test_places(call: EmulatedCall, where: str, path: str, answer: tuple[str, int], matches: bool) -> None:
    """A drift changes responses of its own call only."""
    change = PlacedChange(call, where, response_change({"add": {"new": True}}))
    assert ("new" in change(sent({"status": answer[0]}, answer[1]), call_at(path)).fields) is matches


@pytest.mark.parametrize(("call", "where"), [(STATUS, "nowhere"), (ORDER, "completed")])
def test_no_such_place(call: EmulatedCall, where: str) -> None:
    """A place that a call does not have is an error."""
    with pytest.raises(ValueError, match="has no answers"):
        PlacedChange(call, where, response_change({"drop": ["status"]}))


@pytest.mark.parametrize("call", CALLS)
def test_changes_of_requests_are_for_one_call(call: EmulatedCall) -> None:
    """Each change of requests can be made for any call, and leaves the others alone."""
    path = call.path + ("a" if call is STATUS else "")
    others = [received(one) for one in CALLS if one is not call]
    move = request_changes._redirect(307, call)
    answer = move(received(call, path=path))
    assert not isinstance(answer, ReceivedRequest)
    assert answer.headers["location"] == f"/v2{path}"
    moved = move(received(call, path=f"/v2{path}"))
    assert isinstance(moved, ReceivedRequest)
    assert moved.path == path
    accept = request_changes._accept_method("PUT", call)
    assert not isinstance(accept(received(call, path=path, method="PUT")), ReceivedRequest)
    refuse = request_changes._refuse_if(lambda request: not request.query, call)
    assert not isinstance(refuse(received(call, path=path)), ReceivedRequest)
    for change in (move, accept, refuse):
        assert list(map(change, others)) == others
