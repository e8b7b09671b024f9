"""What `openapi.yaml` promises, held against the facts on the vendor's pages."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from contract_file import CONTRACT

SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]
RESULT: dict[str, Any] = CONTRACT["paths"]["/longcat-image-request-result"]["post"]
SUBMIT: dict[str, Any] = CONTRACT["paths"]["/longcat-image-498/v1/longcat-image-request"]["post"]
STATUS: dict[str, Any] = CONTRACT["paths"]["/v2/requests/status/{request_id}"]["get"]
CALLBACK: dict[str, Any] = CONTRACT["webhooks"]["request_status"]["post"]
RESPONSES: dict[str, Any] = RESULT["responses"]

# --- What the pages say. First the result gateway's, with its table of errors.

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

# The queue gateway's.
QUEUE_ID = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
ORDER = {
    "image_size": "landscape_4_3",
    "num_inference_steps": 28,
    "guidance_scale": 4.5,
    "num_images": 1,
    "enable_safety_checker": True,
    "output_format": "png",
    "acceleration": "regular",
}
"""The example body, without its prompt: the words of that are ours."""
QUEUED = {
    "request_id": QUEUE_ID,
    "status": "QUEUED",
    "polling_url": f"https://gateway.pixazo.ai/v2/requests/status/{QUEUE_ID}",
}
QUEUE_COMPLETED = {
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
}
QUEUE_ERROR = {
    "request_id": QUEUE_ID,
    "status": "ERROR",
    "model_id": "longcat-image-498",
    "error": "Description of the error",
    "output": None,
}
BALANCE = {"error": "Insufficient Balance", "message": "Your wallet does not have enough balance."}
DISABLED = {"error": "Model not found", "message": "Model 'longcat-image-498' not found or is disabled"}

# --- How the contract has it.


def nodes(node: object, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document, with the path to it."""
    if isinstance(node, dict):
        yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from nodes(child, f"{path}/{key}")


