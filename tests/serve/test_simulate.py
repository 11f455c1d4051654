import asyncio
import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import openai
import pytest

from gdesign.agents.pool import builtin
from gdesign.agents.prompt import prompt
from gdesign.errors import ConfigError, PoolError
from gdesign.llm.openai import OpenAIClient
from gdesign.llm.seeds import seed_of
from gdesign.llm.simulated.client import SimulatedClient, World
from gdesign.serve.simulate import FAULTS, Simulation
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import LLM, Agent, AgentPool, Request, Role, sample_index
from tests.serve.serving import serving

POOL = builtin("simulated")
TASKS = Synthetic().load("test")
QUESTION = TASKS[0].question
ASKED = [{"role": "user", "content": QUESTION}]


def sdk(url, kind=openai.OpenAI, **options):
    return kind(base_url=url, **{"api_key": "none", "max_retries": 0, "timeout": 5, **options})


@pytest.fixture(scope="module")
def plain():
    with serving(Simulation(pool=POOL)) as url:
        yield url


def request_of(i=0, **values):
    task = TASKS[i]
    agent = Agent(role="reviewer", llm="large")
    messages = prompt(agent, task, pool=POOL, heard=[("assistant", "It is so.\nAnswer: 7")] if i % 2 else ())
    return Request(llm="large", messages=messages, **values)


