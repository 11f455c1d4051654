import asyncio
import pickle
import threading
from dataclasses import replace
from email.utils import formatdate
from time import monotonic, time

import pytest

from gdesign.errors import ConfigError, PoolError
from gdesign.llm.openai import OpenAIClient
from gdesign.llm.options import terms_of
from gdesign.types import Request
from tests.llm.asking import REQUEST, ask, authorization, made, once, pool
from tests.llm.chat_server import Raw, chat_server

# --------------------------------------------------------------------------- waits and limits


@pytest.mark.parametrize(
    "header",
    [
        {"retry-after": "1", "retry-after-ms": "150"},
        {"retry-after": "0.15"},
        {"retry-after": lambda: formatdate(time() + 1.2, usegmt=True)},
    ],
)
def test_a_wait_that_the_endpoint_asks_for_is_kept(header):
    def answer(body):
        times.append(monotonic())
        if len(times) > 1:
            return "Answer: 4"
        return Raw(429, headers={name: v if isinstance(v, str) else v() for name, v in header.items()})

    times = []
    with chat_server(answer) as url:
        ask(made(url))
    assert 0.14 < times[1] - times[0] < 1.5


@pytest.mark.parametrize("header", ["1000", "soon", "-3", formatdate(0), "nan"])
def test_no_wait_is_longer_than_allowed(header):
    with chat_server(once(Raw(429, headers={"retry-after": header}))) as url:
        began = monotonic()
        ask(made(url, max_wait=0.1))
    assert monotonic() - began < 0.5


def test_an_endpoint_that_asks_one_call_to_wait_is_left_alone_by_all():
    times = []

    def answer(body):
        times.append(monotonic())
        return Raw(429, headers={"retry-after": "0.3"}) if len(times) == 1 else "Answer: 4"

    with chat_server(answer) as url:
        client = made(url, max_concurrent=1)

        async def batch():
            return await asyncio.gather(*[client(REQUEST) for _ in range(4)])

        asyncio.run(batch())
    assert len(times) == 5
    assert times[1] - times[0] > 0.29


@pytest.mark.parametrize(("settings", "allowed"), [({"max_concurrent": 3}, 3), ({}, 4)])
def test_no_more_calls_are_in_flight_than_allowed(settings, allowed):
    lock, now, most = threading.Lock(), [0], [0]

    def answer(body):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1
        return "Answer: 4"

    with chat_server(answer) as url:
        client = made(url, **settings)

        async def batch():
            await asyncio.gather(*[client(REQUEST) for _ in range(12)])

        asyncio.run(batch())
    assert most[0] == allowed


def test_so_many_calls_begin_in_a_minute_evenly_spaced():
    times = []

    def answer(body):
        times.append(monotonic())
        return "Answer: 4"

    with chat_server(answer) as url:
        client = made(url, max_per_minute=60 * 20)

        async def batch():
            await asyncio.gather(*[client(REQUEST) for _ in range(7)])

        asyncio.run(batch())
    assert times[-1] - times[0] > 0.25


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "localhost:9"},
        {"base_url": "http://user:sk-secret@localhost:9/v1"},
        {"timeout": 0},
        {"max_retries": -1},
        {"backoff": -1.0},
        {"max_concurrent": 0},
        {"max_per_minute": 0},
        {"endpoints": [{"base_url": "http://localhost:9/v1", "max_concurrent": 0}]},
        {"endpoints": [{"base_url": "http://localhost:9/v1", "speed": 3}]},
        {"endpoints": [{"base_url": "http://localhost:8/v1", "timeout": 3}]},
        {"endpoints": [{"timeout": 3}]},
    ],
)
def test_a_value_out_of_range_is_refused(values):
    with pytest.raises(ConfigError):
        OpenAIClient(**{"base_url": "http://localhost:9/v1", **values})


# --------------------------------------------------------------------------- several endpoints


def test_each_llm_is_asked_at_its_own_endpoint_with_its_own_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "mine")
    monkeypatch.setenv("OTHER_KEY", "other")
    here, there = [], []
    with chat_server(seen=here) as home, chat_server(seen=there) as away:
        client = made(
            home,
            api_key_env="MY_KEY",
            pool=pool(
                {"name": "a"},
                {"name": "b", "base_url": home + "/"},
                {"name": "c", "api_key_env": "OTHER_KEY"},
                {"name": "d", "base_url": away},
                {"name": "e", "base_url": away, "api_key_env": "OTHER_KEY"},
            ),
        )

        async def calls():
            for llm in "abcde":
                await client(Request(llm=llm, messages=REQUEST.messages))

        asyncio.run(calls())
    assert [(s["model"], authorization(s)) for s in here] == [
        ("a", "Bearer mine"),
        ("b", "Bearer mine"),
        ("c", "Bearer other"),
    ]
    assert [(s["model"], authorization(s)) for s in there] == [("d", None), ("e", "Bearer other")]


def test_a_missing_key_names_the_variable_and_the_llm(monkeypatch):
    monkeypatch.delenv("OTHER_KEY", raising=False)
    llm = {"name": "far", "base_url": "https://api.example.org/v1", "api_key_env": "OTHER_KEY"}
    with pytest.raises(ConfigError, match=r"api\.example\.org.*'far'.*OTHER_KEY"):
        made("http://127.0.0.1:9/v1", pool=pool({"name": "a"}, llm))


