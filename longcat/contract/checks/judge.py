"""Judges an exchange by the contract. Everything is derived from the spec and from the request itself."""

import re
import traceback
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from attrs import Factory, define, evolve, frozen

from longcat.contract.checks.answer import (
    PLACEHOLDERS_PUT,
    announcements,
    compare_answer,
    compare_body,
    compare_headers,
)
from longcat.contract.checks.content import documented_media, error_schema, lists_all_of
from longcat.contract.checks.credentials import names_a_secret
from longcat.contract.checks.mismatch import CheckResult, Gap, Mismatch, show_body, show_value, with_gaps
from longcat.contract.checks.observation import Observation, observe
from longcat.contract.checks.request.expect import expect
from longcat.contract.checks.status_codes import (
    EXPECTED_PATH_REFUSAL,
    FROM_CDN,
    METHOD_REFUSAL,
    NO_SUCH_PATH,
    PATH_REFUSAL,
    Expectation,
    is_success,
    not_found_answers,
)
from longcat.contract.codes import CODES
from longcat.contract.lazy import cached_property
from longcat.contract.model import BodyEvidence, Exchange, Finding, Inconclusive
from longcat.contract.openapi.operation import Operation, Response
from longcat.contract.openapi.spec import Spec
from longcat.contract.openapi.urls.templates import split_url
from longcat.contract.placeholders import holds_placeholder, is_placeholder
from longcat.text.pointer import parent

__all__ = ["Judgement", "concerns", "judge", "outage"]

_CDN_WORDS: Final = re.compile(rb"\s*error code: \d{3,4}\s*")
_METHOD: Final = re.compile(r"[A-Z-]{1,32}")
MAX_METHODS: Final = 16
"""How many methods of an `Allow` header are looked at."""
ELSEWHERE: Final = "not of this contract: a path that it does not have"
_WITH_SLASHES: Final = (
    "a parameter of its path has slashes in its value, which OpenAPI does not know; it was taken for that path"
)


def judge(spec: Spec, exchange: Exchange) -> Iterator[Finding]:
    """Yield how an exchange differs from the contract; nothing for an inconclusive answer (see `outage`).

    What the answer should have been follows from the request, and from what its asker knows. Nothing is said about an
    exchange that is none of ours (see `concerns`).
    """
    return Judgement(spec, exchange).findings()


def outage(spec: Spec, exchange: Exchange) -> str | None:
    """Return why an answer is inconclusive, in words. None: it can be judged.

    See `Judgement.outage` for which answers are.
    """
    return Judgement(spec, exchange).outage


def concerns(spec: Spec, exchange: Exchange) -> bool:
    """Whether an exchange is about the contract: with one of its servers, or known to be so."""
    return observe(spec, exchange).is_concerned


@define
class _Result:
    """The findings about an exchange. After a limit, or a fault of ours, the rest of them is missing.

    Attributes:
        operation: the one that was called. None: the exchange fits no operation of the contract.
        path: as in a finding.
        is_documented: whether the contract has this answer, as JSON.
        body: what its body is as evidence.
        is_compared: whether the answer was held against what the contract has for it.
    """

    is_concerned: bool = True
    operation: Operation | None = None
    path: str = ""
    is_documented: bool = False
    body: BodyEvidence = "none"
    is_compared: bool = False
    outage: str | None = None
    mismatches: list[Mismatch] = Factory(list)
    gaps: list[Gap] = Factory(list)


