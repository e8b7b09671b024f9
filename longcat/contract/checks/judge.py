"""What in an exchange differs from the contract: everything is derived from the spec and from the request itself.

What a finding's `rule` and `evidence` are depends on its kind: see `Finding`.
"""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from attrs import frozen

from longcat.contract.checks.answer import announcements, compare_answer, error_schema
from longcat.contract.checks.mismatch import Mismatch, show_body, show_value
from longcat.contract.checks.observation import Observation, observe
from longcat.contract.checks.request import expect
from longcat.contract.checks.status_codes import FROM_CDN, NO_SUCH_PATH, Expectation, is_success
from longcat.contract.codes import CODES
from longcat.contract.lazy import cached_property
from longcat.contract.model import Exchange, Finding
from longcat.contract.openapi.limits import UnjudgeableError
from longcat.contract.openapi.operation import Operation, Response
from longcat.contract.openapi.spec import Spec

__all__ = ["Judgement", "concerns", "judge", "outage"]

_CDN_WORDS: Final = re.compile(rb"\s*error code: \d{3,4}\s*")
_METHOD: Final = re.compile(r"[A-Z-]{1,32}")
MOST_METHODS: Final = 16
"""How many methods of an `Allow` header are looked at."""
_NO_SUCH_PATH: Final = "HTTP 404, as there is no such path"


def judge(spec: Spec, exchange: Exchange) -> Iterator[Finding]:
    """Yield how an exchange differs from the contract; nothing for an inconclusive answer (see `outage`).

    What the answer should have been follows from the request, and from what its asker knows. Nothing is said about an
    exchange that is none of ours (see `concerns`).
    """
    return Judgement.of(spec, exchange).findings()


def outage(spec: Spec, exchange: Exchange) -> str | None:
    """Return why an answer is inconclusive, in words. None: it can be judged.

    See `Judgement.outage` for what counts as such.
    """
    return Judgement.of(spec, exchange).outage


def concerns(spec: Spec, exchange: Exchange) -> bool:
    """Whether an exchange is about the contract: on one of its paths, with one of its servers, or known to be so."""
    return observe(spec, exchange).is_concerned


