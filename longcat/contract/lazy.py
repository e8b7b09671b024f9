"""A cached property without the lock that Python 3.11 takes for one, which costs more than most of these properties.

The drift check uses this one everywhere.
"""

import functools
from typing import Any, TypeVar

T = TypeVar("T")


class cached_property(functools.cached_property[T]):  # noqa: N801 - it is used as that of `functools`.
    """Works a property out once, when it is first asked for. Two threads at a time may both do so."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> T:  # type: ignore[override]
        value = self.func(instance)
        instance.__dict__[self.attrname] = value
        return value
