"""Collects what of a contract was seen in exchanges: how often, from where, and when last.

What counts is what fits: a field whose value breaks its schema was not seen as the contract has it, and what else is in
the same answer was.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeAlias

from attrs import Factory, define, field, frozen

from longcat.contract.checks.body import media_type_of
from longcat.contract.checks.comparison import COMPARISON_STEPS, Comparison
from longcat.contract.checks.content import exact_media, values_in
from longcat.contract.checks.judge import Judgement, describe_fault
from longcat.contract.checks.observation import Observation
from longcat.contract.checks.request.expect import read_form
from longcat.contract.checks.request.parameters import read_value, readings_of, values_of
from longcat.contract.coverage.items import EMPTY, Content, Item, Trees, key_of_value
from longcat.contract.coverage.parts import REQUEST_BODY, Part, key_of, part_of
from longcat.contract.model import Exchange, Inconclusive, Origin
from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.operation import Media, Operation, first_json, is_json, media_for
from longcat.contract.openapi.schema.fields import Direction
from longcat.contract.openapi.spec import Spec
from longcat.contract.placeholders import is_placeholder

MAX_LIST_ITEMS: Final = 1000
"""How many items of a list are looked at."""
Key: TypeAlias = tuple[Part, Item | None]
"""A part, or a place in its value."""


@define
class Sighting:
    """The times at which something was seen.

    Attributes:
        times: in how many exchanges, by their origin.
        last: the last time, by origin. Without an entry, no exchange of that origin says when it was.
    """

    times: Counter[Origin] = Factory(Counter)
    last: dict[Origin, datetime] = Factory(dict)

    def note(self, exchange: Exchange) -> None:
        """Count an exchange."""
        origin, when = exchange.origin, exchange.recorded
        self.times[origin] += 1
        if when is not None and (origin not in self.last or self.last[origin] < when):
            self.last[origin] = when

    @property
    def latest(self) -> datetime | None:
        """The last time of all. None: nobody says."""
        return max(self.last.values(), default=None)


@define
class SeenOperation:
    """An operation that was seen, with what was seen of it."""

    part: Part
    sightings: dict[Key, Sighting] = Factory(dict)


@define
class Coverage:
    """The parts of a contract that were seen so far. Its size grows with these, and not with the number of exchanges.

    Attributes:
        exchanges: how many there were of this contract, by their origin.
        operations: those that were seen, by method and path.
    """

    spec: Spec = field(repr=False)
    exchanges: Sighting = Factory(Sighting)
    operations: dict[tuple[str, str], SeenOperation] = Factory(dict)
    trees: Trees = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.trees = Trees(self.spec.schemas)

    def note(self, observed: Judgement | Inconclusive) -> Iterator[Inconclusive]:
        """Count an exchange, and yield what of it could not be counted."""
        if isinstance(observed, Inconclusive):
            yield observed
            return
        exchange, operation = observed.exchange, observed.operation
        if operation is None:
            yield Inconclusive(exchange.source, "the contract has no operation for it", unclear=False)
        elif observed.outage is not None and not observed.is_documented:
            yield Inconclusive(exchange.source, observed.outage, unclear=False)
        else:
            name = operation.method, operation.path
            if name not in self.operations:
                self.operations[name] = SeenOperation(part_of(operation, self.trees))
            seen = self.operations[name]
            finder = _Finder(observed.observation, operation, seen.part, self.trees)
            try:
                finder.find()
            except Exception as error:  # noqa: BLE001 - a fault of ours costs this exchange, and not the whole run.
                yield Inconclusive(exchange.source, describe_fault(error), operation=operation.operation_id)
            for key in finder.found:
                seen.sightings.setdefault(key, Sighting()).note(exchange)
            self.exchanges.note(exchange)
        yield from observed.gaps


@define
class _Finder:
    """Finds what there is of an operation in one exchange, as far as it can be judged: its gaps say what can't."""

    observation: Observation
    operation: Operation
    part: Part
    trees: Trees
    found: dict[Key, None] = Factory(dict)

    def find(self) -> None:
        """Find it all."""
        self.found[self.part, None] = None
        for find in (self._parameters, self._request, self._answer):
            with suppress(UnjudgeableError, RecursionError):
                find()

    def _parameters(self) -> None:
        sent = self.observation.raw_parameters
        for one in self.operation.parameters:
            part, found = self.part.parts.get(key_of(one)), list(readings_of(self._comparison, one, sent))
            is_replaced = self._is_filtered and any(map(is_placeholder, sent.texts(one)))
            if part is not None and found and not is_replaced:
                value = found[0].value if part.schema is None else read_value(self._comparison, (part.schema,), found)
                self._value_that_fits(part, value)

    def _value_that_fits(self, part: Part, value: Any) -> None:
        """Find a parameter or a header, and what is in its value."""
        if part.schema is None or self._comparison.allows(part.schema, value):
            self.found[part, None] = None
            self._value(part, value)

    def _request(self) -> None:
        exchange, body = self.observation.exchange, self.part.parts.get(REQUEST_BODY)
        if body is None or not exchange.request_body or "content-encoding" in exchange.request_headers:
            return
        media_type = media_type_of(exchange.request_headers)
        media = media_for(self.operation.request, media_type) if media_type else first_json(self.operation.request)
        if media is None:
            return
        if not is_json(media_type or media.media_type):
            form = read_form(self.observation, media, media_type)
            self._body(body, media, [] if form is None else [form.value])
        elif self.observation.request_json.is_json:
            self._body(body, media, [self.observation.request_json.value])

    def _answer(self) -> None:
        response = self.observation.documented
        if response is None:
            return
        status = self.part.parts.get(response.code)
        if status is None:
            return
        self.found[status, None] = None
        for header in response.headers.values():
            text, part = self.observation.exchange.response_headers.get(header.name), status.parts.get(key_of(header))
            if text is not None and part is not None and not (self._is_filtered and is_placeholder(text)):
                for value in values_of(text):
                    self._value_that_fits(part, value)
        # A body whose type was not recorded is taken for JSON. One of a type that is not documented does not fit.
        media = exact_media(self.observation, response)
        if media is None and not self.observation.media_type:
            media = first_json(response.content)
        if media is not None and self.observation.exchange.response_body:
            self._body(status, media, values_in(self.observation, media))

    def _body(self, body: Part, media: Media, values: Iterable[Any]) -> None:
        part = body.parts.get(media.media_type)
        if part is not None:
            self.found[part, None] = None
            for value in values:
                self._value(part, value)

    def _value(self, part: Part, value: Any) -> None:
        if part.schema is not None:
            observation, top = self.observation, self.trees.tree(part.schema, part.direction).top
            is_sent = part.direction is Direction.REQUEST
            comparison = observation.request_comparison if is_sent else observation.comparison
            _Walk(part, comparison, self.found, self._is_filtered).visit(top, value)

    @property
    def _is_filtered(self) -> bool:
        return self.observation.exchange.may_be_filtered

    @property
    def _comparison(self) -> Comparison:
        return self.observation.comparison


