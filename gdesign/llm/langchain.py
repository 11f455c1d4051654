"""LangChain's chat models as an LLM client, so that a design asks what a team's other chains ask."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gdesign.errors import LLMError, UnsupportedRequestError
from gdesign.llm.base import refuse_format
from gdesign.llm.replies import ending, reasoning_of, usage_of
from gdesign.llm.seeds import seed_of
from gdesign.types import Label, Reply, Request

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class ChatModels:
    """An LLM client that asks LangChain's chat models.

    Temperature, limits, timeouts and retries are those of the models, as they were made. Where a model does not say how
    many tokens it took, they are counted: one for each four bytes, and some for each message.

    Args:
        models: By the names that the pool gives its LLMs.
        errors: What a model raises where a call fails for good, such as `openai.APIError` for `ChatOpenAI`. The run
            records it and goes on; anything else ends the run.
        seeds: Whether the sample of a request goes out as `seed`, which OpenAI's models take. Without it, agents of the
            same role, LLM and operator may answer alike.
    """

    def __init__(
        self, models: "Mapping[str, BaseChatModel]", *, errors: tuple[type[Exception], ...] = (), seeds: bool = False
    ) -> None:
        self._models = dict(models)
        self._errors = errors
        self._seeds = seeds

    async def __call__(self, request: Request) -> Reply:
        """Answer one request.

        Raises:
            LLMError: The model raised one of `errors`.
            UnsupportedRequestError: There is no model of that name.
        """
        refuse_format(request, who="chat models of LangChain")
        if request.llm not in self._models:
            raise UnsupportedRequestError(
                f"there is no chat model {request.llm!r}; given are {', '.join(self._models)}"
            )
        settings: dict[str, Any] = {"seed": seed_of(request.sample)} if self._seeds else {}
        try:
            said = await self._models[request.llm].ainvoke([(m.role, m.content) for m in request.messages], **settings)
        except self._errors as error:
            raise LLMError(f"{request.llm}: {error}") from error
        text = str(said.text)
        told = said.response_metadata
        reason = ending(str(told.get("finish_reason") or told.get("stop_reason") or "stop"), text=text)
        if reason == "error":
            raise LLMError(f"{request.llm}: the reply ended with an error, and no answer")
        reasoning = reasoning_of({"content": said.content, **said.additional_kwargs})
        return Reply(
            text=text,
            reasoning=reasoning,
            usage=usage_of(said.usage_metadata, messages=request.messages, said=reasoning + text),
            label=Label.LIVE,
            finish_reason=reason,
        )