@frozen(slots=False)  # A cached property is looked up faster there.
class Judgement:
    """The judgement of an exchange by a contract. It is made once, when it is first asked for.

    Nothing is raised for an exchange, whatever is in it: what can't be judged is among the gaps.
    """

    spec: Spec
    exchange: Exchange

    def share_result_with(self, later: "Judgement") -> None:
        """Spare a judgement the work whose exchange differs from this one's only in what no check reads."""
        vars(later)["_result"] = self._result

    @property
    def is_sure(self) -> bool:
        """Whether all of the exchange was judged."""
        return not self._result.gaps and self._result.outage is None

    @property
    def agrees(self) -> bool:
        """Whether all of it was judged, and nothing differs from the contract."""
        return self.is_sure and not self._result.mismatches

    @property
    def is_concerned(self) -> bool:
        """Whether the exchange is about the contract (see `Observation.is_concerned`)."""
        return self._result.is_concerned

    @property
    def operation(self) -> Operation | None:
        """The operation that was called. None: the exchange is about none of the contract's, or nobody can tell."""
        return self._result.operation

    @property
    def _operation_id(self) -> str | None:
        return self._result.operation.operation_id if self._result.operation else None

    @property
    def outage(self) -> str | None:
        """The reason in words for which the answer is inconclusive. None: it can be judged, but for the gaps.

        * A page of the CDN in front, whatever its status: it was not the gateway that answered.
        * A 429: the gateway did not look at the request.
        * A 5xx without JSON: something broke, and a broken service keeps no contract.
        * A 5xx in its documented form, where the request was good or there is no such path. The contract allows that
          answer at any time, so it is no drift, and it says nothing about what was asked.

        Where a bad request gets a 5xx with JSON, the gateway looked and has lost a check, which is drift. A 429 or 5xx
        with JSON in another form than the documented one is judged, because its form is what callers read.
        """
        return self._result.outage

    @property
    def is_documented(self) -> bool:
        """Whether the contract has this answer, such as a 429 or a 500 in its documented form."""
        return self._result.is_documented

    @property
    def body(self) -> BodyEvidence:
        """The body of the answer as evidence. For no operation of the contract, it is none."""
        return self._result.body

    @property
    def is_compared(self) -> bool:
        """Whether the exchange says anything about the contract: its answer was compared, or it differs anyway.

        An answer that the contract does not have, and one whose body is not there, agree with nothing.
        """
        return bool(self._result.mismatches) or self._result.is_compared

    @property
    def gaps(self) -> tuple[Inconclusive, ...]:
        """The parts of the exchange that were not judged, and why. There may be findings in the rest of it."""
        if not self._result.gaps:
            return ()
        source, operation, gaps = self.exchange.source, self._operation_id, dict.fromkeys(self._result.gaps)
        return tuple(Inconclusive(source, one.why, unclear=one.unclear, operation=operation) for one in gaps)

    def findings(self) -> Iterator[Finding]:
        """Yield how the exchange differs from the contract; nothing in an outage."""
        for mismatch in self._result.mismatches:
            yield Finding(
                code=mismatch.code,
                severity=mismatch.severity or CODES[mismatch.code].severity,
                operation=self._operation_id,
                pointer=mismatch.pointer,
                expected=mismatch.expected,
                seen=mismatch.seen,
                exchange=self.exchange,
                rule=mismatch.rule,
                evidence=mismatch.evidence,
                place=mismatch.place,
                path=self._result.path,
                times=mismatch.times,
                others=mismatch.others,
            )

    @cached_property
    def _result(self) -> _Result:
        result = _Result()
        try:
            for one in self._check(result):
                if isinstance(one, Gap):
                    result.gaps.append(one)
                else:
                    result.mismatches.append(one)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this exchange, and not the whole run.
            result.gaps.append(Gap(describe_fault(error)))
        return result

    @with_gaps
    def _check(self, result: _Result) -> Iterator[CheckResult]:
        """Yield the mismatches and gaps, and enter into the result what is known of the exchange as a whole."""
        observation = self.observation
        result.is_concerned = observation.is_concerned
        if not result.is_concerned:
            return
        result.operation = observation.operation
        result.path = observation.path
        result.outage = self._find_outage()
        if result.outage is not None:
            result.is_documented = self._is_documented_json
        elif (expected := self._expectation) is not None:
            yield from self._check_answer(expected)
        else:
            yield from self._check_unknown_operation()
        if observation.operation is not None:
            result.body = self._body_evidence()
            has_no_body = result.body == "none" and observation.documented is not None
            result.is_compared = result.body == "compared" or has_no_body
        else:
            result.is_compared = self.exchange.is_vouched_for
        yield from map(Gap, observation.comparison.budget.reasons)

    @cached_property
    def observation(self) -> Observation:
        """The exchange, with what of the contract it is about."""
        return observe(self.spec, self.exchange)

    # --- Whether the answer is evidence.

    def _find_outage(self) -> str | None:
        """Return why the answer is inconclusive (see `outage`). None: it can be judged."""
        observation, code = self.observation, self.observation.status_code
        body = self.exchange.response_body or b""
        is_challenge = "challenge" in self.exchange.response_headers.get("cf-mitigated", "")
        # Recorded traffic may ask whether something has changed, and 304 says that it has not.
        is_unchanged = code == HTTPStatus.NOT_MODIFIED and not self.exchange.is_vouched_for
        if is_unchanged or (is_success(code) and not is_challenge):
            return None
        reason = None
        if code < HTTPStatus.OK or code == HTTPStatus.NOT_MODIFIED:
            reason = "nothing was sent"
        elif code in FROM_CDN and not self._is_judged_refusal:
            reason = "the gateway did not answer"
        elif is_challenge:
            reason = "the CDN in front asks for a browser"
        elif code == HTTPStatus.FORBIDDEN and (observation.is_page or _CDN_WORDS.fullmatch(body)):
            reason = f"the CDN in front refused, with {show_body(body)}"
        elif code == HTTPStatus.TOO_MANY_REQUESTS:
            reason = None if self._has_undocumented_form or self._is_judged_refusal else "too many questions"
        elif code >= HTTPStatus.INTERNAL_SERVER_ERROR and code != HTTPStatus.NOT_IMPLEMENTED:
            with_body = "" if observation.response_json.is_json else f", with {show_body(body)}"
            reason = f"the gateway broke down{with_body}" if with_body or not self._is_judged_breakdown else None
        return reason and f"HTTP {code}: {reason}"

    @property
    def _is_judged_refusal(self) -> bool:
        """Whether a refusal is judged although the same question may be answered later.

        A probe asks again. In recorded traffic nobody does, so that a 429 is judged there if its body is JSON or
        missing, and any other refusal if the contract has it, as JSON.
        """
        observation = self.observation
        if self.exchange.is_vouched_for or observation.operation is None:
            return False
        if observation.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return self._is_documented_json
        return observation.response_json.is_json or not self.exchange.response_body

    @property
    def _is_documented_json(self) -> bool:
        return self.observation.documented is not None and self.observation.response_json.is_json

    @property
    def _has_undocumented_form(self) -> bool:
        """Whether the answer is JSON, and not of the form that the contract documents for its status code."""
        return self._is_documented_json and self._differs

    @property
    def _is_judged_breakdown(self) -> bool:
        """Whether a 5xx with JSON is to be judged: a lost check, an undocumented code, or another form."""
        expected = self._expectation
        if expected is None:
            return False
        return bool(expected.certain) or self.observation.documented is None or self._has_undocumented_form

    # --- What the answer should be, and how it differs from that.

    @cached_property
    def _expectation(self) -> Expectation | None:
        """The answers that may come. None: the contract has no such operation."""
        operation = self.observation.operation
        return expect(self.observation, operation) if operation else None

    @cached_property
    def _compared(self) -> tuple[CheckResult, ...]:
        """The differences of the answer from what is documented for its status code, and what of it was not judged."""
        response = self.observation.documented
        if response is None:
            return ()
        return (*compare_headers(self.observation, response), *self._body_compared, *self._placeholders())

    @cached_property
    def _body_compared(self) -> tuple[CheckResult, ...]:
        """The differences of the body from the documented one, and what of it was not judged."""
        response = self.observation.documented
        return tuple(compare_body(self.observation, response)) if response else ()

    def _placeholders(self) -> Iterator[Gap]:
        """Yield that placeholders stand in the body: of what they stand for, nothing is known."""
        body = self.exchange.response_body if self.observation.is_body_recorded else None
        if self.exchange.may_be_filtered and holds_placeholder(body or b""):
            yield Gap(PLACEHOLDERS_PUT, unclear=False)

    @property
    def _differs(self) -> bool:
        """Whether the answer differs from what is documented for its status code."""
        return any(isinstance(one, Mismatch) for one in self._compared)

    def _body_evidence(self) -> BodyEvidence:
        """Return what the body of the answer is as evidence."""
        observation, response = self.observation, self.observation.documented
        if not observation.has_body or (response is not None and not response.content):
            return "none"
        if not observation.is_body_recorded:
            return "unrecorded"
        is_whole = response is not None and not any(isinstance(one, Gap) for one in self._body_compared)
        return "compared" if is_whole and response is not None and not self._has_unusable_schema(response) else "read"

    def _has_unusable_schema(self, response: Response) -> bool:
        """Whether nothing of the schema for the body can be used, because of a defect in the contract."""
        media, schemas = documented_media(self.observation, response), self.spec.schemas
        schema = media and (media.item_schema or media.schema)
        applied, defects = schemas.applied((schema,)) if schema else (), schemas.document.defects
        return any(one in defects for one in applied) and all(
            one in defects or schemas.at(one).keys() == {"$ref"} for one in applied
        )

    # --- An answer of a documented operation.

    def _check_answer(self, expected: Expectation) -> Iterator[CheckResult]:
        observation, operation = self.observation, expected.operation
        yield from expected.gaps
        if observation.located.spans:
            yield Gap(_WITH_SLASHES, unclear=False)
        broken: tuple[Mismatch, ...] = ()
        if expected.broken and self._answers_a_bad_request(operation):
            yield from self._broken_rules(expected)
            broken, expected = expected.broken, expected.forgiving()
        if expected.allows(observation.status_code) or self._fits_default(expected):
            yield from (one for one in self._compared if not _follows_from(broken, one))
        else:
            yield self._unexpected_status(expected)
        if not operation.deprecated:
            yield from announcements(observation, observation.documented)

    def _fits_default(self, expected: Expectation) -> bool:
        """Whether a success that the contract does not list has the form of its `default`, which is for all others."""
        is_judged = self.observation.documented is not None and not expected.is_vouched and not expected.certain
        return is_judged and not self._differs

    def _answers_a_bad_request(self, operation: Operation) -> bool:
        """Whether the answer is a success, and not an error with the code of one."""
        value = self.observation.response_json.value
        if not is_success(self.observation.status_code):
            return False
        error = error_schema(self.observation, [operation], value)
        return error is None or (not self._differs and lists_all_of(self.observation, error, value))

    def _broken_rules(self, expected: Expectation) -> Iterator[Mismatch]:
        """Yield each rule that the request breaks, though it was answered as if it were good."""
        answer = f"answered with {self.observation.describe_status()}: the contract lags, or a check was lost"
        for one in expected.broken:
            is_secret = one.seen != "missing" and any(map(names_a_secret, (*map(str, one.path), one.location)))
            shown = evolve(one, seen="a value that is not shown", evidence=None, others=()) if is_secret else one
            wanted, seen = f"{one.expected}, or else {expected.refusal()}", f"{shown.seen}, {answer}"
            yield evolve(shown, code="validation-lost", expected=wanted, seen=seen)

    def _unexpected_status(self, expected: Expectation) -> Mismatch:
        """Return the mismatch of a status code that was not expected. The body is not compared then."""
        operation, code = expected.operation, self.observation.status_code
        rule = f"{operation.pointer}/responses"
        if is_success(code) and expected.certain:
            hidden_error = self._error_in_success([operation], rule, expected.describe(code))
            if hidden_error is not None:
                return hidden_error
        kind, severity = expected.kind_of(code)
        return evolve(self._status_mismatch(kind, rule, expected.describe(code)), severity=severity)

    def _status_mismatch(self, kind: str, rule: str, expected: str) -> Mismatch:
        seen, value = self.observation.describe_status(), self.observation.response_json.value
        is_new = kind in {"method-new", "path-new"}
        place = self._new(self.exchange.method) if is_new else f"status:{self.observation.status_code}"
        return Mismatch(kind, (), rule, expected, seen, value, "status", place)

    def _new(self, method: str) -> str:
        """Return the place of a method that is new, at this path."""
        return f"{method.upper()} {self.observation.path}"

    def _error_in_success(self, operations: Sequence[Operation], rule: str, expected: str) -> Mismatch | None:
        """Return the mismatch of an error that came with the code of a success. None: it is no error."""
        value = self.observation.response_json.value
        if error_schema(self.observation, operations, value) is None:
            return None
        seen = f"{self.observation.describe_status()} with {show_value(value)}"
        return Mismatch("error-in-success", (), rule, expected, seen, value)

    # --- An answer of an operation that the contract does not have.

    def _check_unknown_operation(self) -> Iterator[CheckResult]:
        if self.exchange.method == "OPTIONS":
            return  # By OPTIONS a browser asks about its own rules (CORS); a server or CDN may answer for any path.
        yield from self._check_other_method() if self.observation.at_path else self._check_other_path()
        yield from announcements(self.observation, None)

    def _check_other_method(self) -> Iterator[CheckResult]:
        """Yield that a method is new: it is answered, or `Allow` names it."""
        observation = self.observation
        at_path, exchange = observation.at_path, observation.exchange
        methods = [one.method for one in at_path]
        if exchange.method == "HEAD" and "GET" in methods:
            return
        rule, only = parent(at_path[0].pointer), f"only {' and '.join(methods)}"
        if is_success(exchange.status_code) and not exchange.is_vouched_for:
            yield self._status_mismatch("method-new", rule, only)
        elif is_success(exchange.status_code):
            yield self._error_in_success(at_path, "", "a refusal") or self._status_mismatch(
                "method-new", rule, f"a refusal, because there is {only}"
            )
        elif exchange.status_code == METHOD_REFUSAL:
            allowed = {word.strip().upper() for word in exchange.response_headers.get("allow", "").split(",")}
            for one in sorted(filter(_METHOD.fullmatch, allowed - {*methods, "HEAD", "OPTIONS"}))[:MAX_METHODS]:
                yield Mismatch("method-new", (), rule, only, one, [one], "header:allow", self._new(one))

    def _check_other_path(self) -> Iterator[CheckResult]:
        """Yield what is wrong with the answer to a path that the contract does not have.

        Its status code should be `PATH_REFUSAL`, if the contract documents that code for any operation of the server.
        If it documents one form of it for all of these, the answer should have that form. Recorded traffic may well go
        to paths of another contract: of that, only a success is told.
        """
        spec, code = self.spec, self.observation.status_code
        if not self.exchange.is_vouched_for:
            segments = split_url(self.exchange.url).path.split("/")
            if is_success(code) and self.exchange.may_be_filtered and any(map(is_placeholder, segments)):
                yield Gap(PLACEHOLDERS_PUT, unclear=False)  # It may stand for a part of a path that the contract has.
            elif is_success(code):
                yield self._status_mismatch("path-new", "/paths", "a path that the contract has")
            else:
                yield Gap(ELSEWHERE, unclear=False)
            return
        operations = spec.operations_at(self.exchange.url) or spec.operations
        documented = not_found_answers(operations)
        if is_success(code):
            yield self._error_in_success(operations, "", "a refusal") or self._status_mismatch(
                "path-new", "/paths", EXPECTED_PATH_REFUSAL
            )
        elif documented and code not in NO_SUCH_PATH:
            yield self._status_mismatch("status-changed", "", EXPECTED_PATH_REFUSAL)
        elif code == PATH_REFUSAL and _have_one_form(documented):
            yield from compare_answer(self.observation, documented[0])


def _follows_from(broken: Sequence[Mismatch], one: CheckResult) -> bool:
    """Whether a mismatch only says that the answer does not give back a value that was wrong in the request."""
    names = {rule.path[-1] if rule.path else rule.location.partition(":")[2] for rule in broken}
    return isinstance(one, Mismatch) and one.code == "answer-mismatched" and one.path[-1] in names


def _have_one_form(responses: list[Response]) -> bool:
    """Whether there are documented responses, and all have the same media types and schemas."""
    forms = {tuple((media.media_type, media.schema) for media in one.content.values()) for one in responses}
    return len(forms) == 1


def describe_fault(error: Exception) -> str:
    """Return what went wrong inside of longcat, in words: only its kind and place, as its message may hold a secret."""
    place = next(iter(reversed(traceback.extract_tb(error.__traceback__))), None)
    where = f" in line {place.lineno} of {Path(place.filename).name}" if place else ""
    return f"it can't be judged, for a fault of longcat: {type(error).__name__}{where}. Please report it"
