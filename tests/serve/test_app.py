"""What clients of `gdesign serve` get: the openai SDK, langchain-openai, curl; and every error."""

import asyncio
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import openai
import pytest

import gdesign
from gdesign.agents.pool import builtin
from gdesign.agents.teams import single
from gdesign.cli.main import main
from gdesign.errors import BudgetExceededError, ConfigError, LLMError, UnreachableError, UnsupportedRequestError
from gdesign.execute.reward import account
from gdesign.export.mermaid import mermaid
from gdesign.export.python import to_python
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.llm.openai import OpenAIClient
from gdesign.llm.wrappers import Sampling
from gdesign.runs.log import RunsFile
from gdesign.serve.app import Serving
from gdesign.serve.chat import conversation
from gdesign.serve.guard import LOOPBACK, JsonLines
from gdesign.serve.protocol import ApiError
from gdesign.serve.settings import Settings
from gdesign.serve.simulate import Simulation
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Label, Message, Reply, Usage
from tests import worlds
from tests.serve.command import running, simulating
from tests.serve.folders import POLICY, SWARM, folder, lost
from tests.serve.serving import serving

TASKS = Synthetic().load("test")
QUESTION = TASKS[0].question
SCRIPT = "<script>window.hacked = true</script>"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("runs") / "a")


@pytest.fixture(scope="module")
def model(run_folder):
    return gdesign.load(run_folder)


@pytest.fixture(scope="module")
def url(model, run_folder):
    with serving(Serving(model, folder=run_folder, hosts=LOOPBACK, simulated=True)) as url:
        yield url


@pytest.fixture(scope="module")
def client(url):
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def asking(run_folder, llm, **settings):
    """Serve a model whose agents are asked by another client."""
    app = Serving(gdesign.load(run_folder, llm=llm), folder=run_folder, hosts=LOOPBACK, settings=Settings(**settings))
    return serving(app)


def chat(text, **more):
    return {"model": "gdesign", "messages": [{"role": "user", "content": text}], **more}


def post(url, path="/chat/completions", *, headers=None, **body):
    return httpx2.post(f"{url}{path}", json=body, headers=headers, timeout=30)


def failed(response, status):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert {"message", "type", "code"} <= error.keys()
    return error["message"]


def user(text):
    return {"role": "user", "content": text}


# --------------------------------------------------------------------------- clients


def test_the_openai_sdk_gets_an_answer_with_the_usage_of_all_agents(client, model):
    reply = client.chat.completions.create(model="gdesign", messages=[user(QUESTION)])
    answer = model.ask(QUESTION)
    assert reply.choices[0].message.content == answer.text
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.prompt_tokens == answer.outcome.prompt_tokens
    assert reply.usage.total_tokens == answer.outcome.prompt_tokens + answer.outcome.completion_tokens
    more = reply.gdesign
    assert design_from_json(more["design"]) == answer.design
    assert more["usd"] == answer.outcome.usd
    assert [t["text"] for t in more["turns"]] == [t.reply and t.reply.text for t in answer.run.turns]
    assert (more["lambda"], more["answer"], more["label"]) == (0.03, answer.answer, "simulated")


def test_a_price_of_cost_may_stand_in_the_models_name(client, model):
    reply = client.chat.completions.create(model="gdesign:100", messages=[user(QUESTION)])
    assert reply.gdesign["lambda"] == 100
    assert design_from_json(reply.gdesign["design"]) == model.design(QUESTION, lam=100).design


def test_a_stream_says_its_role_first_then_the_answer_then_the_usage(client, model):
    chunks = list(
        client.chat.completions.create(
            model="gdesign", messages=[user(QUESTION)], stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == model.ask(QUESTION).text
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-2].gdesign["calls"] == len(chunks[-2].gdesign["turns"])
    assert chunks[-1].usage.total_tokens > 0


def test_the_async_sdk_gets_answers_at_the_same_time_whole_and_in_pieces(url, model):
    async def ask():
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
            asked = [client.chat.completions.create(model="gdesign", messages=[user(t.question)]) for t in TASKS[:9]]
            stream = await client.chat.completions.create(model="gdesign", messages=[user(QUESTION)], stream=True)
            text = "".join([c.choices[0].delta.content or "" async for c in stream])
            return [r.choices[0].message.content for r in await asyncio.gather(*asked)], text

    texts, streamed = asyncio.run(ask())
    assert texts == [answer.text for answer in model.asks([t.question for t in TASKS[:9]])]
    assert streamed == texts[0]


def test_langchain_gets_answers_and_streams(url, model):
    chat_openai = pytest.importorskip("langchain_openai").ChatOpenAI

    async def ask(**options):
        async with httpx2.AsyncClient() as http:
            llm = chat_openai(http_async_client=http, **options)
            return await llm.ainvoke(QUESTION), [piece.text async for piece in llm.astream(QUESTION)]

    with httpx2.Client() as http:
        options = {"model": "gdesign", "base_url": url, "api_key": "none", "temperature": 0, "http_client": http}
        llm = chat_openai(**options)
        reply = llm.invoke(QUESTION)
        assert reply.content == model.ask(QUESTION).text
        assert reply.usage_metadata["total_tokens"] > 0
        assert "".join(piece.text for piece in llm.stream(QUESTION)) == reply.content
        awaited, pieces = asyncio.run(ask(**options))
    assert awaited.content == "".join(pieces) == reply.content


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_gets_an_answer_and_a_clear_error(url):
    def curl(*options):
        done = subprocess.run(["curl", "-s", *options], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    kind, body = ("-H", "Content-Type: application/json"), json.dumps(chat(QUESTION))
    assert curl(f"{url}/chat/completions", *kind, "-d", body)["object"] == "chat.completion"
    assert "Content-Type: application/json" in curl(f"{url}/chat/completions", "-d", body)["error"]["message"]


def test_models_are_listed_and_each_is_there(client):
    assert [m.id for m in client.models.list()] == ["gdesign"]
    assert client.models.retrieve("gdesign:0.2").id == "gdesign:0.2"


# --------------------------------------------------------------------------- conversations


def test_a_lone_question_is_left_as_it_is():
    assert conversation((Message("user", "Why?"),)) == ("Why?", None)


def test_what_was_said_before_comes_before_the_last_user_message():
    question, context = conversation(
        (
            Message("system", "Be brief."),
            Message("user", "Is it raining?"),
            Message("assistant", "Yes."),
            Message("user", "Since when?"),
        )
    )
    assert question == "Since when?"
    parts = ["Be brief.", "User: Is it raining?", "Assistant: Yes.", "Since when?"]
    assert [context.index(p) for p in parts] == sorted(context.index(p) for p in parts)


@pytest.mark.parametrize("messages", [[Message("system", "Be brief.")], [Message("user", " \n")]])
def test_a_chat_without_a_question_is_refused(messages):
    with pytest.raises(ApiError, match="no question"):
        conversation(messages)


def test_agents_read_the_conversation_and_designers_the_last_question(run_folder, model):
    llm = worlds.Scripted(lambda request: "Answer: yes")
    with asking(run_folder, llm) as url:
        messages = [{"role": "system", "content": "Speak Latin."}, user("Hello."), user(QUESTION)]
        reply = post(url, model="gdesign", messages=messages).json()
    assert design_from_json(reply["gdesign"]["design"]) == model.design(QUESTION).design
    assert all("Speak Latin." in r.messages[1].content for r in llm.requests)


def test_temperature_and_limit_reach_every_agent(run_folder):
    llm = worlds.Scripted(lambda request: "Answer: yes")
    with asking(run_folder, llm, max_tokens=50) as url:
        post(url, **chat("?", temperature=0.7, max_completion_tokens=9, seed=3))
        post(url, **chat("?", max_tokens=500))
    assert {(r.temperature, r.max_tokens) for r in llm.requests} == {(0.7, 9), (0.0, 50)}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n": 2}, "one answer a request"),
        ({"tools": [{"type": "function"}]}, "tools is not served"),
        ({"response_format": {"type": "json_object"}}, "response_format is not served"),
        ({"response_format": {"type": "yaml"}}, "expected text, json_object or json_schema"),
        ({"response_format": {"type": "json_schema"}}, "needs a name and a schema"),
        ({"stop": [""]}, "stop[0] is ''; expected a text that is not empty"),
        ({"lambda": -1}, "lambda is -1"),
        ({"lambda": 0.1, "model": "gdesign:0.2"}, "leave one out"),
        ({"logit_bias": {"50256": -100}}, "logit_bias is not served"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "nothing but text is read"),
    ],
)
def test_what_a_team_cannot_do_is_refused(url, more, message):
    assert message in failed(post(url, **{**chat(QUESTION), **more}), 400)


