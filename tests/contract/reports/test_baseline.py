"""Which deviations a baseline accepts, until when, and what it says when it can't be used."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from longcat.contract import Exchange, Finding, Severity
from longcat.contract.reports.baseline import Baseline, load_baseline
from longcat.contract.reports.findings import Accepted
from longcat.errors import ConfigurationError

TODAY = date(2030, 1, 15)
TOML = """
[[accept]]
code = "field-new"
operation = "get_request_result"
pointer = "/queue_position"
reason = "The vendor was asked."
expires = 2030-01-15
"""


def finding(code: str = "field-new", operation: str | None = "get_request_result", pointer: str = "/x") -> Finding:
    """Return a finding."""
    exchange = Exchange("POST", "http://a.test/", {}, None, 200, {}, b"", "here")
    return Finding(code, Severity.ADDITIVE, operation, pointer, "no such field", "3", exchange)


def loaded(
    folder: Path, text: str, name: str = "baseline.toml", today: date = TODAY, encoding: str = "utf-8"
) -> Baseline:
    """Return the baseline that a text is."""
    (folder / name).write_bytes(text.encode(encoding))
    return load_baseline(folder / name, today)


@pytest.mark.parametrize("text", [TOML, TOML.replace("2030-01-15", "'2030-01-15'")])
class TestEntries:
    def test_accept_what_they_name(self, tmp_path: Path, text: str) -> None:
        """Code, operation and pointer must be the same; the reason is given back."""
        baseline = loaded(tmp_path, text)
        accepted = baseline.accepts(finding(pointer="/queue_position"))
        assert accepted == Accepted("The vendor was asked.", TODAY)
        assert baseline.accepts(finding(pointer="/other")) is None
        assert baseline.accepts(finding("field-missing", pointer="/queue_position")) is None
        assert baseline.accepts(finding(operation=None, pointer="/queue_position")) is None
        assert list(baseline.remarks()) == []

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_after_a_byte_order_mark(self, tmp_path: Path, text: str, encoding: str) -> None:
        """A mark at the file's start tells its encoding."""
        assert loaded(tmp_path, text, encoding=encoding).entries == loaded(tmp_path, text).entries

    def test_expire(self, tmp_path: Path, text: str) -> None:
        """On the day after the last one, nothing is accepted any more, and that is said."""
        baseline = loaded(tmp_path, text, today=date(2030, 1, 16))
        assert baseline.accepts(finding(pointer="/queue_position")) is None
        (remark,) = baseline.remarks()
        assert "field-new get_request_result /queue_position expired on 2030-01-15, and accepts nothing" in remark

    def test_that_are_not_needed(self, tmp_path: Path, text: str) -> None:
        """What was never met is said, too."""
        (remark,) = loaded(tmp_path, text).remarks()
        assert "was not needed" in remark


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("accept = 3", "must hold one list, named accept"),
        ("[[acept]]\ncode = 'x'", "must hold one list, named accept"),
        ("[[accept]", "can't be read"),
        ("\x00", "can't be read"),
        ("accept = [3]", "it must have code, pointer, reason, expires"),
        (TOML.replace("reason", "because"), '"because" is none of code, pointer, reason, expires, operation'),
        (TOML.replace("expires = 2030-01-15", ""), "it lacks expires"),
        (TOML.replace('"The vendor was asked."', '" "'), "reason must be text"),
        (TOML.replace('"The vendor was asked."', "7"), "reason must be text, not 7"),
        (TOML.replace("2030-01-15", '"soon"'), 'expires must be a date such as 2030-01-31, not "soon"'),
        (TOML.replace("2030-01-15", "7"), "expires must be a date such as 2030-01-31, not 7"),
        (TOML.replace('"get_request_result"', "2030-01-15"), "operation must be text, not 2030-01-15"),
    ],
)
def test_a_mistake(tmp_path: Path, text: str, complaint: str) -> None:
    """It is named, with the file and the number of the entry."""
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, text)
    assert complaint in str(raised.value)
    assert "baseline.toml" in str(raised.value)


@pytest.mark.parametrize("name", ["a.yaml", "a.yml"])
def test_a_baseline_in_yaml(tmp_path: Path, name: str) -> None:
    """It is refused, as there is one format, with what to do."""
    with pytest.raises(
        ConfigurationError, match=rf"{name} is YAML, which is not read any more\. Write each .* in TOML\."
    ):
        loaded(tmp_path, "accept: []", name)
    with pytest.raises(ConfigurationError, match="Write each"):
        load_baseline(tmp_path / name, TODAY, Accepted("new", TODAY))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is a mistake, unless it is to be written."""
    with pytest.raises(ConfigurationError, match=r"gone\.toml"):
        load_baseline(tmp_path / "gone.toml", TODAY)
    assert load_baseline(tmp_path / "gone.toml", TODAY, Accepted("new", TODAY)).entries == ()


def test_an_empty_file(tmp_path: Path) -> None:
    """It accepts nothing."""
    assert loaded(tmp_path, "").entries == ()


class TestAdditions:
    def test_accept_what_was_met(self, tmp_path: Path) -> None:
        """Everything that no entry accepts is accepted once and for all, and can be read back."""
        others = Accepted('We "know".\n', date(2030, 4, 1))
        baseline = Baseline(TODAY, others=others)
        odd = finding(pointer='/a"\\\x00é\ud800', operation=None)
        for one in (finding(), finding(), odd):
            assert baseline.accepts(one) == others
        read = loaded(tmp_path, baseline.additions())
        assert len(read.entries) == 2
        assert read.accepts(finding()) == others
        assert tomllib.loads(baseline.additions())["accept"][1]["pointer"] == '/a"\\\x00é?'
