"""LLMs on this machine: files that are served here, and servers that run already."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import yaml

from gdesign.errors import ConfigError, LLMError, MissingDataError, installing

MAGIC = b"GGUF"
"""What such a file begins with."""
HEADROOM = 1.15
"""Memory that a model needs, as a multiple of its file."""
USUAL_PORTS: Mapping[str, int] = {"Ollama": 11434, "LM Studio": 1234, "llama.cpp": 8080, "vLLM": 8000}
PROMPT = "Here is a list of words to look at: " + " ".join(f"word{i}" for i in range(60))
"""What is sent to time how fast a model reads."""
ANSWER = 32
"""Tokens that are written to time how fast it writes."""

Launch = Callable[[Sequence[str]], "subprocess.Popen[str]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model at an address.

    Attributes:
        base_url: With `/v1`.
        size: Of its file in bytes; None where that is not known.
        context: Tokens that it takes; None where that is not known.
    """

    name: str
    base_url: str
    size: int | None = None
    context: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Seconds that a model needs for a token that it reads, and for one that it writes."""

    read: float
    write: float


def python(arguments: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a Python program that ends when its standard input does."""
    # threads that spin while they wait for each other take the cores from those that are waited for
    waiting = {"GOMP_SPINCOUNT": "0", "OMP_WAIT_POLICY": "passive"}
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **waiting},
        start_new_session=True,  # Ctrl-C is for us; they end with their standard input
    )


@contextmanager
def serving(
    paths: Sequence[Path], *, first_port: int, num_threads: int, context: int, launch: Launch = python
) -> Iterator[list[Served]]:
    """Serve GGUF files on loopback, each by a process of its own, and end them at the end, however it comes.

    Args:
        paths: Of the files.
        first_port: Port of the first; the others have those after it. 0 for any that are free.
        num_threads: Of each.
        context: Tokens that each takes.

    Raises:
        MissingDataError: A file is not there.
        ConfigError: A file is no GGUF or cannot be served, there is too little memory, a port is taken, or the extra is
            missing.
    """
    names = [re.sub(r"[^\w.-]+", "-", path.stem).lower() for path in paths]
    for path in paths:
        _check(path)
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"two files would be called {double[0]}; rename one")
    _check_memory(paths)
    ports = [_port(first_port + i if first_port else 0) for i in range(len(paths))]
    found = []
    with ExitStack() as stack:
        for path, name, port in zip(paths, names, ports, strict=True):
            arguments = [str(path.resolve()), name, str(port), str(num_threads), str(context)]
            process = launch(["-m", "gdesign.llm.gguf", *arguments])
            stack.callback(_end, process)
            assert process.stdout is not None
            if not process.stdout.readline():
                code = process.wait()
                why = installing("local") if code == NO_EXTRA else "is it a whole file of a model that llama.cpp knows?"
                raise ConfigError(f"{path.name} could not be served (status {code}); {why}")
            url = f"http://127.0.0.1:{port}/v1"
            found.append(Served(name=name, base_url=url, size=path.stat().st_size, context=context))
        yield found


NO_EXTRA = 3
"""Status of a server that lacks llama.cpp."""


def running(ports: Mapping[str, int] = USUAL_PORTS) -> dict[str, list[Served]]:
    """Return the models of the servers that run on this machine, by the server's name."""
    found = {}
    for name, port in ports.items():
        url = f"http://127.0.0.1:{port}/v1"
        try:
            told = _json(f"{url}/models", timeout=2)
        except (URLError, OSError, ValueError):
            continue  # nobody there, or another kind of server
        models = told.get("data") if isinstance(told, dict) else None
        if isinstance(models, list):
            ids = [m["id"] for m in models if isinstance(m, dict) and isinstance(m.get("id"), str)]
            found[name] = [Served(name=i, base_url=url) for i in ids]
    return found


def timed(model: Served, *, timeout: float = 600) -> Speed:
    """Return how fast a model reads and writes, from two calls.

    Raises:
        LLMError: It does not answer.
    """
    try:
        read, tokens, _ = _ask(model, PROMPT, 1, timeout)
        took, _, written = _ask(model, "Count from 1 to 30.", ANSWER, timeout)
    except (URLError, OSError, ValueError, KeyError, TypeError) as error:
        raise LLMError(f"{model.name} at {model.base_url} does not answer: {error}") from error
    return Speed(read=read / max(1, tokens), write=took / max(1, written))


def pool_yaml(models: Mapping[Served, Speed], *, usd_per_hour: float) -> str:
    """Return a pool of models as YAML, whose prices are their seconds.

    Args:
        models: How fast each is.
        usd_per_hour: What an hour of this machine is taken to cost.
    """
    llms = []
    for model, speed in models.items():
        size = "" if model.size is None else f"{model.size / 1e9:.2g} GB, "
        llm: dict[str, Any] = {
            "name": model.name,
            "profile": f"a model on this machine, {size}{1 / speed.write:.0f} tokens a second",
            "usd_per_1M_input": _price(speed.read, usd_per_hour),
            "usd_per_1M_output": _price(speed.write, usd_per_hour),
            "base_url": model.base_url,
        }
        if model.context is not None:
            llm["context"] = model.context
        llms.append(llm)
    pool = {
        "roles": [
            {"name": "solver", "profile": "You solve the task that you are given."},
            {"name": "checker", "profile": "You check what others found and correct it where it is wrong."},
        ],
        "llms": llms,
        "operators": ["answer", "cot"],
        "anchor": [["solver", "checker"]],
    }
    head = f"# Prices are seconds of this machine, at {usd_per_hour:g} USD an hour, measured with two calls each.\n"
    return head + yaml.safe_dump(pool, sort_keys=False, allow_unicode=True)


def _price(seconds: float, usd_per_hour: float) -> float:
    return float(f"{seconds * 1e6 * usd_per_hour / 3600:.3g}")


def _check(path: Path) -> None:
    if not path.is_file():
        raise MissingDataError(f"there is no file {path}")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ConfigError(f"{path} is no GGUF file; models as safetensors are converted by llama.cpp's own script")


def _check_memory(paths: Sequence[Path]) -> None:
    needed = HEADROOM * sum(path.stat().st_size for path in paths)
    free = _free_memory()
    if free is not None and needed > free:
        raise ConfigError(
            f"{len(paths)} model(s) need about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; take "
            "fewer or smaller ones"
        )


def _free_memory() -> int | None:
    """Return the bytes that may be had without swapping; None where that cannot be told."""
    try:
        told = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", told, re.MULTILINE)
    return None if found is None else 1024 * int(found[1])


def _port(wanted: int) -> int:
    if not 0 <= wanted < 1 << 16:
        raise ConfigError(f"the port is {wanted}; expected 0 (any that is free) to {(1 << 16) - 1}")
    try:
        with socket.create_server(("127.0.0.1", wanted)) as sock:
            port: int = sock.getsockname()[1]
            return port
    except OSError as error:
        raise ConfigError(
            f"cannot listen on port {wanted}: {error.strerror or error}; name another by --port"
        ) from None


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _ask(model: Served, text: str, num_tokens: int, timeout: float) -> tuple[float, int, int]:
    """Return the seconds of a call, and the tokens that were read and written."""
    body = {
        "model": model.name,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": num_tokens,
        "temperature": 0,
    }
    began = perf_counter()
    told = _json(f"{model.base_url}/chat/completions", body=body, timeout=timeout)
    usage = told["usage"]
    return perf_counter() - began, int(usage["prompt_tokens"]), int(usage["completion_tokens"])


def _json(url: str, *, timeout: float, body: Mapping[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=timeout) as response:
        return json.load(response)
