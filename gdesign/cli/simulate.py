"""`gdesign simulate`: serve the simulated world as an OpenAI-compatible endpoint."""

import os
from argparse import Namespace

from gdesign.agents.pool import named
from gdesign.cli.talk import say
from gdesign.errors import ConfigError
from gdesign.llm.options import is_loopback
from gdesign.llm.simulated import world
from gdesign.serve.server import Server, bind, serve, url_of
from gdesign.serve.simulate import Simulation


def run(options: Namespace) -> None:
    """Serve until the process is told to end."""
    key = os.environ.get(options.key_env) if options.key_env else None
    if options.key_env and not key:
        raise ConfigError(f"the environment variable {options.key_env} holds no key; set it, or leave --key-env out")
    given = {
        "latency": None if options.latency is None else options.latency / 1000,
        "jitter": None if options.jitter is None else options.jitter / 1000,
        "faults": options.faults,
        "fault_kinds": options.fault_kinds.split(",") if options.fault_kinds else None,
        "retry_after": options.retry_after,
        "requests_per_minute": options.requests_per_minute,
        "seed": options.seed,
    }
    app = Simulation(
        pool=named(options.pool),
        world=world.load(options.world) if options.world else None,
        key=key,
        any_message=options.any,
        **{name: value for name, value in given.items() if value is not None},
    )
    with bind(options.host, options.port) as sock:
        if key is None and not is_loopback(url_of(sock)):
            raise ConfigError(
                f"{options.host} can be reached from other machines; name an environment variable with a key by "
                "--key-env, or listen on 127.0.0.1"
            )
        say(f"listening on {url_of(sock)}/v1")
        serve(Server(app, on_stop=app.stop), sock)
    say(app.summary())