def post(url, body, headers=None, method="POST"):
    """Return status, headers and body of a raw request."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def chat_body(**values):
    return json.dumps({"model": "small", "messages": ASKED, **values}).encode()


# --------------------------------------------------------------------------- answers


def test_the_endpoint_answers_as_the_client_in_the_same_process_does(plain):
    requests = [request_of(i, sample=sample_index(seed=70_000 * i, copy=i % 3)) for i in range(12)]

    async def ask(client):
        return [await client(request) for request in requests]

    there, here = asyncio.run(ask(OpenAIClient(base_url=plain))), asyncio.run(ask(SimulatedClient(pool=POOL)))
    assert [(r.text, r.usage, r.finish_reason) for r in there] == [(r.text, r.usage, r.finish_reason) for r in here]
    assert len({r.text for r in here}) > 3


def test_another_world_answers_otherwise_and_again_as_the_client_does(plain):
    world = World(seed=5, popular=0.1)
    with serving(Simulation(pool=POOL, world=world)) as url:
        there = asyncio.run(OpenAIClient(base_url=url)(request_of(2)))
    assert there.text == asyncio.run(SimulatedClient(pool=POOL, world=world)(request_of(2))).text


def test_the_same_seed_gets_the_same_answer_and_different_seeds_get_different_ones(plain):
    with sdk(plain) as client:
        hard = next(t.question for t in TASKS if "hard" in t.id or len(t.question) > 400)

        def ask(seed):
            reply = client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": hard}], seed=seed
            )
            return reply.choices[0].message.content

        answers = [ask(seed_of(sample)) for sample in range(12)]
        assert answers == [ask(seed_of(sample)) for sample in range(12)]
    assert len(set(answers)) > 1


def test_no_seed_is_seed_0(plain):
    with sdk(plain) as client:
        without = client.chat.completions.create(model="small", messages=ASKED)
        zero = client.chat.completions.create(model="small", messages=ASKED, seed=0)
    assert without.choices == zero.choices


def test_the_sdk_reads_a_completion_with_usage(plain):
    with sdk(plain) as client:
        reply = client.chat.completions.create(model="small", messages=ASKED)
    assert reply.model == "small"
    assert reply.choices[0].finish_reason == "stop"
    assert "Answer:" in reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


def test_the_asynchronous_sdk_reads_many_at_a_time(plain):
    async def ask():
        async with sdk(plain, openai.AsyncOpenAI) as client:
            calls = (client.chat.completions.create(model="small", messages=ASKED, seed=i) for i in range(20))
            return await asyncio.gather(*calls)

    assert len({reply.id for reply in asyncio.run(ask())}) == 20


def test_a_stream_says_the_same_in_pieces_and_ends_with_its_usage(plain):
    with sdk(plain) as client:
        whole = client.chat.completions.create(model="small", messages=ASKED)
        chunks = list(
            client.chat.completions.create(
                model="small", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert len(chunks) > 5
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage == whole.usage


def test_a_stream_carries_no_usage_unless_asked_for_it(plain):
    async def ask():
        async with sdk(plain, openai.AsyncOpenAI) as client:
            stream = await client.chat.completions.create(model="small", messages=ASKED, stream=True)
            return [chunk async for chunk in stream]

    assert all(chunk.usage is None and chunk.choices for chunk in asyncio.run(ask()))


def test_the_limit_on_tokens_has_two_names(plain):
    with sdk(plain) as client:
        for name in ("max_tokens", "max_completion_tokens"):
            reply = client.chat.completions.create(model="small", messages=ASKED, **{name: 3})
            assert reply.usage.completion_tokens == 3
            assert reply.choices[0].finish_reason == "length"


def test_models_are_those_of_the_pool(plain):
    with sdk(plain) as client:
        assert [m.id for m in client.models.list()] == [m.name for m in POOL.llms]
        assert client.models.retrieve("large").id == "large"
        with pytest.raises(openai.NotFoundError, match="no-such"):
            client.models.retrieve("no-such")


# --------------------------------------------------------------------------- any client


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": f"  {QUESTION}\n"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}],
        [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": QUESTION}],
        [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
        [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": QUESTION},
        ],
    ],
)
def test_a_generated_question_is_answered_without_gdesigns_prompt(plain, messages):
    with sdk(plain) as client:
        assert "Answer:" in client.chat.completions.create(model="large", messages=messages).choices[0].message.content


def test_anything_else_is_refused_and_told_what_is_expected(plain):
    with sdk(plain) as client, pytest.raises(openai.BadRequestError, match="--any"):
        client.chat.completions.create(model="small", messages=[{"role": "user", "content": "Hello"}])


def test_a_prompt_of_another_pool_is_refused_by_name(plain):
    other = AgentPool(
        name="other",
        roles=(Role(name="poet", profile="You are a poet."),),
        llms=(LLM(name="small", usd_per_1M_input=0, usd_per_1M_output=0),),
    )
    messages = prompt(Agent(role="poet", llm="small"), TASKS[0], pool=other)
    with sdk(plain) as client, pytest.raises(openai.BadRequestError, match=r"You are a poet.*--pool"):
        client.chat.completions.create(
            model="small", messages=[{"role": m.role, "content": m.content} for m in messages]
        )


def test_on_demand_prompts_of_gdesign_get_made_up_answers_in_the_form_that_they_ask_for():
    roles = (Role(name="poet", profile="You are a poet."),)
    other = AgentPool(name="o", roles=roles, llms=(LLM(name="mine", usd_per_1M_input=0, usd_per_1M_output=0),))
    task = replace(TASKS[0], question="How many days are there in five weeks?")
    with serving(Simulation(pool=other, any_message=True)) as url:
        llm = OpenAIClient(base_url=url)

        def ask(operator, *heard):
            messages = prompt(Agent(role="poet", llm="mine", operator=operator), task, pool=other, heard=heard)
            return asyncio.run(llm(Request(llm="mine", messages=messages))).text

        said = ask("answer")
        assert re.fullmatch(r"Nobody .*made up\.\nAnswer: \d\d\d?", said)
        assert ask("answer", ("poet", "```python\nAnswer: 1```")) == said
        assert re.fullmatch(r"```python\nprint\(\d+\)\n```", ask("program"))


def test_what_ends_a_reply_is_heeded_and_forms_and_tools_are_refused(plain):
    with sdk(plain) as client:
        chat = partial(client.chat.completions.create, model="large", messages=ASKED)
        whole = chat().choices[0].message.content
        assert chat(stop="\nAnswer").choices[0].message.content == whole.partition("\nAnswer")[0]
        pieces = [c.choices[0].delta.content or "" for c in chat(stop=["\nAnswer"], stream=True)]
        assert "".join(pieces) == whole.partition("\nAnswer")[0]
        for refused in ({"response_format": {"type": "json_object"}}, {"tools": [{"type": "function"}]}):
            with pytest.raises(openai.BadRequestError, match=f"{next(iter(refused))} is not served"):
                chat(**refused)


def test_on_demand_other_messages_are_repeated():
    with serving(Simulation(pool=POOL, any_message=True)) as url, sdk(url) as client:
        chat = client.chat.completions
        reply = chat.create(model="small", messages=[{"role": "user", "content": "Hello, who is there?"}])
        assert reply.choices[0].message.content == "Hello, who is there?"
        assert reply.usage.completion_tokens == 5
        cut = chat.create(model="small", messages=[{"role": "user", "content": "Hello, who is there?"}], max_tokens=2)
        assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("Hello, w", "length")
        assert "Answer:" in chat.create(model="small", messages=ASKED).choices[0].message.content


# --------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"[1]", 400, "expected a JSON object"),
        (b'{"messages": []}', 400, "model is missing"),
        (b'{"model": "small"}', 400, "messages is missing"),
        (b'{"model": "small", "messages": []}', 400, "at least one message"),
        (b'{"model": "small", "messages": ["hi"]}', 400, "messages\\[0\\] is 'hi'"),
        (b'{"model": "small", "messages": [{"role": "king", "content": "hi"}]}', 400, "messages\\[0\\].role is 'king'"),
        (b'{"model": "small", "messages": [{"role": "user"}]}', 400, "messages\\[0\\].content is missing"),
        (
            b'{"model": "small", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            400,
            "nothing but text",
        ),
        (chat_body(seed="7"), 400, "seed is '7'"),
        (chat_body(max_tokens=0), 400, "max_tokens is 0"),
        (chat_body(temperature=3), 400, "temperature is 3"),
        (chat_body(stream="yes"), 400, "stream is 'yes'"),
        (chat_body(stream_options=1), 400, "stream_options is 1"),
        (chat_body(n=2), 400, "n is 2"),
        (chat_body(model="gpt"), 404, "'gpt' does not exist; there are small"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_in_words(plain, body, status, words):
    got, headers, text = post(f"{plain}/chat/completions", body)
    error = json.loads(text)["error"]
    assert got == status
    assert headers["content-type"] == "application/json"
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(error["message"])


def test_a_wrong_method_or_path_is_named(plain):
    status, headers, body = post(f"{plain}/chat/completions", None, method="GET")
    assert (status, headers["allow"]) == (405, "POST")
    assert "takes POST, not GET" in json.loads(body)["error"]["message"]
    assert post(f"{plain}/models", b"")[0] == 405
    assert post(f"{plain}/completions", b"")[0] == 404


@pytest.mark.parametrize("told", [True, False])
def test_too_large_a_body_is_refused_before_it_is_read_whole(told):
    with serving(Simulation(pool=POOL, max_body=1000)) as url:
        body = chat_body(padding="x" * 2000)
        if told:
            assert post(f"{url}/chat/completions", body)[0] == 413
        else:
            assert exchange(url, chunked(body)).startswith(b"HTTP/1.1 413")
        assert post(f"{url}/chat/completions", chat_body())[0] == 200


def test_a_key_is_asked_for_where_one_is_set():
    with serving(Simulation(pool=POOL, key="sk-1")) as url:
        with sdk(url, api_key="sk-2") as client, pytest.raises(openai.AuthenticationError, match="missing or wrong"):
            client.chat.completions.create(model="small", messages=ASKED)
        with sdk(url, api_key="sk-1") as client:
            assert client.chat.completions.create(model="small", messages=ASKED).choices
            assert client.models.list().data
        assert post(f"{url}/models", None, method="GET")[0] == 401
        assert post(url.removesuffix("/v1") + "/health", None, method="GET")[0] == 200


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"faults": 1.5}, "share of faults is 1.5"),
        ({"faults": float("nan")}, "share of faults is nan"),
        ({"fault_kinds": ["429", "fire"]}, "no fault 'fire'.*expected any of 429, 500"),
        ({"fault_kinds": []}, "no kind of fault"),
        ({"latency": -1}, "latency is -1"),
        ({"latency": 0.1, "jitter": 0.2}, "jitter 0.2 s"),
        ({"retry_after": -1}, "wait -1 s"),
        ({"requests_per_minute": 0}, "limit is 0"),
    ],
)
def test_a_value_out_of_range_is_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        Simulation(pool=POOL, **values)


def test_a_pool_that_the_world_does_not_know_is_refused():
    with pytest.raises(PoolError, match="not in the simulated world"):
        Simulation(pool=builtin("mathematics"))


# --------------------------------------------------------------------------- faults


def chunked(body):
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    )


def whole(body):
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def exchange(url, data, timeout=2.0):
    """Return all bytes that come until the connection ends, b"reset" where it is reset."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=timeout) as sock:
        sock.sendall(data)
        got = b""
        try:
            while piece := sock.recv(1 << 16):
                got += piece
        except ConnectionResetError:
            return got or b"reset"
    return got


