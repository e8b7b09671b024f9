"""Readers of what comes from elsewhere, with every input of the corpus; `make fuzz-parsers` tries many more."""

from pathlib import Path

import pytest
from fuzz_parsers import mutants, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from parsers import CORPUS, PARSERS, corpus
from servers import SOON

FILES = [(name, path) for name in PARSERS for path in corpus(name)]


def test_the_corpus_has_a_folder_for_every_reader() -> None:
    """No input is left aside because its folder has another name."""
    assert sorted(PARSERS) == sorted(path.name for path in CORPUS.iterdir())


@pytest.mark.parametrize(("name", "path"), FILES, ids=[f"{name} {path.name}" for name, path in FILES])
def test_an_input_of_the_corpus_is_read_or_refused(name: str, path: Path) -> None:
    """It raises nothing but what is documented, and takes no more than moments."""
    assert PARSERS[name].check(path.read_bytes()) < SOON


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=10)
@given(data=st.data())
def test_what_is_made_of_them_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """So does what is made of the corpus by a few changes."""
    assert PARSERS[name].check(data.draw(mutants(seeds(name)))) < SOON
