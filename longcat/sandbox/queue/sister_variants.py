"""Answers of sister models of the same queue, by name: bodies that the page of this model does not have.

A variant changes the honest bodies of the queue gateway for as long as the sandbox runs; those given together work in
their order. A drift, for comparison, is made up; each of these has been published somewhere.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from longcat.sandbox.name_lookup import find

Body = dict[str, Any]


class BodyKind(StrEnum):
    """The kinds of bodies that the queue gateway sends."""

    ORDER = "order"  # The answer to an order.
    OPEN = "open"  # The status of a request that is not over.
    COMPLETED = "completed"
    FAILED = "failed"  # The status of a request that failed, for whatever reason.
    REFUSAL = "refusal"  # What comes with a status code of 400 or more.


@dataclass(frozen=True)
class HonestBody:
    """A body, and the status code that it comes with."""

    kind: BodyKind
    body: Body
    code: int = 200


@dataclass(frozen=True)
class SisterVariant:
    """One way in which other models of the queue answer.

    Attributes:
        kinds: the bodies that it changes.
        field: what it changes; a body in which another variant left nothing of that is not changed.
        change: returns the body and the status code that are sent.
        at_once: whether an order is answered with the pictures.
    """

    name: str
    sentence: str
    kinds: frozenset[BodyKind]
    field: str
    change: Callable[[HonestBody], HonestBody]
    at_once: bool = False


def vary(variants: Iterable[SisterVariant], honest: HonestBody) -> HonestBody:
    """Return an honest body as the variants have it."""
    for variant in variants:
        if honest.kind in variant.kinds and honest.body.get(variant.field) is not None:
            honest = variant.change(honest)
    return honest


def find_variants(names: Iterable[str]) -> tuple[SisterVariant, ...]:
    """Return the variants of these names; an unknown one is a ValueError with a readable message."""
    return tuple(find("variant", BODY_VARIANTS, name) for name in names)


# --- What the variants do.


def _edited(edit: Callable[[Body], Body]) -> Callable[[HonestBody], HonestBody]:
    return lambda honest: HonestBody(honest.kind, edit(honest.body), honest.code)


def _supplier_word(body: Body) -> Body:
    words = {"QUEUED": "IN_QUEUE", "PROCESSING": "IN_PROGRESS"}
    return {**body, "status": words.get(body["status"], body["status"])}


def _with_message(body: Body, message: str) -> Body:
    return {"request_id": body["request_id"], "status": body["status"], "message": message}


def _error_object(honest: HonestBody) -> HonestBody:
    """Make `error` an object; its code is the name of the status code, of which one page shows one example."""
    body = dict(honest.body)
    names = {429: "RATE_LIMIT_EXCEEDED"}
    code = names.get(honest.code) or (HTTPStatus(honest.code).name if honest.code >= 400 else "PROCESSING_FAILED")  # noqa: PLR2004
    message = body.pop("message", body["error"]) if honest.kind is BodyKind.REFUSAL else body["error"]
    return HonestBody(honest.kind, {**body, "error": {"code": code, "message": message}}, honest.code)


def _error_message(body: Body) -> Body:
    return {**{name: value for name, value in body.items() if name != "error"}, "error_message": body["error"]}


def _zoneless(body: Body) -> Body:
    """Write two of the three dates with a blank, without a zone and without a fraction, as the page's callback does."""
    return {**body, **{name: body[name][:19].replace("T", " ") for name in ("updated_at", "completed_at")}}


def _result_images(body: Body) -> Body:
    rest = {name: value for name, value in body.items() if name != "output"}
    return {**rest, "result": _images(body)}


def _images(body: Body) -> Body:
    urls = body["output"]["media_url"]
    return {"images": [{"url": url} for url in ([urls] if isinstance(urls, str) else urls)]}


def _output(**fields: Callable[[Any], Any]) -> Callable[[Body], Body]:
    """Return an edit of fields of the output."""
    return lambda body: {
        **body,
        "output": {**body["output"], **{name: edit(body["output"][name]) for name, edit in fields.items()}},
    }


def _on_404(edit: Callable[[Body], Body], code: int = 404) -> Callable[[HonestBody], HonestBody]:
    def change(honest: HonestBody) -> HonestBody:
        is_unknown_id = honest.code == HTTPStatus.NOT_FOUND
        return HonestBody(honest.kind, edit(honest.body), code) if is_unknown_id else honest

    return change