def test_the_reply_ends_before_what_is_to_stop_it(client):
    asked = {"model": "gdesign", "messages": [user(QUESTION)]}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    for stop, text in (("Answer:", whole.partition("Answer:")[0]), (["none", "\n", "er:"], whole.partition("\n")[0])):
        cut = client.chat.completions.create(**asked, stop=stop)
        assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == (text, "stop")
        stream = client.chat.completions.create(**asked, stop=stop, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in stream) == text


def test_a_price_of_cost_or_a_limit_may_stand_in_the_body(client, model):
    asked = {"model": "gdesign", "messages": [user(QUESTION)]}
    more = client.chat.completions.create(**asked, extra_body={"lambda": 100}).gdesign
    assert (more["lambda"], design_from_json(more["design"])) == (100, model.design(QUESTION, lam=100).design)
    cheap = more["expected"]["usd"] * 1.01
    assert client.chat.completions.create(**asked, extra_body={"max_usd": cheap}).gdesign["expected"]["usd"] <= cheap


def test_who_decided_puts_the_answer_into_json_where_its_endpoint_can(run_folder):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    llm = worlds.Scripted(lambda request: '{"n": 7}' if request.response_format else "Answer: 7")
    with asking(run_folder, llm) as url:
        plain = post(url, **chat("?")).json()
        reply = post(url, **chat("?", response_format=wanted)).json()
        assert json.loads(reply["choices"][0]["message"]["content"]) == {"n": 7}
        assert reply["gdesign"]["calls"] == plain["gdesign"]["calls"] + 1
        assert reply["gdesign"]["usd"] > plain["gdesign"]["usd"]
        assert reply["usage"]["total_tokens"] == plain["usage"]["total_tokens"] + 15
    *team, last = llm.requests
    assert {r.response_format for r in team} == {None}
    assert json.loads(last.response_format) == wanted
    assert "> Answer: 7" in last.messages[1].content


def test_an_endpoint_that_does_not_heed_the_form_is_named(run_folder):
    with asking(run_folder, worlds.Scripted(lambda request: "Answer: 7")) as url:
        said = failed(post(url, **chat("?", response_format={"type": "json_object"})), 400)
    assert "response_format is not served here, what" in said
    assert "is no JSON" in said


def test_json_costs_no_more_than_a_request_may(run_folder):
    llm = worlds.Scripted(lambda request: "{}" if request.response_format else "Answer: 7" + "!" * 8000)
    with asking(run_folder, llm, max_tokens=10, max_usd_per_request=0.0005) as url:
        asked = chat("?", model="gdesign:100", response_format={"type": "json_object"})
        assert "too little to put the answer into JSON" in failed(post(url, **asked), 402)


# --------------------------------------------------------------------------- responses


