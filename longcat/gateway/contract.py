"""What the client reads from the contract at run time, so that nothing stands in two places."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import longcat_api
from attrs import frozen
from longcat_api import models

from longcat.gateway.schema import Schema
from longcat.pointer import at


class Model(Protocol):
    """A generated model."""

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Any:
        """Return the model of a decoded JSON object."""


@frozen
class Variant:
    """One kind of documented answer.

    Attributes:
        schema: what such an answer must be like.
        model: the generated class for it.
    """

    schema: Schema
    model: type[Model]


@frozen
class Contract:
    """What a gateway says about one operation in `openapi.yaml`.

    Attributes:
        server: the base URL of the first server.
        key_header: the header that carries the key.
        variants: for each documented status word, in lower case, the answer with it.
    """

    server: str
    key_header: str
    variants: Mapping[str, Variant]


@cache
def contract(operation_id: str = "get_request_result") -> Contract:
    """Return the contract of an operation, from the document that the generated package was made from."""
    document = json.loads((files(longcat_api) / "openapi.json").read_text("utf-8"))
    operations = (operation for path in document["paths"].values() for operation in path.values())
    operation = next(one for one in operations if one["operationId"] == operation_id)
    (scheme,) = operation.get("security", document["security"])[0]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return Contract(
        server=document["servers"][0]["url"],
        key_header=document["components"]["securitySchemes"][scheme]["name"],
        variants={
            word.casefold(): _variant(target, document) for word, target in schema["discriminator"]["mapping"].items()
        },
    )


def _variant(reference: str, document: Mapping[str, Any]) -> Variant:
    model = getattr(models, reference.rpartition("/")[2])  # The generator names a class after its schema.
    return Variant(_resolve({"$ref": reference}, document), model)


def _resolve(node: Any, document: Mapping[str, Any]) -> Any:
    """Return a part of the document with every reference in it replaced by what it refers to."""
    if isinstance(node, list):
        return [_resolve(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _resolve(at(document, node["$ref"].removeprefix("#")), document)
    return {name: _resolve(inner, document) for name, inner in node.items()}