@frozen
class _Walk:
    """Walks a value and its items side by side.

    Attributes:
        is_filtered: whether a recorder may have put placeholders in the place of what was there.
    """

    part: Part
    comparison: Comparison
    found: dict[Key, None]
    is_filtered: bool

    def visit(self, item: Item, value: Any, above: tuple[Content, ...] = ()) -> None:
        """Find what there is at a place and in it. `above` is what the value was already held against as a whole."""
        schemas, content = self.comparison.schemas, item.content
        if content is EMPTY and (self.part, item) in self.found:
            return
        self.comparison.budget.spend(COMPARISON_STEPS)
        if not schemas.meets_assertions(schemas.applied(item.pointers), value):
            return
        listed = content.values.get(key_of_value(value)) if content.values else None
        if listed is not None:
            self.found[self.part, listed] = None
        elif self.is_filtered and isinstance(value, str) and is_placeholder(value):
            return
        self.found[self.part, item] = None
        if any(content is one for one in above):
            return
        members = [branch for union in content.unions for branch in self.comparison.chosen(union, value)]
        members += [found for variants in content.subtypes if (found := variants.find(value)) is not None]
        for branch in members:
            if branch in content.inner:
                self.visit(content.inner[branch], value, (*above, content))
        if isinstance(value, dict):
            self._fields(item, value)
        elif isinstance(value, list):
            self._list(item, value)

    def _fields(self, item: Item, value: Mapping[str, Any]) -> None:
        content = item.content
        fields = self.comparison.schemas.fields(item.schemas)
        for name, inner in value.items():
            if name in content.fields:
                self.visit(content.fields[name], inner)
            elif name not in fields.named:
                for pointer in fields.pointers(name):
                    if pointer in content.inner:
                        self.visit(content.inner[pointer], inner)

    def _list(self, item: Item, value: list[Any]) -> None:
        for index, inner in enumerate(value[:MAX_LIST_ITEMS]):
            for pointer in item.schemas:
                found = item.content.inner.get(f"{pointer}/prefixItems/{index}")
                found = found or item.content.inner.get(f"{pointer}/items")
                if found is not None:
                    self.visit(found, inner)
