"""Asking the client of endpoints in tests: a request, a client in a hurry, and what a server may answer."""

import asyncio
import json

from gdesign.llm.openai import OpenAIClient
from gdesign.types import LLM, AgentPool, Message, Request, Role
from tests.llm.chat_server import Raw, completion

REQUEST = Request(llm="m", messages=(Message("system", "be brief"), Message("user", "2 + 2?")))
NO_CHOICES = Raw(200, '{"choices": []}')


def made(url, **options):
    return OpenAIClient(**{"base_url": url, "backoff": 0.001, "max_retries": 1, **options})


def ask(client, request=REQUEST):
    return asyncio.run(client(request))


def once(*failures):
    """Fail so, one after the other, then answer."""
    left = list(failures)
    return lambda body: left.pop(0) if left else "Answer: 4"


def changed(**values):
    """Answer with a completion whose choice, message or usage is another."""

    def answer(body):
        whole = completion(body, "Answer: 4")
        choice = whole["choices"][0]
        choice["message"] |= values.get("message", {})
        choice |= values.get("choice", {})
        if "usage" in values:
            whole["usage"] = values["usage"]
        return Raw(body=json.dumps(whole))

    return answer


ANY = {"model": "m", "messages": []}


def error(status, **values):
    return Raw(status, json.dumps({"error": values}))


def authorization(seen):
    return {name.lower(): value for name, value in seen["headers"].items()}.get("authorization")


def pool(*llms):
    return AgentPool(
        name="p",
        roles=(Role(name="r", profile="r"),),
        llms=tuple(LLM(usd_per_1M_input=1.0, usd_per_1M_output=2.0, **llm) for llm in llms),
    )
