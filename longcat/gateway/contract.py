"""Reads the contract at run time, so that nothing stands in two places."""

import json
from collections.abc import Mapping
from functools import cache, cached_property
from pkgutil import get_data
from typing import Any, Final, Literal, Protocol, TypeAlias

import longcat_api
from attrs import field, frozen
from longcat_api import models

from longcat.gateway.schema import Schema, SchemaChecker, compile_schema
from longcat.models import State
from longcat.text.pointer import at

OperationId: TypeAlias = Literal["submit_request", "get_request_status", "get_request_result"]
SUBMIT: Final[OperationId] = "submit_request"
METHODS: Final = ("get", "put", "post", "delete", "patch")


class Model(Protocol):
    """A generated model."""

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Any:
        """Return the model of a decoded JSON object."""


@frozen
class Variant:
    """One kind of documented answer.

    Attributes:
        word: the status word that tells it, as documented.
        schema: what such an answer must be like.
        model: the generated class for it.
        state: what the word says of a request.
        checker: the schema, ready to check answers.
    """

    word: str
    schema: Schema
    model: type[Model]
    state: State = field(init=False, eq=False)
    checker: SchemaChecker = field(init=False, eq=False, repr=False)

    @state.default
    def _state(self) -> State:
        return State.of(self.word)

    @checker.default
    def _checker(self) -> SchemaChecker:
        return compile_schema(self.schema)


@frozen
class Contract:
    """One operation of a gateway, as `openapi.yaml` has it.

    Attributes:
        server: the base URL of the first server.
        key_header: the header that carries the key.
        body: the schema of what is sent. Empty: nothing is.
        parameters: the schema of each parameter, by its name.
        extensions: the `x-` fields of the operation.
    """

    server: str
    key_header: str
    body: Schema
    parameters: Mapping[str, Schema]
    extensions: Mapping[str, Any]
    _success: Schema

    @cached_property
    def body_checker(self) -> SchemaChecker:
        """The schema of what is sent, ready to check it."""
        return compile_schema(self.body)

    @cached_property
    def variants(self) -> Mapping[str, Variant]:
        """For each documented status word, in lower case, the successful answer with it."""
        return _variants(self._success, _document())


@cache
def contract(operation_id: OperationId) -> Contract:
    """Return the contract of an operation, from the document that the generated package was made from."""
    document = _document()
    path, operation = next(
        (path, path[method])
        for path in document["paths"].values()
        for method in METHODS
        if method in path and path[method]["operationId"] == operation_id
    )
    (scheme,) = operation.get("security", document["security"])[0]
    servers = next(one["servers"] for one in (operation, path, document) if "servers" in one)
    success = next(answer for code, answer in operation["responses"].items() if code.startswith("2"))
    return Contract(
        server=servers[0]["url"],
        key_header=document["components"]["securitySchemes"][scheme]["name"],
        body=_resolve(_json_schema(operation.get("requestBody", {})), document),
        parameters={one["name"]: one["schema"] for one in operation.get("parameters", ())},
        extensions={name: value for name, value in operation.items() if name.startswith("x-")},
        success=_json_schema(success),
    )


@cache
def _document() -> Any:
    content = get_data(longcat_api.__name__, "openapi.json")
    if content is None:
        raise FileNotFoundError("the package longcat_api was installed without its openapi.json")
    return json.loads(content)


def _json_schema(body: Mapping[str, Any]) -> Schema:
    schema: Schema = body.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _variants(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Variant]:
    """Return the answers by their status words: as the discriminator maps them, or by the one word that is allowed."""
    target = at(document, schema["$ref"].removeprefix("#")) if "$ref" in schema else schema
    if "discriminator" in target:
        words = target["discriminator"]["mapping"]
    else:
        words = {target["properties"]["status"]["const"]: schema["$ref"]}
    return {word.casefold(): _variant(word, reference, document) for word, reference in words.items()}


def _variant(word: str, reference: str, document: Mapping[str, Any]) -> Variant:
    model = getattr(models, reference.rpartition("/")[2])  # The generator names a class after its schema.
    return Variant(word, _resolve({"$ref": reference}, document), model)


def _resolve(node: Any, document: Mapping[str, Any]) -> Any:
    """Return a part of the document with every reference in it replaced by what it refers to."""
    if isinstance(node, list):
        return [_resolve(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _resolve(at(document, node["$ref"].removeprefix("#")), document)
    return {name: _resolve(inner, document) for name, inner in node.items()}
