"""Drifts of one field. Nearly all are breaking: a typed caller reads the field, and finds nothing that it can use."""

import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from longcat.sandbox.drifts.kinds import Drift, Drifts
from longcat.sandbox.drifts.responses import (
    ANSWERS,
    COMPLETED,
    FAILURE,
    INVALID,
    PROCESSING,
    RESULT,
    ResponseChange,
    Responses,
)

OPTIONAL: Final = ("created_at", "duration_seconds", "model_version")


def _field(kind: str, name: str, where: Responses, did: str, change: ResponseChange) -> Drift:
    """Return a breaking drift of one field; `did` says what became of it."""
    # `status` tells the variants of an answer apart: no contract can do without it.
    full = f"{kind}-{name.replace('_', '-')}{where.suffix}"
    return Drift(full, f"{name} {did}{where.phrase}.", "breaking", name != "status", change)


def removed() -> Drifts:
    """Yield drifts that leave out a required field. An optional field may be left out: see `absent`."""
    for name, where in (
        ("status", ANSWERS),
        ("progress", PROCESSING),
        ("progress", COMPLETED),
        ("request_id", ANSWERS),
        ("request_id", COMPLETED),
        ("result_url", RESULT),
        ("error", FAILURE),
        ("error", INVALID),
    ):
        yield _field("removed", name, where, "is gone", where.drop_fields(name))


def absent() -> Drifts:
    """Yield drifts that leave out what may be absent, but is in every such answer that the documentation shows.

    A hint: the contract allows it, so callers must be prepared, and a patch has nothing to change.
    """
    for name in OPTIONAL:
        change = COMPLETED.drop_fields(name)
        yield Drift(f"absent-{name.replace('_', '-')}", f"{name} is absent.", "notice", False, change)
    every = COMPLETED.drop_fields(*OPTIONAL)
    yield Drift("absent-optional-fields", "All optional fields are absent.", "notice", False, every)


def renamed() -> Drifts:
    """Yield drifts that rename a field. Of an optional one, the likeness of the two names is the only evidence."""
    for kind, name, new, where in (
        ("renamed", "status", "state", ANSWERS),
        ("renamed", "progress", "percent", ANSWERS),
        ("renamed", "request_id", "id", ANSWERS),
        ("renamed", "result_url", "url", RESULT),
        ("renamed", "error", "message", FAILURE),
        ("renamed", "created_at", "created", RESULT),
        ("renamed", "duration_seconds", "duration", RESULT),
        ("renamed", "model_version", "model", RESULT),
        ("recased", "result_url", "resultUrl", RESULT),
        ("recased", "request_id", "Request_Id", PROCESSING),
        ("recased", "created_at", "createdAt", RESULT),
        ("recased", "model_version", "model-version", RESULT),
        ("recased", "error", "Error", FAILURE),
    ):
        yield _field(kind, name, where, f"is called {new}", where.rename_fields({name: new}))
    every = {"request_id": "requestId", "result_url": "resultUrl", "created_at": "createdAt"}
    every |= {"duration_seconds": "durationSeconds", "model_version": "modelVersion"}
    yield Drift("recased-every-field", "All names are in camelCase.", "breaking", response=ANSWERS.rename_fields(every))


def nullable() -> Drifts:
    """Yield drifts that send null. Breaking: a typed caller uses the value and fails."""
    for name, where in (
        ("status", ANSWERS),
        ("progress", PROCESSING),
        ("request_id", ANSWERS),
        ("result_url", RESULT),
        ("created_at", RESULT),
        ("duration_seconds", RESULT),
        ("model_version", RESULT),
        ("error", FAILURE),
    ):
        yield _field("null", name, where, "is null", where.convert_field(name, lambda _: None))
    yield Drift(
        "null-fields-processing",
        "What a completed request will have is there while processing, as null.",
        "additive",  # The variant has new fields; nothing that it had has changed.
        response=PROCESSING.add_fields({"result_url": None, "created_at": None}),
    )


