"""What both gateways share: an answer about a request is decoded, compared with the contract and made a `Status`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, TypeVar

from attrs import field, frozen
from longcat_api.types import Unset

from longcat.errors import APIResponseValidationError
from longcat.gateway import reading
from longcat.gateway.contract import Contract, OperationId, contract
from longcat.gateway.messages import Answer, Call
from longcat.gateway.reading import error_words
from longcat.gateway.schema import MISSING, Schema, violations
from longcat.models import Image, State, Status, Violation
from longcat.text import show
from longcat.text.hiding import KEY_PLACEHOLDER, Hide, hiding

T = TypeVar("T")

UNDOCUMENTED: Final[Schema] = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
"""All that can be asked of an answer whose status word the contract does not have."""


@frozen
class StatusGateway:
    """A gateway that answers for requests.

    Attributes:
        base_url: scheme and host, without a path.
        api_key: sent to this base URL and nowhere else. It is in no repr and in no message.
    """

    operation_id: ClassVar[OperationId]

    base_url: str
    api_key: str = field(repr=False)

    @property
    def contract(self) -> Contract:
        """What `openapi.yaml` says about the operation that asks for a status."""
        return contract(self.operation_id)

    def ask(self, request_id: str, timeout: float) -> Call:
        """Return the call that asks how a request stands. It may take `timeout` seconds."""
        raise NotImplementedError

    def read(self, request_id: str, answer: Answer) -> Status:
        """Return what the answer says about the request, or raise what is wrong with it."""
        return self._status(request_id, answer, reading.decode(request_id, answer, self.api_key))

    def breach(self, request_id: str, answer: Answer, wrong: Iterable[Violation]) -> APIResponseValidationError:
        """Return the error for an answer that breaks the contract in these places."""
        return reading.breach(request_id, answer, self.api_key, wrong)

    def _status(self, request_id: str, answer: Answer, body: Any) -> Status:
        """Return the status in a decoded body, or raise APIResponseValidationError."""
        hide = hiding(self.api_key)
        documented = self._as_documented(body)
        wrong = list(self._violations(request_id, documented, hide))
        if wrong:
            raise self.breach(request_id, answer, wrong)
        word: str = body["status"]
        state = State.of(word)
        variant = self.contract.variants.get(documented["status"].casefold())
        raw = variant.model.from_dict({**documented, "status": variant.word}) if variant is not None else body
        progress: Any = body.get("progress")
        words = error_words(documented) if state in {State.FAILED, State.CANCELLED} else None
        return Status(
            request_id,
            state,
            raw_state=hide(word),
            progress=float(progress) if _is_share(progress) else None,
            image=self._image(request_id, raw),
            error=hide(words) if words else None,
            raw=raw,
        )

    def _violations(self, request_id: str, body: Any, hide: Hide) -> Iterator[Violation]:
        """Yield what in a decoded answer breaks the contract. An undocumented status word alone does not."""
        if not isinstance(body, dict) or not isinstance(body.get("status"), str):
            yield from violations(UNDOCUMENTED, body, hide)
            if words := error_words(body):
                yield Violation("/error", MISSING, show(words, hide))
            return
        # Documented words count in any case: the older and the newer gateway differ in it.
        variant = self.contract.variants.get(body["status"].casefold())
        word = variant.word if variant is not None else body["status"]
        schema = variant.schema if variant is not None else UNDOCUMENTED
        leaks = [(pointer, url) for pointer, url in self._addresses(body) if KEY_PLACEHOLDER in url]
        for pointer, url in leaks:  # The key would go to whoever they lead to.
            yield Violation(pointer, "a uri without the key", show(url))
        if not leaks:
            yield from violations(schema, {**body, "status": word}, hide)
        answered = body.get("request_id", request_id)
        if isinstance(answered, str) and hide(answered) != hide(request_id):
            yield Violation("/request_id", show(request_id), show(answered, hide))

    def _addresses(self, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the addresses of pictures in a decoded answer, each with its JSON pointer."""
        raise NotImplementedError

    def _as_documented(self, body: Any) -> Any:
        """Return a decoded body with what other answers are known to have in the documented form."""
        return body

    def _image(self, request_id: str, raw: Any) -> Image | None:
        """Return the image in the model of an answer. None: there is none."""
        raise NotImplementedError


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def or_none(value: T | Unset) -> T | None:
    """Return a field of a generated model. None: the answer does not have it."""
    return None if isinstance(value, Unset) else value
