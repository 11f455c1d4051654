import asyncio
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from gdesign.errors import ConfigError, DataError, LLMError, MissingDataError, UnsupportedRequestError
from gdesign.llm.recording import Recording
from gdesign.llm.replay import Replay, offline
from gdesign.types import Label, Message, Origin, Reply, Request, Usage

USAGE = Usage(prompt_tokens=10, completion_tokens=20)


def request(text="q", **kwargs):
    return Request(llm="m", messages=(Message("user", text),), **kwargs)


class Slow:
    """Answers when it is let, each time in other words; remembers what it was asked."""

    def __init__(self, open=True, **reply):
        self.asked, self.cancelled = [], 0
        self.open = open
        self.gate = asyncio.Event()
        self.reply = reply

    async def __call__(self, request):
        self.asked.append(request)
        try:
            await (asyncio.sleep(0) if self.open else self.gate.wait())
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        text = request.messages[0].content
        if text == "fail":
            raise LLMError("failed")
        return Reply(**{"text": f"{text} {len(self.asked)}", "usage": USAGE, "label": Label.LIVE, **self.reply})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "calls.sqlite"


def ask(llm, *requests):
    async def together():
        return await asyncio.gather(*map(llm, requests), return_exceptions=True)

    return asyncio.run(together())


# ------------------------------------------------------------------ what is recorded


def test_the_same_request_is_asked_once_by_any_number_of_clients(path):
    llm = Slow()
    first, second = (ask(Replay(path=path, llm=llm), request())[0] for _ in range(2))
    (third,) = ask(Replay(path=path), request())
    assert len(llm.asked) == 1
    assert first.text == second.text == third.text == "q 1"
    assert [first.label, second.label, third.label] == [Label.LIVE, Label.REPLAYED, Label.REPLAYED]


@pytest.mark.parametrize(
    "other",
    [{"sample": 1}, {"sample": 1 << 80}, {"temperature": 0.5}, {"max_tokens": 3}, {"text": "other"}, {"llm": "n"}],
)
def test_another_request_is_asked_anew(path, other):
    llm = Slow()
    replay = Replay(path=path, llm=llm)
    changed = request(**{k: v for k, v in other.items() if k != "llm"})
    ask(replay, request(), replace(changed, llm=other.get("llm", "m")))
    assert len(llm.asked) == 2


def test_requests_are_told_apart_by_role_and_number_of_messages(path):
    llm = Slow()
    chats = [
        (Message("user", "a"), Message("user", "b")),
        (Message("user", "ab"),),
        (Message("system", "a"), Message("user", "b")),
        (Message("user", "b"), Message("user", "a")),
    ]
    ask(Replay(path=path, llm=llm), *(Request(llm="m", messages=chat) for chat in chats))
    assert len(llm.asked) == len(Recording(path)) == 4


def test_equal_requests_are_one_however_they_are_written(path):
    llm = Slow()
    zeros = [0, 0.0, -0.0, False]
    for zero in zeros:
        ask(Replay(path=path, llm=llm), request(temperature=zero))
    assert len(llm.asked) == 1


def test_where_a_request_comes_from_does_not_matter(path):
    llm = Slow()
    for task_id in ("a", "b"):
        ask(Replay(path=path, llm=llm), request(origin=Origin(task_id=task_id, role="r", operator="answer")))
    assert len(llm.asked) == 1


def test_a_replayed_reply_is_the_live_one_without_its_faults(path):
    said = {
        "text": "7",
        "usage": Usage(prompt_tokens=3, completion_tokens=0, counted=True),
        "finish_reason": "length",
        "num_calls": 2,
        "seconds": 0.1 + 0.2,
        "faults": ("429", "timeout"),
    }
    (live,) = ask(Replay(path=path, llm=Slow(**said)), request())
    (again,) = ask(Replay(path=path), request())
    assert live.faults == ("429", "timeout")
    assert again.faults == ()
    assert again.seconds == live.seconds
    assert again == replace(live, label=Label.REPLAYED)
    (call,) = Recording(path)
    assert call.reply == live
    assert call.reply.faults == live.faults


@pytest.mark.parametrize("reason", ["refusal", "empty", "malformed", "content_filter"])
def test_an_answer_that_is_of_no_use_is_a_reply_too(path, reason):
    llm = Slow(text="", finish_reason=reason)
    for _ in range(2):
        assert ask(Replay(path=path, llm=llm), request())[0].finish_reason == reason
    assert len(llm.asked) == 1


