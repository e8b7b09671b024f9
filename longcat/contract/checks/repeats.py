"""Judges exchanges. One that is like an earlier one gets the judgement of that one, which saves most of the work.

Recordings of polling hold the same question with the same answer many times over, or with another id, time or progress.
Two exchanges are alike if they differ only in headers that no check reads, and in values of which all that can be said
is that they fit their schemas (see `PlainSchemas`). Such exchanges have the same key.
"""

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Final, TypeAlias

from attrs import Factory, define, field, fields

from longcat.contract.checks.answer import ANNOUNCING, may_differ
from longcat.contract.checks.body import Decoded, media_type_of
from longcat.contract.checks.judge import Judgement
from longcat.contract.checks.media import MediaKind, kind_of
from longcat.contract.checks.mismatch import Mismatch
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.request.parameters import allows_header, compare_parameter, is_right_segment
from longcat.contract.model import Exchange
from longcat.contract.openapi.examples import NO_EXAMPLES, Examples
from longcat.contract.openapi.operation import Operation, Parameter, is_json, media_for
from longcat.contract.openapi.schema.fields import Direction
from longcat.contract.openapi.schema.plain import PlainSchemas
from longcat.contract.openapi.spec import Spec
from longcat.contract.openapi.urls.templates import split_url
from longcat.contract.placeholders import holds_placeholder

MAX_JUDGEMENTS: Final = 256
"""How many judgements are kept."""
MAX_NAMES: Final = 1024
"""Of how many headers and media types it is kept how they are read. Traffic may have any number of them."""
MAX_BODIES: Final = 16 * 1024
"""How large the bodies of an exchange may be whose judgement is kept, in bytes."""
# fmt: off
READ: Final = frozenset({
    "allow", "authorization", "cf-mitigated", "content-encoding", "content-length", "content-type", "cookie", "link",
    "location", "transfer-encoding", "warning",
})
# fmt: on
"""The headers whose values are read, besides those in the contract and those that `ANNOUNCING` finds."""
_TREATED_APART: Final = frozenset({"request_headers", "response_headers", "source", "recorded"})
_OTHER_FIELDS: Final = attrgetter(*(one.name for one in fields(Exchange) if one.eq and one.name not in _TREATED_APART))
"""All of an exchange but its headers, and when and where it was seen."""
_Headers: TypeAlias = Mapping[str, Parameter]
"""The headers that the contract has for an answer, by their names in lower case."""
_BodySchema: TypeAlias = tuple[str, Examples]
"""Where the schema of a body of JSON stands, and what the contract shows of such bodies."""


@define
class CachingJudge:
    """Judges exchanges by one contract."""

    spec: Spec
    _keys: "_Keys" = field(default=Factory(lambda self: _Keys(self.spec), takes_self=True), init=False, repr=False)
    _judgements: dict[Hashable, Judgement] = field(factory=dict, init=False, repr=False)

    def judge(self, exchange: Exchange) -> Judgement:
        """Return what an exchange says about the contract."""
        new = Judgement(self.spec, exchange)
        if len(exchange.request_body or b"") + len(exchange.response_body or b"") > MAX_BODIES:
            return new
        try:
            key = self._keys.key(new.observation)
            known = self._find(key) if key is not None else None
            if known is None and (key is None or not new.agrees):
                key = self._keys.exact_key(new.observation)
                known = self._find(key)
        except Exception:  # noqa: BLE001 - the judgement meets the same fault, and tells of it.
            return new
        if known is not None:
            known.share_result_with(new)
        elif new.is_sure:
            self._judgements[key] = new
            if len(self._judgements) > MAX_JUDGEMENTS:
                del self._judgements[next(iter(self._judgements))]
        return new

    def _find(self, key: Hashable) -> Judgement | None:
        """Return the judgement that has a key, and keep it longest from now on. None: none is kept."""
        known = self._judgements.pop(key, None)
        if known is not None:
            self._judgements[key] = known
        return known


