"""A HAR of 11,000 exchanges, every one different: how long `longcat contract check` and Redocly's `drift` take."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.commands import LONGCAT, environment
from bench.experiment import Effort, Series, turns

ROOT: Final = Path(__file__).resolve().parents[2]
CONTRACT: Final = ROOT / "openapi.yaml"
REDOCLY: Final = ROOT / "build/bench/node/node_modules/.bin/redocly"
EXCHANGES: Final = 11_000
URL: Final = "https://gateway-falai-automate.appypie.workers.dev/longcat-image-request-result"


def has_redocly() -> bool:
    """Whether Redocly can be run: `make bench` installs it where there is Node."""
    return REDOCLY.exists() and shutil.which("node") is not None


def exchange(number: int, source: random.Random) -> dict[str, Any]:
    """Return one question to the result gateway, and its answer, as a HAR has them. One in three is completed."""
    request_id = f"req-{number:06}"
    hour, minute, second = number // 3600 % 24, number // 60 % 60, number % 60
    asked = json.dumps({"request_id": request_id})
    answer: dict[str, object] = {
        "status": "processing",
        "progress": round(source.random(), 4),
        "request_id": request_id,
    }
    if number % 3 == 0:
        answer |= {
            "status": "completed",
            "progress": 1.0,
            "result_url": f"https://storage.pixazo.ai/results/{request_id}.png",
            "created_at": f"2026-01-{1 + number % 28:02}T{hour:02}:{minute:02}:{second:02}Z",
            "duration_seconds": 20 + number % 60,
            "model_version": f"longcat-v1.{number % 9}",
        }
    text = json.dumps(answer)
    return {
        "startedDateTime": f"2026-01-02T{hour:02}:{minute:02}:{second:02}.000Z",
        "time": 12.5,
        "request": {
            "method": "POST",
            "url": URL,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "queryString": [],
            "headers": headers({"Accept": "*/*", "Content-Type": "application/json"}),
            "postData": {"mimeType": "application/json", "text": asked},
            "headersSize": -1,
            "bodySize": len(asked),
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "redirectURL": "",
            "headers": headers({"Content-Type": "application/json", "Content-Length": str(len(text))}),
            "content": {"size": len(text), "mimeType": "application/json", "text": text},
            "headersSize": -1,
            "bodySize": len(text),
        },
        "cache": {},
        "timings": {"send": 0, "wait": 12, "receive": 0.5},
    }


def headers(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return headers as a HAR has them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def write(path: Path, count: int) -> None:
    """Write a HAR of so many exchanges, the same every time."""
    source = random.Random(7)  # noqa: S311
    entries = [exchange(number, source) for number in range(count)]
    log = {"version": "1.2", "creator": {"name": "bench", "version": "1"}, "entries": entries}
    path.write_text(json.dumps({"log": log}), "utf-8")


def check(command: list[str], folder: str) -> tuple[float, float]:
    """Run a check that finds nothing or something, and return its seconds and the most memory that it had, in MiB."""
    quiet = environment(REDOCLY_TELEMETRY="off", REDOCLY_SUPPRESS_UPDATE_NOTICE="true")
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=quiet, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in {0, 1}:
            output.seek(0)
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output.read().decode()[-500:]}")
    return time.perf_counter() - began, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def hars(_url: str, effort: Effort) -> Series:
    """Return the seconds, and the memory in MiB, of each check. Without Node, Redocly's are not there."""
    series: Series = {}
    with tempfile.TemporaryDirectory() as folder:
        traffic = Path(folder, "traffic.har")
        write(traffic, effort.of(EXCHANGES))
        commands = {"longcat": [LONGCAT, "contract", "check", str(traffic), "--spec", str(CONTRACT)]}
        if has_redocly():
            commands["Redocly"] = [str(REDOCLY), "drift", str(traffic), "--api", str(CONTRACT)]
        for name in turns(commands, effort.rounds):
            seconds, memory = check(commands[name], folder)
            series.setdefault(name, []).append(seconds)
            series.setdefault(f"{name}, memory", []).append(memory)
    return series