def faulty(*kinds, **options):
    return serving(Simulation(pool=POOL, faults=1.0, fault_kinds=kinds, **options))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("timeout", openai.APITimeoutError),
    ],
)
def test_a_fault_reaches_the_sdk_as_its_error(kind, error, stream):
    with faulty(kind) as url, sdk(url, timeout=0.3) as client, pytest.raises(error):
        client.chat.completions.create(model="small", messages=ASKED, stream=stream)


def test_a_429_says_how_long_to_wait():
    with faulty("429", retry_after=0.25) as url:
        status, headers, body = post(f"{url}/chat/completions", chat_body())
    assert status == 429
    assert headers["retry-after"] == "1"
    assert headers["retry-after-ms"] == "250"
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"


def test_a_dropped_connection_ends_in_the_middle_or_before_the_answer():
    with faulty("connection") as url:
        got = [exchange(url, whole(chat_body())) for _ in range(4)]
        assert sorted(bool(g.startswith(b"HTTP/1.1 200")) for g in got) == [False, False, True, True]
        begun = next(g for g in got if g.startswith(b"HTTP/1.1 200"))
        head, _, body = begun.partition(b"\r\n\r\n")
        announced = int(dict(line.split(b": ") for line in head.split(b"\r\n")[1:])[b"content-length"])
        assert 0 < len(body) < announced
        with sdk(url) as client:
            for _ in range(2):
                with pytest.raises(openai.APIConnectionError):
                    client.chat.completions.create(model="small", messages=ASKED)


