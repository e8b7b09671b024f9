"""What the emulated queue gateway answers to orders and questions, in virtual time and without a socket."""

import io
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from PIL import Image
from sandbox_world import CATS, KEY, ORDER_PATH, STATUS_PATH, World

from longcat.sandbox import BODY_VARIANTS, EXAMPLE_ID, EXAMPLE_QUEUE_ID, FAULTS, Fault, RequestOutcome
from longcat.sandbox import app as app_module
from longcat.sandbox.queue import gateway as gateway_module

SIZES = ("landscape_4_3", "portrait_3_4", "square_1_1", "ultra_wide_16_9", "ultra_portrait_9_16")
ID = r"longcat-image-498_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{13}"
UNAUTHORIZED = {"error": "Unauthorized", "message": "The subscription key is missing or invalid."}
DISABLED = {"error": "Model not found", "message": "Model 'longcat-image-498' not found or is disabled"}
NO_MONEY = {"error": "Insufficient Balance", "message": "Your wallet does not have enough balance."}


# --- An order, and what comes of it.


def test_order() -> None:
    """An order is answered with 202 and the three documented fields."""
    response = World().order()
    body = response.json()
    assert response.status_code == 202
    assert re.fullmatch(ID, body["request_id"])
    assert body == {
        "request_id": body["request_id"],
        "status": "QUEUED",
        "polling_url": f"http://sandbox{STATUS_PATH}{body['request_id']}",
    }


def test_ids() -> None:
    """Each request has an id of its own, whose first 48 bits are the milliseconds of its birth."""
    world = World()
    ids = [world.ordered() for _ in range(20)]
    world.now = 1.25
    ids.append(world.ordered())
    assert len(set(ids)) == 21
    births = [int(one.partition("_")[2][:13].replace("-", ""), 16) for one in ids]
    assert births == [1_718_447_400_000] * 20 + [1_718_447_401_250]


def test_life_of_a_request() -> None:
    """A request is queued for its share of the duration, runs, and has its pictures; no progress is told."""
    world = World(duration=15, queued=0.4)
    request_id = world.ordered(num_images=2)
    seen = []
    for now in (0.0, 5.9, 6.0, 14.9):
        world.now = now
        seen.append(world.status(request_id))
    open_request = {"request_id": request_id, "model_id": "longcat-image-498", "error": None, "output": None}
    words = ["QUEUED", "QUEUED", "PROCESSING", "PROCESSING"]
    assert seen == [(200, {**open_request, "status": word}) for word in words]
    world.now = 15.0
    assert world.status(request_id) == (
        200,
        {
            "request_id": request_id,
            "status": "COMPLETED",
            "model_id": "longcat-image-498",
            "error": None,
            "output": {
                "media_url": [f"http://sandbox/v1/{request_id}/output-{n}.png" for n in (1, 2)],
                "media_type": "image/png",
            },
            "created_at": "2024-06-15T10:30:00.000Z",
            "updated_at": "2024-06-15T10:30:15.000Z",
            "completed_at": "2024-06-15T10:30:15.000Z",
        },
    )


@pytest.mark.parametrize("outcome", [RequestOutcome.FAILED, RequestOutcome.ERROR, RequestOutcome.CANCELLED])
@pytest.mark.parametrize("by_prompt", [False, True])
def test_bad_end(outcome: RequestOutcome, by_prompt: bool) -> None:
    """A request fails as the settings say, or as its prompt does."""
    world = World(duration=0, outcome=RequestOutcome.COMPLETED if by_prompt else outcome)
    request_id = world.ordered(prompt=f"a cat [{outcome.value}]" if by_prompt else "a cat")
    code, body = world.status(request_id)
    assert (code, body["status"], body["output"]) == (200, outcome.value.upper(), None)
    assert body["error"] == f"Processing failed: the sandbox was told that this request ends as {outcome.value}."
    assert world.send("GET", f"/v1/{request_id}/output-1.png").status_code == 404


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("small", [False, True])
def test_pictures(output_format: str, small: bool) -> None:
    """Each picture is in the wanted format and shape, and another one than the others."""
    world = World(duration=0, small_pictures=small)
    request_id = world.ordered(num_images=2, output_format=output_format, image_size="ultra_portrait_9_16")
    contents = []
    for url in world.status(request_id)[1]["output"]["media_url"]:
        response = world.send("GET", url)
        assert (response.status_code, response.headers["content-type"]) == (200, f"image/{output_format}")
        with Image.open(io.BytesIO(response.content)) as picture:
            picture.load()
            assert (picture.format, picture.width * 16) == (output_format.upper(), picture.height * 9)
        contents.append(response.content)
    assert contents[0] != contents[1]


