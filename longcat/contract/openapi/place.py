"""A place in an OpenAPI document: what stands there, references followed. What is not as it should be is an error."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from longcat.contract.openapi.document import Node, SpecError, follow
from longcat.pointer import escape
from longcat.text import show


@frozen
class Place:
    """A place in a document. Every method raises SpecError, with a pointer, for what is not as OpenAPI says.

    Attributes:
        node: what stands there, its reference followed.
        pointer: where that is.
    """

    document: Node = field(repr=False)
    node: Any
    pointer: str

    @classmethod
    def of(cls, document: Node, node: Any, pointer: str) -> "Place":
        """Return the place of a node, or the one that it refers to."""
        try:
            return cls(document, *follow(document, node, pointer))
        except SpecError as error:
            raise SpecError(f"at {pointer}: {error}") from None

    def error(self, why: str, name: str = "") -> SpecError:
        """Return the error that says what is wrong here, or with a field."""
        where = self.pointer + (f"/{escape(name)}" if name else "")
        return SpecError(f"at {where or 'its top level'}: {why}. Mend it.")

    @property
    def object(self) -> Node:
        """The object that stands here."""
        if not isinstance(self.node, Mapping):
            raise self.error(f"{show(self.node)} is not an object")
        return self.node

    def get(self, name: str) -> "Place | None":
        """Return the place of a field. None: it is not there."""
        if name not in self.object:
            return None
        return Place.of(self.document, self.node[name], f"{self.pointer}/{escape(name)}")

    def fields(self, name: str) -> "dict[str, Place]":
        """Return the places in the object that is a field's value. Empty: the field is not there."""
        holder = self.object.get(name, {})
        if not isinstance(holder, Mapping):
            raise self.error(f"{show(holder)} is not an object", name)
        return {key: self._inside(name, key, node) for key, node in holder.items()}

    def items(self, name: str) -> "list[Place]":
        """Return the places in the list that is a field's value. Empty: the field is not there."""
        holder = self.object.get(name, ())
        if isinstance(holder, str) or not isinstance(holder, Sequence):
            raise self.error(f"{show(holder)} is not a list", name)
        return [self._inside(name, str(index), node) for index, node in enumerate(holder)]

    def text(self, name: str) -> str:
        """Return the text that is a field's value."""
        if name not in self.object:
            raise self.error(f"{name} is missing")
        if not isinstance(self.node[name], str) or not self.node[name]:
            raise self.error(f"{show(self.node[name])} is not a text", name)
        return str(self.node[name])

    def word(self, name: str, allowed: Sequence[str]) -> str:
        """Return the text that is a field's value, and one of these."""
        if self.text(name) not in allowed:
            raise self.error(f"{show(self.node[name])} is none of {', '.join(allowed)}", name)
        return self.text(name)

    def flag(self, name: str) -> bool:
        """Whether a field's value is true."""
        return self.object.get(name) is True

    def schema(self) -> str | None:
        """Return where the schema stands that is the field `schema`. None: there is none."""
        if "schema" in self.object and not isinstance(self.node["schema"], Mapping | bool):
            raise self.error(f"{show(self.node['schema'])} is no schema", "schema")
        return f"{self.pointer}/schema" if "schema" in self.object else None

    def _inside(self, name: str, key: str, node: Any) -> "Place":
        return Place.of(self.document, node, f"{self.pointer}/{escape(name)}/{escape(key)}")
