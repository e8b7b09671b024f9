"""The kinds of findings: how bad each is, what it means, who is hurt, and what to do. The texts are in `codes.toml`."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from attrs import frozen

from longcat.contract.model import Severity


@frozen
class Code:
    """A kind of finding.

    Attributes:
        code: its name.
        severity: whom it hurts.
        meaning: what was seen.
        hurts: who is hurt, and how.
        do: what a maintainer does now.
        milder: when a finding of it is less bad, and how bad it is then. None: it never is.
        unpatched: why no change of the contract is ever suggested for it. None: one may be.
    """

    code: str
    severity: Severity
    meaning: str
    hurts: str
    do: str
    milder: str | None = None
    unpatched: str | None = None


def _read_catalogue() -> Iterator[Code]:
    catalogue = tomllib.loads(files("longcat.contract").joinpath("codes.toml").read_text("utf-8"))
    change = catalogue["change"]
    for severity in Severity:
        for name, texts in catalogue[severity].items():
            do = texts.pop("do", "{change}").replace("{change}", change)
            yield Code(name, severity, do=do, **texts)


CODES: Final[Mapping[str, Code]] = MappingProxyType({code.code: code for code in _read_catalogue()})
"""Every kind of finding, by its name; the worst first."""
