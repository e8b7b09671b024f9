"""For the tests of those who use longcat: a gateway scripted in a line, and a clock whose sleeps take no real time.

gateway = FakeGateway().order(takes=600)
with gateway.client() as cat:
    cat.generate("two cats", timeout=None)
assert len(gateway.orders) == 1
"""

from longcat.testing.clock import VirtualClock
from longcat.testing.gateway import FakeGateway, Question
from longcat.testing.orders import Submission
from longcat.testing.script import Progress, ScriptedFault, refusal

__all__ = [
    "FakeGateway",
    "Progress",
    "Question",
    "ScriptedFault",
    "Submission",
    "VirtualClock",
    "refusal",
]
