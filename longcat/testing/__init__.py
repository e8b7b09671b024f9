"""For the tests of those who use longcat: a gateway scripted in a line, and a clock whose sleeps take no real time.

gateway = FakeGateway().order(takes=600)
with gateway.client() as cat:
    cat.generate("two cats", timeout=None)
assert len(gateway.orders) == 1
"""

from longcat._lazy import lazy_names

TYPE_CHECKING = False  # As in `typing`, which is not imported here, either: each name costs what it needs itself.
if TYPE_CHECKING:
    from longcat.testing.clock import VirtualClock
    from longcat.testing.gateway import FakeGateway, Question
    from longcat.testing.order_scripts import Submission
    from longcat.testing.script import Progress, ScriptedFault, refusal
else:
    _MODULES = {
        "longcat.testing.clock": ("VirtualClock",),
        "longcat.testing.gateway": ("FakeGateway", "Question"),
        "longcat.testing.order_scripts": ("Submission",),
        "longcat.testing.script": ("Progress", "ScriptedFault", "refusal"),
    }
    __getattr__, __dir__ = lazy_names(globals(), _MODULES)

__all__ = [
    "FakeGateway",
    "Progress",
    "Question",
    "ScriptedFault",
    "Submission",
    "VirtualClock",
    "refusal",
]

del TYPE_CHECKING, lazy_names
