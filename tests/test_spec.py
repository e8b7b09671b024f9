"""What `openapi.yaml` promises, held against the facts on the vendor's page."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import openapi_spec_validator
import pytest
from contract_file import CONTRACT

SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]
OPERATION: dict[str, Any] = CONTRACT["paths"]["/longcat-image-request-result"]["post"]
RESPONSES: dict[str, Any] = OPERATION["responses"]

# The page's table of errors.
ERRORS = {
    "400": "Invalid request parameters",
    "401": "Invalid or missing authentication",
    "403": "Access denied for this operation",
    "404": "Endpoint not found",
    "429": "Rate limit exceeded, please retry later",
    "500": "An unexpected error occurred, please try again later",
}
QUESTION = {"request_id": "XXXXXXXXXXXXX"}
PROCESSING_30 = {"status": "processing", "progress": 0.3, "request_id": "XXXXXXXXXXXXX"}
PROCESSING_45 = {"status": "processing", "progress": 0.45, "request_id": "XXXXXXXXXXXXX"}
COMPLETED = {
    "status": "completed",
    "progress": 1.0,
    "request_id": "XXXXXXXXXXXXX",
    "result_url": "https://storage.pixazo.ai/results/XXXXXXXXXXXXX.png",
    "created_at": "2024-06-15T10:30:00Z",
    "duration_seconds": 42,
    "model_version": "longcat-v1.2",
}


def nodes(node: object, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document, with the path to it."""
    if isinstance(node, dict):
        yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from nodes(child, f"{path}/{key}")


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return a validator of a schema that may refer to the contract's components."""
    whole = {**schema, "components": CONTRACT["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def single(node: dict[str, Any]) -> dict[str, Any]:
    """Return the example of a parameter as if it had a name."""
    return {"example": {"value": node["example"]}} if "example" in node else {}


EXAMPLES = [
    pytest.param(node["schema"], example["value"], id=f"{path}/{name}")
    for path, node in nodes(CONTRACT)
    if "schema" in node
    for name, example in {**node.get("examples", {}), **single(node)}.items()
]
ANSWER: dict[str, Any] = RESPONSES["200"]["content"]["application/json"]["schema"]


def test_the_contract_is_valid_openapi() -> None:
    """The file is an OpenAPI 3.1 document without a flaw."""
    openapi_spec_validator.validate(CONTRACT, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


@pytest.mark.parametrize(("schema", "example"), EXAMPLES)
def test_example_fits_its_schema(schema: dict[str, Any], example: object) -> None:
    """Each example is allowed by the schema that it stands beside."""
    validator(schema).validate(example)


def test_every_example_stands_beside_a_schema() -> None:
    """No example is hidden where the test above does not look."""
    named = [node["examples"] for _, node in nodes(CONTRACT) if "examples" in node]
    single = [path for path, node in nodes(CONTRACT) if "example" in node]
    assert len(EXAMPLES) == sum(len(examples) for examples in named) + len(single)


def test_the_examples_are_the_bodies_of_the_page() -> None:
    """Every JSON body of the result gateway's page is an example of its operation, and nothing else is."""
    expected = [
        QUESTION,
        PROCESSING_30,
        PROCESSING_45,
        COMPLETED,
        {"error": "Invalid parameters"},
        *({"error": message} for message in ERRORS.values()),
    ]
    actual = [parameter.values[1] for parameter in EXAMPLES if "/longcat-image-request-result/" in str(parameter.id)]
    assert sorted(map(repr, expected)) == sorted(map(repr, actual))


QUEUE_ID = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
FAILED = {"request_id": QUEUE_ID, "model_id": "longcat-image-498", "error": "Description of the error", "output": None}
QUEUE_BODIES: list[dict[str, Any]] = [
    {
        "prompt": "A lioness in tall grass, golden hour",
        "image_size": "landscape_4_3",
        "num_inference_steps": 28,
        "guidance_scale": 4.5,
        "num_images": 1,
        "enable_safety_checker": True,
        "output_format": "png",
        "acceleration": "regular",
    },
    {
        "request_id": QUEUE_ID,
        "status": "QUEUED",
        "polling_url": f"https://gateway.pixazo.ai/v2/requests/status/{QUEUE_ID}",
    },
    {"error": "Model not found", "message": "Model 'longcat-image-498' not found or is disabled"},
    {"error": "Insufficient Balance", "message": "Your wallet does not have enough balance."},
    {
        "request_id": QUEUE_ID,
        "status": "COMPLETED",
        "model_id": "longcat-image-498",
        "error": None,
        "output": {
            "media_url": [
                "https://pub-582b7213209642b9b995c96c95a30381.r2.dev/v1/longcat-image-498_019dxxxx-xxxx/output.ext"
            ],
            "media_type": "application/octet-stream",
        },
        "created_at": "2026-03-31T10:00:00.000Z",
        "updated_at": "2026-03-31T10:00:15.000Z",
        "completed_at": "2026-03-31T10:00:15.000Z",
    },
    FAILED | {"status": "ERROR"},
    FAILED | {"status": "ERROR"},  # Of the webhook.
]


def test_the_examples_of_the_queue_gateway_are_those_of_its_page() -> None:
    """Every JSON body of the queue gateway's page is an example; of the others it is said that they are inferred."""
    actual: list[dict[str, Any]] = [
        example["value"]
        for path, node in nodes({"paths": CONTRACT["paths"], "webhooks": CONTRACT["webhooks"]})
        if "/longcat-image-request-result/" not in path
        for example in node.get("examples", {}).values()
        if "Inferred" not in example["summary"]
    ]

    def plain(bodies: list[dict[str, Any]]) -> list[str]:
        return sorted(repr(sorted(body.items())) for body in bodies)

    assert plain(QUEUE_BODIES) == plain(actual)


def test_the_address_and_the_key_are_those_of_the_page() -> None:
    """Each operation has its server, its path and its method, and the key travels in its own header."""
    actual = {
        item[method]["operationId"]: (method, path, [server["url"] for server in item["servers"]])
        for path, item in CONTRACT["paths"].items()
        for method in item.keys() - {"servers"}
    }
    queue = ["https://gateway.pixazo.ai"]
    assert actual == {
        "submit_request": ("post", "/longcat-image-498/v1/longcat-image-request", queue),
        "get_request_status": ("get", "/v2/requests/status/{request_id}", queue),
        "get_request_result": (
            "post",
            "/longcat-image-request-result",
            ["https://gateway-falai-automate.appypie.workers.dev"],
        ),
    }
    assert "x-safe" not in CONTRACT["paths"]["/longcat-image-498/v1/longcat-image-request"]["post"]
    assert CONTRACT["security"] == [{"SubscriptionKey": []}]
    scheme = CONTRACT["components"]["securitySchemes"]["SubscriptionKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Ocp-Apim-Subscription-Key")


def test_only_documented_answers_are_declared() -> None:
    """The status codes are the table's, each answers JSON, and no response header is invented."""
    assert list(RESPONSES) == ["200", *ERRORS]
    assert {media for response in RESPONSES.values() for media in response["content"]} == {"application/json"}
    assert [code for code, response in RESPONSES.items() if "headers" in response] == []


@pytest.mark.parametrize(("code", "message"), ERRORS.items())
def test_error_table(code: str, message: str) -> None:
    """Each error has the one shape, and the table's message as its example."""
    body = RESPONSES[code]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Error"}
    assert body["examples"]["table"]["value"] == {"error": message}


def test_status_words_agree() -> None:
    """The mapping, the const of each variant and the members of the oneOf name the same variants."""
    mapping: dict[str, str] = ANSWER["discriminator"]["mapping"]
    assert ANSWER["discriminator"]["propertyName"] == "status"
    assert [{"$ref": reference} for reference in mapping.values()] == ANSWER["oneOf"]
    variants = {word: SCHEMAS[reference.rpartition("/")[2]] for word, reference in mapping.items()}
    assert [schema["properties"]["status"]["const"] for schema in variants.values()] == list(variants)
    assert {"processing", "completed"} <= set(variants)
    assert all("status" in schema["required"] for schema in variants.values())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({**PROCESSING_30, "progress": 0}, id="not begun"),
        pytest.param({**PROCESSING_30, "progress": 1}, id="all but completed"),
        pytest.param({**PROCESSING_30, "success": True}, id="the flag of the table"),
        pytest.param({**PROCESSING_30, "seed": [1]}, id="an unknown field while processing"),
        pytest.param({**COMPLETED, "success": True, "seed": None}, id="an unknown field when completed"),
        pytest.param({**COMPLETED, "duration_seconds": 0.25}, id="a part of a second"),
        pytest.param({**PROCESSING_30, "status": "completed", "progress": 1, "result_url": "https://a/b"}, id="bare"),
    ],
)
def test_answer_keeps_the_contract(body: dict[str, Any]) -> None:
    """An answer of one variant may have fields that nobody knows and lack those that are optional."""
    validator(ANSWER).validate(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({**PROCESSING_30, "status": "unheard-of"}, id="a word that is not documented"),
        pytest.param({**PROCESSING_30, "status": "Processing"}, id="another case"),
        pytest.param({**PROCESSING_30, "progress": 1.01}, id="more than all"),
        pytest.param({**PROCESSING_30, "progress": -0.01}, id="less than nothing"),
        pytest.param({**PROCESSING_30, "progress": "0.3"}, id="progress as text"),
        pytest.param({**PROCESSING_30, "request_id": ""}, id="an empty id"),
        pytest.param({**PROCESSING_30, "success": False}, id="no success"),
        pytest.param({**COMPLETED, "progress": 0.99}, id="completed but not done"),
        pytest.param({**COMPLETED, "result_url": "no address"}, id="no URI"),
        pytest.param({**COMPLETED, "created_at": "yesterday"}, id="no date"),
        pytest.param({**COMPLETED, "created_at": None}, id="null"),
        pytest.param({**COMPLETED, "duration_seconds": -1}, id="less than no time"),
    ],
)
def test_answer_breaks_the_contract(body: dict[str, Any]) -> None:
    """An answer with one value that is not allowed is no answer of any variant."""
    assert not validator(ANSWER).is_valid(body)


@pytest.mark.parametrize("body", [PROCESSING_30, COMPLETED], ids=["processing", "completed"])
def test_required_fields(body: dict[str, Any]) -> None:
    """Without any one of the required fields the contract is broken; without another field it is not."""
    needed = {name for name in body if not validator(ANSWER).is_valid({key: body[key] for key in body if key != name})}
    common = {"status", "progress", "request_id"}
    assert needed == (common if body is PROCESSING_30 else common | {"result_url"})
