# Generated from openapi.yaml by `make generate`. Never edited by hand.
"""Contains some shared types for properties"""

import datetime
import re
from collections.abc import Mapping, MutableMapping
from typing import IO, BinaryIO, Generic, Literal, TypeVar

from attrs import define


class Unset:
    def __reduce__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Unset = Unset()

# The types that `httpx.Client(files=)` can accept, copied from that library.
FileContent = IO[bytes] | bytes | str
FileTypes = (
    # (filename, file (or bytes), content_type)
    tuple[str | None, FileContent, str | None]
    # (filename, file (or bytes), content_type, headers)
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
RequestFiles = list[tuple[str, FileTypes]]


@define
class File:
    """Contains information for file uploads"""

    payload: BinaryIO
    file_name: str | None = None
    mime_type: str | None = None

    def to_tuple(self) -> FileTypes:
        """Return a tuple representation that httpx will accept for multipart/form-data"""
        return self.file_name, self.payload, self.mime_type


DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:)(\d\d)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
"""A date-time of RFC 3339, which may have a space between date and time."""


def read_date_time(text: str) -> datetime.datetime:
    """Return the moment that a text names, as RFC 3339 has it, or as `datetime.fromisoformat` reads it.

    What a datetime can't hold becomes what is nearest to it: a leap second the second after it, digits beyond the
    microseconds none, and the year 0 the beginning of the year 1.

    Raises:
        ValueError: it names none.
    """
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        match = DATE_TIME.fullmatch(text)
        if match is None:
            raise
    date, time, second, fraction, zone = match.groups("")
    is_year_0, is_leap_second = date.startswith("0000"), second == "60"
    moment = datetime.datetime.fromisoformat(
        ("0004" + date[4:] if is_year_0 else date)  # Both are leap years.
        + f"T{time}{'59' if is_leap_second else second}{fraction[:7]}{zone.upper()}"
    )
    if is_leap_second:
        offset = moment.utcoffset() or datetime.timedelta()
        if (moment.hour * 60 + moment.minute - offset // datetime.timedelta(minutes=1)) % 1440 != 1439:
            raise ValueError(f"a leap second is the last one of a day in UTC, not {text[:40]!r}")
        if moment.year < datetime.MAXYEAR:
            moment += datetime.timedelta(seconds=1)
    return datetime.datetime.min.replace(tzinfo=moment.tzinfo) if is_year_0 else moment


T = TypeVar("T")


@define
class Response(Generic[T]):
    """A response from an endpoint"""

    status_code: int
    content: bytes
    headers: MutableMapping[str, str]
    parsed: T | None


__all__ = ["DATE_TIME", "UNSET", "File", "FileTypes", "RequestFiles", "Response", "Unset", "read_date_time"]
