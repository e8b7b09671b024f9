"""Measures how much of a contract has been seen: what there is to see, what was seen of it, and the reports of both."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from longcat.contract.coverage.json_document import document
from longcat.contract.coverage.markdown import markdown
from longcat.contract.coverage.page import page
from longcat.contract.coverage.summary import CoverageContext
from longcat.contract.coverage.table import table

CoverageWriter: TypeAlias = Callable[[CoverageContext], Iterator[str]]

FORMATS: Final[Mapping[str, CoverageWriter]] = MappingProxyType(
    {"table": table, "json": document, "markdown": markdown, "html": page}
)
"""Each takes what a run came to, and yields pieces of text."""

__all__ = ["FORMATS", "CoverageContext", "CoverageWriter"]