def test_the_sdk_gets_a_response_whole_and_in_pieces(client, model):
    asked = {"model": "gdesign", "input": QUESTION}
    whole = client.responses.create(**asked, instructions="Be brief.", metadata={"a": "b"})
    answer = model.ask(QUESTION)
    assert (whole.status, whole.metadata, whole.instructions) == ("completed", {"a": "b"}, "Be brief.")
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens > 0
    assert whole.gdesign["lambda"] == 0.03
    events = list(client.responses.create(**asked, stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == answer.text
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == client.responses.create(**asked).output_text == answer.text
    with client.responses.stream(**asked) as stream:
        assert stream.get_final_response().output_text == answer.text


def test_a_response_reads_messages_limits_and_forms(run_folder):
    llm = worlds.Scripted(lambda request: '{"n": 7}' if request.response_format else "Answer: 7")
    with asking(run_folder, llm) as url, openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        reply = client.responses.create(
            model="gdesign:100",
            instructions="Speak Latin.",
            input=[
                {"role": "developer", "content": "Be brief."},
                {"role": "assistant", "content": [{"type": "output_text", "text": "Salve."}]},
                {"role": "user", "content": [{"type": "input_text", "text": "Why?"}]},
            ],
            max_output_tokens=9,
            temperature=0.5,
            text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
        )
    assert reply.output_text == '{"n": 7}'
    assert {(r.max_tokens, r.temperature) for r in llm.requests} == {(9, 0.5)}
    said = llm.requests[0].messages[1].content
    parts = ["Speak Latin.", "Be brief.", "Assistant: Salve.", "Why?"]
    assert [said.index(p) for p in parts] == sorted(said.index(p) for p in parts)
    assert json.loads(llm.requests[-1].response_format)["json_schema"] == {"name": "n", "schema": {"type": "object"}}


def test_a_response_that_was_cut_is_incomplete(run_folder):
    class Cut:
        async def __call__(self, request):
            usage = Usage(prompt_tokens=1, completion_tokens=1)
            return Reply(text="Answer: 1", usage=usage, label=Label.LIVE, finish_reason="length")

    with asking(run_folder, Cut()) as url:
        row = post(url, "/responses", model="gdesign", input="?").json()
    assert (row["status"], row["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools is not served"),
        ({"previous_response_id": "resp_1"}, "nothing is kept between requests"),
        ({"background": True}, "background is not served"),
        ({"input": []}, "at least one message"),
        ({"input": [{"type": "function_call_output", "call_id": "1", "output": ""}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "nothing but text is read"),
        ({"text": {"format": {"type": "grammar"}}}, "text, json_object or json_schema"),
    ],
)
def test_a_response_that_cannot_be_given_is_refused(url, more, message):
    assert message in failed(post(url, "/responses", **{"model": "gdesign", "input": QUESTION, **more}), 400)


# --------------------------------------------------------------------------- other sites


def test_pages_of_sites_that_are_named_may_ask(model, run_folder):
    named, other = "https://app.example", "https://evil.example"
    with serving(Serving(model, folder=run_folder, hosts=LOOPBACK, origins=[named])) as url:
        asks = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-stainless-os",
        }
        agreed = httpx2.request("OPTIONS", f"{url}/chat/completions", headers={"Origin": named, **asks})
        assert agreed.status_code == 200
        assert agreed.headers["access-control-allow-origin"] == named
        assert "x-stainless-os" in agreed.headers["access-control-allow-headers"]
        refused = httpx2.request("OPTIONS", f"{url}/chat/completions", headers={"Origin": other, **asks})
        assert "access-control-allow-origin" not in refused.headers
        for body in (chat(QUESTION), chat(QUESTION, model="none")):  # errors are read by the page too
            reply = post(url, headers={"Origin": named}, **body)
            assert reply.headers["access-control-allow-origin"] == named
        failed(post(url, headers={"Origin": other}, **chat(QUESTION)), 403)


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/x", "ftp://app.example", "*"])
def test_an_origin_that_no_browser_sends_is_refused(run_folder, capsys, origin):
    with pytest.raises(SystemExit):
        main(["serve", "--checkpoint", str(run_folder), "--port", "0", "--allow-origin", origin])
    assert f"--allow-origin {origin}"[:15] in capsys.readouterr().err


# --------------------------------------------------------------------------- errors


def test_an_unknown_path_lists_what_there_is(url):
    for path in ("/embeddings", "/completions", "/responses/x"):
        said = failed(post(url, path), 404)
        assert "POST /v1/chat/completions, POST /v1/responses" in said


def test_an_unknown_model_is_a_404(client, url):
    for name in ("gpt-4o", "gdesign:", "gdesign:-1", "gdesign:nan", "gdesign:inf", "gdesign:1e300", "gdesign:x"):
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            client.chat.completions.create(model=name, messages=[user("?")])


def test_a_wrong_key_is_a_401_and_the_right_one_opens(model, run_folder):
    keys = {"ONE": "first-key", "TWO": "second-key"}
    with serving(Serving(model, folder=run_folder, keys=keys)) as url:
        for key in ("wrong", "first-ke", "first-key2"):
            with (
                openai.OpenAI(base_url=url, api_key=key) as client,
                pytest.raises(openai.AuthenticationError, match="missing or wrong"),
            ):
                client.models.list()
        for path in ("/models", "/info", "/history"):
            failed(httpx2.get(f"{url}{path}"), 401)
        root = url.removesuffix("/v1")
        failed(httpx2.get(f"{root}/metrics"), 401)
        assert httpx2.get(f"{root}/health").status_code == httpx2.get(f"{root}/").status_code == 200
        for key in keys.values():
            with openai.OpenAI(base_url=url, api_key=key) as client:
                assert client.models.list().data
        raw = raw_request(url, b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xe9\xff\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 401")


def test_a_large_request_is_a_413_declared_or_not(client, url):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="gdesign", messages=[user("x" * 10_000_000)])
    assert caught.value.status_code == 413
    pieces = (b"x" * 100_000 for _ in range(20))
    response = httpx2.post(f"{url}/designs", content=pieces, headers={"content-type": "application/json"})
    assert "larger than 1,048,576 bytes" in failed(response, 413)


def test_a_run_may_spend_no_more_than_allowed(run_folder, model):
    dear = model.ask(QUESTION, lam=0.0).outcome.usd
    settings = Settings(max_usd_per_request=dear * 100, max_tokens=1000)
    with serving(Serving(model, folder=run_folder, hosts=LOOPBACK, settings=settings)) as url:
        assert post(url, **chat(QUESTION)).status_code == 200
    settings = Settings(max_usd_per_request=1e-9, max_tokens=1000)
    with serving(Serving(model, folder=run_folder, hosts=LOOPBACK, settings=settings)) as url:
        assert "the limit of 1e-09 usd for a question" in failed(post(url, **chat(QUESTION)), 402)


def test_a_run_spends_no_more_than_allowed_whatever_limit_its_own_client_has(run_folder):
    class Endless:
        async def __call__(self, request):
            usage = Usage(prompt_tokens=1, completion_tokens=request.max_tokens)
            return Reply(text="Answer: 1", usage=usage, label=Label.LIVE)

    llm = Sampling(llm=Endless(), max_tokens=8000)
    with asking(run_folder, llm, max_tokens=100, max_usd_per_request=0.002) as url:
        reply = post(url, **chat("?", model="gdesign:100")).json()
        assert 0 < reply["gdesign"]["usd"] <= 0.002
        assert {turn["completion_tokens"] for turn in reply["gdesign"]["turns"]} == {100}


def test_a_key_may_spend_no_more_than_allowed_and_others_go_on(run_folder, model):
    settings = Settings(max_usd_per_request=0.02, max_tokens=1000, max_usd_per_key=0.0202)
    keys = {"ONE": "first", "TWO": "second"}
    with serving(Serving(model, folder=run_folder, keys=keys, settings=settings)) as url:

        def ask(key):
            return post(url, headers={"Authorization": f"Bearer {key}"}, **chat(QUESTION, model="gdesign:0"))

        assert ask("first").status_code == 200
        assert "This key has spent" in failed(ask("first"), 402)
        assert ask("second").status_code == 200


@pytest.mark.parametrize(
    "chosen", [{"max_concurrent": 0}, {"max_usd_per_request": 1.0}, {"max_usd_per_key": 1.0}, {"deadline": -1.0}]
)
def test_limits_that_cannot_hold_are_refused(chosen):
    with pytest.raises(ConfigError):
        Settings(**chosen)


class Waiting:
    """An LLM client that answers when it is let."""

    def __init__(self):
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, request):
        self.asked.release()
        try:
            while not self.go.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Reply(text="Answer: 1", usage=Usage(prompt_tokens=1, completion_tokens=1), label=Label.LIVE)


def test_more_than_the_server_takes_is_shed_at_once_and_nobody_else_is_slowed(run_folder):
    llm = Waiting()
    with asking(run_folder, llm, max_concurrent=2) as url, ThreadPoolExecutor(2) as threads:
        first = [threads.submit(post, url, **chat("?")) for _ in range(2)]
        for _ in first:
            llm.asked.acquire()
        shed = post(url, **chat("?"))
        assert "2 requests are under way" in failed(shed, 429)
        assert shed.headers["retry-after"] == "1"
        assert httpx2.get(f"{url.removesuffix('/v1')}/health").status_code == 200
        llm.go.set()
        assert [f.result().status_code for f in first] == [200, 200]
        assert post(url, **chat("?")).status_code == 200


def test_a_server_with_more_to_do_than_it_can_sheds_before_all_become_slow(run_folder):
    def slowly(request):
        time.sleep(0.1)  # keeps the event loop
        return "Answer: 1"

    with asking(run_folder, worlds.Scripted(slowly), max_lag=0.01) as url, ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: post(url, **chat("?")), range(40)))
        assert {r.status_code for r in replies} == {200, 429}
        assert any("more to do than it can" in r.text for r in replies)