@pytest.mark.parametrize("label", [Label.EXACT, Label.CALIBRATED, Label.SIMULATED])
def test_recording_makes_no_weak_answer_a_strong_one(path, label):
    for _ in range(2):
        assert ask(Replay(path=path, llm=Slow(label=label, score=0.5)), request())[0].label is label
    assert ask(Replay(path=path), request())[0].score == 0.5


@pytest.mark.parametrize(
    "text",
    ["", "Grüße, 世界 🙂", "lone \ud800 surrogate", "nul \0 byte", "\u2028\r\n\t\x1f\x7f", "long " * 400_000],
    ids=["empty", "unicode", "surrogate", "nul", "control", "2 MB"],
)
def test_any_text_comes_back_bit_by_bit(path, text):
    (live,) = ask(Replay(path=path, llm=Slow(text=text)), request(text))
    (again,) = ask(Replay(path=path), request(text))
    assert live.text == again.text == text
    assert next(iter(Recording(path))).request == request(text)


def test_a_failed_call_is_not_recorded(path):
    llm = Slow()
    replay = Replay(path=path, llm=llm)
    for _ in range(2):
        assert all(isinstance(r, LLMError) for r in ask(replay, request("fail"), request("fail")))
    assert len(llm.asked) == 2
    assert len(Recording(path)) == 0


def test_a_reply_is_in_the_file_before_anybody_sees_it(path):
    async def scene():
        replay = Replay(path=path, llm=Slow())
        outside = sqlite3.connect(path)
        for i in range(20):
            await replay(request(str(i)))
            assert outside.execute("SELECT count(*) FROM calls").fetchone() == (i + 1,)

    asyncio.run(scene())


# ------------------------------------------------------------------ calls in flight


def test_a_request_in_flight_is_asked_once_and_only_one_of_its_replies_is_live(path):
    llm = Slow(faults=("500",))
    replies = ask(Replay(path=path, llm=llm), *[request()] * 5)
    assert len(llm.asked) == 1
    assert {r.text for r in replies} == {"q 1"}
    assert sorted(r.label for r in replies) == [Label.LIVE, *[Label.REPLAYED] * 4]
    assert sum(len(r.faults) for r in replies) == 1


def test_who_asked_second_gets_the_reply_where_the_first_is_cancelled(path):
    async def scene():
        llm = Slow(open=False)
        replay = Replay(path=path, llm=llm)
        first, second = asyncio.create_task(replay(request())), asyncio.create_task(replay(request()))
        await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.sleep(0.001)
        llm.gate.set()
        reply = await second
        return first.cancelled(), reply.text, reply.label, len(llm.asked)

    assert asyncio.run(scene()) == (True, "q 1", Label.LIVE, 1)


def test_a_call_that_nobody_waits_for_is_cancelled_and_may_be_asked_again(path):
    async def scene():
        llm = Slow(open=False)
        replay = Replay(path=path, llm=llm)
        first, second = asyncio.create_task(replay(request())), asyncio.create_task(replay(request()))
        await asyncio.sleep(0.001)
        first.cancel()
        second.cancel()
        third = asyncio.create_task(replay(request()))
        await asyncio.sleep(0.001)
        cancelled = llm.cancelled
        llm.gate.set()
        return cancelled, (await third).label, len(llm.asked)

    assert asyncio.run(scene()) in [(1, Label.LIVE, 2), (0, Label.LIVE, 1)]


def test_a_call_cut_off_by_the_end_of_its_loop_is_asked_again_in_the_next(path):
    llm = Slow(open=False)
    replay = Replay(path=path, llm=llm)

    async def hurried():
        await asyncio.wait_for(replay(request()), 0.001)

    with pytest.raises(TimeoutError):
        asyncio.run(hurried())
    llm.open = True
    assert ask(replay, request())[0].text == "q 2"
    assert len(Recording(path)) == 1


def test_a_thousand_calls_at_once_are_all_recorded(path):
    llm = Slow()
    replies = ask(Replay(path=path, llm=llm), *(request(str(i % 700)) for i in range(1000)))
    assert len(llm.asked) == 700
    assert ask(Replay(path=path), *(request(str(i % 700)) for i in range(1000))) == [
        replace(r, label=Label.REPLAYED) for r in replies
    ]


# ------------------------------------------------------------------ several processes


