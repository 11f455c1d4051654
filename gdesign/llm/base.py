"""The one seam to the world: an LLM client answers a Request with a Reply."""

from typing import Protocol, runtime_checkable

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