def test_a_slow_machine_turns_nobody_away_while_few_ask(run_folder):
    def slowly(request):
        time.sleep(0.1)
        return "Answer: 1"

    with asking(run_folder, worlds.Scripted(slowly), max_lag=0.01) as url, ThreadPoolExecutor(2) as threads:
        assert {r.status_code for r in threads.map(lambda _: post(url, **chat("?")), range(10))} == {200}


def test_no_request_hangs_beyond_its_deadline(run_folder):
    llm = Waiting()
    with asking(run_folder, llm, deadline=0.3) as url:
        began = time.monotonic()
        assert "within 0.3 s" in failed(post(url, **chat("?")), 504)
        assert time.monotonic() - began < 3
        assert llm.cancelled.wait(3)


@contextmanager
def unread(url):
    """Ask for more than the buffers of a connection hold, and do not read it."""
    agent = {"role": "assistant", "llm": "small"}
    design = {"version": 1, "agents": [agent], "num_rounds": 40, "decision": {"kind": "last"}}
    body = json.dumps({"question": "?", "design": design}).encode()
    head = "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", httpx2.URL(url).port))
        sock.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body)
        yield sock


def test_who_does_not_read_keeps_no_place_once_the_run_is_over(run_folder):
    llm = worlds.Scripted(lambda request: "x" * 400_000)
    with asking(run_folder, llm, max_concurrent=1) as url, unread(url):
        while len(llm.requests) < 40:
            time.sleep(0.01)
        began = time.monotonic()
        while post(url, "/designs", question="?").status_code == 429:
            assert time.monotonic() - began < 10
            time.sleep(0.05)


def test_who_does_not_read_in_time_loses_the_connection(run_folder, monkeypatch):
    monkeypatch.setattr("gdesign.serve.runs.READ_SECONDS", 0.1)
    llm = worlds.Scripted(lambda request: "x" * 400_000)
    with asking(run_folder, llm, deadline=1.0) as url, unread(url) as sock:
        time.sleep(2.0)
        assert sum(map(len, iter(lambda: sock.recv(1 << 20), b""))) < 40 * 400_000


def test_who_goes_away_ends_the_run_and_frees_the_place(run_folder):
    llm = Waiting()
    with asking(run_folder, llm, max_concurrent=1) as url:
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{url}/chat/completions", json=chat("?"), timeout=0.5)
        assert llm.cancelled.wait(3)
        llm.go.set()
        assert post(url, **chat("?")).status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (LLMError("the endpoint answers 503", faults=("503",)), 502, "the endpoint answers 503"),
        (LLMError("still too many requests", faults=("503", "429")), 502, "too many requests"),
        (LLMError("the context is too long", faults=("503", "400")), 424, "the context is too long"),
        (UnreachableError("nothing answers at http://127.0.0.1:9"), 502, "nothing answers"),
        (ConfigError("it refuses small (401 wrong key)"), 424, "wrong key"),
        (UnsupportedRequestError("I know no such question"), 400, "no such question"),
        (BudgetExceededError("the account has no credit left"), 402, "no credit left"),
    ],
)
def test_what_goes_wrong_behind_the_server_has_a_status_streamed_or_not(run_folder, error, status, message):
    def fail(request):
        raise error

    with asking(run_folder, worlds.Scripted(fail)) as url:
        assert message in failed(post(url, **chat("?")), status)
        assert message in failed(post(url, **chat("?", stream=True)), status)
        row = design_to_json(gdesign.load(run_folder).design("?").design)
        assert "event: error\ndata: {" in post(url, "/runs", question="?", design=row).text