@frozen(slots=False)  # A cached property is looked up faster there.
class Judgement:
    """What an observation says about the contract. Each part is worked out once, when it is first asked for."""

    observation: Observation

    @classmethod
    def of(cls, spec: Spec, exchange: Exchange) -> "Judgement":
        """Return what an exchange says about a contract."""
        return cls(observe(spec, exchange))

    @property
    def exchange(self) -> Exchange:
        """The exchange that is judged."""
        return self.observation.exchange

    @cached_property
    def outage(self) -> str | None:
        """Why the answer is inconclusive, in words. None: it can be judged.

        * An exchange that passes a limit of `openapi.limits`, such as JSON with more than a hundred levels.
        * A page of the CDN in front, whatever its status: it was not the gateway that answered.
        * A 429: the gateway did not look at the request.
        * A 5xx without JSON: something broke, and a broken service keeps no contract.
        * A 5xx in its documented form, where the request was good or there is no such path. The contract allows that
          answer at any time, so it is no drift, and it says nothing about what was asked.

        Where a bad request gets a 5xx with JSON, the gateway looked and has lost a check, which is drift. A 429 or 5xx
        with JSON in another form than the documented one is judged, because its form is what callers read.
        """
        return self.obstacle or self._breakdown

    @cached_property
    def obstacle(self) -> str | None:
        """Why the exchange can't be judged within the limits, in words. None: it can."""
        return str(self._judged) if isinstance(self._judged, UnjudgeableError) else None

    @cached_property
    def _judged(self) -> tuple[Finding, ...] | UnjudgeableError:
        """All findings, or why there are none."""
        try:
            return () if self._breakdown is not None else tuple(self._findings())
        except UnjudgeableError as error:
            return error
        except RecursionError:
            return UnjudgeableError("it can't be judged: it and its schemas are nested too deeply")

    @cached_property
    def _breakdown(self) -> str | None:
        """Why the answer is no evidence, in words."""
        observation, code = self.observation, self.observation.status_code
        body = observation.exchange.response_body or b""
        is_challenge = "challenge" in observation.exchange.response_headers.get("cf-mitigated", "")
        reason = None
        if is_success(code) and not is_challenge:
            return None
        if code < HTTPStatus.OK or code == HTTPStatus.NOT_MODIFIED:
            reason = "nothing was sent"
        elif code in FROM_CDN:
            reason = "the gateway did not answer"
        elif is_challenge:
            reason = "the CDN in front asks for a browser"
        elif code == HTTPStatus.FORBIDDEN and (observation.is_page or _CDN_WORDS.fullmatch(body)):
            reason = f"the CDN in front refused, with {show_body(body)}"
        elif code == HTTPStatus.TOO_MANY_REQUESTS:
            reason = None if self._has_undocumented_form else "too many questions"
        elif code >= HTTPStatus.INTERNAL_SERVER_ERROR and code != HTTPStatus.NOT_IMPLEMENTED:
            if not observation.response_json.is_json:
                reason = f"the gateway broke down, with {show_body(body)}"
            elif not self._is_conclusive_breakdown:
                reason = "the gateway broke down"
        return reason and f"HTTP {code}: {reason}"

    @property
    def is_documented(self) -> bool:
        """Whether the contract has this answer, such as a 429 or a 500 in its documented form."""
        return self.obstacle is None and self._is_documented_json

    @property
    def _is_documented_json(self) -> bool:
        return self.observation.documented is not None and self.observation.response_json.is_json

    def findings(self) -> Iterator[Finding]:
        """Yield how the exchange differs from the contract; nothing in an outage."""
        if not isinstance(self._judged, UnjudgeableError):
            yield from self._judged

    def _findings(self) -> Iterator[Finding]:
        operation = self.observation.operation
        for mismatch in self._mismatches_elsewhere() if operation is None else self._mismatches_of(operation):
            yield Finding(
                code=mismatch.code,
                severity=CODES[mismatch.code].severity,
                operation=operation.operation_id if operation else None,
                pointer=mismatch.pointer,
                expected=mismatch.expected,
                seen=mismatch.seen,
                exchange=self.exchange,
                rule=mismatch.rule,
                evidence=mismatch.evidence,
                place=mismatch.place,
                path=self.observation.path,
                times=mismatch.times,
                others=mismatch.others,
            )

    @cached_property
    def _expectation(self) -> Expectation | None:
        """What the answer may be. None: the contract has no such operation."""
        operation = self.observation.operation
        return expect(self.observation, operation) if operation else None

    @cached_property
    def _form(self) -> tuple[Mismatch, ...]:
        """How the answer differs from what is documented for its status code."""
        response = self.observation.documented
        return tuple(compare_answer(self.observation, response)) if response else ()

    @property
    def _has_undocumented_form(self) -> bool:
        """Whether the answer is JSON, and not of the form that the contract documents for its status code."""
        return self._is_documented_json and bool(self._form)

    @property
    def _is_conclusive_breakdown(self) -> bool:
        """Whether a 5xx with JSON is to be judged: a lost check, an undocumented code, or another form."""
        if self._expectation is None:
            return False
        return bool(self._expectation.certain) or self.observation.documented is None or self._has_undocumented_form

    # --- An answer of a documented operation.

    def _mismatches_of(self, operation: Operation) -> Iterator[Mismatch]:
        expected, response = self._expectation, self.observation.documented
        if expected is not None and not expected.allows(self.observation.status_code):
            yield self._unexpected_status(operation, expected)
        else:
            yield from self._form
        if not operation.deprecated:
            yield from announcements(self.observation, response)

    def _unexpected_status(self, operation: Operation, expected: Expectation) -> Mismatch:
        """Return the difference that a status code is. What the body is like then follows from it."""
        code, rule = self.observation.status_code, f"{operation.pointer}/responses"
        if is_success(code) and expected.certain:
            hidden_error = self._error_in_success([operation], rule, expected.describe())
            if hidden_error is not None:
                return hidden_error
        return self._status_mismatch(expected.kind_of(code), rule, expected.describe())

    def _status_mismatch(self, kind: str, rule: str, expected: str) -> Mismatch:
        seen, value = self.observation.describe_status(), self.observation.response_json.value
        is_new = kind in {"method-new", "path-new"}
        place = self._new(self.exchange.method) if is_new else f"status:{self.observation.status_code}"
        return Mismatch(kind, (), rule, expected, seen, value, "status", place)

    def _new(self, method: str) -> str:
        """Return the place of a method or a path that is new."""
        return f"{method.upper()} {self.observation.path}"

    def _error_in_success(self, operations: Sequence[Operation], rule: str, expected: str) -> Mismatch | None:
        """Return the difference if a success is in truth an error with a wrong code."""
        if error_schema(self.observation, operations) is None:
            return None
        value = self.observation.response_json.value
        seen = f"{self.observation.describe_status()} with {show_value(value)}"
        return Mismatch("error-in-success", (), rule, expected, seen, value)

    # --- An answer that the contract has no operation for.

    def _mismatches_elsewhere(self) -> Iterator[Mismatch]:
        if self.observation.exchange.method == "OPTIONS" or not self.observation.is_concerned:
            return  # By OPTIONS a browser asks about its own rules (CORS); a server or CDN may answer for any path.
        yield from self._other_method() if self.observation.at_path else self._other_path()
        yield from announcements(self.observation, None)

    def _other_method(self) -> Iterator[Mismatch]:
        """Yield that a method is new: it is answered, or `Allow` names it."""
        observation = self.observation
        at_path, exchange = observation.at_path, observation.exchange
        methods = [one.method for one in at_path]
        if exchange.method == "HEAD" and "GET" in methods:
            return
        rule, only = at_path[0].pointer.rpartition("/")[0], f"only {' and '.join(methods)}"
        if is_success(exchange.status_code):
            yield self._error_in_success(at_path, "", "a refusal") or self._status_mismatch(
                "method-new", rule, f"a refusal, because there is {only}"
            )
        elif exchange.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = {word.strip().upper() for word in exchange.response_headers.get("allow", "").split(",")}
            for one in sorted(filter(_METHOD.fullmatch, allowed - {*methods, "HEAD", "OPTIONS"}))[:MOST_METHODS]:
                yield Mismatch("method-new", (), rule, only, one, [one], "header:allow", self._new(one))

    def _other_path(self) -> Iterator[Mismatch]:
        """Yield what is wrong with the answer to a path that the contract does not have.

        It is a 404 where the contract knows that code at all; if it has one form for all those of the server, then that
        form.
        """
        spec, code = self.observation.spec, self.observation.status_code
        operations = spec.operations_at(self.exchange.url) or spec.operations
        documented = [found for one in operations if (found := one.response(HTTPStatus.NOT_FOUND))]
        if is_success(code):
            yield self._error_in_success(operations, "", "a refusal") or self._status_mismatch(
                "path-new", "/paths", _NO_SUCH_PATH
            )
        elif documented and code not in NO_SUCH_PATH:
            yield self._status_mismatch("status-changed", "", _NO_SUCH_PATH)
        elif code == HTTPStatus.NOT_FOUND and _have_one_form(documented):
            yield from compare_answer(self.observation, documented[0])


def _have_one_form(responses: list[Response]) -> bool:
    """Whether there are documented responses, and all have the same schemas."""
    forms = {tuple((media.media_type, media.schema) for media in one.content.values()) for one in responses}
    return len(forms) == 1
