"""An exchange, matched with the contract and decoded once, for all checks."""

from collections.abc import Container, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from urllib.parse import unquote

from attrs import evolve, frozen

from longcat.contract.checks.body import Decoded, body_text, charset_of, decode_json, is_html, media_type_of
from longcat.contract.checks.comparison import Comparison
from longcat.contract.checks.mismatch import show_body, show_path
from longcat.contract.checks.request.parameters import RawParameters, compare_parameter, is_right_segment
from longcat.contract.checks.status_codes import BODILESS, is_redirect, is_success
from longcat.contract.lazy import cached_property
from longcat.contract.model import Exchange
from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.limits import StepBudget
from longcat.contract.openapi.operation import Operation, Response, first_json, media_for
from longcat.contract.openapi.schema.fields import Direction
from longcat.contract.openapi.spec import Located, Spec
from longcat.contract.openapi.urls.paths import plain_name
from longcat.contract.openapi.urls.templates import PARAMETER
from longcat.contract.placeholders import MAX_PLACEHOLDER, is_placeholder, is_placeholder_alone, with_quotes
from longcat.text import show, without_query


@frozen(slots=False)  # A cached property is looked up faster there.
class Observation:
    """An exchange, and what of the contract it is about. `observe` makes one.

    All that is derived raises UnjudgeableError when the exchange passes a limit of `openapi.limits`.

    Attributes:
        located: what of the contract its URL means.
        operation: the one that was called. None: the contract has none for this path and method.
    """

    spec: Spec
    exchange: Exchange
    located: Located
    operation: Operation | None

    @property
    def at_path(self) -> tuple[Operation, ...]:
        """The operations of its path, whichever their method. Empty: the contract has no such path."""
        return self.located.operations

    @cached_property
    def path_values(self) -> Mapping[str, str]:
        """The values of the path's parameters."""
        return {name: unquote(value) for name, value in self.located.values.items()} if self.located.values else {}

    @cached_property
    def raw_parameters(self) -> RawParameters:
        """The parameters of the request, as they were sent."""
        return RawParameters(self.exchange, self.located.values)

    @property
    def plain_path(self) -> str:
        """The path of its operation without a fragment, which never travels."""
        return self.operation.path.partition("#")[0] if self.operation else ""

    @property
    def status_code(self) -> int:
        """The status code of the answer."""
        return self.exchange.status_code

    @cached_property
    def documented(self) -> Response | None:
        """The answer that the operation documents for the status code. None: it documents none."""
        return self.operation.response(self.status_code) if self.operation else None

    @cached_property
    def media_type(self) -> str:
        """The media type of the answer's body; empty when its headers name none."""
        return media_type_of(self.exchange.response_headers)

    @cached_property
    def response_json(self) -> Decoded:
        """The answer's body as JSON. One that was not recorded is as an empty one."""
        body, charset = self.exchange.response_body or b"", charset_of(self.exchange.response_headers)
        decoded = decode_json(body, charset)
        return (
            decoded if decoded.is_json or not self.exchange.may_be_filtered else decode_json(with_quotes(body), charset)
        )

    @cached_property
    def response_text(self) -> str:
        """The answer's body as text, with what can't be decoded replaced. Empty: it was not recorded, or is empty."""
        charset = charset_of(self.exchange.response_headers)
        return body_text(self.exchange.response_body or b"", charset, "replace")

    @cached_property
    def request_json(self) -> Decoded:
        """The request's body as JSON. One that was not recorded is as an empty one."""
        return decode_json(self.exchange.request_body or b"", charset_of(self.exchange.request_headers))

    @cached_property
    def comparison(self) -> Comparison:
        """Compares the values of the answer with the schemas of the contract."""
        return self._comparison(Direction.RESPONSE)

    @cached_property
    def request_comparison(self) -> Comparison:
        """Compares the values of the request with the schemas of the contract."""
        return self._comparison(Direction.REQUEST)

    def _comparison(self, direction: Direction) -> Comparison:
        scheme, spec = self.exchange.url.partition(":")[0].lower(), self.spec
        is_filtered, is_complete = self.exchange.may_be_filtered, spec.examples_are_complete
        return Comparison(spec.schemas, scheme, is_complete, is_filtered, direction, self._budget)

    @cached_property
    def _budget(self) -> StepBudget:
        return StepBudget.of_body(self.exchange.response_body)

    @property
    def has_body(self) -> bool:
        """Whether an answer to this method and with this code has a body at all (RFC 9110, section 6.4.1)."""
        return self.exchange.method != "HEAD" and self.status_code >= HTTPStatus.OK and self.status_code not in BODILESS

    @cached_property
    def is_body_recorded(self) -> bool:
        """Whether the answer's body is there: neither left out, nor emptied, nor replaced by a recorder."""
        exchange, body = self.exchange, self.exchange.response_body
        if body is None or not exchange.may_be_filtered:
            return body is not None
        if is_placeholder_alone(body[: MAX_PLACEHOLDER + 1].decode("utf-8", "replace")):
            return False
        length = exchange.response_headers.get("content-length", "").strip()
        return bool(body) or not self.has_body or not length.isdecimal() or not length.strip("0")

    @property
    def is_concerned(self) -> bool:
        """Whether it is about the contract: with one of its servers, or known to be so.

        A file of recorded traffic may hold much else. An exchange that we asked for ourselves, or whose origin is
        known, is with the gateway. If the contract names no host, any host will do whose URL has one of its paths.
        """
        exchange = self.exchange
        return exchange.origin != "unknown" or exchange.intent is not None or self.spec.covers(exchange.url)

    @property
    def is_page(self) -> bool:
        """Whether the answer is an HTML page."""
        return is_html(self.exchange.response_body or b"", self.media_type)

    @cached_property
    def path(self) -> str:
        """The path of the URL as the contract has it; where it does not, as it was asked for, with `*` for ids."""
        at_path = (self.operation,) if self.operation else self.at_path
        if at_path:
            return at_path[0].path
        return show_path(self.located.new_path or self.spec.general_path(self.exchange.url))

    def describe_status(self) -> str:
        """Return the status code in words, with where it leads, or with the page that came."""
        headers = self.exchange.response_headers
        if is_redirect(self.status_code) and "location" in headers:
            return f"HTTP {self.status_code} to {show(headers['location'], without_query)}"
        page = f", {show_body(self.exchange.response_body or b'')}" if self.is_page else ""
        return f"HTTP {self.status_code}{page}"


