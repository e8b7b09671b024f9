"""No way in which workers can claim, order and note pays twice or loses a line: a small version of `make protocol`."""

import pytest
from protocol import QUICK, RULES, Protocol, broken, search


@pytest.mark.parametrize("protocol", QUICK, ids=lambda protocol: str(tuple(protocol.faults)))
def test_whatever_fails_and_whenever_no_order_is_paid_twice_and_no_line_is_lost(protocol: Protocol) -> None:
    """At every moment that can come, all is counted that may have been paid, and every line can still end."""
    found = search(protocol)
    assert found.counterexample is None, str(found.counterexample)
    assert found.moments > 1000


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_needed(rule: str) -> None:
    """Without any one of them, something goes wrong, and the shortest way to it is told."""
    counterexample = search(broken(rule)).counterexample
    assert counterexample is not None
    assert str(counterexample).splitlines()[-1] == f"     But {counterexample.what}."