BODY_VARIANTS: Final[Mapping[str, SisterVariant]] = {
    variant.name: variant
    for variant in (
        SisterVariant(
            "supplier-words",
            "The words are IN_QUEUE and IN_PROGRESS.",
            frozenset({BodyKind.ORDER, BodyKind.OPEN}),
            "status",
            _edited(_supplier_word),
        ),
        SisterVariant(
            "no-polling-url",
            "The answer to an order has a message and no polling_url.",
            frozenset({BodyKind.ORDER}),
            "request_id",
            _edited(lambda body: _with_message(body, "Request queued successfully")),
        ),
        SisterVariant(
            "message-while-open",
            "A request that is not over has a message, and neither output nor error.",
            frozenset({BodyKind.OPEN}),
            "request_id",
            _edited(lambda body: _with_message(body, "Your request is being processed")),
        ),
        SisterVariant(
            "images-at-once",
            "An order is answered with 200 and its pictures.",
            frozenset({BodyKind.ORDER}),
            "output",
            lambda honest: HonestBody(honest.kind, _images(honest.body), 200),
            at_once=True,
        ),
        SisterVariant(
            "result-images",
            "The URLs are in result.images instead of output.media_url.",
            frozenset({BodyKind.COMPLETED}),
            "output",
            _edited(_result_images),
        ),
        SisterVariant(
            "media-url-string",
            "media_url is the first URL as a string.",
            frozenset({BodyKind.COMPLETED}),
            "output",
            _edited(_output(media_url=lambda urls: urls[0] if urls else "")),
        ),
        SisterVariant(
            "media-url-empty",
            "media_url of a completed request is empty.",
            frozenset({BodyKind.COMPLETED}),
            "output",
            _edited(_output(media_url=lambda _: [])),
        ),
        SisterVariant(
            "octet-stream",
            "The media type is application/octet-stream, as in the page's example.",
            frozenset({BodyKind.COMPLETED}),
            "output",
            _edited(_output(media_type=lambda _: "application/octet-stream")),
        ),
        SisterVariant(
            "dates-without-zone",
            "updated_at and completed_at have a blank, no zone and no fraction.",
            frozenset({BodyKind.COMPLETED}),
            "updated_at",
            _edited(_zoneless),
        ),
        SisterVariant(
            "error-object",
            "error is an object with a code and a message.",
            frozenset({BodyKind.FAILED, BodyKind.REFUSAL}),
            "error",
            _error_object,
        ),
        SisterVariant(
            "error-message",
            "Why a request failed is in error_message.",
            frozenset({BodyKind.FAILED}),
            "error",
            _edited(_error_message),
        ),
        SisterVariant(
            "integer-status",
            "Errors have the status code in status, an integer.",
            frozenset({BodyKind.REFUSAL}),
            "error",
            lambda honest: HonestBody(honest.kind, {"error": honest.body["error"], "status": honest.code}, honest.code),
        ),
        SisterVariant(
            "message-without-error",
            "Errors have a message only.",
            frozenset({BodyKind.REFUSAL}),
            "error",
            _edited(lambda body: {"message": body.get("message", body["error"])}),
        ),
        SisterVariant(
            "request-not-found",
            "An unknown id is 404 with 'Request not found'.",
            frozenset({BodyKind.REFUSAL}),
            "error",
            _on_404(lambda _: {"error": "Request not found"}),
        ),
        SisterVariant(
            "invalid-request-id",
            "An unknown id is 404 with 'Invalid request_id: ...'.",
            frozenset({BodyKind.REFUSAL}),
            "error",
            _on_404(lambda body: {"error": _invalid(body)}),
        ),
        SisterVariant(
            "invalid-request-id-400",
            "An unknown id is 400 with 'Invalid request_id: ...'.",
            frozenset({BodyKind.REFUSAL}),
            "error",
            _on_404(lambda body: {"error": _invalid(body)}, 400),
        ),
    )
}


def _invalid(body: Body) -> str:
    found = re.search(r"'(.*)'", body.get("message", ""))
    return f"Invalid request_id: {found[1] if found else '?'}"
