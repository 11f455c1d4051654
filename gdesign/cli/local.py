"""`gdesign local`: serve models from files on this machine, or find those that run, and make a pool of them."""

import threading
from argparse import Namespace
from pathlib import Path

from gdesign.cli.talk import complain, say
from gdesign.errors import ConfigError, LLMError
from gdesign.llm.local import USUAL_PORTS, Served, pool_yaml, running, serving, timed


def run(options: Namespace) -> None:
    """Serve files until the process is told to end; without files, say what runs already."""
    if options.files:
        with serving(
            options.files, first_port=options.port, num_threads=options.threads, context=options.context
        ) as served:
            for model in served:
                complain(f"{model.name} listens on {model.base_url}")
            _pool(served, options)
            complain("serving until Ctrl-C")
            threading.Event().wait()
        return
    found = running()
    if not found:
        where = ", ".join(f"{name} (port {port})" for name, port in USUAL_PORTS.items())
        raise ConfigError(f"no server runs on this machine; looked for {where}. Name GGUF files to serve them here")
    for name, models in found.items():
        complain(f"{name} serves {', '.join(m.name for m in models) or 'nothing yet'}")
    _pool([model for models in found.values() for model in models], options)


def _pool(models: list[Served], options: Namespace) -> None:
    speeds = {}
    for model in models:
        try:
            speeds[model] = timed(model)
        except LLMError as error:  # one for embeddings, say
            complain(f"left out: {error}")
    if not speeds:
        raise ConfigError("none of these models answers a chat, so there is no pool to make")
    text = pool_yaml(speeds, usd_per_hour=options.usd_per_hour)
    out: Path | None = options.out
    if out is None:
        say(text.rstrip("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        complain(f"wrote {out}; train with it: pool=file pool.path={out} llm=openai")
