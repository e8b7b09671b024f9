"""What the generated client does, and how `tools/generate.py` keeps it in step with `openapi.yaml`."""

import asyncio
import copy
import importlib
import importlib.metadata
import inspect
import io
import json
import pickle
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import generate
import httpx
import longcat_api
import pytest
from contract_file import CONTRACT
from longcat_api import models
from longcat_api.api.requests import get_request_result
from longcat_api.types import UNSET

ROOT = Path(__file__).parents[2]
OPERATION: dict[str, Any] = CONTRACT["paths"]["/longcat-image-request-result"]["post"]
BODIES: dict[str, Any] = {"request": OPERATION["requestBody"], **OPERATION["responses"]}
EXAMPLES = [
    pytest.param(where, example["value"], id=f"{where}-{name}")
    for where, body in BODIES.items()
    for name, example in body["content"]["application/json"]["examples"].items()
]
QUESTION = models.StatusRequest("XXXXXXXXXXXXX")
COMPLETED: dict[str, Any] = {
    "status": "completed",
    "progress": 1.0,
    "request_id": "XXXXXXXXXXXXX",
    "result_url": "https://storage.pixazo.ai/results/XXXXXXXXXXXXX.png",
    "created_at": "2024-06-15T10:30:00Z",
}


def model_of(where: str, body: dict[str, Any]) -> str:
    """Return the name of the model that the contract gives to a body of the request or of a status code."""
    schema = BODIES[where]["content"]["application/json"]["schema"]
    reference = schema["discriminator"]["mapping"][body["status"]] if "oneOf" in schema else schema["$ref"]
    return str(reference).rpartition("/")[2]