def test_where_every_llm_names_its_endpoint_no_other_key_is_wanted(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    client = OpenAIClient(pool=pool({"name": "a", "base_url": "http://127.0.0.1:9/v1"}))
    with pytest.raises(PoolError, match="nobody"):
        ask(client, Request(llm="nobody", messages=REQUEST.messages))


def test_the_clients_own_key_is_not_sent_to_an_endpoint_that_names_none(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    with pytest.raises(ConfigError, match=r"'far'.*api_key_env"):
        made("http://127.0.0.1:9/v1", pool=pool({"name": "far", "base_url": "https://api.example.org/v1"}))
    made("http://127.0.0.1:9/v1", pool=pool({"name": "far", "base_url": "http://lan:8000/v1", "api_key_env": ""}))


def test_a_form_of_the_reply_is_sent_as_the_client_gave_it():
    seen = []
    with chat_server(lambda body: "{}", seen) as url:
        request = replace(REQUEST, response_format='{"type":"json_object"}')
        asyncio.run(made(url)(request))
        asyncio.run(made(url)(REQUEST))
    forms = [body.get("response_format") for body in seen]
    assert forms == [{"type": "json_object"}, None]


def test_limits_and_fields_may_differ_from_endpoint_to_endpoint():
    def slow(times):
        def answer(body):
            times.append(monotonic())
            return "Answer: 4"

        return answer

    fast, spaced, seen = [], [], []
    with chat_server(slow(fast)) as home, chat_server(slow(spaced), seen) as away:
        client = made(
            home,
            pool=pool({"name": "a"}, {"name": "b", "base_url": away}),
            endpoints=[{"base_url": away + "/", "max_per_minute": 200, "extra": {"top_k": 5}}],
        )

        async def batch():
            await asyncio.gather(*[client(Request(llm=llm, messages=REQUEST.messages)) for llm in "ababab"])

        asyncio.run(batch())
    assert spaced[-1] - spaced[0] > 0.54
    assert fast[-1] - fast[0] < 0.5
    assert all(sent["top_k"] == 5 for sent in seen)


def test_a_wait_that_one_endpoint_asks_for_does_not_hold_another():
    with chat_server(once(Raw(429, headers={"retry-after": "0.5"}))) as home, chat_server() as away:
        client = made(home, pool=pool({"name": "a"}, {"name": "b", "base_url": away}))

        async def calls():
            held = asyncio.ensure_future(client(Request(llm="a", messages=REQUEST.messages)))
            await asyncio.sleep(0.1)
            await client(Request(llm="b", messages=REQUEST.messages))
            free = not held.done()
            await held
            return free

        assert asyncio.run(calls())


def test_an_llm_that_the_pool_lacks_has_no_fields_of_its_own():
    with pytest.raises(PoolError, match="nobody"):
        made("http://127.0.0.1:9/v1", pool=pool({"name": "a"}), extra_by_llm={"nobody": {"top_p": 1}})


# --------------------------------------------------------------------------- connections


def test_one_asyncio_run_may_follow_another():
    seen = []
    with chat_server(seen=seen) as url:
        client = made(url)

        async def batch():
            return await asyncio.gather(client(REQUEST), client(REQUEST))

        for _ in range(2):
            assert [r.text for r in asyncio.run(batch())] == ["Answer: 4"] * 2
    assert len(seen) == 4


def test_within_a_runner_all_calls_share_one_connection():
    seen = []
    with chat_server(seen=seen) as url:
        client = made(url)
        with asyncio.Runner() as runner:
            for _ in range(3):
                runner.run(client(REQUEST))
    assert len({s["peer"] for s in seen}) == 1


def test_a_closed_client_opens_again_when_it_is_asked():
    with chat_server() as url:
        client = made(url)

        async def twice():
            await client(REQUEST)
            await client.aclose()
            await client.aclose()
            return await client(REQUEST)

        assert asyncio.run(twice()).text == "Answer: 4"


@pytest.mark.parametrize(
    ("base_url", "terms"),
    [
        ("http://127.0.0.1:8080/v1", (600.0, 4)),
        ("http://localhost:11434/v1", (600.0, 4)),
        ("http://192.168.0.7:8080/v1", (120.0, 64)),
        ("https://api.openai.com/v1", (120.0, 64)),
    ],
)
def test_an_endpoint_on_this_machine_gets_more_time_and_fewer_calls(base_url, terms):
    assert tuple(terms_of(base_url).values()) == terms


def test_a_client_that_is_sent_elsewhere_reads_its_key_there(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "first-key")
    sent = pickle.dumps(made("http://127.0.0.1:9/v1", api_key_env="SOME_KEY"))
    assert b"first-key" not in sent
    with chat_server(seen=(seen := [])) as url:
        client = pickle.dumps(made(url, api_key_env="SOME_KEY"))
        monkeypatch.setenv("SOME_KEY", "other-key")
        ask(pickle.loads(client))
    assert authorization(seen[0]) == "Bearer other-key"