def test_an_endpoint_that_dies_gives_clean_errors_until_it_is_back(run_folder):
    pool = builtin("simulated")
    with serving(Simulation(pool=pool)) as upstream:
        port = int(upstream.removesuffix("/v1").rpartition(":")[2])
        llm = OpenAIClient(base_url=upstream, max_retries=1, backoff=0.01)
        app = Serving(gdesign.load(run_folder, llm=llm), folder=run_folder, hosts=LOOPBACK)
        server = serving(app)
        url = server.__enter__()
        assert post(url, **chat(QUESTION)).status_code == 200
    try:
        for _ in range(25):  # more than after which the client calls the endpoint dead
            assert "No agent got an answer from its endpoint" in failed(post(url, **chat(QUESTION)), 502)
        with serving(Simulation(pool=pool), port=port):
            assert post(url, **chat(QUESTION)).json()["gdesign"]["label"] == "live"
    finally:
        server.__exit__(None, None, None)


def test_a_mistake_of_ours_is_a_500_that_says_nothing(run_folder, caplog):
    def fail(request):
        raise ZeroDivisionError("a secret")

    with asking(run_folder, worlds.Scripted(fail)) as url:
        assert failed(post(url, **chat("?")), 500) == "Internal error; the server's log has more."
    assert "a secret" in caplog.text


def test_a_server_that_ends_takes_no_new_work_and_finishes_what_is_under_way(run_folder):
    llm = Waiting()
    app = Serving(gdesign.load(run_folder, llm=llm), folder=run_folder, hosts=LOOPBACK)
    with serving(app) as url, ThreadPoolExecutor(1) as threads:
        under_way = threads.submit(post, url, **chat("?"))
        llm.asked.acquire()
        app.stop()
        assert "ending" in failed(post(url, **chat("?")), 503)
        assert httpx2.get(f"{url.removesuffix('/v1')}/health").status_code == 503
        llm.go.set()
        assert under_way.result().status_code == 200


# --------------------------------------------------------------------------- designs, runs, history


def test_a_design_comes_with_what_is_expected_of_it(url, model):
    row = post(url, "/designs", question=QUESTION, **{"lambda": 0.2}).json()
    proposal = model.design(QUESTION, lam=0.2)
    assert design_from_json(row["design"]) == proposal.design
    assert row["expected"] == {"score": proposal.score, "usd": proposal.usd}
    assert (row["lambda"], row["kind"]) == (0.2, "learned")
    assert 0 <= row["seconds"] < 10


def test_standard_teams_and_budgets_are_designed_too(url, model):
    row = post(url, "/designs", question=QUESTION, kind="chain").json()
    assert len(row["design"]["agents"]) == 4
    cheap = model.design(QUESTION, lam=100.0).usd * 1.01
    assert post(url, "/designs", question=QUESTION, max_usd=cheap).json()["expected"]["usd"] <= cheap
    assert "the cheapest" in failed(post(url, "/designs", question=QUESTION, max_usd=1e-9), 400)


def test_a_curve_tells_what_is_expected_along_the_prices_of_cost(url, model):
    points = post(url, "/curves", question=QUESTION).json()
    prices = [point["lambda"] for point in points]
    assert prices == sorted(prices)
    assert (prices[0], prices[-1]) == (pytest.approx(0.003), pytest.approx(0.3))
    first = model.design(QUESTION, lam=prices[0])
    assert (points[0]["score"], points[0]["usd"]) == (pytest.approx(first.score), pytest.approx(first.usd))
    assert points[0]["usd"] >= points[-1]["usd"]


def test_a_method_that_expects_nothing_has_no_curve(tmp_path):
    path = folder(tmp_path / "a", designer=SWARM)
    with serving(Serving(gdesign.load(path), folder=path, hosts=LOOPBACK)) as url:
        assert post(url, "/curves", question=QUESTION).json() == []


def test_a_design_is_written_for_other_programs(url, model):
    design = model.standard(QUESTION, kind="chain").design
    row = design_to_json(design)
    said = {name: post(url, "/exports", design=row, format=name).json() for name in ("mermaid", "json", "python")}
    assert said["mermaid"]["text"] == mermaid(design)
    assert design_from_json(json.loads(said["json"]["text"])) == design
    assert said["python"]["text"] == to_python(design, pool=model.pool)
    assert "expected 'mermaid', 'json' or 'python'" in failed(post(url, "/exports", design=row, format="x"), 400)
    assert "king" in failed(post(url, "/exports", design=design_of("king"), format="json"), 400)


def design_of(role):
    return {"version": 1, "agents": [{"role": role, "llm": "small"}], "decision": {"kind": "last"}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": ""},
        {"question": 3},
        {"question": "?", "lambda": -1},
        {"question": "?", "lambda": 1e300},
        {"question": "?", "lamda": 1},
        {"question": "?", "max_usd": 1.0, "kind": "chain"},
    ],
)
def test_a_wrong_field_is_named(url, body):
    assert [*body, "question"][len(body) > 1][:5] in failed(post(url, "/designs", **body), 400)


def events(text):
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_a_run_tells_each_turn_and_then_what_came_of_it(url, model):
    proposal = model.standard(QUESTION, kind="chain")
    response = post(url, "/runs", question=QUESTION, design=design_to_json(proposal.design))
    assert response.headers["content-type"].startswith("text/event-stream")
    *turns, (last, done) = events(response.text)
    answer = asyncio.run(model.execute(proposal))
    assert [name for name, _ in turns] == ["turn"] * 4
    assert [t["text"] for _, t in turns] == [t.reply.text for t in answer.run.turns]
    assert turns[0][1]["role"] == "assistant"
    assert turns[0][1]["usd"] > 0
    assert last == "done"
    assert (done["answer"], done["calls"], done["critical_path"]) == (answer.answer, 4, 4)
    assert sum(t["usd"] for _, t in turns) == pytest.approx(done["usd"])