@pytest.mark.parametrize("name", ["output-0.png", "output-2.png", "output-1.jpeg", "output.png", ""])
def test_no_such_picture(name: str) -> None:
    """There is no picture of another number or format, and none before the end."""
    world = World(duration=1)
    request_id = world.ordered()
    assert world.send("GET", f"/v1/{request_id}/output-1.png").status_code == 404
    world.now = 1.0
    assert world.send("GET", f"/v1/{request_id}/{name}").status_code == 404


# --- What is refused. Nothing that is refused is counted as an order, or costs anything.


BAD_ORDERS: dict[str, tuple[Any, str]] = {
    "no prompt": ({"image_size": "square_1_1"}, "The field prompt is required."),
    "no size": ({"prompt": "a cat"}, "The field image_size is required."),
    "empty prompt": (CATS | {"prompt": ""}, "The field prompt must not be empty."),
    "null prompt": (CATS | {"prompt": None}, "The field prompt has the wrong type."),
    "number prompt": (CATS | {"prompt": 5}, "The field prompt has the wrong type."),
    "steps": (CATS | {"num_inference_steps": "28"}, "The field num_inference_steps has the wrong type."),
    "half steps": (CATS | {"num_inference_steps": 28.5}, "The field num_inference_steps has the wrong type."),
    "bool images": (CATS | {"num_images": True}, "The field num_images has the wrong type."),
    "guidance": (CATS | {"guidance_scale": "4.5"}, "The field guidance_scale has the wrong type."),
    "checker": (CATS | {"enable_safety_checker": 1}, "The field enable_safety_checker has the wrong type."),
    "size": (
        CATS | {"image_size": "square"},
        f"The field image_size must be one of: {', '.join(SIZES)}.",
    ),
    "format": (CATS | {"output_format": "PNG"}, "The field output_format must be one of: png, jpeg, webp."),
    "acceleration": (
        CATS | {"acceleration": "none"},
        "The field acceleration must be one of: regular, high_performance.",
    ),
    "array": ([CATS], "The body is not a JSON object."),
    "too long": (CATS | {"prompt": "x" * 65_536}, "The body is longer than 65536 bytes."),
}


@pytest.mark.parametrize(("body", "message"), BAD_ORDERS.values(), ids=BAD_ORDERS)
def test_bad_order(body: Any, message: str) -> None:
    """An order that is not as documented is 400, names the field, and is not taken."""
    world = World()
    response = world.send("POST", ORDER_PATH, json=body, headers=KEY)
    assert (response.status_code, response.json()) == (400, {"error": "Invalid request", "message": message})
    assert (world.orders()["posts"], world.orders()["taken"]) == (1, 0)


GOOD_ORDERS: list[dict[str, Any]] = [
    {},
    {"num_inference_steps": 28, "guidance_scale": 4.5, "num_images": 1, "enable_safety_checker": True},
    {"output_format": "png", "acceleration": "regular", "seed": 7},
    {"num_inference_steps": 28.0, "guidance_scale": 4, "num_images": -1},
    {"num_inference_steps": 10**30, "guidance_scale": -1, "num_images": 10**30},
]


@pytest.mark.parametrize("fields", GOOD_ORDERS)
def test_good_order(fields: dict[str, Any]) -> None:
    """Every number is taken where the page has no range, and so is a field that it does not list."""
    assert World(duration=1).order(**fields).status_code == 202


def test_wrong_key() -> None:
    """Both calls refuse a wrong key, before anything else."""
    world = World()
    request_id = world.ordered()
    answers = [world.send("POST", ORDER_PATH, content=b"?"), world.send("GET", STATUS_PATH + request_id)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(401, UNAUTHORIZED)] * 2
    assert world.orders()["taken"] == 1


@pytest.mark.parametrize("path", [ORDER_PATH, STATUS_PATH + EXAMPLE_QUEUE_ID])
def test_other_method(path: str) -> None:
    """Another method than the documented one is 405."""
    method = "GET" if path == ORDER_PATH else "POST"
    assert World().send(method, path, headers=KEY).status_code == 405


def test_disabled_model() -> None:
    """An order of a model that is disabled is the documented 400."""
    world = World(disabled=True)
    response = world.order()
    assert (response.status_code, response.json(), world.orders()["taken"]) == (400, DISABLED, 0)