# --- The tool. ---


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path, without the byte code of imports."""
    names = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


def run(tree: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run `tools/generate.py` with these arguments for a tree; return its exit code, and the lines that it prints."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setattr(generate, "CONTRACT", tree / "openapi.yaml")
        patch.setattr(generate, "GENERATED", tree / "generated")
        patch.setattr(sys, "argv", ["generate.py", *arguments])
        code = generate.main()
    return code, printed.getvalue().splitlines()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with a copy of the contract and of the client."""
    shutil.copytree(ROOT / "generated", tmp_path / "generated", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.yaml", tmp_path)
    return tmp_path


def test_every_difference_is_reported_and_mended(tree: Path) -> None:
    """A stray, a changed and a missing file are each named, `--check` changes nothing, and a new run mends all.

    What is in the tree is what the generator makes of the contract, byte for byte.
    """
    package = tree / "generated" / "longcat_api"
    (package / "models" / "queued_status.py").touch()
    (package / "client.py").write_bytes((package / "client.py").read_bytes() + b"\n")
    (package / "py.typed").unlink()
    tampered = contents(tree)

    with pytest.MonkeyPatch.context() as patch:
        # The generator runs once, as it takes seconds; the folder that it wrote is given to both runs.
        fresh = generate.generate(Path(tempfile.mkdtemp(dir=tree.parent)))
        patch.setattr(generate, "generate", lambda _: fresh)
        assert run(tree, "--check") == (
            1,
            [
                "different: generated/longcat_api/client.py",
                "stale: generated/longcat_api/models/queued_status.py",
                "missing: generated/longcat_api/py.typed",
                "The client is out of date: run `make generate`.",
            ],
        )
        assert contents(tree) == tampered
        assert run(tree)[0] == 0
        assert contents(tree / "generated") == contents(ROOT / "generated")
        assert run(tree, "--check") == (0, ["Up to date."])


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        pytest.param("openapi: 3.1.0", "openapi: [", "Invalid YAML", id="not YAML"),
        pytest.param("schemas/StatusRequest", "schemas/Nobody", "Warning(s) encountered", id="only a warning"),
    ],
)
def test_a_broken_contract_leaves_the_client_alone(tree: Path, right: str, wrong: str, complaint: str) -> None:
    """If the generator fails, or just warns, its words are shown, the exit code is 1 and no file is touched."""
    contract = tree / "openapi.yaml"
    contract.write_text(contract.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    before = contents(tree)
    code, printed = run(tree)
    assert (code, complaint in "\n".join(printed)) == (1, True), printed
    assert printed[-1] == "The client could not be generated; generated/ is as it was."
    assert contents(tree) == before


def test_only_the_package_is_generated() -> None:
    """The folder holds one package of modules, a typing marker and the contract as data; no cache, nothing else."""
    names = set(contents(ROOT / "generated"))
    modules = {name for name in names if name.endswith(".py")}
    assert names - modules == {"longcat_api/py.typed", "longcat_api/openapi.json"}
    assert {name.partition("/")[0] for name in modules} == {"longcat_api"}


def test_generated_modules_say_so() -> None:
    """Every module begins by naming its source and its command, and the package's docstring repeats it."""
    modules = sorted((ROOT / "generated").rglob("*.py"))
    header = "# Generated from openapi.yaml by `make generate`. Never edited by hand."
    assert {module.read_text(encoding="utf-8").partition("\n")[0] for module in modules} == {header}
    assert "Generated by `make generate` from openapi.yaml, never edited by hand" in str(longcat_api.__doc__)


def test_the_contract_is_shipped_as_data() -> None:
    """The package's openapi.json is openapi.yaml, value for value and in its order."""
    shipped = json.loads(files(longcat_api).joinpath("openapi.json").read_text(encoding="utf-8"))
    assert json.dumps(shipped) == json.dumps(CONTRACT)


def test_the_installed_generator_is_the_pinned_one() -> None:
    """The version of the generator in pyproject.toml is the one that ran above."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    installed = importlib.metadata.version("openapi-python-client")
    assert f"openapi-python-client=={installed}" in project["dependency-groups"]["dev"]


# --- The client. ---


def ask(status_code: int, body: object, *, blocking: bool) -> tuple[int, object, httpx.Request]:
    """Ask a gateway that answers like this; return the status code, the parsed body, and what the gateway was sent."""
    received: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        received.append(request)
        return httpx.Response(status_code, json=body)

    client = longcat_api.AuthenticatedClient(
        base_url="https://gateway.example",
        token="secret",
        prefix="",
        auth_header_name="Ocp-Apim-Subscription-Key",
        httpx_args={"transport": httpx.MockTransport(answer)},
    )

    async def ask_async() -> Any:
        async with client:
            return await get_request_result.asyncio_detailed(client=client, body=QUESTION)

    if blocking:
        with client:
            response = get_request_result.sync_detailed(client=client, body=QUESTION)
    else:
        response = asyncio.run(ask_async())
    return response.status_code, response.parsed, received[0]


BLOCKING = pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])


@BLOCKING
@pytest.mark.parametrize("status_code", [200, 404, 402, 520, 522, 530, 599])
def test_any_status_code_comes_back(status_code: int, *, blocking: bool) -> None:
    """A status code is an int, also outside of the IANA list; only a documented one has a parsed body."""
    body = {200: COMPLETED, 404: {"error": "Endpoint not found"}}.get(status_code, {})
    returned, parsed, _ = ask(status_code, body, blocking=blocking)
    assert (returned, type(returned)) == (status_code, int)
    assert type(parsed).__name__ == {200: "CompletedStatus", 404: "Error"}.get(status_code, "NoneType")


@BLOCKING
def test_the_question_is_sent_as_documented(*, blocking: bool) -> None:
    """The call is a POST of JSON to the contract's path, with the key in the contract's header."""
    _, _, request = ask(200, COMPLETED, blocking=blocking)
    assert (request.method, request.url.path) == ("POST", "/longcat-image-request-result")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Ocp-Apim-Subscription-Key"] == "secret"
    assert json.loads(request.content) == {"request_id": "XXXXXXXXXXXXX"}


@pytest.mark.parametrize(("where", "body"), [example for example in EXAMPLES if example.values[0] != "request"])
def test_documented_answer_is_parsed(where: str, body: dict[str, Any]) -> None:
    """Each example of an answer becomes the model that the contract names for it."""
    _, parsed, _ = ask(int(where), body, blocking=True)
    assert type(parsed) is getattr(models, model_of(where, body))


@pytest.mark.parametrize(("where", "body"), EXAMPLES)
def test_example_survives_the_round_trip(where: str, body: dict[str, Any]) -> None:
    """Each example becomes its model and then the same JSON again, unknown fields included."""
    extended = {**body, "unknown": {"deep": [1, None]}, "null": None}
    model = getattr(models, model_of(where, body)).from_dict(extended)
    assert model.to_dict() == extended
    assert model.additional_properties == {"unknown": {"deep": [1, None]}, "null": None}


def test_optional_fields_are_typed() -> None:
    """A date becomes an aware datetime, and a field that is not there is UNSET, not None."""
    status = models.CompletedStatus.from_dict(COMPLETED)
    assert status.created_at == datetime(2024, 6, 15, 10, 30, tzinfo=UTC)
    assert (status.duration_seconds, status.model_version, status.success) == (UNSET, UNSET, UNSET)


COPIES: dict[str, Callable[[Any], Any]] = {
    "copied": copy.deepcopy,
    "pickled": lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_model_can_be_copied(duplicate: Callable[[Any], Any]) -> None:
    """A copy of a model is equal to it and gives the same JSON."""
    status = models.CompletedStatus.from_dict(COMPLETED)
    assert duplicate(status) == status
    assert duplicate(status).to_dict() == COMPLETED


def test_models_are_found_by_their_names() -> None:
    """The package of the models has each of those that it lists, and says so of any other."""
    assert [name for name in models.__all__ if getattr(models, name) is None] == []
    with pytest.raises(AttributeError, match="has no attribute 'Nobody'"):
        _ = models.Nobody


def test_an_operation_does_without_httpx() -> None:
    """Who only wants the arguments of a call, and sends it by another library, does not import httpx."""
    assert "httpx" not in vars(get_request_result)


# --- The overrides: each works around something that the generator still does, or it goes. ---


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return what the generator makes of the contract without our templates: some modules, imported."""
    folder = tmp_path_factory.mktemp("upstream")
    name = "upstream_longcat_api"
    (folder / "config.yaml").write_text(f"package_name_override: {name}\npost_hooks: []\n", encoding="utf-8")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(ROOT / "openapi.yaml")]
    command += ["--config", str(folder / "config.yaml"), "--output-path", str(folder / "output")]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "output")
        modules = {
            "package": importlib.import_module(name),
            "models": importlib.import_module(f"{name}.models"),
            "endpoint": importlib.import_module(f"{name}.api.requests.get_request_result"),
            "types": importlib.import_module(f"{name}.types"),
        }
    return SimpleNamespace(**modules)


