"""Makes the calls of both gateways, and a `Status` of each answer: it is decoded, and compared with the contract."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from attrs import field, frozen
from longcat_api.types import Unset

from longcat.errors import APIResponseValidationError
from longcat.gateway import reading
from longcat.gateway.contract import Contract, OperationId, Variant, contract
from longcat.gateway.messages import Answer, Call
from longcat.gateway.reading import error_words
from longcat.gateway.schema import MISSING, compile_schema
from longcat.models import FAILURES, Image, State, Status, Violation
from longcat.text import show
from longcat.text.hiding import KEY_PLACEHOLDER, Hide, hiding

T = TypeVar("T")

UNDOCUMENTED: Final = compile_schema(
    {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
)
"""All that can be asked of an answer whose status word the contract does not have."""


@frozen
class StatusGateway:
    """A gateway that answers for requests.

    Attributes:
        address_pointer: the JSON pointer to the address of a picture in an answer, with `{}` for its number.
        base_url: scheme and host, without a path.
        api_key: sent to this base URL and nowhere else. It is in no repr and in no message.
    """

    operation_id: ClassVar[OperationId]
    address_pointer: ClassVar[str]

    base_url: str
    api_key: str = field(repr=False)

    @property
    def contract(self) -> Contract:
        """The operation that asks for a status, as `openapi.yaml` has it."""
        return contract(self.operation_id)

    def ask(self, request_id: str, timeout: float) -> Call:
        """Return the call that asks how a request stands. It may take `timeout` seconds."""
        raise NotImplementedError

    def _call(self, arguments: Mapping[str, Any], contract: Contract, timeout: float) -> Call:
        """Return the call that the generated client would send with these arguments, and with the key."""
        content = json.dumps(arguments["json"]).encode() if "json" in arguments else None
        headers = {**arguments.get("headers", {}), "Accept": "application/json", contract.key_header: self.api_key}
        return Call(arguments["method"].upper(), self.base_url + arguments["url"], timeout, headers, content)

    def read(self, request_id: str, answer: Answer) -> Status:
        """Return what the answer says about the request, or raise what is wrong with it."""
        hide = hiding(self.api_key)
        body = reading.decode(request_id, answer, self.api_key)
        documented = self._as_documented(body)
        word = body.get("status") if isinstance(body, dict) else None
        if not isinstance(word, str):
            raise self.breach(request_id, answer, _without_status(documented, hide))
        # Documented words count in any case: the older and the newer gateway differ in it.
        variant = self.contract.variants.get(documented["status"].casefold())
        if variant is not None:
            documented["status"] = variant.word
        if wrong := self._violations(request_id, documented, variant, hide):
            raise self.breach(request_id, answer, wrong)
        state, raw = (State.of(word), body) if variant is None else (variant.state, variant.model.from_dict(documented))
        share: Any = body.get("progress")
        progress = float(share) if _is_share(share) else None
        reason = error_words(documented) if state in FAILURES else None
        error = hide(reason) if reason else None
        return Status(request_id, state, hide(word), progress, self._image(request_id, raw), error, raw)

    def breach(self, request_id: str, answer: Answer, wrong: Iterable[Violation]) -> APIResponseValidationError:
        """Return the error for an answer that breaks the contract in these places."""
        return reading.breach(request_id, answer, self.api_key, wrong)

    def _violations(
        self, request_id: str, body: Mapping[str, Any], variant: Variant | None, hide: Hide
    ) -> Sequence[Violation]:
        """Return what in a decoded answer breaks the contract. An undocumented status word alone does not."""
        wrong: list[Violation] = []
        for index, url in enumerate(self._addresses(body)):
            if KEY_PLACEHOLDER in url:  # The key would go to whoever they lead to.
                wrong.append(Violation(self.address_pointer.format(index), "a uri without the key", show(url)))
        if not wrong:
            wrong += (UNDOCUMENTED if variant is None else variant.checker)(body, hide)
        answered = body.get("request_id")
        if isinstance(answered, str) and answered != request_id and hide(answered) != hide(request_id):
            wrong.append(Violation("/request_id", show(request_id), show(answered, hide)))
        return wrong

    def _as_documented(self, body: Any) -> Any:
        """Return a decoded body with what other answers are known to have in the documented form."""
        return body

    def _addresses(self, body: Mapping[str, Any]) -> Sequence[str]:
        """Return the addresses of pictures in a decoded answer."""
        raise NotImplementedError

    def _image(self, request_id: str, raw: Any) -> Image | None:
        """Return the image in the model of an answer. None: there is none."""
        raise NotImplementedError


def _without_status(body: Any, hide: Hide) -> Iterator[Violation]:
    """Yield what is wrong with a decoded body that has no status word, and the reason that it gives, if it does."""
    yield from UNDOCUMENTED(body, hide)
    if words := error_words(body):
        yield Violation("/error", MISSING, show(words, hide))


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def or_none(value: T | Unset) -> T | None:
    """Return a field of a generated model. None: the answer does not have it."""
    return None if isinstance(value, Unset) else value
