"""Valid exchanges of any contract, made from its schemas by the generator of schemathesis: the same in every run."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import jsonschema_rs
from attrs import evolve, field, frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from made_schemas import Bundle, extent, validator

from longcat.contract import Operation, Spec, SpecError
from longcat.contract.openapi.document import follow
from longcat.contract.openapi.operation import Media, Parameter, Response, first_json, media_for
from longcat.sandbox.mutator import AnswerRules, RequestRules, SentRequest, SentResponse
from longcat.sandbox.mutator.fields import FieldPath
from longcat.text.pointer import at

UNTELLING: Final = frozenset({403, 429})
"""Status codes of refusals that say little: a CDN refuses with 403, and a gateway with 429, whatever was asked."""
ADDRESSES: Final = ("uri", "uri-reference", "url", "iri", "iri-reference", "email", "idn-email", "hostname")
"""The formats of what many services leave empty where there is none."""
MAX_VALUES: Final = 300
"""How many values a body may have that has every field; of a larger one, some fields are left out."""
DRAWS: Final = 4
"""How many values are drawn of a schema; the one with most fields is taken."""
ELSEWHERE: Final = "https://api.example.com"
"""The host of those whose contract names none."""
FORMATS: Final[Mapping[str, Any]] = {
    "date-time": st.sampled_from(["2024-06-15T10:30:00Z", "2023-01-31T23:59:59Z"]),
    "date": st.sampled_from(["2024-06-15", "2023-01-31"]),
    "time": st.just("10:30:00Z"),
    "uri": st.sampled_from(["https://example.com/cats", "https://example.com/dogs?n=1"]),
    "url": st.just("https://example.com/cats"),
    "uri-reference": st.just("/cats"),
    "email": st.just("ada@example.com"),
    "uuid": st.sampled_from(["3f2b6c1e-8a4d-4c6b-9d2e-5a7f0b1c2d3e", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"]),
    "hostname": st.just("example.com"),
    "ipv4": st.just("192.0.2.7"),
    "ipv6": st.just("2001:db8::7"),
    "byte": st.just("Y2F0cw=="),
    "duration": st.just("PT42S"),
    "password": st.just("sesame seeds"),
}
NOTHING: Final = object()
"""In the place of a request's body: there is none."""
ERROR: Final = 400
"""The first status code that means an error."""


class NothingMadeError(Exception):
    """No valid exchange can be made of an operation."""


@frozen
class MadeExchange:
    """A valid exchange, and what the contract says of it."""

    operation: str
    request: SentRequest
    answer: SentResponse
    rules: AnswerRules
    request_rules: RequestRules


@frozen
class MadeValue:
    """A valid value, and what the contract makes of others in its place.

    Attributes:
        allows: whether one is allowed, whatever fields are new in it.
        lists: whether every field of one is listed, too.
        may_be_empty: whether one would be allowed if no address had to have the form of one.
    """

    value: Any
    allows: Callable[[Any], bool]
    lists: Callable[[Any], bool]
    may_be_empty: Callable[[Any], bool]


