"""A place in an OpenAPI document. It follows references, and raises an error for what is not as OpenAPI says."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.document import Document, follow
from longcat.contract.openapi.errors import SpecError, invalid
from longcat.contract.openapi.nodes import Node
from longcat.text import show
from longcat.text.pointer import escape


@frozen(slots=False)  # A cached property is looked up faster there.
class Place:
    """A place in a document. It follows its reference when it is first asked for its value.

    Every method raises SpecError, with a pointer, for what is not as OpenAPI says.
    """

    document: Document = field(repr=False)
    written: Any
    written_at: str

    @cached_property
    def _followed(self) -> tuple[Any, str]:
        try:
            return follow(self.document, self.written, self.written_at)
        except SpecError as error:
            raise invalid(self.written_at, str(error)) from None

    @property
    def node(self) -> Any:
        """The value at this place, its reference followed."""
        return self._followed[0]

    @property
    def pointer(self) -> str:
        """The pointer of that value."""
        return self._followed[1]

    def error(self, why: str, name: str = "") -> SpecError:
        """Return the error that says what is wrong here, or with a field."""
        return invalid(self.pointer + (f"/{escape(name)}" if name else ""), why)

    @property
    def object(self) -> Node:
        """The object at this place. It is empty for a key without a value, as YAML may have it."""
        if self.node is None:
            return {}
        if not isinstance(self.node, Mapping):
            raise self.error(f"{show(self.node)} is not an object")
        return self.node

    def get(self, name: str) -> "Place | None":
        """Return the place of a field. None: it is not there, or null, as YAML has it for a key without a value."""
        if self.object.get(name) is None:
            return None
        return Place(self.document, self.node[name], f"{self.pointer}/{escape(name)}")

    def fields(self, name: str) -> "dict[str, Place]":
        """Return the places in the object that is a field's value. Empty: the field is not there."""
        holder = self.get(name)
        return holder.inner() if holder else {}

    def inner(self) -> "dict[str, Place]":
        """Return the places of all fields."""
        return {
            name: Place(self.document, node, f"{self.pointer}/{escape(name)}") for name, node in self.object.items()
        }

    def items(self, name: str) -> "list[Place]":
        """Return the places in the list that is a field's value. Empty: the field is not there."""
        holder = self.get(name)
        if holder is None:
            return []
        if isinstance(holder.node, str) or not isinstance(holder.node, Sequence):
            raise holder.error(f"{show(holder.node)} is not a list")
        return [Place(self.document, node, f"{holder.pointer}/{index}") for index, node in enumerate(holder.node)]

    def text(self, name: str) -> str:
        """Return the text that is a field's value."""
        if name not in self.object:
            raise self.error(f"{name} is missing")
        if not isinstance(self.node[name], str) or not self.node[name]:
            raise self.error(f"{show(self.node[name])} is not a text", name)
        return str(self.node[name])

    def word(self, name: str, allowed: Sequence[str]) -> str:
        """Return the text that is a field's value. It must be one of these."""
        if self.text(name) not in allowed:
            raise self.error(f"{show(self.node[name])} is none of {', '.join(allowed)}", name)
        return self.text(name)

    def flag(self, name: str) -> bool:
        """Whether a field's value is true."""
        return self.object.get(name) is True

    def schema(self, name: str = "schema") -> str | None:
        """Return the pointer of the schema that is a field's value. None: there is none."""
        schema = self.object.get(name)
        if schema is not None and not isinstance(schema, Mapping | bool):
            raise self.error(f"{show(schema)} is no schema", name)
        return None if schema is None else f"{self.pointer}/{name}"
