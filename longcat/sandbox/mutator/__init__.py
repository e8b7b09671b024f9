"""The mutator: it spoils any answer of any contract in every way in which gateways drift, and in ways that harm nobody.

It knows neither the sandbox nor the drift check: it works on plain JSON values, and asks its caller two things about a
spoilt body, as the caller knows the contract (`AnswerRules`). So the sandbox drifts by it with our own contract, and
`tools/gauntlet_specs.py` measures the drift check by it with anyone's.

The mutator finds a mutation by trying: it changes a valid answer, and the result is a drift if the contract forbids it,
or does not list it. So no mutation needs to know a keyword of JSON Schema. A mutation holds a function, which works on
every answer that is like the one it was made of.
"""

from longcat.sandbox.mutator.mutations import AnswerRules, Mutation, Weight, mutations
from longcat.sandbox.mutator.request_mutations import RequestMutation, RequestRules, SentRequest, request_mutations
from longcat.sandbox.mutator.response import ResponseChange, SentResponse

__all__ = [
    "AnswerRules",
    "Mutation",
    "RequestMutation",
    "RequestRules",
    "ResponseChange",
    "SentRequest",
    "SentResponse",
    "Weight",
    "mutations",
    "request_mutations",
]