def test_a_stream_is_dropped_in_its_middle_too():
    with faulty("connection") as url:
        got = [exchange(url, whole(chat_body(stream=True))) for _ in range(2)]
    assert sum(b"data: {" in g for g in got) == 1
    assert not any(b"[DONE]" in g for g in got)


def test_malformed_json_breaks_off():
    with faulty("malformed") as url:
        status, headers, body = post(f"{url}/chat/completions", chat_body())
        stream = post(f"{url}/chat/completions", chat_body(stream=True))[2]
    assert (status, headers["content-type"]) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    *_, last, done = stream.strip().split(b"\n\n")
    assert done == b"data: [DONE]"
    with pytest.raises(json.JSONDecodeError):
        json.loads(last.removeprefix(b"data: "))


def test_an_empty_answer_has_no_choices():
    with faulty("no_choices") as url, sdk(url) as client:
        reply = client.chat.completions.create(model="small", messages=ASKED)
        assert reply.choices == []
        assert reply.usage.total_tokens > 0
        assert list(client.chat.completions.create(model="small", messages=ASKED, stream=True)) == []


def test_a_request_that_never_gets_an_answer_loses_its_connection_in_the_end():
    with faulty("timeout", hang=0.05) as url:
        assert exchange(url, whole(chat_body())) in (b"", b"reset")


