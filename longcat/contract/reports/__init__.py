"""The reports: each is a function from a stream of events to pieces of text, written as they come."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from longcat.contract.reports.context import ReportContext
from longcat.contract.reports.github import github
from longcat.contract.reports.html import html
from longcat.contract.reports.json_lines import json_lines
from longcat.contract.reports.junit import junit
from longcat.contract.reports.markdown import markdown
from longcat.contract.reports.sarif import sarif
from longcat.contract.reports.table import table
from longcat.contract.reports.verdict import Event

Writer: TypeAlias = Callable[[Iterable[Event], ReportContext], Iterator[str]]

FORMATS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        "table": table,
        "json": json_lines,
        "junit": junit,
        "sarif": sarif,
        "markdown": markdown,
        "html": html,
        "github": github,
    }
)
"""Each takes the events of one run, whose tally is complete when the last one was taken, and what the run is about."""

SAYS_ALL: Final = frozenset({"table", "markdown", "html", "github"})
"""Those for people: they end with the summary. Beside the others, it goes to stderr."""

__all__ = ["FORMATS", "SAYS_ALL", "ReportContext", "Writer"]
