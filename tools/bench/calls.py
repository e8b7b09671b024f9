"""CPU time of a single call, in this process: a question, a body that is read, and when to ask next."""

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from typing import Any, Final

import httpx

from bench.experiment import Effort, Series, cpu_per_call
from bench.server import COMPLETED, PROCESSING
from longcat import AdaptivePolling, LongCat
from longcat.gateway.gateways import Gateways
from longcat.gateway.messages import Answer

KEY: Final = "bench" * 6
REQUEST_ID: Final = "bench-0001"
PATH: Final = "/longcat-image-request-result"
HEADERS: Final = {"Ocp-Apim-Subscription-Key": KEY}

Call = Callable[[], object]
Subject = Callable[[str], AbstractContextManager[Call]]
"""Makes a call ready, given the server's URL."""


def library(name: str) -> Any:
    """Import a library that not every environment has."""
    return import_module(name)


@contextmanager
def raw_httpx(url: str) -> Iterator[Call]:
    """Ask as a program would without longcat."""
    with httpx.Client() as client:
        yield lambda: client.post(url + PATH, headers=HEADERS, json={"request_id": REQUEST_ID}).json()


@contextmanager
def raw_httpx2(url: str) -> Iterator[Call]:
    """Ask with httpx's successor."""
    with library("httpx2").Client() as client:
        yield lambda: client.post(url + PATH, headers=HEADERS, json={"request_id": REQUEST_ID}).json()


@contextmanager
def longcat(url: str) -> Iterator[Call]:
    """Ask with `LongCat.status`, as it is installed without extras."""
    with LongCat(KEY, url) as cat:
        yield lambda: cat.status(REQUEST_ID)


@contextmanager
def longcat_on_httpx2(url: str) -> Iterator[Call]:
    """Ask with `LongCat.status`, and an HTTP client of the caller's."""
    with library("httpx2").Client() as client, LongCat(KEY, url, http_client=client) as cat:
        yield lambda: cat.status(REQUEST_ID)


@contextmanager
def pyreqwest(url: str) -> Iterator[Call]:
    """Ask with a library whose work is done in Rust."""
    with library("pyreqwest.client").SyncClientBuilder().build() as client:
        body = {"request_id": REQUEST_ID}
        yield lambda: client.post(url + PATH).headers(HEADERS).body_json(body).build().send().json()


@contextmanager
def openai(url: str) -> Iterator[Call]:
    """Ask about a video, as OpenAI's programs do."""
    with library("openai").OpenAI(api_key=KEY, base_url=f"{url}/v1") as client:
        yield lambda: client.videos.retrieve(REQUEST_ID)


@contextmanager
def replicate(url: str) -> Iterator[Call]:
    """Ask about a prediction, as Replicate's programs do."""
    client = library("replicate").Client(api_token=KEY, base_url=url)
    yield lambda: client.predictions.get(REQUEST_ID)


@contextmanager
def runwayml(url: str) -> Iterator[Call]:
    """Ask about a task, as Runway's programs do."""
    with library("runwayml").RunwayML(api_key=KEY, base_url=url) as client:
        yield lambda: client.tasks.retrieve(REQUEST_ID)


@contextmanager
def fal_client(url: str) -> Iterator[Call]:
    """Ask about a request, as fal's programs do. Nothing but a name in its module chooses a server without TLS."""
    os.environ["FAL_KEY"] = KEY
    library("fal_client.client").QUEUE_URL_FORMAT = f"{url}/"
    client = library("fal_client").SyncClient(key=KEY)
    yield lambda: client.status("fal/bench", REQUEST_ID)


PLAIN: Final[Mapping[str, Subject]] = {"httpx": raw_httpx, "longcat": longcat}
PEERS: Final[Mapping[str, Subject]] = {
    "httpx": raw_httpx,
    "httpx2": raw_httpx2,
    "longcat": longcat,
    "longcat on httpx2": longcat_on_httpx2,
    "pyreqwest": pyreqwest,
    "fal-client": fal_client,
    "replicate": replicate,
    "runwayml": runwayml,
    "openai": openai,
}


def questions(subjects: Mapping[str, Subject], url: str, effort: Effort) -> Series:
    """Return the CPU time of one question, in microseconds."""
    with ExitStack() as stack:
        calls = {name: stack.enter_context(subject(url)) for name, subject in subjects.items()}
        return cpu_per_call(calls, effort)


def bodies(_url: str, effort: Effort) -> Series:
    """Return the CPU time in which a body is read, in microseconds: by `json.loads`, and into a `Status`."""
    gateway = Gateways.find(KEY, "http://127.0.0.1:1").of(REQUEST_ID, "result")
    name = REQUEST_ID.encode()
    calls: dict[str, Call] = {}
    for state, body in {"processing": PROCESSING % name, "completed": COMPLETED % (name, name)}.items():
        answer = Answer(200, {"content-type": "application/json"}, body)
        calls[f"json.loads, {state}"] = lambda body=body: json.loads(body)  # type: ignore[misc]
        calls[f"longcat, {state}"] = lambda answer=answer: gateway.read(REQUEST_ID, answer)  # type: ignore[misc]
    return cpu_per_call(calls, effort)


def plans(_url: str, effort: Effort) -> Series:
    """Return the CPU time of `Plan.next`, in microseconds, for requests of some 40 s that come one after the other."""
    calls: dict[str, Call] = {
        name: planning(progress=name == "progress").__next__ for name in ("no progress", "progress")
    }
    return cpu_per_call(calls, effort)


def planning(*, progress: bool) -> Iterator[float]:
    """Yield what the plans of one request after the other say, of each question."""
    source = random.Random(1)  # noqa: S311
    policy = AdaptivePolling(random=source.random)
    while True:
        duration, plan, now = source.lognormvariate(3.7, 0.5), policy.plan(), 0.0
        while now < duration:
            pause = plan.next(now, now / duration if progress else None)
            yield pause
            now += pause
        plan.finished(now)