def test_faults_come_as_often_as_asked_and_are_counted_by_kind():
    app = Simulation(pool=POOL, faults=0.4, fault_kinds=("429", "500", "malformed", "no_choices"))
    with serving(app) as url:
        statuses = Counter(post(f"{url}/chat/completions", chat_body())[0] for _ in range(300))
        stats = json.loads(post(url.removesuffix("/v1") + "/stats", None, method="GET")[2])
    assert stats["requests"] == 300
    assert 90 <= sum(stats["faults"].values()) <= 150
    assert min(stats["faults"].values()) >= 15
    assert stats["answered"] == 300 - sum(stats["faults"].values())
    assert statuses[429] == stats["faults"]["429"]
    assert statuses[500] == stats["faults"]["500"]
    assert stats["in_flight"] == 0
    assert "300 requests" in app.summary()
    assert f"429 {statuses[429]}" in app.summary()


def test_the_same_seed_draws_the_same_faults():
    def statuses(seed):
        with serving(Simulation(pool=POOL, faults=0.5, fault_kinds=("429", "500"), seed=seed)) as url:
            return [post(f"{url}/chat/completions", chat_body())[0] for _ in range(30)]

    assert statuses(1) == statuses(1) != statuses(2)


def test_answers_between_faults_are_those_without_any():
    requests = [request_of(i, sample=i) for i in range(8)]

    async def ask(client):
        return [reply.text for reply in await asyncio.gather(*(client(request) for request in requests))]

    kinds = [kind for kind in FAULTS if kind in ("429", "500", "connection")]
    with serving(Simulation(pool=POOL, faults=0.3, fault_kinds=kinds, retry_after=0.01)) as url:
        there = asyncio.run(ask(OpenAIClient(base_url=url, max_retries=8)))
    assert there == asyncio.run(ask(SimulatedClient(pool=POOL)))


# --------------------------------------------------------------------------- time


def test_more_requests_than_allowed_in_any_minute_are_turned_away():
    now = [0.0]
    app = Simulation(pool=POOL, requests_per_minute=3, clock=lambda: now[0])
    with serving(app) as url:

        def ask(at):
            now[0] = at
            status, headers, _ = post(f"{url}/chat/completions", chat_body())
            return status, headers.get("retry-after")

        assert [ask(at)[0] for at in (0.0, 10.0, 20.0)] == [200, 200, 200]
        assert ask(30.5) == (429, "30")
        assert ask(61.0) == (200, None)
        assert ask(62.0) == (429, "8")
    assert app.stats()["rate_limited"] == 2
    assert "2 over the limit" in app.summary()


def test_answers_take_the_latency_asked_for_all_at_the_same_time():
    app = Simulation(pool=POOL, latency=0.1, jitter=0.02)
    with serving(app) as url:

        async def ask():
            async with sdk(url, openai.AsyncOpenAI) as client:
                await client.models.list()
                began = time.perf_counter()
                await asyncio.gather(
                    *(client.chat.completions.create(model="small", messages=ASKED) for _ in range(10))
                )
                return time.perf_counter() - began

        assert 0.08 <= asyncio.run(ask()) < 0.6
    assert app.stats()["most_in_flight"] > 5


def test_a_connection_is_kept_for_the_next_request(plain):
    parts = urlsplit(plain)
    with socket.create_connection((parts.hostname, parts.port), timeout=2) as sock:
        for _ in range(3):
            sock.sendall(whole(chat_body()))
            got = b""
            while b'"usage"' not in got or not got.endswith(b"}}"):
                got += sock.recv(1 << 16)
            assert got.startswith(b"HTTP/1.1 200")
