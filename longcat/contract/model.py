"""The values of the drift check: what was observed, and how it differs from the contract."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from attrs import field, frozen


class Severity(StrEnum):
    """Whom a finding hurts. The order is from worst to least."""

    BREAKING = "breaking"
    """Typed callers fail, or are misled."""
    ADDITIVE = "additive"
    """Something is new, and callers go on."""
    NOTICE = "notice"
    """A deprecation, or a hint."""


Origin = Literal["live", "documentation", "sandbox", "unknown"]
"""Where an exchange was observed. Evidence is only as good as this."""

BodyEvidence = Literal["none", "unrecorded", "read", "compared"]
"""What the body of an answer is as evidence: there is none to compare, it was not recorded, or it was read, and perhaps
compared with what the contract has for it."""

Intent = Literal["wrong-key", "unknown-request", "known-request"]
"""What the asker knows of a request, and its bytes don't show. `known-request`: its key and its question are good."""


@frozen
class Exchange:
    """One HTTP request with its response, as observed. The key is not in it.

    Attributes:
        method: in upper case.
        url: absolute.
        request_headers: names in lower case. The key's value is replaced, its presence kept.
        request_body: None: there was none, or it was not recorded.
        status_code: of the response.
        response_headers: names in lower case; several of one name joined with a comma.
        response_body: None: it was not recorded. An empty one is `b""`.
        source: where it was observed, for people: a file with an index, or a question of the probe.
        origin: what kind of evidence it is.
        intent: what the asker knows beyond the bytes. None: the asker says nothing.
        recorded: when it was observed, with a time zone. None: it is not known.
        credentials: a text that is the same for the same keys, and tells nothing else about them. It means something
            within one process only. Empty: no key was seen.
        answered_before: whether the same question, with the same keys, was answered with success earlier in the run.
    """

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: bytes | None = field(repr=False)
    status_code: int
    response_headers: Mapping[str, str]
    response_body: bytes | None = field(repr=False)
    source: str
    origin: Origin = "unknown"
    intent: Intent | None = None
    recorded: datetime | None = None
    credentials: str = field(default="", repr=False, eq=False)
    answered_before: bool = False

    @property
    def may_be_filtered(self) -> bool:
        """Whether a recorder may have removed or replaced a key or another secret.

        Recorders are told to do so (`filter_headers` and its like), and browsers do it by themselves. Where the origin
        is known, a key that was sent has left a placeholder behind.
        """
        return self.origin == "unknown" and self.intent is None

    @property
    def is_vouched_for(self) -> bool:
        """Whether the asker knows that key and question are good, or else says in `intent` what is wrong with them.

        Nobody knows that of traffic that was just recorded: there, a 401, 403 or 404 may be what the request deserved.
        """
        return self.intent is not None or self.origin in {"live", "sandbox"}


@frozen
class Occurrence:
    """One of several differences that are the same: its concrete `pointer`, and what was `seen` there."""

    pointer: str
    seen: str


@frozen
class Finding:
    """One difference between an exchange and the contract.

    Attributes:
        code: its kind, such as `field-missing`; `longcat contract explain CODE` has more.
        severity: whom it hurts.
        operation: the operationId. None: the exchange fits no operation of the contract.
        pointer: where, as a JSON pointer into the response body, or `header:NAME`, or `status`, or empty for the whole;
            of a request `request:` and a JSON pointer into its body, or `query:NAME`, `path:NAME`,
            `request-header:NAME`, `cookie:NAME` or `querystring:NAME`, each with a JSON pointer into its value.
        expected: what the contract says, in words.
        seen: what came, cut short, without a key.
        exchange: where it was seen.
        rule: the JSON pointer into the contract of the rule that is broken, or of what would have to be widened.
            References are followed, so that it never passes through a `$ref`. Empty: the contract has no place for it.
        evidence: the value seen, decoded, for `suggest`. None: there is no such value.
        place: the pointer with `*` for indexes of lists and for keys of maps, such as `/files/*/lang`; `header:NAME`;
            `status:CODE`; or `METHOD PATH` of what is new. The same difference has the same place, whatever the data.
        path: of the URL: the contract's own, with its `{parameters}`; where it has none, the one that was asked for,
            with `*` for ids.
        times: how often it was seen in the exchange.
        others: the second and the third of these; `pointer` and `seen` are of the first.

    What `rule` and `evidence` are depends on the code:

    * `type-changed`, `field-null`, `value-*`, `format-changed`: the broken keyword (`.../progress/maximum`); the value.
      For a word that chooses a variant, the rule is the discriminator's `mapping` or its like; for `value-blank`, the
      schema of the text.
    * `field-missing`: the `required` that names it; none.
    * `field-absent`: its schema; none.
    * `field-renamed`: the schema of the old name, while the pointer has the new name; the value.
    * `field-new`, `field-moved`: the schema that lists the fields of the object, or the `writeOnly` that keeps a field
      out of answers; the new field's value.
    * `enveloped`: the schema of the body, while the pointer says where its fields stand now; the whole body.
    * `error-in-success`: the schema of the body, or `.../responses` for a bad request; the whole body.
    * `answer-mismatched`: the schema of the field; the value.
    * `content-type-changed`: the response's `content`; the media type, empty where none was given.
    * `body-*`, `name-repeated`: the media type, or the response where there is no body to speak of; none.
    * `header-*`: the header, or its schema; the header's value.
    * `deprecated`, `warning`: the response, empty where it is not documented; the header's value.
    * `method-new`, `path-new`: the path, or `/paths`; the decoded body, or the methods in `Allow`.
    * `validation-lost` in a request: as above, by what is wrong there; `required` of what is missing.
    * all others, by status code: the operation's `responses`; the decoded body.
    """

    code: str
    severity: Severity
    operation: str | None
    pointer: str
    expected: str
    seen: str
    exchange: Exchange = field(repr=False)
    rule: str = ""
    evidence: object = field(default=None, repr=False, eq=False)
    place: str = field()
    path: str = ""
    times: int = 1
    others: tuple[Occurrence, ...] = ()

    @place.default
    def _concrete(self) -> str:
        return self.pointer


@frozen
class Inconclusive:
    """Something that could not be observed, or not be judged.

    Attributes:
        what: a request of the probe, or a place in a file: after a `#`, the number of the exchange, counted from 1.
        why: one sentence, without a full stop.
        unclear: whether it should have been judged, so that the run as a whole could not tell. False: it was left out,
            because nobody gave what it needs, such as a key, or because it is not of this contract.
        operation: the operationId. None: it is about no operation, or nobody knows about which.
        url: of a recorded request whose exchange can't be read, if that can.
    """

    what: str
    why: str
    unclear: bool = True
    operation: str | None = None
    url: str | None = None