def test_balance() -> None:
    """Each picture costs 0.13 USD; an order that the balance does not cover is the documented 402."""
    world = World(balance=Decimal("0.40"))
    answers = [world.order(num_images=n) for n in (2, 2, 1, 1)]
    assert [answer.status_code for answer in answers] == [202, 402, 202, 402]
    assert answers[1].json() == NO_MONEY
    told = world.orders()
    assert (told["posts"], told["taken"], told["spent"]) == (4, 2, "0.39")


def test_an_error_is_free() -> None:
    """A request that ends in an error of the system is not charged; one that fails is."""
    world = World(balance=Decimal("0.13"))
    prompts = ("a [error]", "a [error]", "a [failed]", "a")
    assert [world.order(prompt=prompt).status_code for prompt in prompts] == [202, 202, 202, 402]


def test_rate_limit_counts_both_calls() -> None:
    """Orders and questions are limited together, and an order too many is not taken."""
    world = World(rate_limit=2)
    request_id = world.ordered()
    assert [world.status(request_id)[0], world.order().status_code] == [200, 429]
    assert world.orders()["taken"] == 1


def test_the_sandbox_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the sandbox is full it takes no more orders."""
    monkeypatch.setattr(gateway_module, "MAX_REQUESTS", 2)
    world = World()
    assert [world.order().status_code for _ in range(2)] == [202, 503]


# --- Which gateway knows which request.


def test_gateways_know_their_own_requests() -> None:
    """What one gateway took or was told, the other does not know."""
    world = World(requests=("abc", "other-model_1-2-3-4-5"))
    request_id = world.ordered()
    asked = (request_id, EXAMPLE_QUEUE_ID, "other-model_1-2-3-4-5", "abc", EXAMPLE_ID)
    assert [world.status(one)[0] for one in asked] == [200, 200, 200, 404, 404]
    assert [world.ask(one)[0] for one in asked] == [404, 404, 404, 200, 200]


def test_added_request_of_a_gateway() -> None:
    """A control call may say which gateway answers for a request."""
    world = World()
    assert world.add(request_id="abc", gateway="queue")[0] == 201
    assert world.add(request_id="model_1-2-3-4-5", gateway="result")[0] == 201
    assert [world.status("abc")[0], world.ask("model_1-2-3-4-5")[0]] == [200, 200]
    assert world.add(gateway="other") == (400, {"error": "'other' is not a gateway: there are result, queue"})


def test_unknown_request() -> None:
    """An unknown id is 404, which no page of this model lists."""
    expected = {"error": "Not found", "message": "There is no request 'longcat-image-498_1-2-3-4-5'."}
    assert World().status("longcat-image-498_1-2-3-4-5") == (404, expected)


# --- What tests can read, and set.


def test_record_of_orders() -> None:
    """Each POST is told with its body, its headers without the key, its fault and the request that came of it."""
    world = World(faults=(Fault("order-server-error", 1),))
    world.order(headers={"X-Webhook-Mode": "terminal"})
    request_id = world.ordered(prompt="another")
    world.send("POST", ORDER_PATH, content=b"?", headers=KEY)
    told = world.orders()
    assert {name: told[name] for name in ("posts", "taken", "spent")} == {"posts": 3, "taken": 1, "spent": "0.13"}
    records = [(one["request_id"], one["fault"], one["body"]) for one in told["orders"]]
    assert records == [
        (None, "order-server-error:1", CATS),
        (request_id, None, CATS | {"prompt": "another"}),
        (None, None, "?"),
    ]
    assert told["orders"][0]["headers"]["x-webhook-mode"] == "terminal"
    assert "ocp-apim-subscription-key" not in told["orders"][0]["headers"]
    assert world.send("GET", "/sandbox/orders/count").json() == {"posts": 3, "taken": 1, "spent": "0.13"}


def test_faults_of_orders_strike_the_first_orders() -> None:
    """A fault strikes the first orders of all; what the caller does wrong uses up none."""
    world = World(faults=(Fault("order-rate-limit-bare", 2), Fault("order-server-error-taken", 1)))
    codes = [world.order(prompt=prompt).status_code for prompt in ("", "a", "b", "c", "d")]
    assert codes == [400, 429, 429, 500, 202]
    assert world.orders()["taken"] == 2


def test_faults_strike_each_nth_order() -> None:
    """Faults may strike each third order only."""
    world = World(faults=(Fault("order-server-error", 2),), fault_every=3)
    assert [world.order().status_code for _ in range(10)] == [202, 202, 500, 202, 202, 500, 202, 202, 202, 202]


def test_faults_of_one_kind_leave_the_others_alone() -> None:
    """Faults of orders, answers and pictures are apart."""
    world = World(duration=0, faults=(Fault("server-error", 1), Fault("order-status", 1, 524), Fault("picture-404", 1)))
    assert [world.order().status_code for _ in range(2)] == [524, 202]
    request_id = world.orders()["orders"][1]["request_id"]
    assert [world.status(request_id)[0] for _ in range(1)] == [500]
    url = world.status(request_id)[1]["output"]["media_url"][0]
    assert [world.send("GET", url).status_code for _ in range(2)] == [404, 200]


def test_setting_faults() -> None:
    """A control call replaces the faults of all orders and requests to come, and counts anew."""
    world = World(faults=(Fault("order-server-error", None),))
    assert world.order().status_code == 500
    told = world.send("POST", "/sandbox/faults", json={"fault": "order-status-taken:1:530,not-found:2"})
    assert (told.status_code, told.json()) == (200, {"fault": "order-status-taken:1:530,not-found:2"})
    assert [world.order().status_code for _ in range(2)] == [530, 202]
    request_id = world.orders()["orders"][-1]["request_id"]
    world.now = 6.0
    assert world.send("GET", STATUS_PATH + request_id, headers=KEY).status_code == 404
    assert [world.status(request_id)[0] for _ in range(2)] == [404, 200]
    assert world.send("POST", "/sandbox/faults").json() == {"fault": None}
    assert world.order().status_code == 202


@pytest.mark.parametrize("body", [{"fault": "order-nothing"}, {"faults": "slow"}, {"fault": 3}])
def test_setting_faults_wrongly(body: Any) -> None:
    """Faults that do not exist are 400, and change nothing."""
    world = World(faults=(Fault("order-server-error", None),))
    assert world.send("POST", "/sandbox/faults", json=body).status_code == 400
    assert world.order().status_code == 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("order-reset:1:1.5", "The bytes of the fault order-reset are between 0 and 65536, not 1.5."),
        ("order-cut:1:-1", "The bytes of the fault order-cut are between 0 and 65536, not -1.0."),
        ("order-status:1:200", "The status code of the fault order-status is between 300 and 599, not 200.0."),
        ("order-html:1:1", "The fault order-html takes no seconds."),
    ],
)
def test_numbers_of_faults(text: str, message: str) -> None:
    """The number of a fault is in seconds, in bytes, or a status code, within limits."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Fault.parse(text)