@frozen
class Maker:
    """Makes the exchanges of one contract. What comes of a schema is kept, as many operations share some."""

    spec: Spec
    _made: dict[tuple[str, bool], MadeValue | NothingMadeError] = field(factory=dict, init=False, repr=False)

    def exchanges(self, operation: Operation) -> Iterator[MadeExchange]:
        """Yield an exchange for each documented answer of JSON: the first success, and the first refusal.

        Raises NothingMadeError where the request can't be made; an answer that can't be made is left out.
        """
        try:
            found = [(self._code(one), one) for one in operation.responses.values()]
            found = [(code, one) for code, one in found if code not in UNTELLING]
            answers = [(code, one, media) for code, one in found if (media := first_json(one.content)) and media.schema]
        except SpecError as error:
            raise NothingMadeError(str(error)) from None
        chosen = [next((one for one in answers if one[0] // 100 == group), None) for group in (2, 4)]
        errors = [self._body(media) for code, _, media in answers if code >= ERROR][:1]
        for one in filter(None, chosen):
            with suppress(NothingMadeError):
                yield self._exchange(operation, *one, error=errors[0] if errors else None)

    @staticmethod
    def _code(response: Response) -> int:
        return int(response.code[0] + response.code[1:].replace("XX", "00")) if response.code != "default" else 400

    def _body(self, media: Media) -> Any:
        with suppress(NothingMadeError):
            return self._value(str(media.schema), answer=True).value

    def _exchange(self, operation: Operation, code: int, response: Response, media: Media, error: Any) -> MadeExchange:
        made = self._value(str(media.schema), answer=True)
        body, allows = made.value, made.allows
        request, headers = self._request_body(operation)
        echoes: set[str] = set()
        if isinstance(body, dict) and isinstance(request, dict):
            for name in body.keys() & request.keys():
                if isinstance(body[name], str | int) and allows(same := {**body, name: request[name]}):
                    body = same
                    echoes |= {name} if names_something(name) else set()
        url, more, body = self._url(operation, body, allows, echoes)
        answer_headers = {"content-type": media.media_type, **dict(self._headers(response))}
        word = self._word(str(media.schema))
        shown = media.examples.values if self.spec.examples_are_complete else ()
        alike = [one for one in shown if isinstance(one, dict) and one.get(word) == _get(body, word)]
        rules = AnswerRules(
            allows=allows,
            lists=made.lists,
            may_be_empty=lambda value: not self.spec.examples_are_complete and made.may_be_empty(value),
            shows=lambda path: shows(alike, path),
            allows_header=lambda name, value: self._allows_header(response, name, value),
            required_headers=[name for name, header in response.headers.items() if header.required],
            codes=lambda status: operation.response(status) is not None,
            has_type=lambda media_type: media_for(response.content, media_type) is not None,
            word=word,
            echoes=echoes if code < ERROR else (),
            error=error,
            deprecated=operation.deprecated,
        )
        answer = SentResponse(code, tuple(answer_headers.items()), json.dumps(body).encode())
        sent = SentRequest(operation.method, url, {**headers, **more})
        if request is not NOTHING:
            sent = evolve(sent, body=request, has_body=True)
        return MadeExchange(operation.operation_id, sent, answer, rules, self._request_rules(operation, url))

    def _request_rules(self, operation: Operation, url: str) -> RequestRules:
        """Return what the contract says of other requests of an operation."""
        media = first_json(operation.request)
        allows = self._value(media.schema, answer=False).allows if media and media.schema else lambda _: True
        at_path = self.spec.locate(url).operations
        headers = {one.name.lower() for way in operation.security for one in way if one.location == "header"}
        is_path = lambda other: bool(self.spec.locate(other).operations) or not self.spec.serves(other)  # noqa: E731
        return RequestRules(allows, {one.method for one in at_path}, is_path, headers if operation.needs_key else ())

    def _word(self, pointer: str) -> str | None:
        """Return the field that tells the variants of a body apart, as its discriminator says. None: none does."""
        schema, _ = follow(self.spec.schemas.document, at(self.spec.schemas.document, pointer), pointer)
        discriminator = schema.get("discriminator") if isinstance(schema, dict) else None
        return discriminator.get("propertyName") if isinstance(discriminator, dict) else None

    # --- Values.

    def _value(self, pointer: str, *, answer: bool) -> "MadeValue":
        """Return a value for a schema."""
        if (pointer, answer) not in self._made:
            try:
                self._made[pointer, answer] = self._make(pointer, answer=answer)
            except NothingMadeError as error:
                self._made[pointer, answer] = error
        made = self._made[pointer, answer]
        if isinstance(made, NothingMadeError):
            raise made
        return made

    def _make(self, pointer: str, *, answer: bool) -> "MadeValue":
        try:
            bundle = Bundle(self.spec.schemas.document, pointer, answer=answer)
            fits, allows, lists = map(validator, (bundle.strict, bundle.open, bundle.closed))
        except (SpecError, LookupError, ValueError, TypeError, RecursionError) as error:
            raise NothingMadeError(f"its schema can't be used: {error}") from None
        for full in (True, False):
            lean = bundle.lean(pointer, full=full)
            if full and extent(lean, lean["$defs"]) > MAX_VALUES:
                continue
            drawn = [one for one in draw(lean) if fits.is_valid(one) and lists.is_valid(one)]
            if drawn:
                value = max(drawn, key=lambda one: len(json.dumps(one)))
                forgiving = validator(bundle.open, forgiven=ADDRESSES)
                return MadeValue(value, allows.is_valid, lists.is_valid, forgiving.is_valid)
        raise NothingMadeError("no valid value was made")

    def _text(self, parameter: Parameter) -> str:
        """Return a value for a parameter or header, as it is written."""
        if parameter.schema is None:
            return "word"
        value = self._value(parameter.schema, answer=False).value
        if isinstance(value, list):
            value = value[0] if value else None
        if value is None or isinstance(value, dict | list):
            raise NothingMadeError(f"the parameter {parameter.name} is no plain value")
        return str(value).lower() if isinstance(value, bool) else str(value)

    # --- Requests.

    def _url(self, operation: Operation, body: Any, allows: Any, echoes: set[str]) -> tuple[str, dict[str, str], Any]:
        """Return the URL, the headers, and the body with what it gives back of the path, which is among the echoes."""
        path, query, headers = operation.path, [], {"accept": "application/json"}
        for one in operation.parameters:
            if one.location == "path":
                value = self._text(one)
                if not value.strip("/"):
                    raise NothingMadeError(f"the parameter {one.name} is empty")
                if isinstance(_get(body, one.name), str | int):
                    body = {**body, one.name: value if isinstance(body[one.name], str) else _number(value)}
                    echoes |= {one.name} if names_something(one.name) else set()
                path = path.replace(f"{{{one.name}}}", quote(value, safe=""))
            elif one.required and one.location == "query":
                query.append((one.name, self._text(one)))
            elif one.required and one.location == "header":
                headers[one.name.lower()] = self._text(one)
        if "{" in path or not allows(body):
            raise NothingMadeError("a parameter of its path is not described, or no answer gives it back")
        headers |= _keys(operation, "header")
        query += _keys(operation, "query").items()
        return _with_query(_base(operation) + path, query), headers, body

    def _request_body(self, operation: Operation) -> tuple[Any, dict[str, str]]:
        """Return the JSON that is sent, and the header that says so."""
        media = first_json(operation.request)
        if media is None:
            if operation.request_required:
                raise NothingMadeError("its request is no JSON")
            return NOTHING, {}
        value = {} if media.schema is None else self._value(media.schema, answer=False).value
        return value, {"content-type": media.media_type}

    # --- Headers of the answer.

    def _headers(self, response: Response) -> Iterator[tuple[str, str]]:
        for name, header in response.headers.items():
            with suppress(NothingMadeError):
                if name != "content-type":
                    yield name, self._text(header)

    def _allows_header(self, response: Response, name: str, value: str) -> bool:
        header = response.headers.get(name)
        if header is None or header.schema is None or name == "content-type":
            return True
        try:
            allows = validator(Bundle(self.spec.schemas.document, header.schema, answer=True).open)
        except (SpecError, LookupError, ValueError):
            return True
        return any(allows.is_valid(one) for one in (value, [value]))


def names_something(name: str) -> bool:
    """Whether a field names the thing that is asked about, rather than a setting."""
    return name.lower().endswith(("id", "uuid")) and name.lower() not in {"valid", "paid"}


def shows(examples: Sequence[Any], path: FieldPath) -> bool:
    """Whether there are examples, and a field is in each of them that has the object around it."""
    owners: list[Any] = [*examples]
    for part in path[:-1]:
        if part is None:
            owners = [item for one in owners if isinstance(one, list) for item in one]
        else:
            owners = [one[part] for one in owners if isinstance(one, dict) and part in one]
    found = [one for one in owners if isinstance(one, dict)]
    return bool(found) and all(path[-1] in one for one in found)


def _keys(operation: Operation, location: str) -> dict[str, str]:
    """Return the keys that an operation wants, by their names."""
    way = next(iter(operation.security), frozenset())
    return {one.name: "Bearer sesame" for one in way if one.location == location}


def _base(operation: Operation) -> str:
    """Return the base URL of an operation's first server."""
    server = next(iter(operation.servers), "")
    return server if urlsplit(server).netloc else ELSEWHERE + server


def _with_query(url: str, query: Sequence[tuple[str, str]]) -> str:
    """Return a URL with more in its query. Some contracts tell operations of one path apart by query or fragment."""
    url = url.partition("#")[0]
    return url + ("&" if "?" in url else "?") + urlencode(query) if query else url


def _get(body: Any, name: str | None) -> Any:
    return body.get(name) if isinstance(body, dict) else None


def _number(text: str) -> Any:
    return int(text) if re.fullmatch(r"-?\d{1,15}", text) else text


def draw(schema: dict[str, Any]) -> list[Any]:
    """Return some values that a schema allows. The same ones in every run."""
    from schemathesis.core.errors import SchemathesisError  # noqa: PLC0415 - it is slow to import, for each process.
    from schemathesis.generation.jsonschema.builder import build  # noqa: PLC0415 - likewise.
    from schemathesis.generation.jsonschema.context import Alphabet  # noqa: PLC0415 - likewise.

    drawn: list[Any] = []
    try:
        strategy = build(
            schema, draft=jsonschema_rs.Draft202012, formats=dict(FORMATS), alphabet=Alphabet(max_codepoint=122)
        )

        @settings(
            derandomize=True,
            max_examples=DRAWS,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def keep(value: Any) -> None:
            drawn.append(value)

        keep()
    except (HypothesisException, SchemathesisError, ValueError, RecursionError, jsonschema_rs.ValidationError):
        return drawn
    return drawn
