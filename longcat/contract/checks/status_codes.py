"""The meaning of status codes: which one refuses what, and what it says that another one came.

For the drift check, this is the one home of what a 401, 403, 404, 405, 429 or 5xx stands for. Whether an answer is one
of the CDN in front, rather than the gateway's, follows in `judge.Judgement.outage`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from attrs import evolve, frozen

from longcat.contract.checks.mismatch import Gap, Mismatch
from longcat.contract.model import Severity
from longcat.contract.openapi.operation import Operation, Response


class RequestFault(StrEnum):
    """The mistakes that a request can have, in words that end a sentence."""

    NO_KEY = "the request has no key"
    WRONG_KEY = "the request has a wrong key"
    FORBIDDEN = "the key does not cover the call"
    NO_BODY = "the request has no body"
    CONTENT_TYPE = "the request has another content type"
    MALFORMED = "the request is not JSON"
    INVALID = "the request breaks its schema"
    UNKNOWN = "the request asks about something unknown"


CONTRACT_FAULTS: Final = frozenset(
    {RequestFault.NO_BODY, RequestFault.CONTENT_TYPE, RequestFault.MALFORMED, RequestFault.INVALID}
)
"""The faults by which a request breaks the contract itself: its body, or its parameters."""
KEY_FAULTS: Final = frozenset({RequestFault.NO_KEY, RequestFault.WRONG_KEY})
REFUSAL_CODES: Final[Mapping[RequestFault, tuple[tuple[int, ...], ...]]] = {
    RequestFault.NO_KEY: ((401,), (403,)),
    RequestFault.WRONG_KEY: ((401,), (403,)),
    RequestFault.FORBIDDEN: ((403,),),
    RequestFault.NO_BODY: ((400, 411, 415, 422),),
    RequestFault.CONTENT_TYPE: ((400, 415, 422),),
    RequestFault.MALFORMED: ((400, 422),),
    RequestFault.INVALID: ((400, 422),),
    RequestFault.UNKNOWN: ((404,), (410,)),
}
"""The status codes that HTTP has for a fault (RFC 9110, section 15.5), the best first. Of the first group of which the
contract documents any, the documented ones are right."""
UNKNOWN_CODES: Final = frozenset(code for group in REFUSAL_CODES[RequestFault.UNKNOWN] for code in group)
"""The codes that say: what the request asks about does not exist."""
FAULT_CODES: Final = frozenset(code for groups in REFUSAL_CODES.values() for group in groups for code in group)
NO_SUCH_THING: Final = frozenset({404, 405, 410, 501})
"""The codes that say: there is no such path, method or thing."""
KEY_REFUSED: Final = frozenset({401, 403, 407})
"""The codes that find fault with the key."""
REQUEST_REFUSED: Final = frozenset({400, 406, 411, 412, 413, 414, 415, 417, 422, 426, 428, 431})
"""The codes that find fault with the request."""
NO_SUCH_PATH: Final = frozenset({401, 403, 404, 405})
"""The codes with which a path that does not exist may be refused: some gateways look at the key first."""
PATH_REFUSAL: Final = HTTPStatus.NOT_FOUND
"""The code with which a path that does not exist should be refused."""
EXPECTED_PATH_REFUSAL: Final = f"HTTP {PATH_REFUSAL.value}, as there is no such path"
"""What is expected of such a path, in words."""
METHOD_REFUSAL: Final = HTTPStatus.METHOD_NOT_ALLOWED
"""The code with which a method is refused. Its answer names the methods that the path has, in `Allow`."""
BODILESS: Final = frozenset({204, 205, 304})
"""The codes of answers that have no body."""
MOMENTARY_CODES: Final = frozenset({408, 409, 423, 425, 429})
"""The codes that go by the moment, or by what others do: the same request may be answered later."""
FROM_CDN: Final = frozenset({502, 503, 504, *range(520, 531)})
"""What a CDN says when it got no answer itself; 520 to 530 are Cloudflare's own."""


def is_success(status_code: int) -> bool:
    """Whether a status code is of the 2xx."""
    return status_code // 100 == 2  # noqa: PLR2004


def is_redirect(status_code: int) -> bool:
    """Whether a status code is of the 3xx."""
    return status_code // 100 == 3  # noqa: PLR2004


def is_refusal(status_code: int) -> bool:
    """Whether a status code is of the 4xx."""
    return status_code // 100 == 4  # noqa: PLR2004


def not_found_answers(operations: Iterable[Operation]) -> list[Response]:
    """Return the answers that these operations document for what does not exist."""
    return [found for one in operations if (found := one.response(PATH_REFUSAL))]


