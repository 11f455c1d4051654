"""`gdesign serve`: serve a trained designer as an OpenAI-compatible endpoint."""

import logging
import os
from argparse import Namespace

from gdesign.api import load
from gdesign.cli.ask import endpoint
from gdesign.cli.talk import complain, say
from gdesign.errors import ConfigError
from gdesign.llm.options import is_loopback
from gdesign.serve.app import Serving
from gdesign.serve.guard import LOOPBACK, JsonLines, refuse_odd_origins
from gdesign.serve.server import Server, bind, serve, url_of
from gdesign.serve.settings import Settings


def run(options: Namespace) -> None:
    """Serve until the process is told to end."""
    keys = {name: os.environ.get(name, "") for name in options.key_env}
    if empty := [name for name, key in keys.items() if not key]:
        raise ConfigError(f"the environment variable {empty[0]} holds no key; set it, or leave --key-env out")
    refuse_odd_origins(options.allow_origin, keys=bool(keys))
    given = (
        "max_concurrent", "max_body", "deadline", "max_tokens", "max_usd_per_request", "max_usd_per_key", "max_waves",
        "max_agents",
    )  # fmt: skip
    chosen = {name: value for name in given if (value := getattr(options, name)) is not None}
    settings = Settings(**chosen, log_text=options.log_text)
    llm = endpoint(
        options,
        timeout=settings.deadline,
        max_retries=2,  # who waits for an answer is told of a fault rather than left waiting
        backoff=0.25,
        max_wait=5.0,
        max_concurrent=512,
    )
    with bind(options.host, options.port) as sock:
        if not keys and not is_loopback(url_of(sock)):
            raise ConfigError(
                f"{options.host} can be reached from other machines, and answers cost money; name an environment "
                "variable with a key by --key-env, or listen on 127.0.0.1"
            )
        model = load(options.checkpoint, llm=llm, trust=options.trust)
        model.executor()
        model.design("What is asked first should not wait longest.")
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        log = logging.getLogger("gdesign.serve")
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        app = Serving(
            model,
            folder=options.checkpoint,
            settings=settings,
            keys=keys,
            hosts={*LOOPBACK, sock.getsockname()[0], *options.allow_host} if not keys or options.allow_host else None,
            origins=options.allow_origin,
            simulated=llm is None and model.config.names.llm == "simulated",
        )
        if model.warning:
            complain(model.warning)
        say(f"listening on {url_of(sock)}/v1")
        serve(Server(app, on_stop=app.stop, grace=options.grace), sock)
