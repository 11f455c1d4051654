"""How eval.py, train.py and `gdesign ask` end where an endpoint answers nothing."""

import json
import re

import pytest

from gdesign.cli.main import main
from gdesign.llm.recording import Recording
from tests.commands import Commands
from tests.llm.asking import error
from tests.llm.chat_server import Raw, chat_server, completion


@pytest.fixture
def command(monkeypatch, capsys):
    return Commands(monkeypatch, capsys)


@pytest.fixture
def own_task(tmp_path):
    for name, num in (("a", 4), ("b", 2)):
        rows = [{"id": f"{name}{i}", "question": f"How much is {name} {i}?", "answer": "4"} for i in range(num)]
        lines = "".join(json.dumps({**row, "grader": "number"}) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    (tmp_path / "p.yaml").write_text(
        "roles: [{name: solver, profile: You solve it.}]\n"
        "llms: [{name: m, usd_per_1M_input: 2, usd_per_1M_cached_input: 0.5, usd_per_1M_output: 4}]\n"
    )
    files = (f"task.train={tmp_path}/a.jsonl", f"task.test={tmp_path}/b.jsonl", f"pool.path={tmp_path}/p.yaml")
    return (
        "designer=single",
        "task=jsonl",
        "pool=file",
        *files,
        "llm=openai",
        "+llm.max_retries=1",
        "+llm.backoff=0.01",
    )


ENDS = {
    "a wrong key": (error(401, message="Incorrect API key provided"), "variable named by api_key_env holds"),
    "a wrong key, as Gemini says it": (
        Raw(400, json.dumps([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}])),
        "variable named by api_key_env holds",
    ),
    "no credit": (error(402, message="Insufficient Balance"), "has no credit left for m .*: add some"),
    "no quota": (
        error(429, code="insufficient_quota", message="You exceeded your quota"),
        "no credit left.*: add some",
    ),
    "no system role": (error(400, message="System role not supported"), r"\+llm\.system=merge"),
    "no seed": (Raw(422, '{"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}'), r"m\.seed=null"),
    "no such address": (Raw(200, '{"error": "Unexpected endpoint or method."}'), "base_url is whole"),
    "errors that are called a success": (
        error(200, code=502, message="Upstream down"),
        "nothing to score.*Upstream down",
    ),
    "choices that are none": (Raw(200, '{"choices": null}'), "nothing to score.*no choices"),
    "broken endings": (
        Raw(200, json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "error"}]})),
        "nothing to score.*ended with error",
    ),
    "errors in a stream": (Raw(200, 'data: {"error": {"message": "Compute error."}}\n\n'), "nothing to score.*Compute"),
    "questions that are refused": (error(400, message="sorry"), "nothing to score.*400 sorry"),
    "a page": (Raw(200, "<html>Welcome</html>", content_type="text/html"), "nothing to score.*no JSON"),
    "a limit that does not pass": (error(429, message="slow down"), "nothing to score.*429 slow down"),
}


@pytest.mark.parametrize(("failure", "words"), ENDS.values(), ids=ENDS)
def test_an_evaluation_that_no_call_answers_ends_with_what_to_do(command, own_task, tmp_path, failure, words):
    record = tmp_path / "calls.sqlite"
    with chat_server(lambda body: failure) as url:
        status, out, err = command(
            "eval", *own_task, f"llm.base_url={url}", f"llm.record={record}", f"out={tmp_path}/run"
        )
    assert status == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert re.search(words, line)
    assert "score" not in out
    assert not (tmp_path / "run/eval.json").exists()
    assert not record.exists() or len(Recording(record)) == 0


def test_a_training_that_no_call_answers_ends_with_what_to_do(command, own_task, tmp_path):
    more = ("llm.record=null", "trainer.max_epochs=1", "trainer.enable_progress_bar=false", "split=null")
    with chat_server(lambda body: error(400, message="sorry")) as url:
        status, _, err = command(
            "train", "designer=gdesigner", *own_task[1:], *more, f"llm.base_url={url}", f"out={tmp_path}/run"
        )
    assert status == 2
    assert "nothing to score (m: 400 sorry)" in err


def test_a_question_that_no_call_answers_ends_with_what_to_do(command, own_task, tmp_path, capsys):
    with chat_server() as url:
        assert command("eval", *own_task, f"llm.base_url={url}", "llm.record=null", f"out={tmp_path}/run")[0] == 0
    with chat_server(lambda body: error(400, message="sorry")) as url, pytest.raises(SystemExit) as ended:
        main(["ask", "--checkpoint", f"{tmp_path}/run", "--llm", url, "What is the answer?"])
    assert ended.value.code == 2
    assert (
        "error: no call was answered in 1 run, so there is nothing to score (m: 400 sorry)" in capsys.readouterr().err
    )


def test_some_calls_that_fail_are_counted_and_told(command, own_task, tmp_path):
    with chat_server(lambda body: error(400, message="sorry") if "b 1" in str(body["messages"]) else "4") as url:
        status, out, _ = command("eval", *own_task, f"llm.base_url={url}", "llm.record=null", f"out={tmp_path}/run")
    assert status == 0
    assert "1 calls failed" in out


def test_a_model_without_a_system_role_is_evaluated_with_its_prompt_merged(command, own_task, tmp_path):
    def gemma(body):
        system = any(m["role"] == "system" for m in body["messages"])
        return error(400, message="System role not supported") if system else "Answer: 4"

    with chat_server(gemma) as url:
        arguments = (*own_task, f"llm.base_url={url}", "llm.record=null", f"out={tmp_path}/run")
        assert command("eval", *arguments, "+llm.system=merge")[0] == 0
    assert json.loads((tmp_path / "run/eval.json").read_text())["score"] == 1.0


def test_what_a_cache_held_is_paid_at_its_own_price_and_who_answered_is_written_down(command, own_task, tmp_path):
    def answer(body):
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 800}}
        return Raw(body=json.dumps(completion(body, "4") | {"usage": usage, "model": "tiny-0.5b"}))

    record = tmp_path / "calls.sqlite"
    with chat_server(answer) as url:
        arguments = (*own_task, f"llm.base_url={url}", f"llm.record={record}")
        assert command("eval", *arguments, f"out={tmp_path}/live")[0] == 0
        assert command("eval", *arguments, f"out={tmp_path}/replayed")[0] == 0
    for name in ("live", "replayed"):
        found = json.loads((tmp_path / name / "eval.json").read_text())
        # of a million tokens: 200 at 2 USD, 800 at 0.5, 100 at 4; for 1,000 questions
        assert found["usd"] == pytest.approx(1.2)
        assert found["answered_by"] == {"m": ["tiny-0.5b"]}
