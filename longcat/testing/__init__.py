"""For the tests of those who use longcat: a gateway scripted in a line, and a clock whose sleeps take no real time.

gateway = FakeGateway().request("my-id", takes=600)
with gateway.client() as cat:
    cat.wait("my-id", timeout=None)
"""

from longcat.testing.clock import VirtualClock
from longcat.testing.gateway import FakeGateway, Question
from longcat.testing.script import Progress, ScriptedFault, refusal

__all__ = [
    "FakeGateway",
    "Progress",
    "Question",
    "ScriptedFault",
    "VirtualClock",
    "refusal",
]
