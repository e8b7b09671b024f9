"""For the tests of those who use longcat: a gateway scripted in a line, and a clock whose sleeps take no real time.

gateway = FakeGateway().request("my-id", takes=600)
with gateway.client() as cat:
    cat.wait("my-id", timeout=None)
"""

from longcat.testing.clock import VirtualClock
from longcat.testing.gateway import FakeGateway, Question
from longcat.testing.script import Fault, Progress, refusal

__all__ = [
    "FakeGateway",
    "Fault",
    "Progress",
    "Question",
    "VirtualClock",
    "refusal",
]
