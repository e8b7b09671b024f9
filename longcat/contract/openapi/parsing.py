"""Reads OpenAPI documents from files and texts, as plain JSON values."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.limits import MAX_DIGITS, MAX_PATHS, MAX_SPEC_BYTES, MAX_SPEC_DEPTH, MAX_SPEC_VALUES
from longcat.text import decode_text, shorten, show

_MAX_BITS: Final = int(MAX_DIGITS * 3.32)  # A decimal digit has log2(10) bits.
_VERSION: Final = re.compile(r"3\.[012](\..*)?")


def read_document(path: Path, *, strict: bool = False) -> dict[str, Any]:
    """Return the document in a YAML or JSON file as plain JSON values. Raises SpecError.

    Strict: also for a name that stands twice in one object. Otherwise the last one counts.
    """
    return _check_version(read_value(path, strict=strict), str(path))


def read_value(path: Path, *, strict: bool = False) -> Any:
    """Return the value in a YAML or JSON file: a document, or a part of one, as `read_document` does."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SPEC_BYTES + 1)
        if len(data) > MAX_SPEC_BYTES:
            raise _too_large(str(path), f"has more than {MAX_SPEC_BYTES // 1024**2} MiB")
        text = decode_text(data)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SpecError(f"The spec {path} can't be read: {reason}. Name a file with an OpenAPI document.") from error
    return parse_value(text, str(path), strict=strict)


def parse_document(text: str, name: str, *, strict: bool = False) -> dict[str, Any]:
    """Return the document in a text as plain JSON values. The error says `name`.

    See `read_document`.
    """
    return _check_version(parse_value(text, name, strict=strict), name)


def parse_value(text: str, name: str, *, strict: bool = False) -> Any:
    """Return the value in a text, of a document or of a part of one, as `parse_document` does."""
    try:
        # JSON is YAML, but YAML forbids the tabs that JSON may be indented with, and reads it many times slower.
        is_json = text.lstrip().startswith("{")
        document = _parse_json(text, name, strict=strict) if is_json else _parse_yaml(text, name, strict=strict)
    except RecursionError:
        raise SpecError(
            f"The spec {name} is nested too deeply, in more than {MAX_SPEC_DEPTH} levels,"
            " or an alias holds itself. Mend it."
        ) from None
    except ValueError as error:  # A whole number of more digits than Python reads.
        if isinstance(error, SpecError):
            raise
        raise _too_large(name, f"has a number of more than {MAX_DIGITS:,} digits") from error
    _check_extent(document, name)
    paths = document.get("paths") if isinstance(document, dict) else None
    if isinstance(paths, dict) and len(paths) > MAX_PATHS:
        raise _too_large(name, f"has more than {MAX_PATHS:,} paths")
    return document


def _too_large(name: str, why: str) -> SpecError:
    return SpecError(f"The spec {name} {why}. That is more than is read; take out what the drift check does not need.")


def _check_extent(document: Any, name: str) -> None:
    """Raise SpecError for a document that is larger, or nested more deeply, than is read."""
    size, level = 1, [document]
    for _ in range(MAX_SPEC_DEPTH + 1):
        if any(isinstance(one, int) and one.bit_length() > _MAX_BITS for one in level):
            raise _too_large(name, f"has a number of more than {MAX_DIGITS:,} digits")
        level = [inner for one in level for inner in _inside(one)]
        size += len(level)
        if size > MAX_SPEC_VALUES:
            raise _too_large(name, f"holds more than {MAX_SPEC_VALUES:,} values")
        if not level:
            return
    raise SpecError(f"The spec {name} is nested too deeply, in more than {MAX_SPEC_DEPTH} levels. Mend it.")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _parse_json(text: str, name: str, *, strict: bool) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats if strict else None)
    except json.JSONDecodeError as error:
        with suppress(SpecError):
            return _parse_yaml(text, name, strict=strict)  # It may begin with a brace as well.
        where = f"line {error.lineno}, column {error.colno}"
        raise SpecError(f"The spec {name} is not JSON: {error.msg} ({where}). Mend it there.") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise SpecError(f"The spec has the name {show(name)} twice in one object. Take one of them out.")
    return found


def _parse_yaml(text: str, name: str, *, strict: bool) -> Any:
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - it is slow to import, and JSON does without it.

    from longcat.contract.openapi.yaml_loader import load_yaml  # noqa: PLC0415 - it imports yaml.

    try:
        return load_yaml(text, strict=strict)
    except yaml.MarkedYAMLError as error:
        marks = [one for one in (error.problem_mark, error.context_mark) if one is not None]
        # What lacks its end has its problem after the last line, and its context where it begins.
        mark = next((one for one in marks if one.line < len(text.splitlines())), None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problem = shorten(error.problem or error.context or "it can't be parsed", 200)
        raise SpecError(f"The spec {name} is not YAML: {problem}{where}. Mend it there.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"The spec {name} is not YAML: {shorten(error, 200)}. Mend it.") from error


def _check_version(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        raise SpecError(f"The spec {name} is empty. Name a file with an OpenAPI document.")
    document = value if isinstance(value, dict) else {}
    version = document.get("openapi")
    if isinstance(version, bool) or not isinstance(version, str | int | float):
        hint = (
            "It is Swagger 2. Convert it to OpenAPI 3, as `npx swagger2openapi FILE` does."
            if "swagger" in document
            else "Its top level has no `openapi: 3.1.0`."
        )
        raise SpecError(f"The spec {name} is not an OpenAPI document. {hint}")
    if not _VERSION.fullmatch(str(version).strip()):  # People write it as a number, as in `openapi: 3.1`.
        raise SpecError(f"The spec {name} is of OpenAPI {show(version)}, and 3.0 to 3.2 are understood. Convert it.")
    return document