# --------------------------------------------------------------------------- policies


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("policy") / "a", designer=POLICY)


@pytest.fixture(scope="module")
def policy_url(policy_folder):
    with serving(Serving(gdesign.load(policy_folder), folder=policy_folder, hosts=LOOPBACK)) as url:
        yield url


def test_a_policy_streams_its_waves_with_their_reasons_and_the_design_that_it_came_to(policy_url):
    told = list(events(post(policy_url, "/runs", question=QUESTION).text))
    names = [name for name, _ in told]
    num = names.count("wave")
    assert 2 <= num <= 4
    assert names == ["wave", "turn"] * num + ["stop", "done"]
    waves, done = [row for name, row in told if name == "wave"], told[-1][1]
    assert [row["wave"] for row in waves] == list(range(1, num + 1))
    assert [row["agents"] for row in waves] == [[i] for i in range(num)]
    assert waves[0]["reason"] == "the first is asked"
    assert [len(row["design"]["agents"]) for row in waves] == list(range(1, num + 1))
    assert told[-2][1]["reason"]
    assert (done["calls"], done["critical_path"]) == (num, num)
    *again, (_, repeated) = events(post(policy_url, "/runs", question=QUESTION, design=done["design"]).text)
    assert (repeated["answer"], repeated["usd"]) == (done["answer"], done["usd"])
    said = [[row["text"] for name, row in those if name == "turn"] for those in (told, again)]
    assert said[0] == said[1]


def test_a_policy_that_is_only_designed_shows_its_first_wave(policy_url, url):
    row = post(policy_url, "/designs", question=QUESTION).json()
    assert len(row["design"]["agents"]) == 1
    assert row["tree"]["move"]["reason"] == "the first is asked"
    assert post(url, "/designs", question=QUESTION).json()["tree"] is None


def test_a_chat_with_a_policy_says_what_it_came_to(policy_url):
    row = post(policy_url, **chat(QUESTION)).json()
    assert len(row["gdesign"]["design"]["agents"]) == len(row["gdesign"]["turns"]) == row["gdesign"]["calls"]


def test_a_server_bounds_how_often_a_policy_asks(policy_folder):
    app = Serving(gdesign.load(policy_folder), folder=policy_folder, hosts=LOOPBACK, settings=Settings(max_waves=1))
    with serving(app) as url:
        told = dict(events(post(url, "/runs", question=QUESTION).text))
    assert told["done"]["calls"] == 1
    assert told["stop"]["reason"] == "the limit of 1 waves is reached"


def test_a_design_that_is_drawn_for_a_run_is_told_first(url):
    told = list(events(post(url, "/runs", question=QUESTION, **{"lambda": 0.03}).text))
    assert told[0][0] == "wave"
    assert told[0][1]["design"] == told[-1][1]["design"]


def test_a_run_takes_a_design_or_a_price_for_one(url, model):
    design = design_to_json(model.standard(QUESTION, kind="single").design)
    assert "leave them out" in failed(post(url, "/runs", question="?", design=design, **{"lambda": 0.1}), 400)


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ({"agents": []}, "cannot be run"),
        ({"version": 1, "agents": [{"role": "king", "llm": "small"}], "decision": {"kind": "last"}}, "king"),
        (
            {
                "version": 1,
                "agents": [{"role": "assistant", "llm": "small"}],
                "decision": {"kind": "weighted_vote", "weights": [10**400]},
            },
            "weights[0]",
        ),
        ({"version": 1, "agents": [{}] * 300, "spatial": []}, "at most 256 turns"),
        ({"version": 1, "agents": [{}], "num_rounds": 10**12}, "at most 256 turns"),
    ],
)
def test_a_design_that_cannot_be_run_is_refused_before_anything_is_sent(url, design, message):
    assert message in failed(post(url, "/runs", question="?", design=design), 400)


def test_past_runs_are_listed_newest_first_and_shown(tmp_path):
    path = folder(tmp_path / "a")
    model = gdesign.load(path)
    answers = model.asks([t.question for t in TASKS[:5]])
    with serving(Serving(model, folder=path, hosts=LOOPBACK)) as url:
        none = httpx2.get(f"{url}/history")
        assert (none.json(), none.headers["x-total-count"]) == ([], "0")
        failed(httpx2.get(f"{url}/history/0"), 404)
        for name in (".", "validation"):
            with RunsFile(path / name / "runs.jsonl") as runs:
                for a in answers:
                    runs.append(a.run, account(a.run, grade=lambda *_: 1.0, pool=model.pool), phase="test", words=True)
        page = httpx2.get(f"{url}/history?limit=2&offset=1")
        assert page.headers["x-total-count"] == "5"
        assert [row["question"] for row in page.json()] == [TASKS[3].question, TASKS[2].question]
        one = httpx2.get(f"{url}/history/{page.json()[0]['id']}").json()
        assert design_from_json(one["design"]) == answers[3].design
        assert [t["text"] for t in one["turns"]] == [t.reply and t.reply.text for t in answers[3].run.turns]
        assert len(httpx2.get(f"{url}/history?folder=validation").json()) == 5
        for wrong in ("..", "validation/..", "/etc", "%2e%2e"):
            failed(httpx2.get(f"{url}/history", params={"folder": wrong}), 404)
        for wrong in ("5", "-1", "x", "..%2f..%2fconfig.yaml", "9" * 400):
            failed(httpx2.get(f"{url}/history/{wrong}"), 404)
        assert "limit" in failed(httpx2.get(f"{url}/history?limit=-3"), 400)


