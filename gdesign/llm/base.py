"""The one seam to the world: an LLM client answers a Request with a Reply."""

from typing import Protocol, runtime_checkable

from gdesign.errors import UnsupportedRequestError
from gdesign.types import Reply, Request


@runtime_checkable
class LLMClient(Protocol):
    """Anything that answers a Request with a Reply: endpoint, recording, simulator, cache, limit, budget.

    Raises:
        LLMError: One call failed. The executor records it and goes on.
        UnsupportedRequestError: The client cannot answer such a request by its nature. Ends the run.
        BudgetExceededError: The limit on spending is reached. Ends the run.
    """

    async def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        ...


def refuse_format(request: Request, *, who: str) -> None:
    """Raise UnsupportedRequestError where a reply is to be JSON and whoever answers knows words alone."""
    if request.response_format is not None:
        raise UnsupportedRequestError(f"{who} answer in words, and response_format asks for JSON")


def may_be_copied(llm: LLMClient) -> bool:
    """Return whether every copy of a client answers alike and for nothing, so that each process may have its own.

    Such a client has an attribute `copies_agree` that is true. Any other one, that of an endpoint, a recording or a
    budget, is asked in one place.
    """
    return bool(getattr(llm, "copies_agree", False))


def answers_turns(llm: LLMClient) -> bool:
    """Return whether a client answers an agent's whole turn at once, however the agent works: it was recorded so.

    Such a client has an attribute `whole_turns` that is true. It needs no prompts, so an agent may work in a way that
    nothing here tells an LLM of.
    """
    return bool(getattr(llm, "whole_turns", False))
