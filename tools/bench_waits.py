"""What very many waits at once cost: memory and CPU time of a process that waits for all of them, against the sandbox.

Run it with `make bench-waits`. For each HTTP client, a process of its own waits with `AsyncLongCat.as_completed` for
requests whose durations are log-normal, with a median of 90 s. The sandbox runs in another process of the same machine.
A request starts when it is first asked about, so the delay is the time waited beyond its duration.
"""

import argparse
import math
import random
import resource
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from statistics import fmean

import anyio
import httpx
from httpx_aiohttp import HttpxAiohttpClient

from longcat import AsyncLongCat
from longcat.sandbox import EXAMPLE_KEY, running

MEDIAN, SPREAD = 90.0, 0.3


def durations(count: int) -> dict[str, float]:
    """Return how long each request takes, in seconds, the same every time."""
    chance = random.Random(4)  # noqa: S311
    return {f"cat-{i}": MEDIAN * math.exp(chance.gauss(0, SPREAD)) for i in range(count)}


def used() -> tuple[float, float]:
    """Return the most memory that this process has had, in MiB, and the CPU time that it has used, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


async def measure(url: str, count: int, transport: str) -> None:
    """Wait for all requests, and print what it took."""
    takes = durations(count)
    async with AsyncExitStack() as stack:
        http = HttpxAiohttpClient if transport == "httpx-aiohttp" else httpx.AsyncClient
        client = await stack.enter_async_context(http(timeout=None))
        cat = await stack.enter_async_context(AsyncLongCat(EXAMPLE_KEY, url, http_client=client))
        before, cpu = used()
        began = time.monotonic()
        delays = [o.elapsed - takes[o.request_id] async for o in cat.as_completed(takes, None) if o.image is not None]
        wall = time.monotonic() - began
        most, cpu_then = used()
        known = (await client.get(f"{url}/sandbox/requests")).json()
    asked = sum(request["asked"] for request in known if request["request_id"] in takes)
    cells = (
        *(transport, f"{len(delays)} of {count}", f"{wall:.0f}", f"{cpu_then - cpu:.0f}", f"{most - before:.0f}"),
        *(f"{asked}", f"{(cpu_then - cpu) / asked * 1e6:.0f}"),
        *(f"{fmean(delays):.1f}", f"{sorted(delays)[int(0.95 * len(delays))]:.1f}"),
    )
    print("| " + " | ".join(cells) + " |", flush=True)


def serve(count: int, transport: str) -> None:
    """Serve a sandbox while a process of its own waits for the requests in it."""
    with running() as url, httpx.Client() as http:
        for request_id, duration in durations(count).items():
            body = {"request_id": request_id, "duration": duration}
            http.post(f"{url}/sandbox/requests", json=body).raise_for_status()
        command = [sys.executable, __file__, "--count", str(count), "--url", url, "--transport", transport]
        subprocess.run(command, check=True)


def main() -> None:
    """Measure with each HTTP client, or, as the process that is measured, with one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="requests (default: 10000)")
    parser.add_argument("--transport", choices=["httpx", "httpx-aiohttp"], help="only this one")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url is not None:
        anyio.run(measure, arguments.url, arguments.count, arguments.transport)
        return
    print("| HTTP client | images | wall, s | CPU, s | memory, MiB | questions | CPU, µs each | delay, s | 95 % |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for transport in [arguments.transport] if arguments.transport else ["httpx", "httpx-aiohttp"]:
        serve(arguments.count, transport)


if __name__ == "__main__":
    main()