def test_faults_say_whether_an_order_is_taken() -> None:
    """The sentence of each fault of orders says what it means for the order."""
    for name, kind in FAULTS.items():
        if name.startswith("order-"):
            assert kind.sentence.startswith("Taken; ") if kind.takes else kind.sentence.endswith(" Not taken.")


def test_challenge_on_the_status_call_only() -> None:
    """The CDN's challenge may stand before the status call while orders pass."""
    world = World(faults=(Fault("challenge", None),))
    request_id = world.ordered()
    page = world.send("GET", STATUS_PATH + request_id, headers=KEY)
    assert (page.status_code, page.headers["cf-mitigated"]) == (403, "challenge")
    assert "Just a moment..." in page.text


# --- What sister models answer.


def _order(*variants: str) -> Any:
    return World(variants=variants).order().json()


def _status(*variants: str, outcome: str = "completed", duration: float = 0.0) -> Any:
    world = World(variants=variants, duration=duration)
    return world.status(world.ordered(prompt=f"a cat [{outcome}]"))[1]


def _unknown(*variants: str) -> Any:
    response = World(variants=variants).send("GET", STATUS_PATH + "m_1-2-3-4-5", headers=KEY)
    return response.status_code, response.json()


SEEN: dict[str, Callable[[], object]] = {
    "supplier-words": lambda: (
        _order("supplier-words")["status"] == "IN_QUEUE"
        and _status("supplier-words", duration=1)["status"] == "IN_QUEUE"
    ),
    "no-polling-url": lambda: set(_order("no-polling-url")) == {"request_id", "status", "message"},
    "message-while-open": lambda: set(_status("message-while-open", duration=1)) == {"request_id", "status", "message"},
    "images-at-once": lambda: _order("images-at-once")["images"][0]["url"].startswith(
        "http://sandbox/v1/longcat-image-498_"
    ),
    "result-images": lambda: (
        list(_status("result-images")["result"]["images"][0]) == ["url"] and "output" not in _status("result-images")
    ),
    "media-url-string": lambda: isinstance(_status("media-url-string")["output"]["media_url"], str),
    "media-url-empty": lambda: _status("media-url-empty")["output"]["media_url"] == [],
    "octet-stream": lambda: _status("octet-stream")["output"]["media_type"] == "application/octet-stream",
    "dates-without-zone": lambda: (
        [_status("dates-without-zone")[name] for name in ("created_at", "updated_at", "completed_at")]
        == ["2024-06-15T10:30:00.000Z", "2024-06-15 10:30:00", "2024-06-15 10:30:00"]
    ),
    "error-object": lambda: (
        _status("error-object", outcome="failed")["error"]["code"] == "PROCESSING_FAILED"
        and _unknown("error-object")[1]["error"]["code"] == "NOT_FOUND"
    ),
    "error-message": lambda: (
        _status("error-message", outcome="error")["error_message"].startswith("Processing failed: ")
        and "error" not in _status("error-message", outcome="error")
    ),
    "integer-status": lambda: _unknown("integer-status") == (404, {"error": "Not found", "status": 404}),
    "message-without-error": lambda: set(_unknown("message-without-error")[1]) == {"message"},
    "request-not-found": lambda: _unknown("request-not-found") == (404, {"error": "Request not found"}),
    "invalid-request-id": lambda: _unknown("invalid-request-id") == (404, {"error": "Invalid request_id: m_1-2-3-4-5"}),
    "invalid-request-id-400": lambda: (
        _unknown("invalid-request-id-400") == (400, {"error": "Invalid request_id: m_1-2-3-4-5"})
    ),
}