@frozen
class Expectation:
    """The answers that may come to a request.

    Attributes:
        certain: the faults of the request. It must be refused if there is one.
        possible: the faults that it may have, as nothing that can be seen excludes them.
        gaps: what of the request was not judged. It may have any fault then.
        is_vouched: whether the asker knows what his request deserves (see `Exchange`). If nobody does, every
            refusal that the contract has may be right.
        was_answered: whether the same request was answered with success before.
        broken: each rule of the contract that the request breaks for certain, its key aside. Empty where its asker
            did so on purpose.
    """

    operation: Operation
    certain: tuple[RequestFault, ...]
    possible: tuple[RequestFault, ...]
    gaps: tuple[Gap, ...] = ()
    is_vouched: bool = True
    was_answered: bool = False
    broken: tuple[Mismatch, ...] = ()

    def forgiving(self) -> "Expectation":
        """Return what the answer may be if the contract lags behind, so that its broken rules hold no more."""
        return evolve(self, certain=tuple(one for one in self.certain if one not in CONTRACT_FAULTS), broken=())

    def refusal(self, otherwise: str = "a refusal") -> str:
        """Return the codes for the certain faults of the request, in words. If it has none, return `otherwise`."""
        found = sorted({code for fault in self.certain for code in self._refusals(fault)})
        return " or ".join(f"HTTP {code}" for code in found) or otherwise

    def allows(self, status_code: int) -> bool:
        """Whether the contract allows this status code."""
        if is_success(status_code):
            return not self.certain and self._has_success(status_code)
        if not self.is_vouched:
            return status_code == HTTPStatus.NOT_MODIFIED or self.operation.response(status_code) is not None
        if any(status_code in self._refusals(fault) for fault in (*self.certain, *self.possible)):
            return True
        if not self.certain and status_code not in FAULT_CODES:
            return self.operation.response(status_code) is not None  # A conflict, say, or a documented redirect.
        # Where the contract has no code for what is wrong, every refusal is as good.
        is_silent = self.certain and not any(self._refusals(fault) for fault in self.certain)
        return bool(is_silent) and is_refusal(status_code)

    def _has_success(self, status_code: int) -> bool:
        """Whether a success is documented. A `default` stands for errors where there is a 2xx beside it."""
        responses = self.operation.responses
        if str(status_code) in responses or "2XX" in responses:
            return True
        return "default" in responses and not any(code.startswith("2") for code in responses)

    def _refusals(self, fault: RequestFault) -> tuple[int, ...]:
        """Return the status codes with which the operation may refuse a fault."""
        documented = (tuple(filter(self.operation.response, group)) for group in REFUSAL_CODES[fault])
        return next(filter(None, documented), ())

    def describe(self, status_code: int) -> str:
        """Return what is expected in the place of a status code, in words."""
        if not self.is_vouched and not self.certain and not is_success(status_code):
            return " or ".join(f"HTTP {code}" for code in self.operation.responses) or "a success"
        if not self.certain:
            codes = [code for code in self.operation.responses if code.startswith("2")] or self.operation.responses
            return " or ".join(f"HTTP {code}" for code in codes) or "no answer, as the contract lists none"
        otherwise = "a refusal that the contract lists" if is_refusal(status_code) else "a refusal"
        return f"{self.refusal(otherwise)}, because {self.certain[0]}"

    def kind_of(self, status_code: int) -> tuple[str, Severity | None]:
        """Return the kind of the finding for a status code that is not allowed, and its severity.

        None: the severity is that of the kind. An unexpected refusal hurts callers if the question was a good one,
        because we asked it, or because it had been answered before. Otherwise it is one more code that the contract
        lacks.
        """
        is_documented = self.operation.response(status_code) is not None
        if is_redirect(status_code):
            return "redirected", None
        if is_success(status_code):
            return self._kind_of_success(is_documented=is_documented), None
        if self.is_vouched or (self.was_answered and not self.certain):
            kind = self._kind_of_refusal(status_code, is_documented=is_documented)
            is_passing = not self.is_vouched and (status_code in MOMENTARY_CODES or not is_refusal(status_code))
            return kind, Severity.ADDITIVE if is_passing and kind == "status-undocumented" else None
        return "status-undocumented", Severity.ADDITIVE

    def _kind_of_success(self, *, is_documented: bool) -> str:
        if not KEY_FAULTS.isdisjoint(self.certain):
            return "auth-lost"
        if self.certain == (RequestFault.UNKNOWN,):
            return "unknown-answered"
        if self.certain:
            return "validation-lost"
        return "status-changed" if is_documented else "status-undocumented"

    def _kind_of_refusal(self, status_code: int, *, is_documented: bool) -> str:
        if status_code in NO_SUCH_THING and not (is_documented and self.certain):
            return "endpoint-gone"
        if status_code in KEY_REFUSED and KEY_FAULTS.isdisjoint(self.certain):
            return "auth-changed"
        if status_code in REQUEST_REFUSED and not self.certain:
            return "request-refused"
        return "status-changed" if is_documented else "status-undocumented"