def test_past_runs_are_searched_and_sifted(tmp_path, model):
    path = folder(tmp_path / "a")
    answers = model.asks([t.question for t in TASKS[:6]])
    with RunsFile(path / "runs.jsonl") as runs:
        for i, a in enumerate(answers):
            outcome = account(a.run, grade=lambda *_, right=i % 2: float(right), pool=model.pool)
            runs.append(a.run, outcome, phase="test" if i < 4 else "fit:train", words=True)
    with serving(Serving(model, folder=path, hosts=LOOPBACK)) as url:

        def found(**query):
            page = httpx2.get(f"{url}/history", params=query)
            return [int(row["id"]) for row in page.json()], page.headers["x-total-count"]

        assert found(q="FIT:TRAIN") == ([5, 4], "2")
        assert found(q=TASKS[2].question[5:40].upper())[0] == [2]
        assert found(score="1")[1] == str(sum(found(q="", limit=1, offset=i)[0][0] % 2 for i in range(6)))
        assert found(q="fit", score="0", limit=1) == ([4], "1")
        assert found(q="nowhere") == ([], "0")
        assert "0 (wrong) or 1 (right)" in failed(httpx2.get(f"{url}/history?score=2"), 400)


def test_past_runs_that_are_written_anew_are_read_anew(tmp_path, model):
    path = folder(tmp_path / "a")
    answers = model.asks([t.question for t in TASKS[:5]])
    with serving(Serving(model, folder=path, hosts=LOOPBACK)) as url:
        for some in (answers[:2], answers[1:]):
            (path / "runs.jsonl").unlink(missing_ok=True)
            with RunsFile(path / "runs.jsonl") as runs:
                for a in some:
                    runs.append(a.run, account(a.run, grade=lambda *_: 1.0, pool=model.pool), phase="test", words=True)
            rows = httpx2.get(f"{url}/history").json()
            assert [row["question"] for row in rows] == [a.proposal.question for a in reversed(some)]


def test_the_page_knows_what_is_served(url):
    info = httpx2.get(f"{url}/info").json()
    assert info["designer"] == "joint"
    assert info["simulated"] is True
    assert info["lambda"]["low"] < info["lambda"]["trained"] < info["lambda"]["high"]
    assert {m["name"] for m in info["pool"]["llms"]} >= {"small", "large"}
    assert len(info["examples"]) == 12


def test_a_method_that_expects_nothing_serves_all_the_same(tmp_path):
    path = folder(tmp_path / "a", designer=SWARM)
    with serving(Serving(gdesign.load(path), folder=path, hosts=LOOPBACK)) as url:
        assert post(url, "/designs", question=QUESTION).json()["expected"] is None


# --------------------------------------------------------------------------- counting


