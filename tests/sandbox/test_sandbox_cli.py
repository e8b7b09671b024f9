"""`longcat sandbox`: every option is a setting of the sandbox, and lists are printed."""

import re
import shlex
from decimal import Decimal
from typing import Any

import pytest

from longcat.cli import main
from longcat.sandbox import BODY_VARIANTS, Fault, RequestOutcome, Settings

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("--api-key secret", {"api_key": "secret"}),
    ("--duration 2.5 --queued 0.5", {"duration": 2.5, "queued": 0.5}),
    ("--outcome error", {"outcome": RequestOutcome.ERROR}),
    ("--request a --request b", {"requests": ("a", "b")}),
    ("--fault order-reset:1:57 --fault slow", {"faults": (Fault("order-reset", 1, 57), Fault("slow"))}),
    ("--fault-every 3", {"fault_every": 3}),
    ("--variant result-images --variant error-object", {"variants": ("result-images", "error-object")}),
    ("--drift renamed-progress", {"drifts": ("renamed-progress",)}),
    ("--rate-limit 4", {"rate_limit": 4}),
    ("--balance 1.30", {"balance": Decimal("1.30")}),
    ("--disabled", {"disabled": True}),
    ("--small-pictures", {"small_pictures": True}),
]


@pytest.mark.parametrize(("options", "settings"), OPTIONS)
def test_options(monkeypatch: pytest.MonkeyPatch, options: str, settings: dict[str, Any]) -> None:
    """Each option is a setting; those that are not given have the sandbox's own defaults."""
    served: list[Settings] = []
    monkeypatch.setattr("longcat.sandbox.serve", lambda settings, **_: served.append(settings))
    assert main(["sandbox", *shlex.split(options)]) == 0
    assert served == [Settings(**settings)]


def test_every_setting_has_an_option() -> None:
    """No setting is left out of the command line."""
    given = {name for _, settings in OPTIONS for name in settings}
    assert given == set(Settings.__dataclass_fields__)


def test_variant_list(capsys: pytest.CaptureFixture[str]) -> None:
    """`sandbox --variant list` prints every variant with its sentence."""
    assert main(["sandbox", "--variant", "list"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [[variant.name, variant.sentence] for variant in BODY_VARIANTS.values()]


def test_variant_sentences() -> None:
    """Every variant has a name for the command line and one sentence."""
    for name, variant in BODY_VARIANTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert re.fullmatch(r"[^\n]{10,90}\.", variant.sentence)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--balance -1", "The balance is an amount of US dollars, not -1."),
        ("--balance much", "The balance is an amount of US dollars, not 'much'."),
        ("--queued 2", "The share of the time in the queue is between 0 and 1, not 2.0."),
        ("--fault-every 0", "Faults strike every N-th order, and N is 1 or more, not 0."),
        ("--variant supplier-word", "There is no variant 'supplier-word'. Did you mean supplier-words?"),
        ("--fault order-status:1:200", "The status code of the fault order-status is between 300 and 599, not 200."),
    ],
)
def test_used_wrongly(capsys: pytest.CaptureFixture[str], options: str, says: str) -> None:
    """A setting that makes no sense says so, with exit code 2."""
    assert main(["sandbox", *shlex.split(options)]) == 2
    assert says in capsys.readouterr().err.replace("\n", " ")