def observe(spec: Spec, exchange: Exchange) -> Observation:
    """Return an exchange with what of the contract it is about."""
    located = spec.locate(exchange.url, exchange.method, partial(_choose, spec, exchange))
    found = Observation(spec, exchange, located, located.operation(exchange.method))
    return _elsewhere(found) or found


def _elsewhere(observation: Observation) -> Observation | None:
    """Return an exchange that only seems to be about a documented path, with what it is about. None: it is about that.

    A value in the path is wrong then. A gateway may have `/users/types` as well as `/users/{id}`, though the contract
    has only the second: so it is if the whole answer is another one. If the contract has both, the method may be new.
    """
    operation, exchange, spec = observation.operation, observation.exchange, observation.spec
    if operation is None or exchange.is_vouched_for or not is_success(exchange.status_code):
        return None
    try:
        wrong = _wrong_in_path(observation, operation)
        if not wrong:
            return None
        first = spec.locate(exchange.url)
        if operation not in first.operations:
            return Observation(spec, exchange, first, first.operation(exchange.method))
        if not _is_about_another_thing(observation):
            return None
    except UnjudgeableError:
        return None
    path = PARAMETER.sub(lambda found: wrong.get(plain_name(found[1]), "*"), observation.plain_path)
    return Observation(spec, exchange, Located(new_path=path), None)


def _wrong_in_path(observation: Observation, operation: Operation) -> dict[str, str]:
    """Return the values in the path that the operation does not allow, by the names of their parameters."""
    sent, comparison = observation.raw_parameters, observation.request_comparison
    return {
        one.name: sent.path_value(one.name)
        for one in operation.parameters
        if one.location == "path"
        and not is_right_segment(comparison.schemas, one, sent)
        and compare_parameter(comparison, one, sent)
        and not any(map(is_placeholder, sent.texts(one)))
    }


def _is_about_another_thing(observation: Observation) -> bool:
    """Whether the answer is JSON without any field of the documented one, or a list where that is an object."""
    media = first_json(observation.documented.content) if observation.documented else None
    if media is None or media.schema is None or not observation.response_json.is_json:
        return False
    value, comparison = observation.response_json.value, observation.comparison
    if not isinstance(value, dict):
        return comparison.is_of_another_type((media.schema,), value)
    named = comparison.fields(media.schema, value).named
    return bool(named) and bool(value) and named.keys().isdisjoint(value)


def _choose(spec: Spec, exchange: Exchange, found: Sequence[Located]) -> Located:
    """Return which of several paths an exchange is about: the first whose parameters have values that are allowed.

    Keys of `paths` that differ in nothing but a fragment are the same to a gateway. Of these, it is the one that fits
    the exchange best.
    """
    observed = [Observation(spec, exchange, one, one.operation(exchange.method)) for one in found]
    fitting = [one for one in observed if _has_right_parameters(one, ("path",))] or observed
    path = fitting[0].plain_path
    alike = [one for one in fitting if one.plain_path == path]
    chosen = max(alike, key=_score).located if len(alike) > 1 else fitting[0].located
    return evolve(chosen, is_chosen=True)


def _has_right_parameters(observation: Observation, locations: Container[str]) -> bool:
    """Whether the parameters in some locations have values that the operation allows."""
    operation, comparison = observation.operation, observation.request_comparison
    if operation is None:
        return False
    try:
        found = [(one, compare_parameter(comparison, one, observation.raw_parameters)) for one in operation.parameters]
    except UnjudgeableError:
        return True
    return all(
        not mismatches and (mismatches is not None or not one.required)
        for one, mismatches in found
        if one.location in locations
    )


def _score(observation: Observation) -> int:
    """Return in how many ways an exchange fits an operation: its parameters, its body, and the answer's media type."""
    operation = observation.operation
    try:
        response = observation.documented
        has_type = response is not None and media_for(response.content, observation.media_type) is not None
        media, decoded = first_json(operation.request if operation else {}), observation.request_json
        schema = media.schema if media is not None and decoded.is_json else None
        has_body = schema is None or observation.request_comparison.allows(schema, decoded.value)
    except UnjudgeableError:
        return 0
    return 2 * has_type + has_body + _has_right_parameters(observation, ("path", "query", "header"))