def _work(path, start, name, out):
    start.wait()
    replay = Replay(path=path, llm=Slow(text=name))
    replies = ask(replay, *(request(str(i)) for i in range(200)))
    out.put([r.text for r in replies])


def test_processes_that_ask_the_same_at_the_same_time_see_the_same_bits(path):
    context = multiprocessing.get_context("fork")
    start, out = context.Event(), context.Queue()
    workers = [context.Process(target=_work, args=(path, start, str(k), out)) for k in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    seen = [out.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    recorded = {c.request.messages[0].content: c.reply.text for c in Recording(path)}
    assert len(recorded) == 200
    assert all(texts == [recorded[str(i)] for i in range(200)] for texts in seen)


WRITER = """
import asyncio, sys
from gdesign.llm.replay import Replay
from gdesign.types import Label, Message, Reply, Request, Usage

class Endpoint:
    async def __call__(self, request):
        return Reply(text="x" * 5000, usage=Usage(prompt_tokens=1, completion_tokens=1), label=Label.LIVE)

async def forever(replay):
    for i in range(10**9):
        await replay(Request(llm="m", messages=(Message("user", str(i)),)))
        sys.stdout.write(f"{i}\\n")
        sys.stdout.flush()

asyncio.run(forever(Replay(path=sys.argv[1], llm=Endpoint())))
"""


def test_a_killed_writer_loses_nothing_that_anybody_saw(path):
    for num in (1, 300):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            for _ in range(num):
                writer.stdout.readline()
            os.kill(writer.pid, signal.SIGKILL)
            seen = num + len(writer.stdout.readlines())  # the last line may be cut short, the call is not
        assert {str(i) for i in range(seen - 1)} <= {c.request.messages[0].content for c in Recording(path)}
        assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# ------------------------------------------------------------------ mistakes


def test_what_is_not_recorded_is_named_where_nobody_can_be_asked(path):
    Recording(path, create=True)
    with pytest.raises(UnsupportedRequestError, match=r"calls\.sqlite holds no reply of m at temperature 0.5.*'2 \+ 2"):
        asyncio.run(Replay(path=path)(request("2 + 2?", temperature=0.5)))


def test_a_recording_that_is_not_there_is_named(path):
    with pytest.raises(MissingDataError, match=r"calls\.sqlite is not there"):
        Replay(path=path)
    assert not path.parent.exists()


def test_a_file_that_is_no_recording_is_left_alone(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("something quite different " * 100)
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE things (x)")
    before = other.read_bytes()
    with pytest.raises(DataError, match=r"notes\.txt cannot be used as a recording"):
        Replay(path=text, llm=Slow())
    with pytest.raises(DataError, match=r"other\.sqlite is no recording of gdesign"):
        Replay(path=other, llm=Slow())
    assert text.read_text().startswith("something")
    assert other.read_bytes() == before


def test_a_recording_of_another_version_is_refused(path):
    Recording(path, create=True).close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match=r"version 99.*version 1"):
        Replay(path=path, llm=Slow())


def test_a_file_that_cannot_be_written_ends_the_run(path):
    replay = Replay(path=path, llm=Slow())
    with sqlite3.connect(path) as file:
        file.execute("CREATE TRIGGER full BEFORE INSERT ON calls BEGIN SELECT raise(ABORT, 'disk full'); END")
    (error,) = ask(replay, request())
    assert isinstance(error, DataError)
    assert "disk full" in str(error)


def test_replies_of_two_endpoints_are_not_mixed_under_one_name(path):
    here, there = {"m": "http://a/v1", "n": "http://n/v1"}, {"m": "http://b/v1", "n": "http://n/v1"}
    Replay(path=path, llm=Slow(), endpoints=there)  # nothing was asked, so nothing is settled
    ask(Replay(path=path, llm=Slow(), endpoints=here), request())
    with pytest.raises(ConfigError, match="replies of m from http://a/v1, not http://b/v1"):
        Replay(path=path, llm=Slow(), endpoints=there)
    assert ask(Replay(path=path), request())[0].text == "q 1"


def test_a_recording_is_replayed_as_it_was_sampled(path):
    ask(Replay(path=path, llm=Slow()), request(temperature=0.7, max_tokens=5))
    assert ask(offline(path=path, temperature=0.7, max_tokens=5), request())[0].text == "q 1"
    with pytest.raises(UnsupportedRequestError, match="max_tokens None"):
        asyncio.run(offline(path=path, temperature=0.7)(request()))