def named_examples(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the examples beside a schema, by their names. A parameter may have a single one, which has none."""
    single = {"example": {"value": node["example"]}} if "example" in node else {}
    return {**node.get("examples", {}), **single}


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
    for name, example in named_examples(node).items()
]
ANSWER: dict[str, Any] = RESPONSES["200"]["content"]["application/json"]["schema"]


def test_the_contract_is_valid_openapi() -> None:
    """The file is an OpenAPI 3.1 document without a defect."""
    import openapi_spec_validator  # noqa: PLC0415 - it is slow to import, and nothing else here needs it.

    openapi_spec_validator.validate(CONTRACT, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


@pytest.mark.parametrize(("schema", "example"), EXAMPLES)
def test_example_fits_its_schema(schema: dict[str, Any], example: object) -> None:
    """Each example is allowed by the schema that it stands beside."""
    validator(schema).validate(example)


def test_every_example_stands_beside_a_schema() -> None:
    """No example is hidden where the test above does not look."""
    assert len(EXAMPLES) == sum(len(named_examples(node)) for _, node in nodes(CONTRACT))


def bodies(part: dict[str, Any], *, inferred: bool) -> list[Any]:
    """Return the JSON bodies that are examples in a part of the contract: from a page, or inferred."""
    named = [example for _, node in nodes(part) for example in node.get("examples", {}).values()]
    return [example["value"] for example in named if example["summary"].endswith("Inferred") == inferred]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        pytest.param(
            RESULT,
            [
                QUESTION,
                PROCESSING_30,
                PROCESSING_45,
                COMPLETED,
                {"error": "Invalid parameters"},
                *({"error": message} for message in ERRORS.values()),
            ],
            id="result",
        ),
        pytest.param(
            SUBMIT,
            [{"prompt": "A lioness in tall grass, golden hour", **ORDER}, QUEUED, DISABLED, BALANCE],
            id="submit",
        ),
        pytest.param(STATUS, [QUEUE_COMPLETED, QUEUE_ERROR], id="status"),
        pytest.param(CALLBACK, [QUEUE_ERROR], id="callback"),
    ],
)
def test_the_examples_are_the_bodies_of_the_pages(operation: dict[str, Any], expected: list[Any]) -> None:
    """Every JSON body of a page is a named example of its call, and nothing else is, but for what says Inferred."""
    assert sorted(map(repr, expected)) == sorted(map(repr, bodies(operation, inferred=False)))


def test_what_no_page_shows_is_marked() -> None:
    """The answers for a request that is queued, under way or failed are inferred: as for ERROR, with nulls."""
    assert bodies(STATUS, inferred=True) == [
        {**QUEUE_ERROR, "status": "QUEUED", "error": None},
        {**QUEUE_ERROR, "status": "PROCESSING", "error": None},
        {**QUEUE_ERROR, "status": "FAILED"},
    ]
    assert [bodies(part, inferred=True) for part in (RESULT, SUBMIT, CALLBACK, CONTRACT["components"])] == [[]] * 4


def test_the_addresses_and_the_key_are_those_of_the_pages() -> None:
    """Each call has the one server, path and method of its page, and the key travels in its own header."""
    calls = {
        (path, method, one["operationId"], *(server["url"] for server in item["servers"]))
        for path, item in CONTRACT["paths"].items()
        for method, one in item.items()
        if method != "servers"
    }
    queue, result = "https://gateway.pixazo.ai", "https://gateway-falai-automate.appypie.workers.dev"
    assert calls == {
        ("/longcat-image-498/v1/longcat-image-request", "post", "submit_request", queue),
        ("/v2/requests/status/{request_id}", "get", "get_request_status", queue),
        ("/longcat-image-request-result", "post", "get_request_result", result),
    }
    assert [server["url"] for server in CONTRACT["servers"]] == [queue]
    assert CONTRACT["security"] == [{"SubscriptionKey": []}]
    assert [one["operationId"] for one in (RESULT, SUBMIT, STATUS) if "security" in one] == []
    scheme = CONTRACT["components"]["securitySchemes"]["SubscriptionKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Ocp-Apim-Subscription-Key")


def test_an_order_is_what_the_table_has() -> None:
    """The fields of an order, which of them are required, and their words are those of the page's table."""
    fields = SCHEMAS["SubmitRequest"]["properties"]
    words = {name: field["enum"] for name, field in fields.items() if "enum" in field}
    assert (list(fields), SCHEMAS["SubmitRequest"]["required"]) == (["prompt", *ORDER], ["prompt", "image_size"])
    assert words == {
        "image_size": ["landscape_4_3", "portrait_3_4", "square_1_1", "ultra_wide_16_9", "ultra_portrait_9_16"],
        "output_format": ["png", "jpeg", "webp"],
        "acceleration": ["regular", "high_performance"],
    }
    assert not {"default", "minimum", "maximum", "maxLength"} & {key for field in fields.values() for key in field}
    headers = {one["name"]: one for one in SUBMIT["parameters"]}
    assert list(headers) == ["Cache-Control", "X-Webhook-URL", "X-Webhook-Mode"]
    assert headers["X-Webhook-Mode"]["schema"]["enum"] == ["terminal", "sync"]
    assert [one["name"] for one in headers.values() if one.get("required")] == []


def test_what_the_client_reads_of_the_contract() -> None:
    """The price, the advice how often to ask and which call is safe stand where they belong."""
    extensions = [{key: one[key] for key in one if key.startswith("x-")} for one in (SUBMIT, STATUS, RESULT)]
    assert extensions == [{"x-price-usd": 0.13}, {"x-seconds-per-question": 5}, {"x-safe": True}]


@pytest.mark.parametrize(
    ("operation", "codes"),
    [
        pytest.param(RESULT, ["200", *ERRORS], id="result"),
        pytest.param(SUBMIT, ["202", "400", "401", "402", "403", "429", "500"], id="submit"),
        # 404 is documented for sister models only, and 402 makes no sense for a question.
        pytest.param(STATUS, ["200", "400", "401", "403", "404", "429", "500"], id="status"),
    ],
)
def test_only_documented_answers_are_declared(operation: dict[str, Any], codes: list[str]) -> None:
    """The status codes are the page's, each answers JSON, and no response header is invented."""
    shared = CONTRACT["components"]["responses"]
    responses = [shared.get(one.get("$ref", "").rpartition("/")[2], one) for one in operation["responses"].values()]
    assert list(operation["responses"]) == codes
    assert {media for response in responses for media in response["content"]} == {"application/json"}
    assert [response for response in responses if "headers" in response] == []


@pytest.mark.parametrize(("code", "message"), ERRORS.items())
def test_error_table(code: str, message: str) -> None:
    """Each error has the one shape, and the table's message as its example."""
    body = RESPONSES[code]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Error"}
    assert body["examples"]["table"]["value"] == {"error": message}


@pytest.mark.parametrize("answer", [ANSWER, SCHEMAS["RequestStatus"]], ids=["result", "status"])
def test_status_words_agree(answer: dict[str, Any]) -> None:
    """The mapping, the words of each variant and the members of the oneOf name the same variants."""
    mapping: dict[str, str] = answer["discriminator"]["mapping"]
    assert answer["discriminator"]["propertyName"] == "status"
    assert [{"$ref": reference} for reference in dict.fromkeys(mapping.values())] == answer["oneOf"]
    variants = {reference: SCHEMAS[reference.rpartition("/")[2]] for reference in mapping.values()}
    words = {reference: schema["properties"]["status"] for reference, schema in variants.items()}
    assert mapping == {
        word: reference for reference, schema in words.items() for word in schema.get("enum") or [schema["const"]]
    }
    assert all("status" in schema["required"] for schema in variants.values())


def test_the_status_words_are_those_of_the_pages() -> None:
    """The result gateway's examples have two words, to which others may come; the queue gateway's table has five."""
    assert {"processing", "completed"} <= set(ANSWER["discriminator"]["mapping"])
    assert set(SCHEMAS["RequestStatus"]["discriminator"]["mapping"]) == {
        *("QUEUED", "PROCESSING", "COMPLETED", "FAILED", "ERROR"),
    }


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