def retyped() -> Drifts:
    """Yield drifts that give a field another type. Breaking: a typed caller uses the value and fails, or is misled."""
    table: Sequence[tuple[str, str, Responses, str, Any]] = (
        ("status", "number", ANSWERS, "is a number", lambda word: 1 if word == "processing" else 2),
        ("status", "object", ANSWERS, "is an object", lambda word: {"name": word}),
        ("progress", "text", ANSWERS, "is a text", str),
        ("progress", "percent-text", ANSWERS, "is a text with a percent sign", lambda share: f"{share:.0%}"),
        ("progress", "object", PROCESSING, "is an object", lambda share: {"done": share, "of": 1}),
        ("request_id", "number", ANSWERS, "is a number", lambda text: zlib.crc32(text.encode())),
        ("request_id", "list", COMPLETED, "is a list", lambda text: [text]),
        ("result_url", "list", RESULT, "is a list", lambda url: [url]),
        ("result_url", "object", RESULT, "is an object", lambda url: {"href": url}),
        ("created_at", "number", RESULT, "is a number of seconds", lambda at: _moment(at).timestamp()),
        ("created_at", "object", RESULT, "is an object", lambda at: {"time": at, "zone": "UTC"}),
        ("duration_seconds", "text", RESULT, "is a text", str),
        ("duration_seconds", "iso", RESULT, "is a text such as PT42S", lambda seconds: f"PT{seconds}S"),
        ("model_version", "number", RESULT, "is a number", lambda _: 1.2),
        ("model_version", "object", RESULT, "is an object", lambda text: {"name": text}),
        ("error", "object", FAILURE, "is an object", lambda text: {"code": "bad", "message": text}),
        ("error", "list", FAILURE, "is a list", lambda text: [text]),
        ("error", "flag", FAILURE, "is true", lambda _: True),
    )
    for name, label, where, did, into in table:
        drift = _field("retyped", name, where, did, where.convert_field(name, into))
        full = f"retyped-{name.replace('_', '-')}-{label}"
        # An id that comes back as another number names another request: no type makes that right.
        patchable = drift.patchable and (name, label) != ("request_id", "number")
        yield Drift(full, drift.sentence, "breaking", patchable, drift.response)


def nested() -> Drifts:
    """Yield drifts that move fields into an object. Breaking: callers look where nothing is any more."""
    for name, sentence, where, outer, inner in (
        ("result-url", "result_url is result.url.", COMPLETED, "result", {"result_url": "url"}),
        ("progress", "progress is job.progress.", ANSWERS, "job", {"progress": "progress"}),
        (
            "optional-fields",
            "The optional fields stand in meta.",
            COMPLETED,
            "meta",
            {name: name for name in OPTIONAL},
        ),
    ):
        yield Drift(f"nested-{name}", sentence, "breaking", response=where.nest_fields(outer, inner))


def valued() -> Drifts:
    """Yield drifts of a field's value, its type unchanged: another unit, another format, an impossible value."""
    table: Sequence[tuple[str, str, str, Responses, Any]] = (
        ("reunited-progress", "progress", "counts to 100", ANSWERS, lambda share: round(share * 100, 2)),
        ("reunited-progress-processing", "progress", "counts to 100", PROCESSING, lambda share: round(share * 100, 2)),
        ("negative-progress", "progress", "is -1", PROCESSING, lambda _: -1),
        ("negative-duration", "duration_seconds", "is -1", COMPLETED, lambda _: -1),
        ("reformatted-created-at", "created_at", "has no zone", COMPLETED, lambda at: at.removesuffix("Z")),
        (
            "reformatted-created-at-http",
            "created_at",
            "is an HTTP date",
            COMPLETED,
            lambda at: _moment(at).strftime(HTTP),
        ),
        ("reformatted-created-at-date", "created_at", "is a day", COMPLETED, lambda at: at[:10]),
        (
            "reformatted-result-url",
            "result_url",
            "is relative",
            COMPLETED,
            lambda url: re.sub(r"^\w+://[^/]+", "", url),
        ),
        ("empty-result-url", "result_url", "is empty", COMPLETED, lambda _: ""),
        ("unfinished", "progress", "is 0.6", COMPLETED, lambda _: 0.6),
    )
    for name, field, did, where, into in table:
        yield Drift(name, f"{field} {did}{where.phrase}.", "breaking", response=where.convert_field(field, into))
    yield Drift(
        "reunited-duration",
        "duration_seconds is duration_ms, in milliseconds.",
        "breaking",
        response=COMPLETED.edit(_in_milliseconds),
    )
    # The one documented value of `success` is true: whoever reads it takes the answer for a failure.
    for label, sentence, value in (("false", "false", False), ("text", "a text", "true")):
        change = ANSWERS.add_fields({"success": value})
        yield Drift(f"success-{label}", f"success is there, and {sentence}.", "breaking", response=change)


def _in_milliseconds(body: dict[str, Any]) -> dict[str, Any]:
    seconds = body["duration_seconds"]
    return {"duration_ms" if name == "duration_seconds" else name: value for name, value in body.items()} | {
        "duration_ms": seconds * 1000
    }


HTTP: Final = "%a, %d %b %Y %H:%M:%S GMT"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def words() -> Drifts:
    """Yield drifts of the status word. Breaking: a typed caller knows the documented words only."""
    for old, new, where in (
        ("processing", "queued", PROCESSING),
        ("processing", "PROCESSING", PROCESSING),
        ("completed", "succeeded", COMPLETED),
        ("completed", "Completed", COMPLETED),
        ("completed", "failed", COMPLETED),
    ):
        yield Drift(
            f"new-word-{new.lower()}{'-cased' if new.lower() == old else ''}",
            f"The status {old} is called {new}.",
            "breaking",
            response=where.add_fields({"status": new}),
        )