@pytest.mark.parametrize("name", BODY_VARIANTS)
def test_variant(name: str) -> None:
    """Every variant does what its sentence says."""
    assert name in SEEN, f"Show in SEEN what the variant {name} looks like: {BODY_VARIANTS[name].sentence}"
    assert SEEN[name]()


def test_variants_work_together() -> None:
    """Variants that are given together work in their order, on refusals by a fault, too."""
    world = World(variants=("error-object", "integer-status"), faults=(Fault("order-rate-limit", 1, 7),))
    response = world.order()
    message = "Rate limit exceeded, please retry later"
    assert response.json() == {"error": {"code": "RATE_LIMIT_EXCEEDED", "message": message}, "status": 429}
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("first", BODY_VARIANTS)
def test_every_two_variants_go_together(first: str) -> None:
    """No two variants disturb one another so that there is no answer."""
    for second in BODY_VARIANTS:
        world = World(variants=(first, second), duration=1)
        orders = [world.order(prompt=prompt) for prompt in ("a", "a [failed]")]
        assert {answer.status_code for answer in orders} <= {200, 202}
        ids = [one["request_id"] for one in world.orders()["orders"]]
        codes = [world.status(one)[0] for one in ids]
        world.now = 1.0
        codes += [world.status(one)[0] for one in ids]
        assert (codes, world.status("m_1-2-3-4-5")[0] in {400, 404}) == ([200] * 4, True)


def test_images_at_once_can_be_downloaded() -> None:
    """Pictures that come with the answer to the order are there, and the request is over."""
    world = World(variants=("images-at-once",), small_pictures=True)
    response = world.order(num_images=2)
    urls = [image["url"] for image in response.json()["images"]]
    assert (response.status_code, world.orders()["taken"], len(urls)) == (200, 1, 2)
    assert [world.send("GET", url).status_code for url in urls] == [200, 200]


def test_unknown_variant() -> None:
    """A variant that does not exist is a ValueError that names the nearest one."""
    with pytest.raises(ValueError, match=r"There is no variant 'no-poling-url'. Did you mean no-polling-url\?"):
        World(variants=("no-poling-url",))


@pytest.mark.parametrize(
    "settings",
    [{"queued": -0.1}, {"queued": 1.1}, {"fault_every": 0}, {"balance": Decimal(-1)}, {"balance": Decimal("NaN")}],
)
def test_bad_settings(settings: dict[str, Any]) -> None:
    """Settings that make no sense are a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        World(**settings)


def test_small_pictures_cost_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pictures are small, no large one is drawn."""
    monkeypatch.setattr(app_module, "draw", None)
    world = World(duration=0, small_pictures=True)
    assert world.send("GET", world.status(world.ordered())[1]["output"]["media_url"][0]).status_code == 200
