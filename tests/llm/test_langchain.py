import asyncio

import openai
import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI

from gdesign.errors import LLMError, UnsupportedRequestError
from gdesign.execute.run import run
from gdesign.export.langgraph import state_graph
from gdesign.llm.langchain import ChatModels
from gdesign.serve.simulate import Simulation
from gdesign.types import Message, Request, Usage
from tests.export.worlds import BENCHMARK, DESIGNS, POOL, Recording, tasks
from tests.llm.chat_server import SERVER_ERROR, chat_server
from tests.serve.serving import serving

ASKED = Request(llm="m", messages=(Message("system", "Be brief."), Message("user", "What is 2 + 2?")))


def test_a_chat_model_answers():
    reply = asyncio.run(ChatModels({"m": FakeListChatModel(responses=["Answer: 4"])})(ASKED))
    assert reply.text == "Answer: 4"
    assert reply.usage.counted
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (18, 3)


def test_thoughts_and_cached_tokens_are_told_apart():
    model = GenericFakeChatModel(
        messages=iter(
            [
                AIMessage(
                    content=[{"type": "thinking", "thinking": "2 and 2"}, {"type": "text", "text": "Answer: 4"}],
                    usage_metadata={
                        "input_tokens": 100,
                        "output_tokens": 5,
                        "total_tokens": 145,
                        "input_token_details": {"cache_read": 64},
                        "output_token_details": {"reasoning": 40},
                    },
                    response_metadata={"stop_reason": "max_tokens"},
                )
            ]
        )
    )
    reply = asyncio.run(ChatModels({"m": model})(ASKED))
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("Answer: 4", "2 and 2", "length")
    assert reply.usage == Usage(prompt_tokens=100, completion_tokens=45, cached_tokens=64)


def test_a_reply_that_ends_with_an_error_is_a_failed_call():
    said = AIMessage(content="Let me", response_metadata={"finish_reason": "error"})
    with pytest.raises(LLMError, match="m: the reply ended with an error"):
        asyncio.run(ChatModels({"m": GenericFakeChatModel(messages=iter([said]))})(ASKED))


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(UnsupportedRequestError, match="no chat model 'm'; given are n"):
        asyncio.run(ChatModels({"n": FakeListChatModel(responses=["x"])})(ASKED))


def test_a_call_that_fails_is_an_error_of_the_call():
    with chat_server(lambda body: SERVER_ERROR) as url:
        model = ChatOpenAI(model="m", base_url=url, api_key="none", max_retries=0)
        with pytest.raises(LLMError, match=r"m: .*out of order"):
            asyncio.run(ChatModels({"m": model}, errors=(openai.APIError,))(ASKED))


@pytest.mark.parametrize("name", ["cascade", "star"])
def test_chat_openai_in_langgraph_gives_what_our_executor_gives(name):
    (task,) = tasks(1)
    done = asyncio.run(run(DESIGNS[name], task, pool=POOL, llm=Recording(), extract=BENCHMARK.extract))
    with serving(Simulation(pool=POOL)) as url:
        models = {m.name: ChatOpenAI(model=m.name, base_url=url, api_key="none", temperature=0) for m in POOL.llms}
        llm = Recording(ChatModels(models, seeds=True))
        graph = state_graph(DESIGNS[name], pool=POOL, llm=llm, extract=BENCHMARK.extract).compile()
        state = asyncio.run(graph.ainvoke({"task": task}))
    assert state["answer"] == done.answer
    usages = [turn.reply.usage for turn in done.turns if turn.reply is not None]
    assert sorted(map(tokens, usages)) == sorted(tokens(turn.reply.usage) for turn in state["turns"])
    assert all(not turn.reply.usage.counted for turn in state["turns"])


def tokens(usage):
    return usage.prompt_tokens, usage.completion_tokens