def endpoint_is_still_broken(upstream: SimpleNamespace) -> bool:
    """Tell whether a status code outside of the IANA list raises."""
    client = upstream.package.Client(base_url="https://gateway.example")
    try:
        upstream.endpoint._build_response(client=client, response=httpx.Response(520))
    except ValueError:
        return True
    return False


def endpoint_is_still_eager(upstream: SimpleNamespace) -> bool:
    """Tell whether to import an operation brings httpx, which its annotations alone need."""
    return upstream.endpoint.httpx is httpx


def response_is_still_broken(upstream: SimpleNamespace) -> bool:
    """Tell whether a status code is typed as a member of the IANA list."""
    return upstream.types.Response.__annotations__["status_code"] is HTTPStatus


def unset_is_still_broken(upstream: SimpleNamespace) -> bool:
    """Tell whether a copy of UNSET is another one."""
    return copy.copy(upstream.types.UNSET) is not upstream.types.UNSET


def package_is_still_broken(upstream: SimpleNamespace) -> bool:
    """Tell whether the package's docstring is the one that the override extends."""
    return "A client library for accessing" in upstream.package.__doc__


def package_is_still_eager(upstream: SimpleNamespace) -> bool:
    """Tell whether the package imports its clients whether anybody asks for them or not."""
    return "Client" in vars(upstream.package)


def models_are_still_eager(upstream: SimpleNamespace) -> bool:
    """Tell whether to import one model imports all of them."""
    return "SubmittedRequest" in vars(upstream.models)


def datetime_is_still_broken(upstream: SimpleNamespace) -> bool:
    """Tell whether a moment in UTC is written otherwise than the service writes it."""
    status = upstream.models.CompletedStatus.from_dict(COMPLETED)
    return bool(status.to_dict()["created_at"] != COMPLETED["created_at"])


def models_are_still_imported_within_functions(upstream: SimpleNamespace) -> bool:
    """Tell whether to read a model imports those that it needs, each time."""
    return "    from ..models" in inspect.getsource(upstream.models.CompletedRequest.from_dict)


def client_is_still_broken(upstream: SimpleNamespace) -> bool:
    """Tell whether the repr of a client shows its token."""
    return "secret" in repr(upstream.package.AuthenticatedClient("https://gateway.example", token="secret"))


def dates_are_still_refused(upstream: SimpleNamespace) -> bool:
    """Tell whether a moment that RFC 3339 allows can't be read."""
    try:
        upstream.models.CompletedStatus.from_dict({**COMPLETED, "created_at": "2016-12-31t23:59:60z"})
    except ValueError:
        return True
    return False


OVERRIDES: list[tuple[str, Callable[[SimpleNamespace], bool]]] = [
    ("endpoint_module.py.jinja", endpoint_is_still_broken),
    ("endpoint_module.py.jinja", endpoint_is_still_eager),
    ("client.py.jinja", client_is_still_broken),
    ("types.py.jinja", response_is_still_broken),
    ("types.py.jinja", unset_is_still_broken),
    ("package_init.py.jinja", package_is_still_broken),
    ("package_init.py.jinja", package_is_still_eager),
    ("models_init.py.jinja", models_are_still_eager),
    ("types.py.jinja", dates_are_still_refused),
    ("model.py.jinja", dates_are_still_refused),
    ("model.py.jinja", models_are_still_imported_within_functions),
    ("property_templates/datetime_property.py.jinja", dates_are_still_refused),
    ("property_templates/datetime_property.py.jinja", datetime_is_still_broken),
]


@pytest.mark.parametrize(("override", "is_still_broken"), OVERRIDES)
def test_the_override_is_still_needed(
    override: str, is_still_broken: Callable[[SimpleNamespace], bool], upstream: SimpleNamespace
) -> None:
    """The generator itself still does what the override works around."""
    assert is_still_broken(upstream), (
        f"The generator has mended this: delete the override in tools/templates/{override}."
    )


def test_every_override_is_accounted_for() -> None:
    """Each override begins by linking what it works around, and has a test that tells when to delete it."""
    overrides = contents(ROOT / "tools" / "templates")
    assert set(overrides) == {name for name, _ in OVERRIDES}
    for text in overrides.values():
        comment, _, _ = text.partition(b"#}")
        assert comment.startswith(b"{# ")
        assert b"https://github.com/openapi-generators/" in comment
