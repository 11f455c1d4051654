import json
import signal
import socket

import openai
import pytest

from gdesign.cli.main import main
from gdesign.tasks.synthetic import Synthetic
from tests.serve.command import simulating

ASKED = [{"role": "user", "content": Synthetic().load("test")[0].question}]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped_and_then_says_what_it_did(sent):
    options = ("--latency", "20", "--jitter", "5", "--faults", "0.5", "--fault-kinds", "429", "--retry-after", "0.001")
    with simulating(*options) as (url, process):
        with openai.OpenAI(base_url=url, api_key="none", max_retries=20) as client:
            client.models.list()
            for _ in range(4):
                assert client.chat.completions.create(model="small", messages=ASKED).choices
        process.send_signal(sent)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert err == ""
    assert "requests: 4 answered, " in out
    assert "failed on demand (429 " in out


def test_a_request_without_an_answer_does_not_hold_up_the_end():
    with simulating("--faults", "1", "--fault-kinds", "timeout") as (url, process):
        host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
        body = json.dumps({"model": "small", "messages": ASKED}).encode()
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            process.terminate()
            out, err = process.communicate(timeout=3)
    assert (process.returncode, err) == (0, "")
    assert "timeout 1)" in out


def test_pools_and_worlds_may_be_files_and_the_key_comes_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "pool.yaml").write_text(
        "roles: [{name: solver, profile: You solve it.}]\n"
        "llms: [{name: own, usd_per_1M_input: 1, usd_per_1M_output: 2}]\n"
    )
    (tmp_path / "world.yaml").write_text("abilities: {own: {mathematics: 9, code: 9, knowledge: 9}}\n")
    monkeypatch.setenv("MY_KEY", "sk-1")
    options = ("--pool", str(tmp_path / "pool.yaml"), "--world", str(tmp_path / "world.yaml"), "--key-env", "MY_KEY")
    with simulating(*options, "--any") as (url, _), openai.OpenAI(base_url=url, api_key="sk-1") as client:
        reply = client.chat.completions.create(model="own", messages=[{"role": "user", "content": "Hello"}])
        assert reply.choices[0].message.content == "Hello"
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="sk-2").models.list()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pool", "nobody"], "no built-in pool 'nobody'"),
        (["--pool", "nobody.yaml"], "no pool file nobody.yaml"),
        (["--pool", "mathematics"], "not in the simulated world"),
        (["--world", "nowhere.yaml"], "no file nowhere.yaml"),
        (["--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY holds no key"),
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines"),
        (["--host", "no-such-host.invalid"], "cannot listen on no-such-host.invalid"),
        (["--port", "65536"], "the port is 65536"),
        (["--faults", "20"], "share of faults is 20"),
        (["--fault-kinds", "429,fire"], "no fault 'fire'"),
        (["--latency", "5", "--jitter", "6"], "latency is 0.005 s and its jitter 0.006 s"),
        (["--jitter", "6"], "latency is 0 s"),
        (["--requests-per-minute", "0"], "limit is 0"),
    ],
)
def test_a_mistake_ends_in_one_clear_line(options, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--port", "0", *options])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_port_that_is_taken_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit):
            main(["simulate", "--port", port])
    assert f"cannot listen on 127.0.0.1, port {port}" in capsys.readouterr().err