class _Keys:
    """Makes the keys of exchanges."""

    def __init__(self, spec: Spec) -> None:
        self._plain = PlainSchemas(spec.schemas, examples_are_complete=spec.examples_are_complete)
        self._credentials = spec.credentials
        self._has_key_in_query = any(one.location == "query" for one in spec.credentials)
        self._is_read: Callable[[str], bool] = lru_cache(MAX_NAMES)(self._find_is_read)
        self._documented: Callable[[Operation, int], _Headers] = lru_cache(MAX_NAMES)(_documented_headers)
        self._request_schema: Callable[[Operation, str], _BodySchema | None] = lru_cache(MAX_NAMES)(_schema_of_request)
        self._answer_schema: Callable[[Operation, int, str], _BodySchema | None] = lru_cache(MAX_NAMES)(
            _schema_of_answer
        )

    def exact_key(self, observation: Observation) -> Hashable:
        """Return the key that exchanges share which differ only in headers that no check reads."""
        exchange, operation = observation.exchange, observation.operation
        documented = self._documented(operation, exchange.status_code) if operation else ()
        sent = {one.name.lower() for one in operation.parameters} if operation else ()
        return (
            _OTHER_FIELDS(exchange),
            tuple([one for one in exchange.request_headers.items() if one[0] in sent or self._is_read(one[0])]),
            tuple([one for one in exchange.response_headers.items() if one[0] in documented or self._is_read(one[0])]),
            tuple(exchange.request_headers),
            tuple(exchange.response_headers),
        )

    def key(self, observation: Observation) -> Hashable:
        """Return the key that exchanges share which all agree with the contract if one does. None: there is none."""
        exchange, operation, located = observation.exchange, observation.operation, observation.located
        if operation is None or located.is_chosen:
            return None
        parameters: list[list[Mismatch] | None] = []
        if operation.parameters:
            sent, schemas = observation.raw_parameters, observation.spec.schemas
            parameters = [
                []
                if is_right_segment(schemas, one, sent)
                else compare_parameter(observation.request_comparison, one, sent)
                for one in operation.parameters
            ]
            if any(parameters):
                return None
        url, is_asked, is_answered = exchange.url, self._asks_plainly(observation), self._answers_plainly(observation)
        documented = self._documented(operation, exchange.status_code)
        headers = [
            (name, allows_header(observation.comparison, documented[name], value) or value)
            for name, value in exchange.response_headers.items()
            if name in documented
        ]
        return (
            id(operation),
            exchange.method,
            exchange.status_code,
            exchange.origin,
            exchange.intent,
            exchange.answered_before,
            bool(exchange.credentials),
            *url.split("/", 3)[:3],
            split_url(url).query if self._has_key_in_query else "",
            located.spans,
            observation.is_concerned,
            tuple([one is None for one in parameters]),
            is_asked or exchange.request_body,
            is_answered or exchange.response_body,
            self._head(exchange.request_headers, with_length=not is_asked),
            self._head(exchange.response_headers, with_length=not is_answered),
            tuple(headers),
        )

    def _head(self, headers: Mapping[str, str], *, with_length: bool) -> tuple[str | tuple[str, str], ...]:
        """Return headers without the values that no check reads. A plain body makes its length say nothing more."""
        is_read = self._is_read
        return tuple(
            [
                item if is_read(item[0]) and (with_length or item[0] != "content-length") else item[0]
                for item in headers.items()
            ]
        )

    def _find_is_read(self, name: str) -> bool:
        is_key = any(one.location == "header" and one.name.lower() == name for one in self._credentials)
        return is_key or name in READ or any(word in name for word in ANNOUNCING)

    def _asks_plainly(self, observation: Observation) -> bool:
        """Whether the body of the request is JSON that fits a plain schema."""
        exchange, operation = observation.exchange, observation.operation
        if not exchange.request_body or operation is None:
            return False
        found = self._request_schema(operation, exchange.request_headers.get("content-type", ""))
        return found is not None and self._is_plain(observation, found, observation.request_json, Direction.REQUEST)

    def _answers_plainly(self, observation: Observation) -> bool:
        """Whether the body of the answer is JSON that fits a plain schema, and is about what was asked for."""
        exchange, operation, body = observation.exchange, observation.operation, observation.exchange.response_body
        if not body or operation is None or exchange.method == "HEAD" or not observation.has_body:
            return False
        found = self._answer_schema(operation, exchange.status_code, exchange.response_headers.get("content-type", ""))
        if found is None or not self._is_plain(observation, found, observation.response_json, Direction.RESPONSE):
            return False
        value = observation.response_json.value
        is_other = isinstance(value, dict) and may_differ(observation, operation, value)
        return not is_other and not (exchange.may_be_filtered and holds_placeholder(body))

    def _is_plain(self, observation: Observation, of: _BodySchema, decoded: Decoded, direction: Direction) -> bool:
        if not decoded.is_json or decoded.defects or not isinstance(decoded.value, dict | list):
            return False
        pointer, examples = of
        scheme = observation.exchange.url.partition(":")[0].lower()
        return self._plain.checker((pointer,), direction, scheme, examples)(decoded.value)


def _documented_headers(operation: Operation, status_code: int) -> _Headers:
    """Return the headers that the contract has for an answer; none where it does not have the answer."""
    response = operation.response(status_code)
    return response.headers if response else {}


def _schema_of_request(operation: Operation, content_type: str) -> _BodySchema | None:
    """Return what a request's body of JSON is held against. None: it is no JSON, or its type has no schema."""
    media_type = media_type_of({"content-type": content_type})
    media = media_for(operation.request, media_type) if is_json(media_type) else None
    return (media.schema, NO_EXAMPLES) if media is not None and media.schema is not None else None


def _schema_of_answer(operation: Operation, status_code: int, content_type: str) -> _BodySchema | None:
    """Return what an answer's body of JSON is held against. None: as for a request."""
    media_type, response = media_type_of({"content-type": content_type}), operation.response(status_code)
    if response is None or kind_of(media_type) is not MediaKind.JSON:
        return None
    media = media_for(response.content, media_type, content_type)
    return (media.schema, media.examples) if media is not None and media.schema is not None else None
