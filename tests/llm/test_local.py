import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from gdesign.errors import ConfigError, LLMError, MissingDataError
from gdesign.llm.local import Served, Speed, pool_yaml, python, running, serving, timed

FAKE = str(Path(__file__).with_name("fake_llama.py"))


def fake(arguments):
    """Start the made-up llama.cpp in the place of `-m gdesign.llm.gguf`."""
    return python([FAKE, *arguments[2:]])


def model(folder, name="Small Model", body=b""):
    path = folder / f"{name}.gguf"
    path.write_bytes(b"GGUF" + body)
    return path


def served(paths, **options):
    settings = {"first_port": 0, "num_threads": 1, "context": 512, "launch": fake} | options
    return serving(paths, **settings)


def listens(url):
    port = int(url.rsplit(":", 1)[1].removesuffix("/v1"))
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_files_are_served_under_their_names_and_ended_at_the_end(tmp_path):
    with served([model(tmp_path), model(tmp_path, "b")]) as found:
        assert [m.name for m in found] == ["small-model", "b"]
        speeds = {m: timed(m) for m in found}
        assert all(0 < s.read and 0 < s.write for s in speeds.values())
        assert all(listens(m.base_url) for m in found)
    assert not any(listens(m.base_url) for m in found)


def test_servers_end_with_whoever_started_them_however_that_ended(tmp_path):
    path = model(tmp_path)
    script = (
        "import sys, time\n"
        f"sys.path[:0] = {[str(Path(__file__).parents[2])]!r}\n"
        "from pathlib import Path\n"
        "from tests.llm.test_local import served\n"
        f"with served([Path({str(path)!r})]) as (found,):\n"
        "    print(found.base_url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    url = parent.stdout.readline().strip()
    assert listens(url)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while listens(url) and time.monotonic() < until:
        time.sleep(0.05)
    assert not listens(url)


def test_a_pool_has_the_prices_of_seconds(tmp_path):
    small = Served(name="small", base_url="http://127.0.0.1:1/v1", size=98_000_000, context=4096)
    text = pool_yaml({small: Speed(read=0.001, write=0.02)}, usd_per_hour=0.36)
    (llm,) = yaml.safe_load(text)["llms"]
    assert (llm["usd_per_1M_input"], llm["usd_per_1M_output"], llm["context"]) == (0.1, 2.0, 4096)
    path = tmp_path / "pool.yaml"
    path.write_text(text)
    from gdesign.agents.pool import load

    assert load(path).llm("small").base_url == small.base_url


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda folder: folder / "none.gguf", MissingDataError, "there is no file"),
        (lambda folder: Path(__file__), ConfigError, "is no GGUF file"),
        (lambda folder: model(folder, body=b"broken"), ConfigError, "could not be served"),
    ],
)
def test_files_that_cannot_be_served_are_named(tmp_path, make, error, message):
    with pytest.raises(error, match=message), served([make(tmp_path)]):
        pass


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on port {port}"):
            with served([model(tmp_path)], first_port=port):
                pass


def test_a_model_larger_than_the_free_memory_is_refused_before_it_is_read(tmp_path):
    path = model(tmp_path)
    with path.open("r+b") as file:
        file.truncate(1 << 42)  # a hole: no byte of it is on the disk
    with pytest.raises(ConfigError, match="GB are free"), served([path]):
        pass


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ConfigError, match="would be called small-model"):
        with served([model(tmp_path), model(tmp_path / "a")]):
            pass


def test_servers_that_run_already_are_found_by_their_ports(tmp_path):
    with served([model(tmp_path)]) as (found,):
        port = int(found.base_url.rsplit(":", 1)[1].removesuffix("/v1"))
        here = running({"Some server": port, "nobody": 1})
    assert here == {"Some server": [Served(name="small-model", base_url=found.base_url)]}


def test_a_server_that_does_not_answer_a_chat_is_named():
    with pytest.raises(LLMError, match=r"nobody at .* does not answer"):
        timed(Served(name="nobody", base_url="http://127.0.0.1:1/v1"))