def test_metrics_count_designs_calls_tokens_usd_and_requests(run_folder, model):
    with serving(Serving(model, folder=run_folder, hosts=LOOPBACK)) as url:
        reply = post(url, **chat(QUESTION)).json()
        post(url, **chat(QUESTION, model="other"))
        text = httpx2.get(f"{url.removesuffix('/v1')}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    def total(prefix):
        return sum(float(v) for name, v in values.items() if name.startswith(prefix))

    assert total("gdesign_calls_total") == reply["gdesign"]["calls"]
    assert total("gdesign_tokens_total") == reply["usage"]["total_tokens"]
    assert total("gdesign_usd_total") == pytest.approx(reply["gdesign"]["usd"])
    assert total("gdesign_designs_total") == 1
    assert values['gdesign_requests_total{route="/v1/chat/completions",status="404"}'] == "1.0"
    assert values["gdesign_in_flight"] == "0.0"


def logged(caplog):
    return [r.fields for r in caplog.records if r.name == "gdesign.serve" and r.getMessage() == "request"]


@pytest.mark.parametrize("log_text", [False, True])
def test_logs_hold_no_question_unless_asked_for(run_folder, model, caplog, log_text):
    caplog.set_level(logging.INFO, logger="gdesign.serve")
    app = Serving(model, folder=run_folder, hosts=LOOPBACK, settings=Settings(log_text=log_text))
    with serving(app) as url:
        post(url, **chat(QUESTION))
        post(url, "/designs", question=QUESTION)
        failed(post(url, **chat("A secret?")), 400)
        failed(post(url, model="gdesign", messages=[user({"A secret?": 1})]), 400)
    lines = [JsonLines().format(r) for r in caplog.records if r.name == "gdesign.serve"]
    assert [json.loads(line)["message"] for line in lines] == ["request"] * 4
    assert all(("secret" in line or QUESTION[:20] in line) is log_text for line in lines)
    assert logged(caplog)[0]["status"] == 200
    assert logged(caplog)[0]["usd"] > 0


@pytest.mark.parametrize("log_text", [False, True])
def test_logs_hold_no_prompt_that_an_endpoint_repeats_but_what_was_wrong(run_folder, caplog, log_text):
    def fail(request):
        raise LLMError(f"400 prompt was: {request.messages[1].content}", faults=("503", "400"))

    caplog.set_level(logging.INFO, logger="gdesign.serve")
    row = design_to_json(gdesign.load(run_folder).design("?", lam=100.0).design)
    with asking(run_folder, worlds.Scripted(fail), log_text=log_text) as url:
        failed(post(url, **chat("A secret?", model="gdesign:100")), 424)
        post(url, "/runs", question="A secret?", design=row)
    for fields in logged(caplog):
        assert ("secret" in json.dumps(fields)) is log_text
        assert (fields["code"], fields["faults"]) == ("upstream_refused", ["503", "400"])


# --------------------------------------------------------------------------- hostile input


def raw_request(url, data, *, timeout=10):
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as sock:
        sock.sendall(data)
        return sock.recv(65536)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe{",
        b'{"question": "\xc3\x28"}',
        b'{"question": "\\ud800"}',
        b"[" * 100_000,
        b'{"question":' + b'{"a":' * 100_000,
        b"null",
        b"NaN",
        b'{"question": "x", "lambda": 1e999}',
        b'{"model": "gdesign", "messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=range(10),
)
@pytest.mark.parametrize("path", ["/designs", "/runs", "/chat/completions"])
def test_a_body_that_is_no_request_is_a_400(url, path, body):
    failed(httpx2.post(f"{url}{path}", content=body, headers=JSON), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fcli.py",
        "/static//etc/passwd",
        "/static/....//app.py",
        "/static/%00",
        "/static",
        "/static/",
        "/..",
        "//etc/passwd",
        "/v1/history/../../config.yaml",
        "/v1/models/../../x",
    ],
)
def test_paths_lead_nowhere_else(url, path):
    raw = raw_request(url, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert raw.split(b" ")[1] in (b"404", b"400", b"307"), raw
    assert b"import" not in raw


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost:1@evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_a_page_of_another_site_can_spend_nothing(url, headers, status):
    body = json.dumps(chat(QUESTION)).encode()
    failed(httpx2.post(f"{url}/chat/completions", content=body, headers={**JSON, **headers}), status)


def test_the_servers_own_page_may_ask(url):
    origin = url.removesuffix("/v1")
    assert post(url, "/designs", question="?", headers={"Origin": origin}).status_code == 200


def test_no_header_can_be_put_into_a_reply(url):
    raw = raw_request(url, b"GET /v1/models/x%0d%0aset-cookie:%20a=b HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = raw.split(b"\r\n\r\n")[0].lower()
    assert b"set-cookie" not in head
    assert raw.startswith(b"HTTP/1.1 404")


def test_script_in_questions_and_answers_stays_text(run_folder):
    with asking(run_folder, worlds.Scripted(lambda request: f"{SCRIPT}\nAnswer: {SCRIPT}")) as url:
        reply = post(url, **chat(SCRIPT))
        assert reply.headers["content-type"] == "application/json"
        page = httpx2.get(url.removesuffix("/v1") + "/")
        for response in (reply, page, post(url, "/designs", question=SCRIPT), httpx2.get(f"{url}/{SCRIPT}")):
            assert response.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'self'" in response.headers["content-security-policy"]
            assert "unsafe" not in response.headers["content-security-policy"]


def test_half_a_character_from_an_endpoint_breaks_no_reply(run_folder):
    with asking(run_folder, worlds.Scripted(lambda request: "Answer: \ud800")) as url:
        assert post(url, **chat("?")).json()["choices"][0]["message"]["content"] == "Answer: ?"


def test_half_a_character_in_a_past_run_breaks_no_page(tmp_path):
    path = folder(tmp_path / "a")
    model = gdesign.load(path, llm=worlds.Scripted(lambda request: "Answer: \ud800"))
    answer = model.ask("What is \ud83d?", lam=100.0)
    with RunsFile(path / "runs.jsonl") as runs:
        runs.append(answer.run, account(answer.run, grade=lambda *_: 1.0, pool=model.pool), phase="test", words=True)
    with serving(Serving(model, folder=path, hosts=LOOPBACK)) as url:
        assert httpx2.get(f"{url}/history").json()[0]["answer"] == "?"
        assert httpx2.get(f"{url}/history/0").json()["turns"][0]["text"] == "Answer: ?"


def test_half_a_character_in_an_error_of_an_endpoint_breaks_no_error(run_folder):
    def fail(request):
        raise LLMError("bad \ud83d thing", faults=("400",))

    with asking(run_folder, worlds.Scripted(fail)) as url:
        assert "bad ? thing" in failed(post(url, **chat("?")), 424)


def test_a_thousand_open_connections_keep_nobody_out(url):
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    open_ones = []
    try:
        for i in range(1000):
            try:
                sock = socket.create_connection((host, int(port)), timeout=10)
            except OSError:
                if i < 100:
                    raise
                break  # this machine allows no more
            sock.sendall(b"POST /v1/designs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            open_ones.append(sock)
        assert post(url, "/designs", question=QUESTION).status_code == 200
    finally:
        for sock in open_ones:
            sock.close()


# --------------------------------------------------------------------------- the command


def test_the_command_refuses_to_be_open_to_other_machines_without_a_key(run_folder, capsys, monkeypatch):
    monkeypatch.setenv("EMPTY", "")
    for options, message in (
        (["--host", "0.0.0.0"], "name an environment variable with a key by --key-env"),
        (["--key-env", "EMPTY"], "the environment variable EMPTY holds no key"),
        (["--api-key-env", "KEY"], "name it by --llm URL"),
        (["--max-usd-per-request", "1"], "set max_tokens"),
    ):
        with pytest.raises(SystemExit):
            main(["serve", "--checkpoint", str(run_folder), "--port", "0", *options])
        assert message in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_the_command_goes_by_the_address_that_it_prints(run_folder, capsys, monkeypatch):
    statuses = []

    def serve(server, sock):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        url = capsys.readouterr().out.removeprefix("listening on ").strip()
        statuses.append(httpx2.get(f"{url}/models").status_code)
        server.should_exit = True
        thread.join()

    monkeypatch.setattr("gdesign.cli.serve.serve", serve)
    for name, value in (("handlers", []), ("propagate", True)):  # so that the command's own log ends with the test
        monkeypatch.setattr(logging.getLogger("gdesign.serve"), name, value)
    main(["serve", "--checkpoint", str(run_folder), "--host", "127.0.0.2", "--port", "0"])
    assert statuses == [200]


@pytest.mark.slow
def test_a_server_whose_designer_lost_says_so_when_it_starts(tmp_path):
    path = folder(tmp_path / "a", designer=SWARM, deploy="better")
    lost(path, to=single([Agent(role="assistant", llm="small")]))
    with running("serve", "--checkpoint", str(path)) as (_, process):
        assert "0.5000 worse (0.4000 to 0.6000) in utility than the best single agent" in process.stderr.readline()


@pytest.mark.slow
def test_the_command_serves_until_sigterm_and_finishes_what_is_under_way(run_folder):
    with simulating("--latency", "1000") as (upstream, _):
        with running("serve", "--checkpoint", str(run_folder), "--llm", upstream) as (url, process):
            with ThreadPoolExecutor(1) as threads:
                under_way = threads.submit(post, url, **chat(QUESTION))
                while not httpx2.get(f"{upstream.removesuffix('/v1')}/stats").json()["in_flight"]:
                    time.sleep(0.05)
                process.send_signal(signal.SIGTERM)
                assert under_way.result().status_code == 200
            assert process.wait(10) == 0
            lines = [json.loads(line) for line in process.stderr]
    assert lines[-1]["status"] == 200
    assert lines[-1]["calls"] > 0
